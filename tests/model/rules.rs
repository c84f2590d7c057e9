//! The rules of the protocol that can be taken out of the model, one at a time.

/// A rule. Taken out, the protocol is another one, and the checker should notice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Rule {
    /// A writer finds its epoch open before it writes.
    WriterChecksEpoch,
    /// It does so after it has the lock, in a statement of its own.
    CheckIsFresh,
    /// An epoch is closed under its exclusive lock.
    CloserTakesLock,
    /// Whoever comes late to an epoch that is closed already does not move the fence.
    LateCloserKeepsFence,
    /// An epoch is appended only while one is open.
    AppendWaitsForClose,
    /// Writers of one key exclude each other even while it has no row.
    KeyLock,
    /// `delete_only` lies between `off` and `dual_write`.
    DeleteOnlyBetween,
    /// In `delete_only` the written key is taken away from New.
    DeleteOnlyRemoves,
    /// A read-modify-write reads its base on the authoritative side.
    BaseIsAuthoritative,
    /// The mark is committed with the Legacy row that New refused.
    MarkWithRow,
    /// Marks go only where New is known to be empty.
    MarksStayOnRollback,
    /// A run begins only once the epoch before is closed.
    RunWaitsForBarrier,
    /// Runs begin, and batches write, from `dual_write` on.
    BackfillInDualWrite,
    /// A batch enters its epoch.
    BatchEntersEpoch,
    /// A batch locks the source rows.
    BatchLocksSource,
    /// A batch inserts only what is absent.
    BatchKeepsRows,
    /// A batch looks whether its run still counts.
    BatchChecksRun,
    /// A batch looks whether its segment is still its own.
    BatchChecksSegment,
    /// Rows and cursor are saved in one transaction.
    CursorWithRows,
    /// A refused row stays locked on Legacy while it is marked.
    RefusalKeepsSourceLock,
    /// A run is done with its last segment.
    RunEndsWithSegments,
    /// Leaving `dual_write` backwards voids the run.
    RollbackVoidsRun,
    /// `delete_only` is entered with New empty.
    NewIsEmptied,
    /// New is emptied in `off` only.
    EmptiedInOff,
    /// A repair holds the key's lock.
    RepairTakesKeyLock,
    /// A repair locks the source row.
    RepairLocksSource,
    /// A repair writes in stages in which Legacy is the source only.
    RepairChecksStage,
    /// A repair enters its epoch.
    RepairEntersEpoch,
    /// Backfill is done before `live`.
    LiveWaitsForBackfill,
    /// A verification that began after the run found no difference.
    LiveWaitsForParity,
    /// No key is in quarantine as `live` or `ramp_down` begins.
    GateCountsMarks,
    /// The instances have acknowledged the newest epoch before the next one.
    GateWaitsForAcknowledgements,
    /// From `live` on a refusal by New fails the call.
    RefusalFailsInLive,
    /// `live` has no step back to `dual_write`.
    LiveHasNoStepBack,
    /// New is read in `live` only once `dual_write` is closed.
    ReadWaitsForClose,
    /// A quarantined key is read from Legacy.
    ReadAvoidsMarks,
    /// From `ramp_down` on reads use New.
    RampDownReadsNew,
    /// A read counts only if the lease held all along.
    ReadChecksLease,
    /// A lease counts again only once the stage was looked up.
    LeaseLooksUp,
    /// The look-up that regains a lease comes after the heartbeat.
    LookUpAfterHeartbeat,
    /// An epoch is acknowledged once nothing in flight holds an earlier one.
    AcknowledgementDrains,
    /// The marks are read after the stage.
    MarksReadLast,
}
