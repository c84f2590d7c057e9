//! Statements that PostgreSQL runs outside a transaction only, such as `create index concurrently`.
//!
//! No transaction keeps two operators apart, so an advisory lock does. It is only ever tried for:
//! `create index concurrently` waits for every transaction that is older than its own, also for one
//! that waits for its lock, so a blocking lock would be a deadlock.
//!
//! For the same reason a statement that works beside readers and writers has no lock timeout: it
//! keeps others from changing the table's form alone, and a build that is given up because of an
//! old snapshot begins again from nothing. Its statement timeout bounds it.

mod watch;

use std::time::Duration;

use crossfade_core::script_lock_id;
use crossfade_store::{ScriptStep, Statement, StatementError, StepRun, Timeouts};
use sqlx::postgres::{PgConnection, PgPool};
use sqlx::{AssertSqlSafe, Connection, Error};
use tokio::time::{Instant, sleep};

use super::index::{ConcurrentIndex, works_beside_others};
use super::step::{RECORD_KEY, RECORDED, failed, record};
use crate::session::with_control_tables;
use crate::value::Value;
use crate::{Database, Engine};
use watch::{Failed, watched};

/// Pause between two tries for the lock.
const POLL: Duration = Duration::from_millis(500);

/// How long the lock is tried for.
const PATIENCE: Duration = Duration::from_secs(60);

/// How long an index that was not built to its end may take to drop.
const CLEARING: Duration = Duration::from_secs(5);

/// What the statement runs with; the time zone stays as it is where none was pinned.
const SETTINGS: &str = "\
select set_config('lock_timeout', $1, false), set_config('statement_timeout', $2, false), \
    set_config('search_path', coalesce($3, current_setting('search_path')), false), \
    set_config('TimeZone', coalesce($4, current_setting('TimeZone')), false), \
    set_config('row_security', 'off', false), pg_backend_pid()";

/// Runs the statement on a connection taken out of the pool for good: its timeouts and its lock
/// are not the application's, and dropping it midway must not leave a statement running for the
/// next borrower.
pub(super) async fn run(
    database: &Database,
    step: ScriptStep<'_>,
    statement: &Statement,
    timeouts: Timeouts,
) -> Result<StepRun, StatementError> {
    let Some(pool) = database.postgres() else { return Err(failed(Error::PoolClosed)) };
    let mut connection = pool.acquire().await.map_err(failed)?.detach();
    let lock = script_lock_id(&database.inner.namespace, step.migration);
    let outcome =
        run_locked(database, pool, &mut connection, lock, step, statement, timeouts).await;
    // Closing gives the lock back; once the server has answered, the next one gets it at once.
    let unlocked = sqlx::query("select pg_advisory_unlock_all()").execute(&mut connection).await;
    let closed = connection.close().await;
    if let Err(error) = unlocked.map(drop).and(closed) {
        tracing::debug!(%error, "the connection of a script was closed by the other end");
    }
    outcome.map_err(|Failed { error, holders }| {
        let mut failed = failed(error);
        if !holders.is_empty() {
            failed.error.message = format!("{}; it waited for {holders}", failed.error.message);
            failed.error = failed.error.with_hint(
                "wait until these transactions have ended, or end them with \
                 `select pg_terminate_backend(PID)`, then run the command again",
            );
        }
        failed
    })
}

async fn run_locked(
    database: &Database,
    pool: &PgPool,
    connection: &mut PgConnection,
    lock: i64,
    step: ScriptStep<'_>,
    statement: &Statement,
    timeouts: Timeouts,
) -> Result<StepRun, Failed> {
    let started = Instant::now();
    while !sqlx::query_scalar::<_, bool>("select pg_try_advisory_lock($1)")
        .bind(lock)
        .fetch_one(&mut *connection)
        .await?
    {
        let waited = started.elapsed();
        if waited >= PATIENCE {
            return Ok(StepRun::Busy { waited });
        }
        sleep(POLL).await;
    }
    // Whoever had the lock before may have run this very step.
    let digest: Option<String> = sqlx::query_scalar(RECORDED)
        .bind(step.migration.as_str())
        .bind(step.script)
        .bind(i64::from(step.position))
        .fetch_optional(&mut *connection)
        .await?;
    if let Some(digest) = digest {
        return Ok(StepRun::DoneBefore { digest });
    }
    let lock_timeout = match works_beside_others(&statement.text) {
        true => "0".to_owned(),
        false => super::ms(timeouts.lock),
    };
    let (_, _, _, _, _, pid): (String, String, String, String, String, i32) =
        sqlx::query_as(SETTINGS)
            .bind(lock_timeout)
            .bind(super::ms(timeouts.statement))
            .bind(&step.pinned.search_path)
            .bind(&step.pinned.time_zone)
            .fetch_one(&mut *connection)
            .await?;
    let index = ConcurrentIndex::of(&statement.text);
    if needs_running(pool, pid, connection, index.as_ref()).await? {
        let running = sqlx::raw_sql(AssertSqlSafe(statement.text.as_str()));
        let ran = watched(pool, pid, running.execute(&mut *connection)).await;
        if let (Err(_), Some(index)) = (&ran, &index) {
            clear(connection, index).await;
        }
        ran?;
    }
    // The step is recorded in the control tables, which the script's path need not show.
    if let Some(path) = &step.pinned.search_path {
        sqlx::query("select set_config('search_path', $1, false)")
            .bind(with_control_tables(path, &database.inner.namespace))
            .execute(&mut *connection)
            .await?;
    }
    let (sql, args) = record(Engine::Postgres, step);
    let sql = format!("{sql} on conflict {RECORD_KEY} do nothing");
    let mut query = sqlx::query(AssertSqlSafe(sql));
    for value in args {
        query = match value {
            Value::Int(value) => query.bind(value),
            Value::Text(value) => query.bind(value),
        };
    }
    query.execute(connection).await?;
    Ok(StepRun::Ran)
}

/// Whether the statement is to be run: not if it builds an index that is there and valid. One that
/// is there and invalid, left by a build that failed, is dropped first.
async fn needs_running(
    pool: &PgPool,
    pid: i32,
    connection: &mut PgConnection,
    index: Option<&ConcurrentIndex>,
) -> Result<bool, Failed> {
    let Some(index) = index else { return Ok(true) };
    match valid(connection, index).await? {
        Some((true, _)) => Ok(false),
        Some((false, name)) => {
            let drop = sqlx::raw_sql(AssertSqlSafe(dropping(&name)));
            watched(pool, pid, drop.execute(connection)).await?;
            Ok(true)
        }
        None => Ok(true),
    }
}

/// Drops the invalid index that a build left which failed. What cannot be dropped at once is
/// dropped by the next run.
async fn clear(connection: &mut PgConnection, index: &ConcurrentIndex) {
    let cleared = async {
        sqlx::query("select set_config('statement_timeout', $1, false)")
            .bind(super::ms(CLEARING))
            .execute(&mut *connection)
            .await?;
        if let Some((false, name)) = valid(connection, index).await? {
            sqlx::raw_sql(AssertSqlSafe(dropping(&name))).execute(connection).await?;
        }
        Ok::<_, Error>(())
    };
    if let Err(error) = cleared.await {
        let index = &index.name;
        tracing::warn!(%error, "the invalid index {index} stays until the script is run again");
    }
}

fn dropping(index: &str) -> String {
    format!("drop index concurrently if exists {index}")
}

/// Whether the index is valid, and its qualified name; `None` when it does not exist.
async fn valid(
    connection: &mut PgConnection,
    index: &ConcurrentIndex,
) -> Result<Option<(bool, String)>, Error> {
    let sql = "select i.indisvalid, quote_ident(n.nspname) || '.' || quote_ident(c.relname) \
               from pg_index i \
               join pg_class c on c.oid = i.indexrelid \
               join pg_namespace n on n.oid = c.relnamespace \
               where i.indrelid = to_regclass($1) and c.relname = (parse_ident($2))[1]";
    sqlx::query_as(sql).bind(&index.table).bind(&index.name).fetch_optional(connection).await
}
