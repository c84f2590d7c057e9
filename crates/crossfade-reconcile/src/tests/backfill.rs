//! Backfill: killed anywhere, beside others, with refused rows, in a stage that is left.

use std::future::poll_fn;
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use crossfade_core::{RunState, Stage};
use crossfade_store::StoreErrorKind;

use super::fake::{Fake, Inner, name};
use crate::{
    BackfillError, BackfillHooks, BackfillOutcome, BackfillReport, BackfillSettings, Cancel,
    backfill, cancellation,
};

fn settings(batch_size: u32, workers: u32) -> BackfillSettings {
    BackfillSettings { batch_size: Some(batch_size), workers, ..BackfillSettings::default() }
}

async fn run(fake: &Fake, settings: BackfillSettings) -> Result<BackfillReport, BackfillError> {
    let hooks = BackfillHooks { progress: &|_| {}, cancel: Cancel::never() };
    backfill(fake, fake, &name(), settings, hooks).await
}

/// Polls at most `polls` times, then drops.
async fn killed_after<T>(polls: usize, future: impl Future<Output = T>) -> Option<T> {
    let mut future = pin!(future);
    let mut left = polls;
    poll_fn(|context| {
        if left == 0 {
            return Poll::Ready(None);
        }
        left -= 1;
        future.as_mut().poll(context).map(Some)
    })
    .await
}

#[tokio::test(start_paused = true)]
async fn every_row_arrives_once_and_a_second_run_is_harmless() {
    for (rows, batch, workers) in [(0, 10, 1), (1, 10, 1), (25_000, 300, 1), (25_000, 300, 4)] {
        let fake = Fake::holding(-7..rows - 7);
        let report = run(&fake, settings(batch, workers)).await.unwrap();
        assert_eq!(report.outcome, BackfillOutcome::Done);
        assert_eq!((report.read, report.inserted), (rows as u64, rows as u64));
        fake.assert_equal();
        let again = run(&fake, settings(batch, workers)).await.unwrap();
        assert_eq!((again.outcome, again.read), (BackfillOutcome::AlreadyDone, 0));
    }
}

#[tokio::test(start_paused = true)]
async fn killed_at_any_await_and_started_again_it_moves_the_same_rows() {
    for workers in [1, 3] {
        let mut polls = 0;
        loop {
            let fake = Fake::holding(0..23);
            fake.get().refused.extend([4, 17]);
            let killed = killed_after(polls, run(&fake, settings(5, workers))).await;
            let report = run(&fake, settings(5, workers)).await.unwrap();
            let inner = fake.get();
            let expected: Vec<i64> = (0..23).filter(|key| ![4, 17].contains(key)).collect();
            assert_eq!(inner.new.keys().copied().collect::<Vec<_>>(), expected, "at {polls}");
            assert_eq!(inner.inserted, 21, "at {polls}");
            assert_eq!(inner.state.quarantined.len(), 2, "at {polls}");
            if killed.is_some() {
                assert_eq!(report.outcome, BackfillOutcome::AlreadyDone);
                break;
            }
            polls += 1;
        }
        assert!(polls > 30, "{polls}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_refused_row_goes_to_quarantine_alone() {
    let fake = Fake::holding(0..5000);
    fake.get().refused.extend([0, 1234, 4999]);
    let report = run(&fake, settings(1000, 1)).await.unwrap();
    assert_eq!((report.inserted, report.quarantined, report.read), (4997, 3, 5000));
    let quarantined: Vec<String> = fake.get().state.quarantined.iter().cloned().collect();
    assert_eq!(quarantined, ["0", "1234", "4999"]);
}

#[tokio::test(start_paused = true)]
async fn a_cancelled_backfill_gives_its_segment_back() {
    let fake = Fake::holding(0..10_000);
    let (canceller, cancel) = cancellation();
    let stop = move |progress: crate::BackfillProgress| {
        if progress.read >= 2000 {
            canceller.cancel();
        }
    };
    let hooks = BackfillHooks { progress: &stop, cancel };
    let lease = Duration::from_secs(3600);
    let long = BackfillSettings { lease, ..settings(1000, 1) };
    let report = backfill(&fake, &fake, &name(), long, hooks).await.unwrap();
    assert_eq!((report.outcome, report.read), (BackfillOutcome::Interrupted, 2000));
    let started = tokio::time::Instant::now();
    assert_eq!(run(&fake, long).await.unwrap().read, 8000);
    assert!(started.elapsed() < Duration::from_secs(60), "no lease had to lapse");
}

#[tokio::test(start_paused = true)]
async fn a_lost_lease_and_passing_trouble_cost_no_row() {
    let fake = Fake::holding(0..20_000);
    fake.get().failures = vec![StoreErrorKind::LockTimeout, StoreErrorKind::Unavailable];
    // Another process takes the segment over and dies at once.
    fake.get().at_batch = Some((4, |inner: &mut Inner| {
        inner.steal(Duration::from_secs(20));
    }));
    run(&fake, settings(1000, 2)).await.unwrap();
    fake.assert_equal();

    // A deadlock and a statement timeout pass as well.
    let fake = Fake::holding(0..2000);
    fake.get().failures = vec![StoreErrorKind::Conflict, StoreErrorKind::StatementTimeout];
    run(&fake, settings(1000, 1)).await.unwrap();
    fake.assert_equal();

    let fake = Fake::holding(0..10);
    fake.get().failures = vec![StoreErrorKind::LockTimeout; 3];
    let failed = run(&fake, settings(10, 1)).await;
    assert!(matches!(failed, Err(BackfillError::Store(_))), "{failed:?}");
    run(&fake, settings(10, 1)).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_stage_that_is_left_ends_it() {
    let fake = Fake::holding(0..5000);
    fake.get().at_batch = Some((3, |inner: &mut Inner| {
        inner.state.stage = Stage::DeleteOnly;
        inner.state.epoch = inner.state.epoch.next();
    }));
    let left = run(&fake, settings(1000, 1)).await;
    let Err(BackfillError::StageLeft { stage: Stage::DeleteOnly }) = left else {
        panic!("{left:?}");
    };
    let refused = run(&fake, settings(1000, 1)).await;
    let Err(error @ BackfillError::WrongStage { .. }) = refused else { panic!("{refused:?}") };
    assert_eq!(
        error.hint().unwrap(),
        "`crossfade stage user_settings dual_write` is the next step towards it"
    );
}

#[tokio::test(start_paused = true)]
async fn a_void_run_is_not_gone_on_with() {
    let fake = Fake::holding(0..5000);
    fake.get().at_batch = Some((3, |inner: &mut Inner| {
        inner.run.as_mut().unwrap().state = RunState::Void;
    }));
    let void = run(&fake, settings(1000, 1)).await;
    assert!(matches!(void, Err(BackfillError::RunVoid { .. })), "{void:?}");
}

#[tokio::test(start_paused = true)]
async fn it_waits_for_no_other_stage() {
    for stage in Stage::ALL.into_iter().filter(|stage| *stage != Stage::DualWrite) {
        let fake = Fake::holding(0..10);
        fake.get().state.stage = stage;
        let refused = run(&fake, settings(10, 1)).await;
        assert!(matches!(refused, Err(BackfillError::WrongStage { .. })), "{refused:?}");
    }
    let fake = Fake::holding(0..10);
    fake.get().state.previous_open = true;
    let refused = run(&fake, settings(10, 1)).await;
    assert!(matches!(refused, Err(BackfillError::EpochOpen { .. })), "{refused:?}");
}
