//! Stage changes, their gates and their races.

use std::time::Duration;

use crossfade_core::{Approval, Direction, Epoch, MigrationName, Stage};

use super::fake::{Fake, name};
use crate::{
    Advance, AdvanceError, Advanced, CloseError, NewRows, Patience, Stores, Stragglers, advance,
    check,
};

fn request(migration: &MigrationName, to: Stage) -> Advance<'_> {
    let patience = Patience {
        acknowledgements: Duration::from_secs(5),
        writers: Duration::from_millis(300),
        stragglers: Stragglers::Name,
    };
    Advance {
        migration,
        to,
        actor: "tester",
        reason: "a test",
        approval: Approval::default(),
        new_rows: NewRows::Keep,
        patience,
    }
}

#[tokio::test]
async fn one_stage_at_a_time_and_a_second_run_is_harmless() {
    let (fake, name) = (Fake::at(Stage::Off), name());
    for (from, to) in [(Stage::Off, Stage::DeleteOnly), (Stage::DeleteOnly, Stage::DualWrite)] {
        let epoch = fake.get().state.epoch.next();
        let advanced = advance(Stores::of(&fake), &request(&name, to)).await.unwrap();
        assert_eq!(advanced, Advanced::Changed { from, to, epoch, warnings: Vec::new() });
        let again = advance(Stores::of(&fake), &request(&name, to)).await.unwrap();
        assert_eq!(again, Advanced::AlreadyThere { stage: to, epoch });
        assert!(!fake.get().state.previous_open);
    }
    let skipped = advance(Stores::of(&fake), &request(&name, Stage::Complete)).await;
    assert!(matches!(skipped, Err(AdvanceError::Illegal(_))), "{skipped:?}");
    assert!(!fake.get().voided);
    advance(Stores::of(&fake), &request(&name, Stage::DeleteOnly)).await.unwrap();
    assert!(fake.get().voided, "leaving dual_write backwards voids the run");
}

#[tokio::test]
async fn a_change_that_was_cut_short_is_finished() {
    let (fake, name) = (Fake::at(Stage::DualWrite), name());
    fake.get().state.previous_open = true;
    let epoch = Epoch::new(7);
    let resumed = advance(Stores::of(&fake), &request(&name, Stage::DualWrite)).await.unwrap();
    assert_eq!(resumed, Advanced::Resumed { stage: Stage::DualWrite, epoch });
    assert!(!fake.get().state.previous_open);
    assert_eq!(fake.actions(), Vec::<String>::new());

    fake.get().state.previous_open = true;
    let onward = advance(Stores::of(&fake), &request(&name, Stage::Live)).await.unwrap();
    let epoch = Epoch::new(8);
    let Advanced::Changed { from, to, epoch: began, warnings } = onward else {
        panic!("{onward:?}")
    };
    assert_eq!((from, to, began), (Stage::DualWrite, Stage::Live, epoch));
    assert!(warnings[0].message.contains("cannot capture"), "{warnings:?}");
}

#[tokio::test]
async fn of_two_operators_one_wins() {
    let (fake, name) = (Fake::at(Stage::DeleteOnly), name());
    fake.get().rival = true;
    let beaten = advance(Stores::of(&fake), &request(&name, Stage::DualWrite)).await;
    let stage = Stage::DualWrite;
    let epoch = Epoch::new(8);
    assert!(
        matches!(beaten, Err(AdvanceError::Overtaken { stage: s, epoch: e }) if s == stage && e == epoch),
        "{beaten:?}"
    );
    assert_eq!(fake.get().state.epoch, epoch);
}

#[tokio::test]
async fn every_reason_is_listed_and_audited() {
    let (fake, name) = (Fake::at(Stage::DualWrite), name());
    fake.get().run_done = false;
    fake.get().quarantined = 3;
    let plan = check(Stores::of(&fake), &name, Stage::Live, &Approval::default()).await.unwrap();
    assert_eq!((plan.direction, plan.refusals.len()), (Some(Direction::Forward), 2));
    assert_eq!(fake.actions(), Vec::<String>::new(), "a check changes nothing");

    let refused = advance(Stores::of(&fake), &request(&name, Stage::Live)).await;
    let Err(AdvanceError::Refused { to: Stage::Live, refusals }) = refused else {
        panic!("{refused:?}");
    };
    assert_eq!(refusals, plan.refusals);
    assert_eq!(fake.actions(), ["gate.refused"]);
    assert!(fake.get().audit[0].1.contains("; "), "{:?}", fake.get().audit);
    assert_eq!(fake.get().state.stage, Stage::DualWrite);
}

#[tokio::test]
async fn acknowledgements_are_waited_for_and_bake_time_is_not() {
    let (fake, name) = (Fake::at(Stage::DualWrite), name());
    fake.get().acknowledges_after = 2;
    advance(Stores::of(&fake), &request(&name, Stage::Live)).await.unwrap();

    fake.get().acknowledges_after = u32::MAX;
    fake.store_percent(100.0, 999_999_000);
    let started = std::time::Instant::now();
    let refused = advance(Stores::of(&fake), &request(&name, Stage::RampDown)).await;
    let Err(AdvanceError::Refused { refusals, .. }) = refused else { panic!("{refused:?}") };
    assert!(refusals.iter().all(|refusal| refusal.passes_with_time), "{refusals:?}");
    assert_eq!(refusals.len(), 2);
    assert!(started.elapsed() < Duration::from_secs(4));
}

#[tokio::test]
async fn bake_time_counts_the_unbroken_streak() {
    let day = 24 * 60 * 60 * 1000;
    for (history, open) in [
        (vec![(100.0, 2)], true),
        (vec![(50.0, 3), (100.0, 2)], true),
        (vec![(100.0, 2), (50.0, 1), (100.0, 0)], false),
        (vec![(100.0, 2); 100], true),
        (vec![(100.0, 0)], false),
        (vec![(99.9, 2)], false),
        (vec![], false),
    ] {
        let (fake, name) = (Fake::at(Stage::Live), name());
        for (percent, days_ago) in &history {
            fake.store_percent(*percent, 1_000_000_000 - days_ago * day);
        }
        let approval = Approval::default();
        let plan = check(Stores::of(&fake), &name, Stage::RampDown, &approval).await.unwrap();
        assert_eq!(plan.refusals.is_empty(), open, "{history:?}");
    }
}

#[tokio::test]
async fn writers_that_stay_are_named_or_ended() {
    let (fake, name) = (Fake::at(Stage::Off), name());
    fake.get().held_for = u32::MAX;
    let held = advance(Stores::of(&fake), &request(&name, Stage::DeleteOnly)).await;
    let Err(AdvanceError::Close { stage: Stage::DeleteOnly, error }) = held else {
        panic!("{held:?}");
    };
    assert!(matches!(error, CloseError::Held { .. }));
    assert!(error.to_string().contains("session 42 (batch job, idle)"), "{error}");

    let mut request = request(&name, Stage::DeleteOnly);
    request.patience.stragglers = Stragglers::Terminate;
    let resumed = advance(Stores::of(&fake), &request).await.unwrap();
    assert!(matches!(resumed, Advanced::Resumed { stage: Stage::DeleteOnly, .. }));
    assert_eq!(fake.actions(), ["stage", "straggler.terminated"]);
}

#[tokio::test]
async fn rows_of_an_earlier_try_go_only_when_asked() {
    let (fake, name) = (Fake::at(Stage::Off), name());
    fake.get().new_has_rows = true;
    let mut request = request(&name, Stage::DeleteOnly);
    let refused = advance(Stores::of(&fake), &request).await;
    assert!(matches!(refused, Err(AdvanceError::Refused { .. })), "{refused:?}");
    assert!(fake.get().new_has_rows);
    request.new_rows = NewRows::Truncate;
    advance(Stores::of(&fake), &request).await.unwrap();
    assert!(!fake.get().new_has_rows);
}
