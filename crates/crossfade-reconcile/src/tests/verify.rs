//! Verification and repair.

use crossfade_core::{Key, Stage, ToKey};

use super::fake::{Fake, name};
use crate::{
    Cancel, Differences, VerifyError, VerifyHooks, VerifyMode, VerifyProgress, VerifyReport,
    VerifySettings, cancellation, verify,
};

async fn pass(fake: &Fake, mode: VerifyMode) -> Result<VerifyReport, VerifyError> {
    let hooks = VerifyHooks { progress: &|_| {}, cancel: Cancel::never() };
    let settings = VerifySettings { chunk_rows: Some(10), mode };
    verify(fake, fake, &name(), settings, hooks).await
}

/// 0..100 on both sides, except: 5 differs, 6 and 7 are missing, 200 is orphaned.
fn spoilt() -> Fake {
    let fake = Fake::holding(0..100);
    let mut inner = fake.get();
    inner.new = inner.legacy.clone();
    inner.new.insert(5, "behind".to_owned());
    inner.new.remove(&6);
    inner.new.remove(&7);
    inner.new.insert(200, "orphan".to_owned());
    drop(inner);
    fake
}

#[tokio::test(start_paused = true)]
async fn every_kind_of_difference_is_named_and_recorded() {
    let fake = spoilt();
    let report = pass(&fake, VerifyMode::Compare).await.unwrap();
    assert_eq!(report.found, Differences { differing: 1, missing: 2, orphaned: 1 });
    assert_eq!((report.compared, report.remaining, report.repaired), (101, 4, 0));
    let keys: Vec<Key> = [6i64, 7].iter().map(ToKey::to_key).collect();
    assert_eq!(report.samples.missing, keys);
    let recorded = fake.get().verifications.clone();
    assert_eq!((recorded.len(), recorded[0].differences, recorded[0].repaired), (1, 4, 0));
}

#[tokio::test(start_paused = true)]
async fn repair_makes_equal_what_new_accepts() {
    let fake = spoilt();
    // 6 is refused from now on; 50 was refused and is accepted now.
    fake.get().refused.insert(6);
    fake.get().new.remove(&50);
    fake.get().state.quarantined.insert("50".to_owned());
    let report = pass(&fake, VerifyMode::Repair).await.unwrap();
    assert_eq!((report.found.total(), report.repaired, report.quarantined), (4, 4, 1));
    assert_eq!(report.remaining, 1);
    assert_eq!(fake.get().verifications[0].repaired, 4);

    fake.get().refused.clear();
    pass(&fake, VerifyMode::Repair).await.unwrap();
    let clean = pass(&fake, VerifyMode::Compare).await.unwrap();
    assert_eq!((clean.found, clean.remaining), (Differences::default(), 0));
    fake.assert_equal();
}

#[tokio::test(start_paused = true)]
async fn an_interrupted_pass_is_not_recorded() {
    let fake = spoilt();
    let (canceller, cancel) = cancellation();
    let stop = move |progress: VerifyProgress| {
        if progress.compared >= 50 {
            canceller.cancel();
        }
    };
    let hooks = VerifyHooks { progress: &stop, cancel };
    let settings = VerifySettings { chunk_rows: Some(10), mode: VerifyMode::Compare };
    let report = verify(&fake, &fake, &name(), settings, hooks).await.unwrap();
    assert!(report.interrupted);
    assert_eq!(report.compared, 50);
    assert!(fake.get().verifications.is_empty());
}

#[tokio::test(start_paused = true)]
async fn stages_that_promise_no_equality_are_refused() {
    for stage in Stage::ALL {
        let fake = spoilt();
        fake.get().state.stage = stage;
        let compared = pass(&fake, VerifyMode::Compare).await.is_ok();
        assert_eq!(compared, (Stage::DualWrite..=Stage::RampDown).contains(&stage), "{stage}");
        let repaired = pass(&fake, VerifyMode::Repair).await;
        assert_eq!(repaired.is_ok(), stage.reconciles(), "{stage}");
        if let Err(error) = repaired {
            assert!(error.hint().is_some(), "{error}");
        }
    }
}
