//! Running one statement of a script and remembering that it was run.

use crossfade_store::{ScriptStep, Statement, StatementError, StoreError, Timeouts};
#[cfg(feature = "postgres")]
use sqlx::AssertSqlSafe;
#[cfg(feature = "postgres")]
use sqlx::postgres::PgConnection;

use super::bound;
#[cfg(feature = "postgres")]
use super::index::ConcurrentIndex;
use super::mapping::position;
use crate::error::{Doing, store_error};
use crate::session::Session;
use crate::value::args;
use crate::{Database, Engine};

const DOING: &str = "failed to run a statement";

pub(super) async fn run(
    database: &Database,
    step: ScriptStep<'_>,
    statement: &Statement,
    timeouts: Timeouts,
) -> Result<(), StatementError> {
    let outcome = if statement.outside_transaction {
        run_outside(database, step, statement, timeouts).await
    } else {
        run_inside(database, step, statement, timeouts).await
    };
    database.forget_shapes();
    outcome
}

async fn run_inside(
    database: &Database,
    step: ScriptStep<'_>,
    statement: &Statement,
    timeouts: Timeouts,
) -> Result<(), StatementError> {
    let engine = database.engine();
    let mut session = database.begin().await.doing(DOING).map_err(plain)?;
    bound(&mut session, engine, timeouts).await.doing(DOING).map_err(plain)?;
    session.run_script(&statement.text).await.map_err(failed)?;
    record(&mut session, engine, step).await.map_err(plain)?;
    session.commit().await.map_err(failed)
}

/// A crash between statement and record runs the statement again, so scripts write such
/// statements with `if not exists`; the ones that build indexes need not.
async fn run_outside(
    database: &Database,
    step: ScriptStep<'_>,
    statement: &Statement,
    timeouts: Timeouts,
) -> Result<(), StatementError> {
    match database.engine() {
        #[cfg(feature = "postgres")]
        Engine::Postgres => {
            if let Some(pool) = database.postgres() {
                // Taken out of the pool for good: its timeouts are not the application's, and
                // dropping it midway must not leave a statement running for the next borrower.
                let connection = pool.acquire().await.map_err(failed)?;
                run_detached(connection.detach(), statement, timeouts).await.map_err(failed)?;
            }
        }
        #[cfg(feature = "sqlite")]
        Engine::Sqlite => {
            let _ = timeouts;
            let mut session = database.session().await.map_err(failed)?;
            session.run_script(&statement.text).await.map_err(failed)?;
        }
    }
    let mut session = database.begin().await.doing(DOING).map_err(plain)?;
    record(&mut session, database.engine(), step).await.map_err(plain)?;
    session.commit_or(DOING).await.map_err(plain)
}

#[cfg(feature = "postgres")]
async fn run_detached(
    mut connection: PgConnection,
    statement: &Statement,
    timeouts: Timeouts,
) -> Result<(), sqlx::Error> {
    sqlx::query(
        "select set_config('lock_timeout', $1, false), set_config('statement_timeout', $2, false)",
    )
    .bind(super::ms(timeouts.lock))
    .bind(super::ms(timeouts.statement))
    .execute(&mut connection)
    .await?;
    if let Some(index) = ConcurrentIndex::of(&statement.text) {
        match valid(&mut connection, &index).await? {
            Some((true, _)) => return Ok(()),
            Some((false, name)) => {
                let drop = format!("drop index concurrently if exists {name}");
                sqlx::raw_sql(AssertSqlSafe(drop)).execute(&mut connection).await?;
            }
            None => {}
        }
    }
    sqlx::raw_sql(AssertSqlSafe(statement.text.as_str())).execute(&mut connection).await?;
    sqlx::Connection::close(connection).await
}

/// Whether the index is valid, and its qualified name; `None` when it does not exist.
#[cfg(feature = "postgres")]
async fn valid(
    connection: &mut PgConnection,
    index: &ConcurrentIndex,
) -> Result<Option<(bool, String)>, sqlx::Error> {
    let sql = "select i.indisvalid, quote_ident(n.nspname) || '.' || quote_ident(c.relname) \
               from pg_index i \
               join pg_class c on c.oid = i.indexrelid \
               join pg_namespace n on n.oid = c.relnamespace \
               where i.indrelid = to_regclass($1) and c.relname = (parse_ident($2))[1]";
    sqlx::query_as(sql).bind(&index.table).bind(&index.name).fetch_optional(connection).await
}

async fn record(
    session: &mut Session,
    engine: Engine,
    step: ScriptStep<'_>,
) -> Result<(), StoreError> {
    let sql = format!(
        "insert into crossfade_scripts (migration, script, position, digest, applied_ms) \
         values ($1, $2, $3, $4, {}) \
         on conflict (migration, script, position) do update set \
         digest = excluded.digest, applied_ms = excluded.applied_ms",
        engine.now_ms()
    );
    let args = args![step.migration.as_str(), step.script, step.position, step.digest];
    session.execute(&sql, args).await.doing("failed to record a script's step")?;
    Ok(())
}

fn plain(error: StoreError) -> StatementError {
    StatementError { error, offset: None }
}

fn failed(error: sqlx::Error) -> StatementError {
    let offset = position(&error).and_then(|position| position.checked_sub(1));
    StatementError { error: store_error(DOING, error), offset }
}
