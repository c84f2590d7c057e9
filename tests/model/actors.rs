//! Where each actor stands. What it does next is in the module of its name.

use crossfade_core::{Side, Stage};

use crate::state::{ABSENT, EpochNumber, Marks, Tx, Value};

/// What an application asks of a key.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) enum Operation {
    /// Insert, or update where the row exists.
    #[default]
    Upsert,
    /// Upsert of a row that New refuses.
    UpsertRefused,
    /// Update; the call fails where there is no row.
    Update,
    Delete,
    /// Delete and insert in one transaction.
    Replace,
    /// Read the base, change it, write both sides.
    Modify,
}

/// Where a writer stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) enum WriterPhase {
    #[default]
    Idle,
    /// It has taken its snapshot.
    Begun,
    /// It shares the epoch's lock.
    Locked,
    /// It found the epoch open and holds the key's lock.
    Entered,
    /// It has read the base of a read-modify-write.
    Based,
    /// It is done with Legacy.
    LegacyWritten,
    /// It is done with New.
    NewWritten,
    /// Its transaction is rolled back and it begins anew.
    Again,
    /// Legacy is committed and the mark is not; only where a mark is a transaction of its own.
    MarkOwed,
}

/// One task of the application that writes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Writer {
    pub(crate) phase: WriterPhase,
    /// Operations that have ended.
    pub(crate) ended: u8,
    pub(crate) operation: Operation,
    pub(crate) key: u8,
    /// The value it writes.
    pub(crate) value: Value,
    /// The base that it read.
    pub(crate) base: Value,
    /// The epoch and the marks of the snapshot that it holds; epoch 0 while it holds none.
    pub(crate) epoch: EpochNumber,
    pub(crate) marks: Marks,
    /// New refused the row: Legacy is written alone and the key is marked.
    pub(crate) refused: bool,
    /// Whether its epoch was open before it had the lock.
    pub(crate) was_open: bool,
    pub(crate) tx: Tx,
}

/// Where a reader stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) enum ReaderPhase {
    #[default]
    Idle,
    /// It has decided for a side and not read yet.
    Decided,
}

/// One task of the application that reads.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Reader {
    pub(crate) phase: ReaderPhase,
    /// Reads that were answered.
    pub(crate) answered: u8,
    pub(crate) key: u8,
    pub(crate) from_new: bool,
    pub(crate) falls_back: bool,
    /// The epoch of the snapshot that it holds; 0 while it holds none.
    pub(crate) epoch: EpochNumber,
    /// The lease lapsed since it began.
    pub(crate) lapsed: bool,
    /// The values that it may answer, one bit each.
    allowed: u32,
}

impl Reader {
    /// It decides for `side` while `truth` is the newest acknowledged value.
    pub(crate) fn decides(&mut self, side: Side, key: u8, epoch: EpochNumber, truth: Value) {
        self.phase = ReaderPhase::Decided;
        self.from_new = side == Side::New;
        self.key = key;
        self.epoch = epoch;
        self.allowed = 1 << truth;
    }

    pub(crate) fn may_see(&mut self, key: u8, value: Value) {
        if self.phase == ReaderPhase::Decided && self.key == key {
            self.allowed |= 1 << value;
        }
    }

    pub(crate) fn may_answer(&self, value: Value) -> bool {
        self.allowed & (1 << value) != 0
    }

    /// It has ended, with an answer or without.
    pub(crate) fn ends(&mut self, answered: bool) {
        *self = Self { answered: self.answered + u8::from(answered), ..Self::default() };
    }
}

/// Where a backfill worker stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) enum WorkerPhase {
    #[default]
    Idle,
    /// Inside the epoch, about to ask for a run.
    Opening,
    /// It has a run and no segment.
    Ready,
    /// It has a segment.
    Claimed,
    /// A batch is inside the epoch.
    Entered,
    /// It holds the segment's row and has seen the run.
    Permitted,
    /// It waits for the lock of the source row.
    Waiting,
    /// It has read the source row, under its lock.
    Copied,
    /// New has the row or refuses it; the commit is next.
    Inserted,
}

/// One worker of a backfill. A batch is one key.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Worker {
    pub(crate) phase: WorkerPhase,
    /// The epoch that it believes in.
    pub(crate) epoch: EpochNumber,
    pub(crate) run: u8,
    /// Where it believes the segment to stand.
    pub(crate) cursor: u8,
    /// New refused the row; the batch is tried again under the key's lock.
    pub(crate) refused: bool,
    /// The row that it waited for is gone, whatever there is now.
    pub(crate) found_gone: bool,
    /// The source row as it read it.
    pub(crate) row: Value,
    pub(crate) tx: Tx,
}

impl Worker {
    pub(crate) fn waits_for(&self, key: u8) -> bool {
        self.phase == WorkerPhase::Waiting && self.tx.key == key
    }

    /// Whether it holds the segment's row lock.
    pub(crate) fn holds_segment(&self) -> bool {
        use WorkerPhase::{Copied, Inserted, Permitted, Waiting};
        matches!(self.phase, Permitted | Waiting | Copied | Inserted)
    }

    /// Its transaction is over, and it still has its segment.
    pub(crate) fn leaves_batch(&mut self) {
        self.phase = WorkerPhase::Claimed;
        self.found_gone = false;
        self.row = ABSENT;
        self.tx = Tx::default();
    }
}

/// Where a verification stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) enum VerifierPhase {
    #[default]
    Idle,
    /// It compares key by key.
    Comparing,
    /// A repair is inside the epoch and under the key's lock.
    RepairEntered,
    /// It has locked and read the source row.
    RepairRead,
    /// New has the row or refuses it; the commit is next.
    RepairWritten,
}

/// A verification, one key at a time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Verifier {
    pub(crate) phase: VerifierPhase,
    /// Passes that have ended.
    pub(crate) passes: u8,
    /// The next key.
    pub(crate) key: u8,
    pub(crate) repairs: bool,
    /// The key differs.
    pub(crate) differs: bool,
    /// The epoch that repairs believe in.
    pub(crate) epoch: EpochNumber,
    /// What the record will say.
    pub(crate) run: u8,
    pub(crate) after_run: bool,
    pub(crate) begun_in: EpochNumber,
    pub(crate) differences: u8,
    pub(crate) repaired: u8,
    pub(crate) row: Value,
    pub(crate) tx: Tx,
}

/// Where a stage change stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) enum OperatorPhase {
    #[default]
    Idle,
    /// It has read the state, and the change is a legal one.
    Looked,
    /// New was emptied, or has to be first.
    Emptied,
    /// The gate let it pass.
    Passed,
    /// The epoch is appended; the one before is to be closed.
    Appended,
}

/// An operator who changes the stage.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Operator {
    pub(crate) phase: OperatorPhase,
    /// The newest epoch as it looked.
    pub(crate) epoch: EpochNumber,
    pub(crate) to: Stage,
}

impl Default for Operator {
    fn default() -> Self {
        Self { phase: OperatorPhase::Idle, epoch: 0, to: Stage::Off }
    }
}
