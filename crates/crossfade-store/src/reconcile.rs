//! Backfill, verification and repair, as a database carries them out.

use std::fmt::Debug;
use std::time::Duration;

use async_trait::async_trait;
use crossfade_core::{Key, MigrationState, RunId, RunState};

use crate::{EnterError, StoreError};

/// A backfill run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Run {
    /// Its number.
    pub id: RunId,
    /// How far it is.
    pub state: RunState,
    /// The greatest Legacy key at its start; `None` when Legacy was empty.
    pub upper: Option<Key>,
}

/// A range of Legacy keys that one worker holds for the length of its lease.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Segment {
    /// Its number within the run.
    pub number: i64,
    /// The last key that was handled; `None` at the very start of the table.
    pub cursor: Option<Key>,
    /// The last key that belongs to it.
    pub upper: Key,
}

/// A batch to write.
#[derive(Clone, Copy, Debug)]
pub struct BatchRequest<'a> {
    /// The migration as the worker knows it; its epoch is entered through the fence.
    pub state: &'a MigrationState,
    /// The run; a void run writes nothing.
    pub run: RunId,
    /// The segment as the worker knows it.
    pub segment: &'a Segment,
    /// The worker that holds the segment.
    pub worker: &'a str,
    /// How many rows at most.
    pub rows: u32,
    /// How many of them it may put into quarantine; it ends early where more are refused. 0 counts
    /// as 1.
    pub refusals: u64,
    /// How long the lease on the segment lasts from this batch on.
    pub lease: Duration,
}

/// What became of a batch. Rows and cursor were saved together, or neither was.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Batch {
    /// The rows are on New, or their keys in quarantine, and the cursor has moved.
    Written {
        /// Legacy rows looked at.
        read: u64,
        /// New rows that were absent before.
        inserted: u64,
        /// Keys put into quarantine, because New or the mapping refuses their rows.
        quarantined: u64,
        /// Where the segment stands now.
        cursor: Key,
        /// Whether the segment is finished.
        done: bool,
    },
    /// The commit was refused: by a constraint that is checked there only, so it is unknown for
    /// which row. Nothing was saved. Smaller batches find the row.
    Refused {
        /// What the database said.
        reason: String,
    },
    /// The segment's lease went to another worker.
    LeaseLost,
    /// The run is void or done.
    RunOver,
}

/// How far a run is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunProgress {
    /// The run.
    pub run: Run,
    /// Legacy rows looked at.
    pub read: u64,
    /// New rows inserted.
    pub inserted: u64,
    /// The database's estimate of Legacy's rows; `None` when it has none.
    pub estimated_rows: Option<u64>,
    /// Milliseconds since it began, up to its end where it has ended.
    pub elapsed_ms: i64,
}

/// Moves rows, pushed down into the database.
#[async_trait]
pub trait ReconcileStore: Send + Sync + Debug {
    /// The run of the current `dual_write`, begun now when there is none. The upper bound is
    /// frozen here.
    ///
    /// # Errors
    ///
    /// [`EnterError::Closed`] when the epoch is not the only open one or not the newest.
    async fn open_run(&self, state: &MigrationState) -> Result<Run, EnterError>;

    /// A segment to work on: one whose worker's lease lapsed, or the next `rows` keys or so.
    /// `None` when all are taken or done.
    ///
    /// # Errors
    ///
    /// Whatever the database answers.
    async fn claim_segment(
        &self,
        state: &MigrationState,
        run: &Run,
        worker: &str,
        rows: u32,
        lease: Duration,
    ) -> Result<Option<Segment>, StoreError>;

    /// Gives a segment back before its lease lapses, so that another worker may go on at once.
    ///
    /// # Errors
    ///
    /// Whatever the database answers.
    async fn release_segments(&self, run: RunId, worker: &str) -> Result<(), StoreError>;

    /// Writes one batch: enters the fence, checks the run, locks the source rows in the statement
    /// that maps them, inserts what is absent, saves the cursor, all in one transaction.
    ///
    /// Where New refuses rows of it, the others are inserted in groups, and the keys of those that
    /// are refused alone are put into quarantine, in one transaction too. Such a batch ends once it
    /// has held its locks for 100 ms, with the cursor behind the last row that was tried.
    ///
    /// # Errors
    ///
    /// [`EnterError::Closed`] when the epoch was closed.
    async fn backfill_batch(&self, request: BatchRequest<'_>) -> Result<Batch, EnterError>;

    /// Marks the run as done when every segment up to the upper bound is; returns whether it is.
    ///
    /// # Errors
    ///
    /// Whatever the database answers.
    async fn finish_run(&self, state: &MigrationState, run: &Run) -> Result<bool, StoreError>;

    /// How far the newest run that is not void is; `None` when there is none.
    ///
    /// # Errors
    ///
    /// Whatever the database answers.
    async fn run_progress(&self, state: &MigrationState)
    -> Result<Option<RunProgress>, StoreError>;

    /// Keys in quarantine that were put there since the run began, by it or by writers.
    ///
    /// # Errors
    ///
    /// Whatever the database answers.
    async fn refusals(&self, state: &MigrationState, run: RunId) -> Result<u64, StoreError>;

    /// Makes New equal to the mapped Legacy row of one key, under the key's lock and the locked
    /// Legacy row, through the fence; takes the key out of quarantine, or puts it there when New
    /// refuses it. Returns the reason in that case.
    ///
    /// # Errors
    ///
    /// [`EnterError::Closed`] when the epoch was closed.
    async fn repair(&self, state: &MigrationState, key: &Key)
    -> Result<Option<String>, EnterError>;
}
