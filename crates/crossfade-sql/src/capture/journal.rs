//! The journal: keys whose New side may be behind, and never values.

use crossfade_core::{MigrationName, MigrationState};
use crossfade_store::{DirtyKey, Journal, StoreError};

use crate::error::Doing;
use crate::reconcile::stored_key;
use crate::session::Session;
use crate::value::args;
use crate::{Database, Engine};

const READING: &str = "failed to read the journal";

pub(super) async fn length(
    database: &Database,
    state: &MigrationState,
) -> Result<Journal, StoreError> {
    let mut session = database.session().await.doing(READING)?;
    let sql = format!(
        "select count(*), {} - min(j.first_ms) from crossfade_journal as j where j.migration = $1",
        database.engine().now_ms()
    );
    let row =
        session.fetch_one(&sql, args![state.definition.name.as_str()]).await.doing(READING)?;
    let Some(row) = row else { return Ok(Journal::default()) };
    let oldest = row.opt_int(1).map(|ms| u64::try_from(ms).unwrap_or(0));
    Ok(Journal {
        keys: row.int(0).unsigned_abs(),
        oldest: oldest.map(std::time::Duration::from_millis),
    })
}

pub(super) async fn dirty_keys(
    database: &Database,
    state: &MigrationState,
    after: Option<&str>,
    limit: u32,
) -> Result<Vec<DirtyKey>, StoreError> {
    let mut session = database.session().await.doing(READING)?;
    let mut args = args![state.definition.name.as_str(), limit];
    let behind = match after {
        Some(after) => {
            args.push(after.into());
            " and j.key > $3"
        }
        None => "",
    };
    let sql = format!(
        "select j.key, j.version from crossfade_journal as j \
         where j.migration = $1{behind} order by j.key limit $2"
    );
    let rows = session.fetch(&sql, args).await.doing(READING)?;
    let dirty = |row: &crate::value::Row| {
        let text = row.text(0);
        let key = stored_key(state, &text)?;
        Ok(DirtyKey { key, text, version: row.int(1) })
    };
    rows.iter().map(dirty).collect()
}

/// Whether the mark that was read is there still, as far as is committed. Another worker may have
/// been faster.
pub(crate) async fn is_marked(
    session: &mut Session,
    migration: &MigrationName,
    dirty: &DirtyKey,
) -> Result<bool, sqlx::Error> {
    let sql = "select 1 from crossfade_journal as j \
               where j.migration = $1 and j.key = $2 and j.version = $3";
    let args = args![migration.as_str(), dirty.text.as_str(), dirty.version];
    Ok(session.fetch_one(sql, args).await?.is_some())
}

/// Takes the mark that was read away. One that a later write left stays, and so does its key.
pub(crate) async fn acknowledge(
    session: &mut Session,
    migration: &MigrationName,
    dirty: &DirtyKey,
) -> Result<(), sqlx::Error> {
    let sql = "delete from crossfade_journal where migration = $1 \
               and crossfade_journal.key = $2 and version = $3";
    let args = args![migration.as_str(), dirty.text.as_str(), dirty.version];
    session.execute(sql, args).await.map(drop)
}

/// Empties the journal of a migration whose New side is empty. A mark that a writer holds stays: it
/// does no harm, and is not worth waiting for.
pub(crate) async fn clear(
    session: &mut Session,
    migration: &MigrationName,
) -> Result<(), sqlx::Error> {
    match session.engine() {
        #[cfg(feature = "mysql")]
        Engine::Mysql => {
            // A deletion cannot pass over rows that somebody holds.
            let sql = format!(
                "set statement innodb_lock_wait_timeout = 1 for \
                 delete from crossfade_journal where migration = '{migration}'"
            );
            match session.execute(&sql, args![]).await {
                Err(error) if crate::error::timed_out(&error).is_some() => Ok(()),
                deleted => deleted.map(drop),
            }
        }
        #[cfg(feature = "postgres")]
        Engine::Postgres => {
            let sql = "delete from crossfade_journal where ctid = any (array(\
                       select ctid from crossfade_journal where migration = $1 \
                       for update skip locked))";
            session.execute(sql, args![migration.as_str()]).await.map(drop)
        }
        #[cfg(feature = "sqlite")]
        Engine::Sqlite => {
            let sql = "delete from crossfade_journal where migration = $1";
            session.execute(sql, args![migration.as_str()]).await.map(drop)
        }
    }
}
