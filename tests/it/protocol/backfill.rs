//! Backfill beside writers, stage changes and its own death.

use std::time::Duration;

use crossfade::{Side, Stage};
use crossfade_core::ToKey;
use crossfade_sql::Mechanism;
use crossfade_store::{
    Batch, ControlStore, EnterError, ReconcileStore, SchemaStore, StoreErrorKind, Timeouts,
};

use super::scene::{Scene, WORKER, delete, put};
use super::{Outcome, told};
use crate::support::{Apart, WAIT, definition, eventually};

/// A run copies a row while a writer of `delete_only` may still change it without New.
#[tokio::test(flavor = "multi_thread")]
async fn a_run_begins_behind_the_barrier() {
    told("a_run_begins_behind_the_barrier", Mechanism::Barrier, async |scene: &Scene| {
        scene.put_legacy(1, "old").await;
        let delete_only = scene.go(Stage::DeleteOnly).await;
        let state = scene.bench.append(Stage::DualWrite).await;
        if scene.try_copy(&state).await.is_err() {
            return Outcome::Held;
        }
        scene.put_and_remove(delete_only, 1, "new").await;
        scene.close(delete_only).await;
        scene.compare().await
    })
    .await;
}

/// A run in `delete_only`, whose writers take away again what it copies.
#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_copied_before_dual_write() {
    told("nothing_is_copied_before_dual_write", Mechanism::BackfillStage, async |scene: &Scene| {
        scene.put_legacy(1, "old").await;
        let delete_only = scene.go(Stage::DeleteOnly).await;
        let state = scene.bench.state().await;
        if scene.try_copy(&state).await.is_err() {
            return Outcome::Held;
        }
        scene.put_and_remove(delete_only, 1, "new").await;
        scene.go(Stage::DualWrite).await;
        scene.copy().await;
        scene.compare().await
    })
    .await;
}

/// A worker wakes with a segment that another one has taken over and finished.
#[tokio::test(flavor = "multi_thread")]
async fn a_cursor_never_moves_back() {
    told("a_cursor_never_moves_back", Mechanism::SegmentCheck, async |scene: &Scene| {
        for id in [1, 2] {
            scene.put_legacy(id, "row").await;
        }
        let (state, run, asleep) = scene.begin_run(1000).await;
        let mut segment = asleep.clone();
        let first = scene.batch(&state, &run, &segment, 1).await.expect("the epoch is open");
        let Batch::Written { cursor, .. } = first else { panic!("{first:?}") };
        segment.cursor = Some(cursor);
        scene.batch(&state, &run, &segment, 10).await.expect("the epoch is open");
        match scene.batch(&state, &run, &asleep, 1).await.expect("the epoch is open") {
            Batch::LeaseLost => Outcome::Held,
            batch => Outcome::Broken(format!("after the end of the segment: {batch:?}")),
        }
    })
    .await;
}

/// A batch stands before its insert while the fleet goes back to `off` and on again.
#[tokio::test(flavor = "multi_thread")]
async fn a_batch_holds_its_epoch_open() {
    told("a_batch_holds_its_epoch_open", Mechanism::ReconcileFence, async |scene: &Scene| {
        scene.put_legacy(1, "old").await;
        let dual_write = scene.go(Stage::DualWrite).await;
        let state = scene.bench.state().await;
        let run = scene.bench.db.open_run(&state).await.expect("opens");
        let segment = scene.claim(&state, &run, 1000).await.expect("there is work");
        let mut holder = Apart::of(&scene.bench.db).await;
        holder.run("begin; select id from people where id = 1 for update").await;
        let copying = tokio::spawn({
            let (scene, state, run) = (scene.clone(), state.clone(), run.clone());
            async move { scene.batch(&state, &run, &segment, 10).await }
        });
        eventually("the batch waits", async || scene.bench.sessions_waiting().await == 1).await;
        scene.bench.append(Stage::DeleteOnly).await;
        let closing = tokio::spawn({
            let db = scene.bench.db.clone();
            async move { db.close_epoch(&definition().name, dual_write, WAIT).await }
        });
        eventually("the closer waits or is done", async || {
            closing.is_finished() || scene.bench.sessions_waiting().await == 2
        })
        .await;
        let closed = closing.is_finished();
        if closed {
            scene.go(Stage::Off).await;
        }
        holder.run("rollback").await;
        let copied = copying.await.expect("no panic");
        closing.await.expect("no panic").expect("closes");
        match copied {
            // It waits for half a second only.
            Err(EnterError::Store(error)) if error.kind == StoreErrorKind::LockTimeout => {
                return Outcome::Late;
            }
            copied => copied.expect("the epoch is open"),
        };
        if !closed {
            return Outcome::Held;
        }
        let off = scene.bench.state().await.epoch;
        let tx = scene.enter_open(off, 1).await;
        let tx = put(tx, Side::Legacy, 1, "new").await;
        scene.commit(tx).await;
        // The gate to `delete_only` was asked while New was still empty.
        scene.go(Stage::DualWrite).await;
        scene.copy().await;
        scene.compare().await
    })
    .await;
}

/// A repair by a process that slept, when New alone is written.
#[tokio::test(flavor = "multi_thread")]
async fn a_repair_enters_its_epoch() {
    told("a_repair_enters_its_epoch", Mechanism::ReconcileFence, async |scene: &Scene| {
        let live = scene.go(Stage::Live).await;
        scene.put_both(live, 1, "old").await;
        let state = scene.bench.state().await;
        let complete = scene.go(Stage::Complete).await;
        scene.put_new(complete, 1, "new").await;
        match scene.bench.db.repair(&state, &1i64.to_key()).await {
            Err(EnterError::Closed) => Outcome::Held,
            repaired => {
                repaired.expect("repaired");
                scene.judge_new("new").await
            }
        }
    })
    .await;
}

/// A repair in `ramp_down`, while `complete` already writes New alone.
#[tokio::test(flavor = "multi_thread")]
async fn a_repair_takes_legacy_for_the_source_up_to_live() {
    told(
        "a_repair_takes_legacy_for_the_source_up_to_live",
        Mechanism::RepairStage,
        async |scene: &Scene| {
            let ramp_down = scene.go(Stage::RampDown).await;
            scene.put_both(ramp_down, 1, "old").await;
            let state = scene.bench.state().await;
            let complete = scene.bench.append(Stage::Complete).await.epoch;
            scene.put_new(complete, 1, "new").await;
            if scene.bench.db.repair(&state, &1i64.to_key()).await.is_err() {
                return Outcome::Held;
            }
            scene.judge_new("new").await
        },
    )
    .await;
}

/// A repair finds no Legacy row and waits for New's, which a writer has just brought back.
#[tokio::test(flavor = "multi_thread")]
async fn a_repair_holds_the_lock_of_its_key() {
    told("a_repair_holds_the_lock_of_its_key", Mechanism::KeyLock, async |scene: &Scene| {
        let epoch = scene.go(Stage::DualWrite).await;
        scene.bench.new_side().put(1, "orphan").await.expect("put");
        let state = scene.bench.state().await;
        let mut tx = scene.enter_open(epoch, 1).await;
        for side in [Side::Legacy, Side::New] {
            tx = put(tx, side, 1, "here").await;
        }
        let repairing = tokio::spawn({
            let (scene, state) = (scene.clone(), state.clone());
            async move { scene.bench.db.repair(&state, &1i64.to_key()).await }
        });
        eventually("the repair waits or is done", async || {
            repairing.is_finished() || scene.bench.sessions_waiting().await == 1
        })
        .await;
        scene.commit(tx).await;
        repairing.await.expect("no panic").expect("repaired");
        scene.compare().await
    })
    .await;
}

/// An operator empties New when another one has already gone on.
#[tokio::test(flavor = "multi_thread")]
async fn new_is_emptied_in_off_only() {
    told("new_is_emptied_in_off_only", Mechanism::EmptiedInOff, async |scene: &Scene| {
        scene.put_legacy(1, "row").await;
        scene.go(Stage::DualWrite).await;
        scene.copy().await;
        let timeouts =
            Timeouts { lock: Duration::from_secs(1), statement: Duration::from_secs(10) };
        let emptied = scene.bench.db.truncate_new(&definition(), timeouts).await;
        match emptied {
            Err(error) if error.kind == StoreErrorKind::Invalid => return Outcome::Held,
            emptied => emptied.expect("emptied"),
        }
        scene.compare().await
    })
    .await;
}

/// Back to `delete_only` and on again: what was copied has been taken away meanwhile.
#[tokio::test(flavor = "multi_thread")]
async fn leaving_the_stage_voids_the_run() {
    told("leaving_the_stage_voids_the_run", Mechanism::VoidedRun, async |scene: &Scene| {
        scene.put_legacy(1, "old").await;
        scene.go(Stage::DualWrite).await;
        scene.copy().await;
        let delete_only = scene.go(Stage::DeleteOnly).await;
        scene.put_and_remove(delete_only, 1, "new").await;
        scene.go(Stage::DualWrite).await;
        scene.copy().await;
        scene.compare().await
    })
    .await;
}

/// A worker of a void run has learnt of the new epoch and goes on with its segment.
#[tokio::test(flavor = "multi_thread")]
async fn a_void_run_writes_nothing() {
    told("a_void_run_writes_nothing", Mechanism::RunCheck, async |scene: &Scene| {
        for id in [1, 2] {
            scene.put_legacy(id, "row").await;
        }
        let (state, run, mut segment) = scene.begin_run(1000).await;
        let first = scene.batch(&state, &run, &segment, 1).await.expect("the epoch is open");
        let Batch::Written { cursor, .. } = first else { panic!("{first:?}") };
        segment.cursor = Some(cursor);
        scene.go(Stage::DeleteOnly).await;
        scene.go(Stage::DualWrite).await;
        let state = scene.bench.state().await;
        match scene.batch(&state, &run, &segment, 1).await.expect("the epoch is open") {
            Batch::RunOver => Outcome::Held,
            batch => Outcome::Broken(format!("{batch:?}")),
        }
    })
    .await;
}

/// A writer has deleted a row on both sides and not yet committed.
#[tokio::test(flavor = "multi_thread")]
async fn a_batch_waits_for_the_writers_of_its_rows() {
    told(
        "a_batch_waits_for_the_writers_of_its_rows",
        Mechanism::SourceLock,
        async |scene: &Scene| {
            scene.put_legacy(1, "gone soon").await;
            let epoch = scene.go(Stage::DualWrite).await;
            let mut tx = scene.enter_open(epoch, 1).await;
            for side in [Side::Legacy, Side::New] {
                tx = delete(tx, side, 1).await;
            }
            let copying = tokio::spawn({
                let scene = scene.clone();
                async move { scene.copy().await }
            });
            eventually("the batch waits or is done", async || {
                copying.is_finished() || scene.bench.sessions_waiting().await == 1
            })
            .await;
            scene.commit(tx).await;
            copying.await.expect("no panic");
            scene.compare().await
        },
    )
    .await;
}

/// A worker dies between the two things that a batch saves.
#[tokio::test(flavor = "multi_thread")]
async fn a_batch_is_saved_whole_or_not_at_all() {
    told(
        "a_batch_is_saved_whole_or_not_at_all",
        Mechanism::CursorWithRows,
        async |scene: &Scene| {
            scene.put_legacy(1, "row").await;
            let (state, run, segment) = scene.begin_run(1000).await;
            // Holds New's key, so that the batch stands before its insert.
            let mut holder = Apart::of(&scene.bench.db).await;
            holder.run("begin; insert into people_v2 (person_id, name) values (1, 'held')").await;
            let dying = tokio::spawn({
                let (scene, state, run) = (scene.clone(), state.clone(), run.clone());
                async move { scene.batch(&state, &run, &segment, 10).await }
            });
            eventually("the batch waits", async || {
                assert!(!dying.is_finished(), "the batch did not wait");
                scene.bench.sessions_waiting().await == 1
            })
            .await;
            dying.abort();
            assert!(dying.await.is_err_and(|error| error.is_cancelled()));
            holder.run("rollback").await;
            scene.bench.db.release_segments(run.id, WORKER).await.expect("released");
            scene.copy().await;
            scene.compare().await
        },
    )
    .await;
}

/// Two workers look for work at the same time, and both stand before the run's row.
#[tokio::test(flavor = "multi_thread")]
async fn no_two_workers_cut_the_same_range() {
    told("no_two_workers_cut_the_same_range", Mechanism::RunLock, async |scene: &Scene| {
        for id in 1..=4 {
            scene.put_legacy(id, "row").await;
        }
        scene.go(Stage::DualWrite).await;
        let state = scene.bench.state().await;
        let run = scene.bench.db.open_run(&state).await.expect("opens");
        let mut holder = Apart::of(&scene.bench.db).await;
        holder.run("begin; select id from crossfade_runs for update").await;
        let claiming = ["one", "two"].map(|worker| {
            let (db, state, run) = (scene.bench.db.clone(), state.clone(), run.clone());
            tokio::spawn(async move { db.claim_segment(&state, &run, worker, 2, WAIT).await })
        });
        eventually("both wait", async || scene.bench.sessions_waiting().await == 2).await;
        holder.run("rollback").await;
        let mut cut = Vec::new();
        for claim in claiming {
            match claim.await.expect("no panic") {
                Ok(segment) => cut.push(segment.expect("there is work for both").upper.to_string()),
                Err(error) => return Outcome::Broken(error.to_string()),
            }
        }
        cut.sort();
        Scene::judge(Some(&cut.join(" ")), "2 4")
    })
    .await;
}

/// One of two segments is done when somebody asks to end the run.
#[tokio::test(flavor = "multi_thread")]
async fn a_run_ends_with_its_last_segment() {
    told("a_run_ends_with_its_last_segment", Mechanism::LastSegment, async |scene: &Scene| {
        for id in [1, 2] {
            scene.put_legacy(id, "row").await;
        }
        let (state, run, segment) = scene.begin_run(1).await;
        scene.batch(&state, &run, &segment, 1).await.expect("the epoch is open");
        scene.bench.db.finish_run(&state, &run).await.expect("asked");
        scene.copy().await;
        scene.compare().await
    })
    .await;
}
