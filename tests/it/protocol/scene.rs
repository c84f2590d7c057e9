//! The steps that stories are made of.

use std::time::Duration;

use crossfade::{Side, Stage};
use crossfade_core::{Epoch, MigrationState, ToKey};
use crossfade_sql::{Mechanism, Tx};
use crossfade_store::{
    Batch, BatchRequest, ControlStore, EnterError, Entry, FencedStore, Loan, ReconcileStore, Run,
    Segment,
};

use super::Outcome;
use crate::support::{Bench, People, WAIT, definition};

pub(super) const WORKER: &str = "worker";
const LEASE: Duration = Duration::from_secs(60);

/// A database with the migration `people`, perhaps without one mechanism.
#[derive(Clone, Debug)]
pub(super) struct Scene {
    pub(super) bench: Bench,
    /// The same with every mechanism.
    pub(super) whole: Bench,
    pub(super) url: String,
    pub(super) without: Option<Mechanism>,
}

impl Scene {
    /// Begins a write in `epoch`; `None` when the fence turns it away.
    pub(super) async fn enter(&self, epoch: Epoch, id: i64) -> Option<Tx> {
        let (name, key) = (definition().name, id.to_key());
        let entry = Entry { migration: &name, epoch, key: &key };
        match self.bench.db.enter(entry, None).await {
            Ok(tx) => Some(tx),
            Err(EnterError::Closed) => None,
            Err(EnterError::Store(error)) => panic!("{error}"),
        }
    }

    /// Begins a write in an epoch that is open.
    pub(super) async fn enter_open(&self, epoch: Epoch, id: i64) -> Tx {
        self.enter(epoch, id).await.expect("the epoch is open")
    }

    pub(super) async fn commit(&self, tx: Tx) {
        self.bench.db.commit(tx).await.expect("committed");
    }

    /// A whole write of both sides in `epoch`.
    pub(super) async fn put_both(&self, epoch: Epoch, id: i64, name: &str) {
        let mut tx = self.enter_open(epoch, id).await;
        for side in [Side::Legacy, Side::New] {
            tx = put(tx, side, id, name).await;
        }
        self.commit(tx).await;
    }

    /// A whole write as `delete_only` asks for it.
    pub(super) async fn put_and_remove(&self, epoch: Epoch, id: i64, name: &str) {
        let tx = self.enter_open(epoch, id).await;
        let mut tx = put(tx, Side::Legacy, id, name).await;
        let (definition, key) = (definition(), id.to_key());
        self.bench.db.remove_new(&mut tx, &definition, &key).await.expect("removed");
        self.commit(tx).await;
    }

    /// A whole write that New refused: Legacy alone, and the key's mark.
    pub(super) async fn put_and_mark(&self, epoch: Epoch, id: i64, name: &str) {
        let tx = self.enter_open(epoch, id).await;
        let mut tx = put(tx, Side::Legacy, id, name).await;
        let (migration, key) = (definition().name, id.to_key());
        let entry = Entry { migration: &migration, epoch, key: &key };
        self.bench.db.put_into_quarantine(&mut tx, entry, "refused").await.expect("marked");
        self.commit(tx).await;
    }

    /// A whole write as `complete` asks for it.
    pub(super) async fn put_new(&self, epoch: Epoch, id: i64, name: &str) {
        let tx = self.enter_open(epoch, id).await;
        let tx = put(tx, Side::New, id, name).await;
        self.commit(tx).await;
    }

    pub(super) async fn close(&self, epoch: Epoch) {
        self.bench.db.close_epoch(&definition().name, epoch, WAIT).await.expect("closes");
    }

    /// Backfills to the end, in the newest epoch.
    pub(super) async fn copy(&self) {
        let state = self.bench.state().await;
        self.try_copy(&state).await.expect("the run opens");
    }

    /// [`copy`](Self::copy) with every mechanism.
    pub(super) async fn whole_copy(&self) {
        Self { bench: self.whole.clone(), ..self.clone() }.copy().await;
    }

    /// Backfills to the end, unless no run may begin.
    pub(super) async fn try_copy(&self, state: &MigrationState) -> Result<(), EnterError> {
        let db = &self.bench.db;
        let run = db.open_run(state).await?;
        while let Some(mut segment) = self.claim(state, &run, 1000).await {
            while let Batch::Written { cursor, done: false, .. } =
                self.batch(state, &run, &segment, 1).await?
            {
                segment.cursor = Some(cursor);
            }
        }
        db.finish_run(state, &run).await.expect("finished");
        Ok(())
    }

    /// Goes to `dual_write`, opens its run and takes the first segment.
    pub(super) async fn begin_run(&self, rows: u32) -> (MigrationState, Run, Segment) {
        let state = self.bench.go(Stage::DualWrite).await;
        let run = self.bench.db.open_run(&state).await.expect("opens");
        let segment = self.claim(&state, &run, rows).await.expect("there is work");
        (state, run, segment)
    }

    pub(super) async fn claim(
        &self,
        state: &MigrationState,
        run: &Run,
        rows: u32,
    ) -> Option<Segment> {
        let claimed = self.bench.db.claim_segment(state, run, WORKER, rows, LEASE).await;
        claimed.expect("the control tables answer")
    }

    pub(super) async fn batch(
        &self,
        state: &MigrationState,
        run: &Run,
        segment: &Segment,
        rows: u32,
    ) -> Result<Batch, EnterError> {
        let request = BatchRequest {
            state,
            run: run.id,
            segment,
            worker: WORKER,
            rows,
            refusals: u64::MAX,
            lease: LEASE,
        };
        self.bench.db.backfill_batch(request).await
    }

    /// Whether New is what Legacy maps to, but for the keys in quarantine.
    pub(super) async fn compare(&self) -> Outcome {
        let marks = self.bench.db.quarantine(&definition().name, 100).await.expect("marks");
        let counts = |rows: Vec<(i64, String)>| -> Vec<_> {
            let marked = |id: i64| marks.iter().any(|(key, _)| *key == id.to_key().text());
            rows.into_iter().filter(|(id, _)| !marked(*id)).collect()
        };
        let legacy = counts(self.bench.legacy().all().await.expect("Legacy"));
        let new = counts(self.bench.new_side().all().await.expect("New"));
        if legacy == new {
            Outcome::Held
        } else {
            Outcome::Broken(format!("Legacy has {legacy:?}, New {new:?}"))
        }
    }

    /// [`Outcome::Held`] when `found` is what was acknowledged.
    pub(super) fn judge(found: Option<&str>, acknowledged: &str) -> Outcome {
        if found == Some(acknowledged) {
            Outcome::Held
        } else {
            Outcome::Broken(format!("{found:?} instead of {acknowledged:?}"))
        }
    }

    /// [`Outcome::Held`] when New has what was acknowledged for key 1.
    pub(super) async fn judge_new(&self, acknowledged: &str) -> Outcome {
        let new = self.bench.new_side().get(1).await.expect("New answers");
        Self::judge(new.as_deref(), acknowledged)
    }

    /// Goes to a stage without asking gates and returns its epoch.
    pub(super) async fn go(&self, to: Stage) -> Epoch {
        self.bench.go(to).await.epoch
    }
}

/// One statement of a write.
pub(super) async fn put(tx: Tx, side: Side, id: i64, name: &str) -> Tx {
    let loan = Loan::default();
    let lent = loan.lend(tx);
    People::on(side, lent).put(id, name).await.expect("put");
    loan.take_back().expect("given back")
}

/// One statement of a delete.
pub(super) async fn delete(tx: Tx, side: Side, id: i64) -> Tx {
    let loan = Loan::default();
    let lent = loan.lend(tx);
    People::on(side, lent).delete(id).await.expect("deleted");
    loan.take_back().expect("given back")
}
