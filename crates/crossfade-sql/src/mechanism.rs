//! The mechanisms that the protocol rests on, by name, so that a test can take one out and see
//! what it is for.
//!
//! Only the feature `mutants`, which this project's own tests ask for, makes that possible. Without
//! it every mechanism is in place, and the question is answered while compiling.

use crate::Database;

/// A mechanism of the protocol; `docs/protocol.md` says what each is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(not(feature = "mutants"), allow(unreachable_pub, dead_code))]
pub enum Mechanism {
    /// A write looks whether its epoch is open, behind the epoch's lock.
    FenceCheck,
    /// It does so in a statement of its own, which sees what the lock has waited for.
    FreshCheck,
    /// It only tries the lock, and so does not queue behind a closer.
    TriedLock,
    /// A write holds the lock of its key.
    KeyLock,
    /// An epoch is closed under its lock alone, which writers share.
    CloserLock,
    /// Whoever comes late to an epoch that is closed already does not move the fence.
    LateCloser,
    /// At most two adjacent epochs are open.
    AdjacentEpochs,
    /// Runs begin, and batches write, from `dual_write` on.
    BackfillStage,
    /// Batches and repairs enter the epoch they believe in.
    ReconcileFence,
    /// A repair writes only where Legacy is the source.
    RepairStage,
    /// New is emptied in `off` only.
    EmptiedInOff,
    /// Whoever cuts a segment off a run holds the run's row.
    RunLock,
    /// A run begins once its epoch is the only one open.
    Barrier,
    /// Leaving `dual_write` voids the run.
    VoidedRun,
    /// A batch writes for a running run only.
    RunCheck,
    /// A batch moves the segment that it holds, and from where it believes it to stand.
    SegmentCheck,
    /// A batch locks the Legacy rows it copies.
    SourceLock,
    /// Rows and cursor are saved in one transaction.
    CursorWithRows,
    /// A run ends with its last segment.
    LastSegment,
    /// In `delete_only` a write removes New's row.
    Removal,
    /// A key that New refuses is marked in the transaction that writes Legacy.
    Mark,
    /// Marks outlive every stage change but the one that found New empty.
    MarksKept,
    /// An instance looks the marks up after the stage.
    MarksLast,
    /// A marked key is read from Legacy.
    MarkedRead,
    /// New is read only once the epoch before `live` is closed.
    EpochPredicate,
    /// From `live` on a write that New refuses fails.
    BothOrNeither,
    /// In `ramp_down` New is read, and is the base of changes.
    NewInRampDown,
    /// A gate waits for what live instances have acknowledged.
    Acknowledgement,
    /// An instance hears of changes by itself, without being turned away first.
    Changes,
    /// A connection whose transaction was dropped midway is closed, and not lent out again.
    CancelGuard,
}

#[cfg(feature = "mutants")]
impl Mechanism {
    const fn bit(self) -> u32 {
        1 << self as u32
    }
}

impl Database {
    /// The same database without one mechanism.
    #[cfg(feature = "mutants")]
    #[must_use]
    pub fn without(&self, mechanism: Mechanism) -> Self {
        Self { without: self.without | mechanism.bit(), ..self.clone() }
    }

    #[cfg(feature = "mutants")]
    pub(crate) fn keeps(&self, mechanism: Mechanism) -> bool {
        self.without & mechanism.bit() == 0
    }

    #[cfg(not(feature = "mutants"))]
    #[expect(clippy::unused_self, reason = "with the feature it asks the database")]
    pub(crate) const fn keeps(&self, _: Mechanism) -> bool {
        true
    }
}
