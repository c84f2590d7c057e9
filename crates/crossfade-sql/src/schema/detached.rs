//! Statements that PostgreSQL runs outside a transaction only, such as `create index concurrently`.
//!
//! No transaction keeps two operators apart, so an advisory lock does. It is only ever tried for:
//! `create index concurrently` waits for every transaction that is older than its own, also for one
//! that waits for its lock, so a blocking lock would be a deadlock.

use std::time::Duration;

use crossfade_core::script_lock_id;
use crossfade_store::{ScriptStep, Statement, StatementError, StepRun, Timeouts};
use sqlx::postgres::PgConnection;
use sqlx::{AssertSqlSafe, Connection, Error};
use tokio::time::{Instant, sleep};

use super::index::ConcurrentIndex;
use super::step::{RECORD_KEY, RECORDED, failed, record};
use crate::value::Value;
use crate::{Database, Engine};

/// Pause between two tries for the lock.
const POLL: Duration = Duration::from_millis(500);

/// How long the lock is tried for.
const PATIENCE: Duration = Duration::from_secs(60);

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
    let outcome = run_locked(&mut connection, lock, step, statement, timeouts).await;
    // Closing gives the lock back; once the server has answered, the next one gets it at once.
    let unlocked = sqlx::query("select pg_advisory_unlock_all()").execute(&mut connection).await;
    let closed = connection.close().await;
    if let Err(error) = unlocked.map(drop).and(closed) {
        tracing::debug!(%error, "the connection of a script was closed by the other end");
    }
    outcome.map_err(failed)
}

async fn run_locked(
    connection: &mut PgConnection,
    lock: i64,
    step: ScriptStep<'_>,
    statement: &Statement,
    timeouts: Timeouts,
) -> Result<StepRun, Error> {
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
    sqlx::query(
        "select set_config('lock_timeout', $1, false), set_config('statement_timeout', $2, false)",
    )
    .bind(super::ms(timeouts.lock))
    .bind(super::ms(timeouts.statement))
    .execute(&mut *connection)
    .await?;
    if needs_running(connection, statement).await? {
        sqlx::raw_sql(AssertSqlSafe(statement.text.as_str())).execute(&mut *connection).await?;
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
    connection: &mut PgConnection,
    statement: &Statement,
) -> Result<bool, Error> {
    let Some(index) = ConcurrentIndex::of(&statement.text) else { return Ok(true) };
    match valid(connection, &index).await? {
        Some((true, _)) => Ok(false),
        Some((false, name)) => {
            let drop = format!("drop index concurrently if exists {name}");
            sqlx::raw_sql(AssertSqlSafe(drop)).execute(connection).await?;
            Ok(true)
        }
        None => Ok(true),
    }
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
