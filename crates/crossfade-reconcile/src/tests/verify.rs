//! Verification and repair.

use crossfade_core::{Epoch, Key, Stage, ToKey};

use super::fake::{Fake, name};
use crate::{
    Cancel, Differences, Reach, Recorded, Sample, Start, VerifyError, VerifyHooks, VerifyMode,
    VerifyProgress, VerifyReport, VerifySettings, cancellation, verify,
};

async fn pass(fake: &Fake, mode: VerifyMode) -> Result<VerifyReport, VerifyError> {
    let hooks = VerifyHooks { progress: &|_| {}, cancel: Cancel::never() };
    let settings = VerifySettings { chunk_rows: Some(10), mode, ..VerifySettings::default() };
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
    let settings = VerifySettings { chunk_rows: Some(10), ..VerifySettings::default() };
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

async fn with(fake: &Fake, settings: VerifySettings) -> VerifyReport {
    let hooks = VerifyHooks { progress: &|_| {}, cancel: Cancel::never() };
    verify(fake, fake, &name(), settings, hooks).await.unwrap()
}

fn small() -> VerifySettings {
    VerifySettings { chunk_rows: Some(10), ..VerifySettings::default() }
}

#[tokio::test(start_paused = true)]
async fn workers_compare_every_key_once() {
    for workers in [1, 2, 3, 16] {
        let fake = spoilt();
        let report = with(&fake, VerifySettings { workers, ..small() }).await;
        assert_eq!(report.found, Differences { differing: 1, missing: 2, orphaned: 1 });
        assert_eq!((report.compared, report.remaining), (101, 4), "{workers} workers");
        assert_eq!(report.columns.get("row"), Some(&1));
        let repaired =
            with(&fake, VerifySettings { workers, mode: VerifyMode::Repair, ..small() }).await;
        assert_eq!((repaired.repaired, repaired.remaining), (4, 0), "{workers} workers");
    }
}

/// Runs a pass that is cancelled once so many keys were compared.
async fn interrupted_after(fake: &Fake, keys: u64, workers: u32) -> VerifyReport {
    let (canceller, cancel) = cancellation();
    let stop = move |progress: VerifyProgress| {
        if progress.compared >= keys {
            canceller.cancel();
        }
    };
    let hooks = VerifyHooks { progress: &stop, cancel };
    let settings = VerifySettings { workers, ..small() };
    verify(fake, fake, &name(), settings, hooks).await.unwrap()
}

#[tokio::test(start_paused = true)]
async fn an_interrupted_pass_goes_on_with_its_first_begin() {
    for workers in [1, 3] {
        let fake = Fake::holding(0..100);
        let legacy = fake.get().legacy.clone();
        fake.get().new = legacy;
        interrupted_after(&fake, 50, workers).await;
        let saved = fake.get().progress.clone().expect("it was saved");
        assert!(saved.compared >= 30 && saved.compared.is_multiple_of(10), "{saved:?}");
        assert_eq!(saved.upto.text(), (saved.compared - 1).to_string(), "{workers} workers");
        // A begin that no other pass has.
        fake.get().progress.as_mut().unwrap().started_ms -= 1_000_000;
        fake.get().bypassed = 7;
        let report = with(&fake, VerifySettings { workers, ..small() }).await;
        assert_eq!(report.resumed.map(|resumed| resumed.compared), Some(saved.compared));
        assert_eq!(report.compared, 100);
        let inner = fake.get();
        assert_eq!(inner.verifications[0].started_ms, saved.started_ms - 1_000_000);
        assert_eq!(inner.verifications[0].compared, 100);
        assert_eq!(inner.verifications[0].witness.bypassed, 0, "as when the pass really began");
        assert_eq!(inner.progress, None, "a finished pass is not gone on with");
    }
}

#[tokio::test(start_paused = true)]
async fn a_pass_begins_anew_after_a_difference_another_epoch_or_when_asked_to() {
    let fake = Fake::holding(0..100);
    let legacy = fake.get().legacy.clone();
    fake.get().new = legacy;
    fake.get().new.remove(&3);
    interrupted_after(&fake, 50, 1).await;
    assert_eq!(fake.get().progress, None, "a pass that found a difference is not gone on with");
    fake.get().new.insert(3, "row 3".to_owned());

    interrupted_after(&fake, 50, 1).await;
    let saved = fake.get().progress.clone();
    assert!(saved.is_some());
    let report = with(&fake, VerifySettings { start: Start::Fresh, ..small() }).await;
    assert_eq!((report.resumed, report.compared), (None, 100));

    fake.get().progress = saved;
    fake.get().progress.as_mut().unwrap().epoch = Epoch::new(1);
    assert_eq!(with(&fake, small()).await.resumed, None, "another epoch");
}

#[tokio::test(start_paused = true)]
async fn a_part_of_the_keys_is_compared_and_not_recorded() {
    let key = |key: i64| Some(key.to_key());
    for (from, to, sample, least, most) in [
        (key(10), key(19), None, 10, 10),
        (key(95), None, None, 6, 6),
        (None, key(4), None, 5, 5),
        (key(7), key(7), None, 1, 1),
        (None, None, Some(Sample::PartsPerMillion(200_000)), 11, 31),
        (None, None, Some(Sample::PartsPerMillion(1_000_000)), 101, 101),
        (None, None, Some(Sample::Rows(20)), 15, 25),
        (key(0), key(99), Some(Sample::Rows(5)), 4, 6),
    ] {
        let fake = spoilt();
        let reach = Reach { from, to, sample };
        let report = with(&fake, VerifySettings { reach: reach.clone(), ..small() }).await;
        assert!((least..=most).contains(&report.compared), "{reach:?} {}", report.compared);
        assert_eq!(report.recorded, Recorded::Partial, "{reach:?}");
        assert!(fake.get().verifications.is_empty(), "{reach:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn where_nothing_can_be_written_it_only_looks() {
    let fake = spoilt();
    fake.get().only_looks = Some("a standby".to_owned());
    let report = with(&fake, small()).await;
    assert_eq!(report.found.total(), 4);
    assert_eq!(report.recorded, Recorded::Look("a standby".to_owned()));
    assert!(fake.get().verifications.is_empty() && fake.get().progress.is_none());
}

#[tokio::test(start_paused = true)]
async fn a_row_that_differs_again_after_its_repair_is_counted_as_such() {
    let fake = spoilt();
    fake.get().stuck.insert(5);
    let report = with(&fake, VerifySettings { mode: VerifyMode::Repair, ..small() }).await;
    assert_eq!((report.stuck, report.repaired, report.remaining), (1, 3, 1));
    assert_eq!(report.stuck_samples[0].key, 5i64.to_key());
    assert_eq!(report.stuck_samples[0].columns, ["row".into()]);
}
