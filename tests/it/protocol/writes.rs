//! Writers beside writers, and beside those who move the stage.

use std::time::Duration;

use crossfade::{Flags, Side, Stage};
use crossfade_sql::Mechanism;
use crossfade_store::{ControlStore, StageChange, StoreErrorKind};

use super::scene::{Scene, delete, put};
use super::{Outcome, told};
use crate::support::{self, definition, eventually};

/// A process that slept through two stage changes and the backfill writes as if in `off`.
#[tokio::test(flavor = "multi_thread")]
async fn a_zombie_is_turned_away() {
    told("a_zombie_is_turned_away", Mechanism::FenceCheck, async |scene: &Scene| {
        let off = scene.bench.state().await.epoch;
        scene.put_legacy(1, "old").await;
        scene.go(Stage::DualWrite).await;
        scene.copy().await;
        let Some(tx) = scene.enter(off, 1).await else { return Outcome::Held };
        let tx = put(tx, Side::Legacy, 1, "zombie").await;
        scene.commit(tx).await;
        scene.compare().await
    })
    .await;
}

/// A zombie comes to its epoch while the closer waits for the last writer of it.
#[tokio::test(flavor = "multi_thread")]
async fn the_epoch_is_read_behind_its_lock() {
    told("the_epoch_is_read_behind_its_lock", Mechanism::FreshCheck, async |scene: &Scene| {
        scene.put_legacy(1, "old").await;
        let off = scene.bench.state().await.epoch;
        let last = scene.enter_open(off, 2).await;
        scene.bench.append(Stage::DeleteOnly).await;
        let closing = tokio::spawn({
            let scene = scene.clone();
            async move { scene.close(off).await }
        });
        eventually("the closer waits", async || scene.bench.sessions_waiting().await == 1).await;
        let zombie = tokio::spawn({
            let scene = scene.clone();
            async move { scene.enter(off, 1).await }
        });
        eventually("the zombie waits or is done", async || {
            zombie.is_finished() || scene.bench.sessions_waiting().await == 2
        })
        .await;
        scene.commit(last).await;
        closing.await.expect("no panic");
        let Some(zombie) = zombie.await.expect("no panic") else { return Outcome::Held };
        scene.whole.go(Stage::DualWrite).await;
        scene.whole_copy().await;
        let zombie = put(zombie, Side::Legacy, 1, "zombie").await;
        scene.commit(zombie).await;
        scene.compare().await
    })
    .await;
}

/// The same zombie, while the last writer is still at work: it does not wait for it.
#[tokio::test(flavor = "multi_thread")]
async fn a_late_writer_does_not_queue() {
    told("a_late_writer_does_not_queue", Mechanism::TriedLock, async |scene: &Scene| {
        let off = scene.bench.state().await.epoch;
        let last = scene.enter_open(off, 1).await;
        scene.bench.append(Stage::DeleteOnly).await;
        let closing = tokio::spawn({
            let scene = scene.clone();
            async move { scene.close(off).await }
        });
        eventually("the closer waits", async || scene.bench.sessions_waiting().await == 1).await;
        let late = tokio::spawn({
            let scene = scene.clone();
            async move { scene.enter(off, 2).await.is_some() }
        });
        eventually("the late writer waits or is done", async || {
            late.is_finished() || scene.bench.sessions_waiting().await == 2
        })
        .await;
        let queues = !late.is_finished();
        scene.commit(last).await;
        closing.await.expect("no panic");
        assert!(!late.await.expect("no panic"), "the epoch is closed");
        if queues { Outcome::Broken("it waits".to_owned()) } else { Outcome::Held }
    })
    .await;
}

/// A delete that found nothing on Legacy stands before New while an insert of its key goes by.
#[tokio::test(flavor = "multi_thread")]
async fn writers_of_an_absent_key_are_ordered() {
    told("writers_of_an_absent_key_are_ordered", Mechanism::KeyLock, async |scene: &Scene| {
        let epoch = scene.go(Stage::DualWrite).await;
        let tx = scene.enter_open(epoch, 1).await;
        let tx = delete(tx, Side::Legacy, 1).await;
        let inserting = tokio::spawn({
            let scene = scene.clone();
            async move { scene.put_both(epoch, 1, "here").await }
        });
        eventually("the insert waits or is done", async || {
            inserting.is_finished() || scene.bench.sessions_waiting().await == 1
        })
        .await;
        let tx = delete(tx, Side::New, 1).await;
        scene.commit(tx).await;
        inserting.await.expect("no panic");
        scene.compare().await
    })
    .await;
}

/// A writer of `off` has entered and written nothing yet when its epoch is to be closed.
#[tokio::test(flavor = "multi_thread")]
async fn an_epoch_closes_behind_its_writers() {
    told("an_epoch_closes_behind_its_writers", Mechanism::CloserLock, async |scene: &Scene| {
        scene.put_legacy(1, "old").await;
        let off = scene.bench.state().await.epoch;
        let tx = scene.enter_open(off, 1).await;
        scene.bench.append(Stage::DeleteOnly).await;
        let short = Duration::from_millis(200);
        match scene.bench.db.close_epoch(&definition().name, off, short).await {
            Err(error) if error.kind == StoreErrorKind::LockTimeout => return Outcome::Held,
            closed => closed.expect("nobody waited"),
        }
        scene.go(Stage::DualWrite).await;
        scene.copy().await;
        let tx = put(tx, Side::Legacy, 1, "late").await;
        scene.commit(tx).await;
        scene.compare().await
    })
    .await;
}

/// One of two operators comes to close `off` when the other has long gone on.
#[tokio::test(flavor = "multi_thread")]
async fn a_late_closer_does_not_move_the_fence() {
    told("a_late_closer_does_not_move_the_fence", Mechanism::LateCloser, async |scene: &Scene| {
        scene.put_legacy(1, "old").await;
        let off = scene.bench.state().await.epoch;
        let delete_only = scene.go(Stage::DeleteOnly).await;
        scene.go(Stage::DualWrite).await;
        scene.copy().await;
        scene.close(off).await;
        let Some(tx) = scene.enter(delete_only, 1).await else { return Outcome::Held };
        let tx = put(tx, Side::Legacy, 1, "zombie").await;
        scene.commit(tx).await;
        scene.compare().await
    })
    .await;
}

/// `off` is still open when `dual_write` begins: a delete that knows nothing of New.
#[tokio::test(flavor = "multi_thread")]
async fn no_more_than_two_epochs_are_open() {
    told("no_more_than_two_epochs_are_open", Mechanism::AdjacentEpochs, async |scene: &Scene| {
        let off = scene.bench.state().await.epoch;
        let next = scene.bench.append(Stage::DeleteOnly).await;
        let change = StageChange {
            migration: &next.definition.name,
            definition: &next.definition,
            from_epoch: next.epoch,
            from: next.stage,
            to: Stage::DualWrite,
            actor: "test",
            reason: "",
        };
        match scene.bench.db.append_epoch(change).await {
            Err(error) if error.kind == StoreErrorKind::Conflict => return Outcome::Held,
            appended => scene.put_both(appended.expect("appended"), 1, "here").await,
        }
        let tx = scene.enter_open(off, 1).await;
        let tx = delete(tx, Side::Legacy, 1).await;
        scene.commit(tx).await;
        scene.close(off).await;
        scene.close(next.epoch).await;
        scene.copy().await;
        scene.compare().await
    })
    .await;
}

/// A writer of `delete_only` changes a row that a writer of `dual_write` has just put on New. The
/// backfill would take what it finds there for the row.
#[tokio::test(flavor = "multi_thread")]
async fn delete_only_takes_rows_away() {
    told("delete_only_takes_rows_away", Mechanism::Removal, async |scene: &Scene| {
        let delete_only = scene.go(Stage::DeleteOnly).await;
        let dual_write = scene.bench.append(Stage::DualWrite).await.epoch;
        scene.put_both(dual_write, 1, "old").await;
        scene.put_and_remove(delete_only, 1, "new").await;
        scene.close(delete_only).await;
        scene.copy().await;
        scene.compare().await
    })
    .await;
}

/// New refuses what Legacy accepts, in `dual_write`.
#[tokio::test(flavor = "multi_thread")]
async fn a_refused_row_leaves_its_mark() {
    told("a_refused_row_leaves_its_mark", Mechanism::Mark, async |scene: &Scene| {
        scene.go(Stage::DualWrite).await;
        scene.refused_write().await;
        scene.compare().await
    })
    .await;
}

/// A mark is left when the stage goes on.
#[tokio::test(flavor = "multi_thread")]
async fn marks_outlive_the_stage() {
    told("marks_outlive_the_stage", Mechanism::MarksKept, async |scene: &Scene| {
        scene.go(Stage::DualWrite).await;
        scene.refused_write().await;
        scene.go(Stage::Live).await;
        scene.compare().await
    })
    .await;
}

impl Scene {
    /// A row of Legacy's from before the migration.
    pub(super) async fn put_legacy(&self, id: i64, name: &str) {
        self.bench.legacy().put(id, name).await.expect("put");
    }

    /// A wrapped write that both sides take, and one that New refuses.
    pub(super) async fn refused_write(&self) {
        let app = self.bench.app(&Flags::forced::<&str, bool>([])).await;
        let migration = app.migration("people").expect("registered");
        for name in ["good", "bad"] {
            support::put(&migration, 1, name).await.expect("written");
        }
    }
}
