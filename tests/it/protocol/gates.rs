//! What gates are for: the same stage change asked for, and made without asking.

use std::time::Duration;

use crossfade::{Options, Side, Stage};
use crossfade_control::{
    Advance, AdvanceError, FlagChange, FlagEdit, NewRows, Patience, Stores, advance, change_flag,
};
use crossfade_core::{Approval, IllegalTransition, Refusal};
use crossfade_reconcile::{VerifyHooks, VerifySettings, cancellation, verify};
use crossfade_sql::Mechanism;
use crossfade_store::{ControlStore, ReconcileStore};

use super::process::Process;
use super::scene::{Scene, delete, put};
use super::table::engines;
use super::{Outcome, tell, told};
use crate::support::{definition, eventually};

/// Whether a stage change is asked for, or made regardless.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Gate {
    Asked,
    Passed,
}

/// Tells a story on each engine: it must end well where gates are asked, and badly where not.
async fn gated<S: AsyncFn(&Scene, Gate) -> Outcome>(name: &str, story: S) {
    for engine in engines(name) {
        let asked = async |scene: &Scene| story(scene, Gate::Asked).await;
        let asked = tell(engine, None, &asked).await;
        assert!(matches!(asked, Outcome::Held), "{engine}: {asked:?}");
        let passed = async |scene: &Scene| story(scene, Gate::Passed).await;
        let passed = tell(engine, None, &passed).await;
        assert!(matches!(passed, Outcome::Broken(_)), "{engine}: the story shows nothing");
    }
}

/// From `off` straight to `dual_write`: a delete that knows nothing of New leaves its row there.
#[tokio::test(flavor = "multi_thread")]
async fn delete_only_is_not_skipped() {
    gated("delete_only_is_not_skipped", async |scene: &Scene, gate| {
        let off = scene.bench.state().await.epoch;
        if gate == Gate::Asked {
            assert_eq!(scene.illegal(Stage::DualWrite).await, (Stage::Off, Stage::DualWrite));
            return Outcome::Held;
        }
        let dual_write = scene.bench.append(Stage::DualWrite).await.epoch;
        scene.put_both(dual_write, 1, "here").await;
        let tx = scene.enter_open(off, 1).await;
        let tx = delete(tx, Side::Legacy, 1).await;
        scene.commit(tx).await;
        scene.close(off).await;
        scene.copy().await;
        scene.compare().await
    })
    .await;
}

/// A second try over what the first left on New.
#[tokio::test(flavor = "multi_thread")]
async fn delete_only_begins_with_an_empty_new() {
    gated("delete_only_begins_with_an_empty_new", async |scene: &Scene, gate| {
        scene.put_legacy(1, "old").await;
        scene.go(Stage::DualWrite).await;
        scene.copy().await;
        let off = scene.go(Stage::Off).await;
        let tx = scene.enter_open(off, 1).await;
        let tx = put(tx, Side::Legacy, 1, "new").await;
        scene.commit(tx).await;
        if gate == Gate::Asked {
            assert_eq!(scene.refused(Stage::DeleteOnly).await, ["the New table is not empty"]);
            return Outcome::Held;
        }
        scene.go(Stage::DualWrite).await;
        scene.copy().await;
        scene.compare().await
    })
    .await;
}

/// Reads of New before New has the rows.
#[tokio::test(flavor = "multi_thread")]
async fn live_begins_with_parity() {
    gated("live_begins_with_parity", async |scene: &Scene, gate| {
        scene.put_legacy(1, "row").await;
        scene.go(Stage::DualWrite).await;
        if gate == Gate::Asked {
            // Each on its own, so that each check holds the gate by itself.
            let refused = scene.refused(Stage::Live).await;
            assert_eq!(refused, ["nothing was backfilled in this stage"]);
            let state = scene.bench.state().await;
            let run = scene.bench.db.open_run(&state).await.expect("the run opens").id;
            let refused = scene.refused(Stage::Live).await;
            assert_eq!(refused, [format!("backfill run {run} is not done")]);
            scene.copy().await;
            let refused = scene.refused(Stage::Live).await;
            assert_eq!(refused, [format!("no verification since backfill run {run}")]);
            scene.bench.sql("delete from people_v2").await;
            scene.verify().await;
            let refused = scene.refused(Stage::Live).await;
            assert_eq!(refused, ["the last verification left 1 differing keys"]);
            return Outcome::Held;
        }
        scene.go(Stage::Live).await;
        let reader = Process::start(scene, true, Options::default()).await;
        Scene::judge(reader.read().await.as_deref(), "row")
    })
    .await;
}

/// A key that New refused goes on to where marks are not looked at any more.
#[tokio::test(flavor = "multi_thread")]
async fn live_begins_without_marks() {
    gated("live_begins_without_marks", async |scene: &Scene, gate| {
        scene.go(Stage::DualWrite).await;
        scene.refused_write().await;
        if gate == Gate::Asked {
            scene.copy().await;
            scene.verify().await;
            assert_eq!(scene.refused(Stage::Live).await, ["1 keys are in quarantine"]);
            return Outcome::Held;
        }
        scene.go(Stage::RampDown).await;
        let reader = Process::start(scene, true, Options::default()).await;
        Scene::judge(reader.read().await.as_deref(), "bad")
    })
    .await;
}

/// Back from `live` to `dual_write`, where New may fall behind, under a reader of New.
#[tokio::test(flavor = "multi_thread")]
async fn live_has_no_step_back() {
    gated("live_has_no_step_back", async |scene: &Scene, gate| {
        let live = scene.go(Stage::Live).await;
        scene.put_both(live, 1, "good").await;
        let reader = Process::start(scene, true, Options::default()).await;
        if gate == Gate::Asked {
            assert_eq!(scene.illegal(Stage::DualWrite).await, (Stage::Live, Stage::DualWrite));
            return Outcome::Held;
        }
        let dual_write = scene.bench.append(Stage::DualWrite).await.epoch;
        scene.put_and_mark(dual_write, 1, "bad").await;
        Scene::judge(reader.read().await.as_deref(), "bad")
    })
    .await;
}

/// A process still believes in `live`, and its lease is good, when `complete` begins to leave
/// Legacy behind.
#[tokio::test(flavor = "multi_thread")]
async fn complete_waits_for_every_live_instance() {
    told(
        "complete_waits_for_every_live_instance",
        Mechanism::Acknowledgement,
        async |scene: &Scene| {
            scene.put_legacy(1, "old").await;
            scene.go(Stage::DualWrite).await;
            scene.copy().await;
            let live = scene.go(Stage::Live).await;
            scene.flag_on().await;
            scene.verify().await;
            let long = Options::default().lease(Duration::from_secs(600));
            let behind = Process::start(scene, false, long).await;
            eventually("it has acknowledged `live`", async || {
                // Its background tasks run beside whatever it is asked for.
                behind.ask(|inside| drop(inside.runtime.block_on(inside.bench.state()))).await;
                let instances =
                    scene.bench.db.instances(&definition().name).await.expect("instances");
                instances.iter().any(|instance| instance.acknowledged >= live)
            })
            .await;
            scene.advance(Stage::RampDown).await.expect("the gate is open");
            scene.verify().await;
            match scene.advance(Stage::Complete).await {
                Err(AdvanceError::Refused { refusals, .. }) => {
                    let waits = |it: &Refusal| {
                        it.passes_with_time && it.reason.contains("has acknowledged epoch")
                    };
                    assert!(matches!(&refusals[..], [only] if waits(only)), "{refusals:?}");
                    return Outcome::Held;
                }
                advanced => advanced.expect("the gate is open"),
            }
            let complete = scene.bench.state().await.epoch;
            scene.put_new(complete, 1, "new").await;
            Scene::judge(behind.read().await.as_deref(), "new")
        },
    )
    .await;
}

impl Scene {
    /// Asks the gate, and goes on where it is open.
    async fn advance(&self, to: Stage) -> Result<(), AdvanceError> {
        let name = definition().name;
        let request = Advance {
            migration: &name,
            to,
            actor: "test",
            reason: "",
            approval: Approval {
                approved_by: Some("test".to_owned()),
                accepted_loss: Some(name.to_string()),
            },
            new_rows: NewRows::Keep,
            patience: Patience { acknowledgements: Duration::ZERO, ..Patience::default() },
        };
        advance(Stores::of(&self.bench.db), &request).await.map(drop)
    }

    /// The reasons that the gate has against a stage.
    async fn refused(&self, to: Stage) -> Vec<String> {
        match self.advance(to).await {
            Err(AdvanceError::Refused { refusals, .. }) => {
                refusals.into_iter().map(|refusal| refusal.reason).collect()
            }
            other => panic!("{other:?}"),
        }
    }

    /// From where to where no step leads, whatever the gate says.
    async fn illegal(&self, to: Stage) -> (Stage, Stage) {
        match self.advance(to).await {
            Err(AdvanceError::Illegal(IllegalTransition { from, to, .. })) => (from, to),
            other => panic!("{other:?}"),
        }
    }

    async fn flag_on(&self) {
        let flag = &definition().read_flag;
        for edit in [FlagEdit::Ensure, FlagEdit::On] {
            let change = FlagChange { flag, edit, actor: "test", reason: "" };
            change_flag(Stores::of(&self.bench.db), change).await.expect("changed");
        }
    }

    async fn verify(&self) {
        let (_canceller, cancel) = cancellation();
        let (db, name) = (&self.bench.db, definition().name);
        let hooks = VerifyHooks { progress: &|_| {}, cancel };
        let report = verify(db, db, &name, VerifySettings::default(), hooks).await;
        report.expect("verified");
    }
}
