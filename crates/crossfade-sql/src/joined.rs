//! Writes within a transaction that the caller began: each between a savepoint and its release.

use std::time::Duration;

use crossfade_core::Definition;
#[cfg(feature = "sqlite")]
use crossfade_store::StoreErrorKind;
use crossfade_store::{EnterError, Entry, StoreError};

use crate::error::Doing;
#[cfg(feature = "postgres")]
use crate::fence::Enter;
#[cfg(any(feature = "mysql", feature = "postgres"))]
use crate::fence::turned_away;
#[cfg(any(feature = "mysql", feature = "postgres"))]
use crate::interrupt::Mark;
#[cfg(feature = "mysql")]
use crate::mariadb;
use crate::session::Session;
use crate::{Database, Engine};

/// The savepoint in front of a write.
const SAVEPOINT: &str = "crossfade_write";

/// Sets the savepoint and enters the epoch. See the port.
pub(crate) async fn join(
    database: &Database,
    session: &mut Session,
    entry: Entry<'_>,
    lock_timeout: Option<Duration>,
) -> Result<(), EnterError> {
    let Entry { migration, epoch, key } = entry;
    session.bounded = lock_timeout.is_some();
    // One mark does for all writes of a transaction. It stands in front of the savepoint, since
    // going back to that lets go of later locks.
    #[cfg(any(feature = "mysql", feature = "postgres"))]
    let mark = (session.bounded && session.mark.is_none()).then(Mark::random);
    match database.engine() {
        #[cfg(feature = "mysql")]
        Engine::Mysql => {
            let marking = mark.map_or_else(String::new, Mark::on_mariadb);
            let passed = mariadb::passed_within(migration, lock_timeout, &marking);
            session.mark = session.mark.or(mark);
            let enter = database.enter_mariadb(migration, epoch, Some(key));
            let text = format!("{passed}savepoint {SAVEPOINT}; {enter}");
            session.run_script(&text).await.map_err(turned_away)
        }
        #[cfg(feature = "postgres")]
        Engine::Postgres => {
            // A setting that is local to the transaction outlives the savepoint's release.
            let keep = match lock_timeout {
                Some(_) => {
                    "select set_config('crossfade.lock_timeout', \
                     current_setting('lock_timeout'), true); "
                }
                None => "",
            };
            let arguments = database.enter_arguments(migration, epoch, Some(key), lock_timeout);
            let enter = Enter(&arguments);
            let marking = mark.map_or_else(String::new, |mark| mark.on_postgres() + "; ");
            session.mark = session.mark.or(mark);
            let text = format!("{marking}savepoint {SAVEPOINT}; {keep}{enter}");
            session.run_script(&text).await.map_err(turned_away)
        }
        #[cfg(feature = "sqlite")]
        Engine::Sqlite => {
            let _ = key;
            let doing = crate::fence::ENTERING;
            // A savepoint outside a transaction would begin another one.
            if session.has_ended() {
                let text = "the database has ended the transaction by itself";
                return Err(StoreError::new(StoreErrorKind::Database, text).into());
            }
            session.run_script(&format!("savepoint {SAVEPOINT}")).await.doing(doing)?;
            database.look_sqlite(session, migration, epoch).await
        }
    }
}

/// Goes back to the savepoint. What the savepoint is set for goes with it, so that the next one of
/// its name stands alone.
pub(crate) async fn step_back(session: &mut Session) -> Result<(), StoreError> {
    let after = match session.engine() {
        #[cfg(feature = "mysql")]
        Engine::Mysql => mariadb::LEFT_WITHIN,
        #[cfg(any(feature = "postgres", feature = "sqlite"))]
        _ => "",
    };
    let text = format!("rollback to savepoint {SAVEPOINT}; release savepoint {SAVEPOINT}{after}");
    #[cfg_attr(not(feature = "postgres"), expect(unused_mut, reason = "only there is it repeated"))]
    let mut stepped = session.run_script(&text).await;
    // On PostgreSQL sqlx may tell the error of a statement that was dropped midway to whoever speaks
    // next, whose own statement is then not sent.
    #[cfg(feature = "postgres")]
    if stepped.is_err() && session.engine() == Engine::Postgres {
        stepped = session.run_script(&text).await;
    }
    stepped.doing("failed to undo a write within a transaction")
}

/// Releases the savepoint, which fails in a transaction that is aborted or another one.
pub(crate) async fn settle(
    session: &mut Session,
    check_new: Option<&Definition>,
) -> Result<(), StoreError> {
    let before = match (session.engine(), check_new) {
        #[cfg(feature = "postgres")]
        (Engine::Postgres, Some(definition)) => check_now(definition),
        // MariaDB defers no check, and SQLite cannot be asked for one.
        _ => String::new(),
    };
    let after = match session.engine() {
        #[cfg(feature = "mysql")]
        Engine::Mysql => mariadb::LEFT_WITHIN,
        #[cfg(feature = "postgres")]
        Engine::Postgres if session.bounded => {
            "; select set_config('crossfade.fence', '', true), \
             set_config('lock_timeout', current_setting('crossfade.lock_timeout'), true)"
        }
        // The caller's own statements are no write of Crossfade's to the triggers of a capture.
        #[cfg(feature = "postgres")]
        Engine::Postgres => "; select set_config('crossfade.fence', '', true)",
        #[cfg(feature = "sqlite")]
        Engine::Sqlite => "",
    };
    let text = format!("{before}release savepoint {SAVEPOINT}{after}");
    session.run_script(&text).await.doing("failed to end a write within a transaction")
}

/// Checks New's own deferred constraints, by name: all of them would be the caller's too, whose
/// statements may not be complete before its commit. A name is one of its schema's, so the check
/// also reaches constraints of that name on other tables there. Afterwards they are deferred again.
#[cfg(feature = "postgres")]
fn check_now(definition: &Definition) -> String {
    let table = &definition.new.table;
    let quote = |name: &str| Engine::Postgres.quote(name);
    let schema = table.schema.as_ref().map(|schema| quote(schema.as_str()) + ".");
    let exact = schema.unwrap_or_default() + &quote(table.name.as_str());
    format!(
        "do $crossfade$ declare every text; late text; begin \
           select string_agg(format('%I.%I', n.nspname, c.conname), ', '), \
             string_agg(format('%I.%I', n.nspname, c.conname), ', ') filter (where c.condeferred) \
             into every, late \
             from pg_catalog.pg_constraint c \
             join pg_catalog.pg_namespace n on n.oid = c.connamespace \
             where c.conrelid = coalesce(to_regclass('{exact}'), to_regclass('{table}')) \
             and c.condeferrable; \
           if every is not null then execute 'set constraints ' || every || ' immediate'; end if; \
           if late is not null then execute 'set constraints ' || late || ' deferred'; end if; \
         end $crossfade$; "
    )
}
