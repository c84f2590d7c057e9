//! What can be wrong with a side.

use std::fmt;

/// A fault of a pair, by name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Diagnosis {
    /// A put onto a row that New has fails, or leaves the old row there.
    NotAnUpsert,
    /// A partial update reaches New as such, so that New's row is not whole.
    ForwardsPartialUpdates,
    /// A row that was deleted is still on New.
    ForgetsDeletes,
    /// A put of a row that New lacks changes nothing.
    UpdatesOnlyExistingRows,
    /// A write of one key changes the row of another.
    WritesAnotherKey,
    /// New stores something of its own making, another one each time.
    OwnClockOrId,
    /// New stores a row that is not the one it was handed.
    StoresAnotherRow,
    /// The row that New stores is not the one that the migration's mapping yields.
    DiffersFromMapping,
    /// An error of the database is not handed on.
    SwallowsErrors,
    /// New refuses a row that both sides are said to accept.
    RefusesRows,
    /// The transaction is kept when the call has ended.
    KeepsTransaction,
    /// What was written stays when the transaction is rolled back.
    WritesOutsideTransaction,
    /// New remembers a write that was rolled back, and leaves the next one out.
    RemembersUndoneWrites,
    /// New does not bear that Crossfade deletes its rows in `delete_only`.
    BreaksInDeleteOnly,
    /// Legacy does not hold what was written to it.
    LegacyDiffers,
    /// A wrapped read answers something else than its side holds.
    ReadsDiffer,
    /// A write does not end.
    NeverEnds,
}

impl Diagnosis {
    /// Every one of them.
    pub const ALL: [Self; 17] = [
        Self::NotAnUpsert,
        Self::ForwardsPartialUpdates,
        Self::ForgetsDeletes,
        Self::UpdatesOnlyExistingRows,
        Self::WritesAnotherKey,
        Self::OwnClockOrId,
        Self::StoresAnotherRow,
        Self::DiffersFromMapping,
        Self::SwallowsErrors,
        Self::RefusesRows,
        Self::KeepsTransaction,
        Self::WritesOutsideTransaction,
        Self::RemembersUndoneWrites,
        Self::BreaksInDeleteOnly,
        Self::LegacyDiffers,
        Self::ReadsDiffer,
        Self::NeverEnds,
    ];

    /// Why it does harm, and what to do instead.
    #[must_use]
    pub const fn explanation(self) -> &'static str {
        match self {
            Self::NotAnUpsert => {
                "Backfill, and writes before this one, may have put the row there already. Write \
                 the whole row, whether New has it or not: `on conflict (key) do update set …` for \
                 each column, or `on duplicate key update` on MariaDB."
            }
            Self::ForwardsPartialUpdates => {
                "New may lack the row, as long as backfill has not come to it, or hold an older \
                 one. Change parts of a row by `Migration::modify`, which stores the whole row on \
                 both sides."
            }
            Self::ForgetsDeletes => {
                "A row that stays on New comes back to life once reads go there. Delete on both \
                 sides; Crossfade calls New's delete in the same transaction."
            }
            Self::UpdatesOnlyExistingRows => {
                "An `update` finds nothing where backfill has not come to the row, and a new row \
                 never reaches New. Insert what is absent: an upsert does both."
            }
            Self::WritesAnotherKey => {
                "Crossfade orders writers, marks refusals and repairs by the key that the write \
                 names. Both sides must write the row of that key and no other; a key of New's own \
                 making cannot be found again."
            }
            Self::OwnClockOrId => {
                "Ids, times and counters are made once, by the caller, and handed to both sides, \
                 or they differ for ever: verification finds it and the gate to `live` stays shut. \
                 Look for `now()`, `default` and `uuid()` on the New side."
            }
            Self::StoresAnotherRow => {
                "New's row must be the mapping of Legacy's, or readers see the change when the \
                 read flag moves them. Trim, round and complete a row before both sides get it."
            }
            Self::DiffersFromMapping => {
                "Backfill writes what `mapping.sql` yields, the repository something else, so \
                 verification finds a difference in every row that is written. One of the two has \
                 to follow the other; columns with a default or a clock are the usual cause."
            }
            Self::SwallowsErrors => {
                "Crossfade takes Ok for a row that is stored. Where the error is kept from it, the \
                 sides fall apart without a mark, or, on PostgreSQL, the whole transaction is lost \
                 at its commit. Hand each error of the database on with `?`."
            }
            Self::RefusesRows => {
                "In `dual_write` each such row goes to quarantine and keeps the gate to `live` \
                 shut; from `live` on the write fails. Widen New, or let the mapping mend the row."
            }
            Self::KeepsTransaction => {
                "The transaction is lent for one call. Whoever keeps a clone of its `Db`, or a \
                 connection of it, keeps it open, with its locks; the write fails."
            }
            Self::WritesOutsideTransaction => {
                "Both sides are written in one transaction, or a crash between them splits the \
                 pair. Write through the `Db` that the call is handed, not through a pool, and \
                 commit nothing."
            }
            Self::RemembersUndoneWrites => {
                "A write may be rolled back after New has answered Ok, and is tried again. What a \
                 repository keeps in memory must not decide what it writes; ask the database."
            }
            Self::BreaksInDeleteOnly => {
                "In `delete_only`, on the way up and back, Crossfade deletes New's row of every key \
                 that is written. New must let the row go (foreign keys: `on delete cascade`), and \
                 must not remember that it was there."
            }
            Self::LegacyDiffers => {
                "The suite reads Legacy after each write. Either the Legacy side loses it, or what \
                 the pair tells the suite (`patched`, `get`) is not what its verbs do."
            }
            Self::ReadsDiffer => {
                "A read through the wrapper must answer what the side holds, in a transaction or \
                 outside. Look at what `get` keeps in memory."
            }
            Self::NeverEnds => {
                "Most often a side waits for itself: it writes on a second connection a row that \
                 the transaction has locked, or asks the pool for a connection that never comes."
            }
        }
    }

    /// Whether nothing can be played behind it, as a transaction stays open.
    pub(super) const fn ends_the_run(self) -> bool {
        matches!(self, Self::KeepsTransaction | Self::NeverEnds)
    }
}

impl fmt::Display for Diagnosis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotAnUpsert => "New's put is no upsert",
            Self::ForwardsPartialUpdates => "a partial update reaches New as such",
            Self::ForgetsDeletes => "New forgets deletes",
            Self::UpdatesOnlyExistingRows => "New updates only rows that exist",
            Self::WritesAnotherKey => "New writes the row of another key",
            Self::OwnClockOrId => "New uses a clock, an id or a counter of its own",
            Self::StoresAnotherRow => "New stores another row than it is handed",
            Self::DiffersFromMapping => "New stores another row than the mapping yields",
            Self::SwallowsErrors => "New swallows an error of the database",
            Self::RefusesRows => "New refuses a row that Legacy accepts",
            Self::KeepsTransaction => "the transaction is kept",
            Self::WritesOutsideTransaction => "a side writes outside the transaction",
            Self::RemembersUndoneWrites => "New remembers a write that was rolled back",
            Self::BreaksInDeleteOnly => "New does not survive `delete_only`",
            Self::LegacyDiffers => "Legacy does not hold what was written",
            Self::ReadsDiffer => "a wrapped read answers something else",
            Self::NeverEnds => "a write does not end",
        })
    }
}
