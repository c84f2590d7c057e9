//! Backfill beside writers, stage changes and its own death.

use crossfade::{Side, Stage};
use crossfade_sql::Mechanism;
use crossfade_store::{Batch, ReconcileStore};

use super::scene::{Scene, WORKER, delete};
use super::{EVERYWHERE, Outcome, POSTGRES, told};
use crate::support::eventually;

/// A run copies a row while a writer of `delete_only` may still change it without New.
#[tokio::test(flavor = "multi_thread")]
async fn a_run_begins_behind_the_barrier() {
    told(Mechanism::Barrier, EVERYWHERE, async |scene: &Scene| {
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

/// Back to `delete_only` and on again: what was copied has been taken away meanwhile.
#[tokio::test(flavor = "multi_thread")]
async fn leaving_the_stage_voids_the_run() {
    told(Mechanism::VoidedRun, EVERYWHERE, async |scene: &Scene| {
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
    told(Mechanism::RunCheck, EVERYWHERE, async |scene: &Scene| {
        for id in [1, 2] {
            scene.put_legacy(id, "row").await;
        }
        scene.go(Stage::DualWrite).await;
        let state = scene.bench.state().await;
        let run = scene.bench.db.open_run(&state).await.expect("opens");
        let mut segment = scene.claim(&state, &run, 1000).await.expect("there is work");
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
    told(Mechanism::SourceLock, POSTGRES, async |scene: &Scene| {
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
    })
    .await;
}

/// A worker dies between the two things that a batch saves.
#[tokio::test(flavor = "multi_thread")]
async fn a_batch_is_saved_whole_or_not_at_all() {
    told(Mechanism::CursorWithRows, POSTGRES, async |scene: &Scene| {
        scene.put_legacy(1, "row").await;
        scene.go(Stage::DualWrite).await;
        let state = scene.bench.state().await;
        let run = scene.bench.db.open_run(&state).await.expect("opens");
        let segment = scene.claim(&state, &run, 1000).await.expect("there is work");
        // Holds New's key, so that the batch stands before its insert.
        let pool = scene.bench.db.postgres().expect("PostgreSQL");
        let mut holder = pool.begin().await.expect("begin");
        let hold = "insert into people_v2 (person_id, name) values (1, 'held')";
        sqlx::query(hold).execute(&mut *holder).await.expect("held");
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
        holder.rollback().await.expect("let go");
        scene.bench.db.release_segments(run.id, WORKER).await.expect("released");
        scene.copy().await;
        scene.compare().await
    })
    .await;
}

/// One of two segments is done when somebody asks to end the run.
#[tokio::test(flavor = "multi_thread")]
async fn a_run_ends_with_its_last_segment() {
    told(Mechanism::LastSegment, EVERYWHERE, async |scene: &Scene| {
        for id in [1, 2] {
            scene.put_legacy(id, "row").await;
        }
        scene.go(Stage::DualWrite).await;
        let state = scene.bench.state().await;
        let run = scene.bench.db.open_run(&state).await.expect("opens");
        let segment = scene.claim(&state, &run, 1).await.expect("there is work");
        scene.batch(&state, &run, &segment, 1).await.expect("the epoch is open");
        scene.bench.db.finish_run(&state, &run).await.expect("asked");
        scene.copy().await;
        scene.compare().await
    })
    .await;
}
