//! The sequence that PostgreSQL's fence reads, one for each migration.
//!
//! Its value is twice the oldest epoch that is open, and one more while the epoch after that is open
//! too. [`NAMED`] is added while a capture is there, or about to be: writers then say to their own
//! transaction which fence they have passed.
//!
//! A sequence moves at once and for good, whatever becomes of the transaction. So whoever moves it
//! holds the migration's row, after the epoch's lock where it needs both.

use std::fmt;

use crossfade_core::{Epoch, MigrationName, MigrationState, epoch_lock_id};
use crossfade_store::{StoreError, StoreErrorKind};

use crate::error::Doing;
use crate::session::Session;
use crate::value::args;
use crate::{Database, Engine};

/// Added to the value while writers are to say which fence they have passed. Far above every epoch.
const NAMED: i64 = 1 << 62;

/// The value while `oldest` is open and, perhaps, the epoch after it.
const fn fence_value(oldest: Epoch, next_is_open: bool) -> i64 {
    oldest.get() * 2 + next_is_open as i64
}

impl Database {
    /// The sequence, qualified.
    pub(crate) fn fence_sequence(&self, migration: &MigrationName) -> String {
        // A migration name holds lower-case letters, digits and underscores.
        format!("{}.crossfade_fence_{migration}", Engine::Postgres.quote(&self.inner.namespace))
    }

    /// [`fence_sequence`](Self::fence_sequence) as a literal.
    pub(crate) fn fence_literal<'a>(&'a self, migration: &'a MigrationName) -> FenceLiteral<'a> {
        FenceLiteral { schema: &self.inner.schema_in_literals, migration }
    }
}

/// The quoted name of a schema, as a literal has it between its own quotes.
pub(crate) fn schema_in_literals(namespace: &str) -> String {
    Engine::Postgres.quote(namespace).replace('\'', "''")
}

/// A literal that names a migration's sequence.
pub(crate) struct FenceLiteral<'a> {
    schema: &'a str,
    migration: &'a MigrationName,
}

impl fmt::Display for FenceLiteral<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "'{}.crossfade_fence_{}'", self.schema, self.migration)
    }
}

/// Makes the sequence, with `first` open. Every role may read it, as every role may call
/// `crossfade_enter`.
pub(crate) async fn create(
    database: &Database,
    session: &mut Session,
    migration: &MigrationName,
    first: Epoch,
) -> Result<(), StoreError> {
    let fence = database.fence_sequence(migration);
    let script = format!(
        "create sequence {fence}; grant select on sequence {fence} to public; \
         select setval({}, {})",
        database.fence_literal(migration),
        fence_value(first, false)
    );
    session.run_script(&script).await.doing("failed to make the fence")
}

/// Moves the fence to `oldest`, and the epoch after it where that is open.
///
/// Only two may do so. Who appends an epoch opens it beside the one before; should that fail, nobody
/// believes in the epoch. Who closes one holds its lock alone, and a later epoch is there for the
/// writers to go on in.
pub(crate) async fn move_to(
    database: &Database,
    session: &mut Session,
    migration: &MigrationName,
    oldest: Epoch,
    next_is_open: bool,
) -> Result<(), StoreError> {
    lock_row(session, migration).await?;
    let named = is_named(database, session, migration).await?;
    set(database, session, migration, fence_value(oldest, next_is_open), named).await
}

const MOVING: &str = "failed to move the fence";

/// Locks the migration's row against whoever else moves the fence. Marks of keys, which refer to it,
/// do not wait.
async fn lock_row(session: &mut Session, migration: &MigrationName) -> Result<(), StoreError> {
    let sql = "select name from crossfade_migrations where name = $1 for no key update";
    session.fetch(sql, args![migration.as_str()]).await.doing(MOVING)?;
    Ok(())
}

async fn value(
    database: &Database,
    session: &mut Session,
    migration: &MigrationName,
) -> Result<i64, StoreError> {
    let fence = database.fence_literal(migration);
    let sql = format!("select coalesce(pg_sequence_last_value({fence}), 0)");
    let row = session.fetch_one(&sql, args![]).await.doing("failed to read the fence")?;
    Ok(row.map_or(0, |row| row.int(0)))
}

/// Whether writers say which fence they have passed.
pub(crate) async fn is_named(
    database: &Database,
    session: &mut Session,
    migration: &MigrationName,
) -> Result<bool, StoreError> {
    Ok(value(database, session, migration).await? >= NAMED)
}

async fn set(
    database: &Database,
    session: &mut Session,
    migration: &MigrationName,
    value: i64,
    named: bool,
) -> Result<(), StoreError> {
    let sql = format!("select setval({}, $1)", database.fence_literal(migration));
    let value = if named { value + NAMED } else { value };
    session.fetch(&sql, args![value]).await.doing(MOVING)?;
    Ok(())
}

/// Lets the writers that enter from now on say which fence they have passed, or no longer so unless
/// a capture is recorded.
pub(crate) async fn name_fence(
    database: &Database,
    migration: &MigrationName,
    named: bool,
) -> Result<(), StoreError> {
    let mut session = database.begin().await.doing(MOVING)?;
    lock_row(&mut session, migration).await?;
    let named = named || is_captured(&mut session, migration).await?;
    let value = value(database, &mut session, migration).await? % NAMED;
    set(database, &mut session, migration, value, named).await?;
    session.commit_or(MOVING).await
}

async fn is_captured(session: &mut Session, migration: &MigrationName) -> Result<bool, StoreError> {
    let sql = "select 1 from crossfade_captures where migration = $1";
    let row = session.fetch_one(sql, args![migration.as_str()]).await.doing(MOVING)?;
    Ok(row.is_some())
}

/// Locks the migration's row and fails unless the writers are still asked to say which fence they
/// have passed, as by [`name_fence`].
pub(crate) async fn expect_named(
    database: &Database,
    session: &mut Session,
    migration: &MigrationName,
) -> Result<(), StoreError> {
    lock_row(session, migration).await?;
    if is_named(database, session, migration).await? {
        return Ok(());
    }
    let message = "somebody else changed the capture in the same moment";
    Err(StoreError::new(StoreErrorKind::Conflict, message))
}

/// The transactions that are inside an open epoch of the migration, as `pg_locks` numbers them, with
/// their processes.
pub(crate) async fn inside(
    database: &Database,
    session: &mut Session,
    state: &MigrationState,
) -> Result<Vec<(String, i64)>, StoreError> {
    let doing = "failed to look up who is inside the fence";
    let name = &state.definition.name;
    let sql = "select epoch from crossfade_epochs where migration = $1 and closed_ms is null";
    let mut found = Vec::new();
    for row in session.fetch(sql, args![name.as_str()]).await.doing(doing)? {
        let lock = epoch_lock_id(&database.inner.namespace, name, Epoch::new(row.int(0)));
        let (class, object) = halves(lock);
        let sql =
            format!("select l.virtualtransaction, l.pid::bigint from pg_locks l where {HOLDS}");
        let rows = session.fetch(&sql, args![class, object]).await.doing(doing)?;
        found.extend(rows.iter().map(|row| (row.text(0), row.int(1))));
    }
    Ok(found)
}

/// A 64-bit advisory lock as `pg_locks l` shows it, by the [`halves`] of its number.
pub(crate) const HOLDS: &str = "\
l.locktype = 'advisory' and l.granted and l.objsubid = 1 and l.classid::bigint = $1 \
and l.objid::bigint = $2 \
and l.database = (select oid from pg_database where datname = current_database())";

pub(crate) fn halves(lock: i64) -> (i64, i64) {
    let lock = lock.cast_unsigned();
    ((lock >> 32).cast_signed(), (lock & 0xffff_ffff).cast_signed())
}

/// Puts a fence right that does not fit the epochs or the captures, and returns whether it did. A
/// dump takes sequences as they stand, which may be after its snapshot of the tables, and logical
/// replication does not move them at all.
pub(crate) async fn mend_fence(
    database: &Database,
    session: &mut Session,
    migration: &MigrationName,
) -> Result<bool, StoreError> {
    let Some((oldest, newest)) = open_epochs(session, migration).await? else { return Ok(false) };
    let named = is_captured(session, migration).await?;
    let found = value(database, session, migration).await?;
    // From the oldest alone to what a failed append leaves behind the newest.
    let sound = fence_value(oldest, false)..=fence_value(newest, true);
    if sound.contains(&(found % NAMED)) && named == (found >= NAMED) {
        return Ok(false);
    }
    let lock = epoch_lock_id(&database.inner.namespace, migration, oldest);
    session.fetch("select pg_advisory_xact_lock($1)::text", args![lock]).await.doing(MENDING)?;
    lock_row(session, migration).await?;
    // As they are now that nobody else moves the fence.
    let Some((oldest, newest)) = open_epochs(session, migration).await? else { return Ok(false) };
    let named = is_captured(session, migration).await?;
    set(database, session, migration, fence_value(oldest, oldest < newest), named).await?;
    Ok(true)
}

const MENDING: &str = "failed to mend the fence";

/// The oldest epoch that is open, and the newest.
async fn open_epochs(
    session: &mut Session,
    migration: &MigrationName,
) -> Result<Option<(Epoch, Epoch)>, StoreError> {
    let sql = "select min(epoch) filter (where closed_ms is null), max(epoch) \
               from crossfade_epochs where migration = $1";
    let row = session.fetch_one(sql, args![migration.as_str()]).await.doing(MENDING)?;
    Ok(row.map(|row| (Epoch::new(row.int(0)), Epoch::new(row.int(1)))))
}
