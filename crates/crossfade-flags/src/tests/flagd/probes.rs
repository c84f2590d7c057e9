//! Silent peers: some are well, some are gone, some do not like to be asked.

use crossfade_store::RuleSource;

use super::{MOST_BYTES, check_text, clock::Clock, next, open, service::Service, source};

#[tokio::test]
async fn silence_is_told_from_health() {
    let mut service = Service::start().await;
    let mut source = source(&service);
    let mut call = open(&mut source, &mut service, "{}").await;
    let clock = Clock::stop();
    for _ in 0..3 {
        let (answer, seconds) = clock.run(source.next(MOST_BYTES)).await;
        assert_eq!(answer.unwrap(), None);
        assert!((30..=31).contains(&seconds), "{seconds}");
    }
    call.send("[]");
    check_text(next(&mut source).await, "[]");
}

#[tokio::test]
async fn a_peer_that_goes_away_without_a_word_is_noticed() {
    let mut service = Service::start().await;
    let mut source = source(&service);
    let mut call = open(&mut source, &mut service, "{}").await;
    let clock = Clock::stop();
    // Again and again, since that is no reason to do without pings, whenever it happens.
    for spells in [0, 1, 0] {
        for _ in 0..spells {
            assert_eq!(clock.run(source.next(MOST_BYTES)).await.0.unwrap(), None);
        }
        call.freeze().await;
        let (answer, seconds) = clock.run(source.next(MOST_BYTES)).await;
        assert_eq!(answer.unwrap_err().to_string(), "the stream of flagd broke off");
        assert!(seconds <= 20, "{seconds}");
        call = open(&mut source, &mut service, "{}").await;
    }
}

#[tokio::test]
async fn a_peer_that_hangs_up_on_pings_gets_no_more() {
    let mut service = Service::start().await;
    let mut source = source(&service);
    let call = open(&mut source, &mut service, "{}").await;
    let clock = Clock::stop();
    let (answer, _) = clock.run(source.next(MOST_BYTES)).await;
    assert_eq!(answer.unwrap(), None);
    clock.give_up_after(6, source.next(MOST_BYTES)).await;
    call.demand_calm().await;
    let error = next(&mut source).await.unwrap_err();
    assert_eq!(error.to_string(), "the stream of flagd broke off");

    // Nothing is sent that a peer would have to answer.
    let call = open(&mut source, &mut service, "{}").await;
    call.freeze().await;
    for _ in 0..2 {
        let (answer, _) = clock.run(source.next(MOST_BYTES)).await;
        assert_eq!(answer.unwrap(), None);
    }
}

/// Silence begins anew with each message.
#[tokio::test]
async fn a_peer_that_hangs_up_behind_a_message_is_still_pinged() {
    let mut service = Service::start().await;
    let mut source = source(&service);
    let mut call = open(&mut source, &mut service, "{}").await;
    let clock = Clock::stop();
    assert_eq!(clock.run(source.next(MOST_BYTES)).await.0.unwrap(), None);
    clock.give_up_after(6, source.next(MOST_BYTES)).await;
    call.send("[]");
    check_text(next(&mut source).await, "[]");
    call.hang_up().await;
    next(&mut source).await.unwrap_err();
    let call = open(&mut source, &mut service, "{}").await;
    call.freeze().await;
    clock.run(source.next(MOST_BYTES)).await.0.unwrap_err();
}

/// A restart, after a moment or after hours, is no reason to do without pings.
#[tokio::test]
async fn a_peer_that_hangs_up_at_any_other_time_is_still_pinged() {
    let mut service = Service::start().await;
    let mut source = source(&service);
    let clock = Clock::stop();
    for spells in [0, 4] {
        let call = open(&mut source, &mut service, "{}").await;
        for _ in 0..spells {
            assert_eq!(clock.run(source.next(MOST_BYTES)).await.0.unwrap(), None);
        }
        call.hang_up().await;
        next(&mut source).await.unwrap_err();
        let call = open(&mut source, &mut service, "{}").await;
        call.freeze().await;
        clock.run(source.next(MOST_BYTES)).await.0.unwrap_err();
    }
}
