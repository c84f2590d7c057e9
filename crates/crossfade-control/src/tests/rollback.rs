//! Rollback from every stage.

use std::time::Duration;

use crossfade_core::Stage;

use super::fake::{Fake, name};
use crate::{FlagRollback, Patience, RollbackError, RolledBack, Stores, Stragglers, rollback};

async fn roll_back(fake: &Fake) -> Result<RolledBack, RollbackError> {
    let patience = Patience {
        acknowledgements: Duration::ZERO,
        writers: Duration::from_millis(100),
        stragglers: Stragglers::Name,
    };
    rollback(Stores::of(fake), &name(), "tester", "a test", patience).await
}

#[tokio::test]
async fn reads_come_back_from_every_stage_up_to_ramp_down() {
    for from in Stage::ALL.into_iter().filter(|stage| *stage < Stage::Complete) {
        let fake = Fake::at(from);
        fake.store_percent(50.0, 0);
        let flag = FlagRollback::TurnedOff { version: 2 };
        let (left, stage) = match from {
            Stage::RampDown => (Some(from), Stage::Live),
            stage => (None, stage),
        };
        assert_eq!(roll_back(&fake).await.unwrap(), RolledBack { flag, left, stage }, "{from}");
        let again = RolledBack { flag: FlagRollback::WasOff, left: None, stage };
        assert_eq!(roll_back(&fake).await.unwrap(), again, "{from}");
    }
}

#[tokio::test]
async fn a_flag_that_nobody_set_needs_no_rule_set() {
    let fake = Fake::at(Stage::Live);
    assert_eq!(roll_back(&fake).await.unwrap().flag, FlagRollback::WasOff);
    assert!(fake.get().rule_sets.is_empty());
}

#[tokio::test]
async fn it_is_refused_once_legacy_is_behind() {
    for stage in [Stage::Complete, Stage::Contracted] {
        let fake = Fake::at(stage);
        fake.store_percent(100.0, 0);
        let refused = roll_back(&fake).await;
        assert!(matches!(refused, Err(RollbackError::TooLate(_))), "{refused:?}");
        assert_eq!(fake.get().rule_sets.len(), 1, "nothing was changed");
    }
}

#[tokio::test]
async fn the_flag_goes_off_even_when_the_stage_cannot_be_finished() {
    let fake = Fake::at(Stage::RampDown);
    fake.store_percent(100.0, 0);
    fake.get().held_for = u32::MAX;
    let held = roll_back(&fake).await;
    assert!(matches!(held, Err(RollbackError::Stage { .. })), "{held:?}");
    assert_eq!(fake.actions(), ["flag.off", "stage"]);
    fake.get().held_for = 0;
    let stage = Stage::Live;
    let done = RolledBack { flag: FlagRollback::WasOff, left: None, stage };
    assert_eq!(roll_back(&fake).await.unwrap(), done);
    assert!(!fake.get().state.previous_open);
}

#[tokio::test]
async fn two_rollbacks_at_once_both_succeed() {
    let fake = Fake::at(Stage::RampDown);
    fake.store_percent(100.0, 0);
    fake.get().rollback_rival = true;
    let done = roll_back(&fake).await.unwrap();
    assert_eq!((done.left, done.stage), (None, Stage::Live));
    assert!(!fake.get().state.previous_open);
}
