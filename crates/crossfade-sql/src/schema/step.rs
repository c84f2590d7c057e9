//! Running one statement of a script and remembering that it was run.

use crossfade_store::{ScriptStep, Statement, StatementError, StepRun, StoreError, Timeouts};

use super::bound;
#[cfg(feature = "postgres")]
use super::detached;
use super::mapping::position;
use crate::error::{Doing, store_error};
use crate::session::Session;
use crate::value::{Value, args};
use crate::{Database, Engine, capture};

const DOING: &str = "failed to run a statement";

/// The script that may write Legacy while a capture keeps others from it.
const CONTRACT: &str = "contract";

pub(super) async fn run(
    database: &Database,
    step: ScriptStep<'_>,
    statement: &Statement,
    timeouts: Timeouts,
) -> Result<StepRun, StatementError> {
    let outcome = if statement.outside_transaction || commits(database.engine(), statement) {
        run_outside(database, step, statement, timeouts).await
    } else {
        run_inside(database, step, statement, timeouts).await
    };
    database.forget_shapes();
    outcome
}

/// Whether the statement commits by itself, as on MariaDB every one does that is not about rows.
fn commits(engine: Engine, statement: &Statement) -> bool {
    const ROWS: &[&str] = &["delete", "insert", "replace", "select", "update", "with"];
    let word = statement.text.split(|c: char| !c.is_ascii_alphabetic()).next().unwrap_or_default();
    engine.as_str() == "mysql" && !ROWS.iter().any(|rows| word.eq_ignore_ascii_case(rows))
}

/// The record comes first: of two operators the second waits for the first on its unique key, and
/// finds the step done instead of running the statement again.
async fn run_inside(
    database: &Database,
    step: ScriptStep<'_>,
    statement: &Statement,
    timeouts: Timeouts,
) -> Result<StepRun, StatementError> {
    let engine = database.engine();
    let mut session = database.begin().await.doing(DOING).map_err(plain)?;
    bound(&mut session, engine, timeouts).await.doing(DOING).map_err(plain)?;
    let (sql, args) = record(engine, step);
    if session.insert_new(&sql, RECORD_KEY, args).await.map_err(failed)? == 0 {
        let digest = recorded(&mut session, step).await.map_err(plain)?;
        session.rollback().await;
        return Ok(StepRun::DoneBefore { digest: digest.unwrap_or_default() });
    }
    // What contracting does to Legacy is no writer's bypass, whatever a capture does with those.
    if step.script == CONTRACT {
        capture::pass(database, &mut session, step.migration).await.map_err(failed)?;
    }
    session.pin_script(step.pinned).await.doing(DOING).map_err(plain)?;
    session.run_script(&statement.text).await.map_err(failed)?;
    session.commit().await.map_err(failed)?;
    Ok(StepRun::Ran)
}

/// A crash between statement and record runs the statement again, so scripts write such
/// statements with `if not exists`; the ones that build indexes need not.
async fn run_outside(
    database: &Database,
    step: ScriptStep<'_>,
    statement: &Statement,
    timeouts: Timeouts,
) -> Result<StepRun, StatementError> {
    match database.engine() {
        #[cfg(feature = "mysql")]
        Engine::Mysql => super::mariadb::run(database, step, statement, timeouts).await,
        #[cfg(feature = "postgres")]
        Engine::Postgres => detached::run(database, step, statement, timeouts).await,
        #[cfg(feature = "sqlite")]
        Engine::Sqlite => {
            let _ = timeouts;
            let mut session = database.session().await.map_err(failed)?;
            session.run_script(&statement.text).await.map_err(failed)?;
            let (sql, args) = record(database.engine(), step);
            session.insert_new(&sql, RECORD_KEY, args).await.map_err(failed)?;
            Ok(StepRun::Ran)
        }
    }
}

/// The digest with which the step was recorded.
pub(super) async fn recorded(
    session: &mut Session,
    step: ScriptStep<'_>,
) -> Result<Option<String>, StoreError> {
    let args = args![step.migration.as_str(), step.script, step.position];
    let row = session.fetch_one(RECORDED, args).await.doing("failed to look a script's step up")?;
    Ok(row.and_then(|row| row.opt_text(0)))
}

pub(super) const RECORDED: &str = "\
select digest from crossfade_scripts where migration = $1 and script = $2 and position = $3";

/// What a step is recorded by, once.
pub(super) const RECORD_KEY: &str = "(migration, script, position)";

/// The statement that records a step, which [`Session::insert_new`] runs.
pub(super) fn record(engine: Engine, step: ScriptStep<'_>) -> (String, Vec<Value>) {
    let sql = format!(
        "insert into crossfade_scripts (migration, script, position, digest, applied_ms) \
         values ($1, $2, $3, $4, {})",
        engine.now_ms()
    );
    (sql, args![step.migration.as_str(), step.script, step.position, step.digest])
}

pub(super) fn plain(error: StoreError) -> StatementError {
    StatementError { error, offset: None }
}

pub(super) fn failed(error: sqlx::Error) -> StatementError {
    let offset = position(&error).and_then(|position| position.checked_sub(1));
    let words = in_full(&error);
    let error = store_error(DOING, error);
    let error = match words {
        Some(words) => error.with_source(words),
        None => error,
    };
    StatementError { error, offset }
}

/// The database's words with what it says beside them. A detail may quote rows, so only errors of
/// scripts, which an operator runs, are told in full.
#[cfg(feature = "postgres")]
fn in_full(error: &sqlx::Error) -> Option<String> {
    let error = error.as_database_error()?.try_downcast_ref::<sqlx::postgres::PgDatabaseError>()?;
    let beside = [("detail", error.detail()), ("hint", error.hint())];
    let beside: Vec<String> = beside
        .into_iter()
        .filter_map(|(name, words)| Some(format!("{name}: {}", words?.replace('\n', "; "))))
        .collect();
    (!beside.is_empty()).then(|| format!("{} ({})", error.message(), beside.join("; ")))
}

/// SQLite says nothing beside its message.
#[cfg(not(feature = "postgres"))]
fn in_full(_: &sqlx::Error) -> Option<String> {
    None
}
