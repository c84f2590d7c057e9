//! Running a script, one bounded statement at a time.

use std::path::PathBuf;
use std::time::Duration;

use crossfade_core::{Backoff, Definition};
use crossfade_store::{
    SchemaStore, ScriptStep, StatementError, StepRun, StoreError, StoreErrorKind, Timeouts,
};
use tokio::time::{Instant, sleep};

use crate::{Script, ScriptStatement, script::Position, words::has};

/// Tries for a lock: 30, and the pauses between them.
const TRIES: Backoff = Backoff::new(Duration::from_millis(200), Duration::from_secs(20), 30);

/// How long one statement may be tried for.
const OVERALL: Duration = Duration::from_secs(10 * 60);

/// Bounds on a statement that may hold others up: 500 ms for a lock, 5 s in all.
pub const DEFAULT_TIMEOUTS: Timeouts =
    Timeouts { lock: Duration::from_millis(500), statement: Duration::from_secs(5) };

/// Longest run of a statement that works beside readers and writers.
const LONG: Duration = Duration::from_secs(60 * 60);

/// Whether a script is run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// It is run.
    Run,
    /// What would be run is told, and nothing is changed.
    Plan,
}

/// What became of a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StepOutcome {
    /// It was run now.
    Ran,
    /// It was recorded as done before.
    AlreadyDone,
    /// It would be run.
    Planned,
}

/// One step of a script.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StepReport {
    /// The line of the statement, from 1.
    pub line: usize,
    /// The statement.
    pub text: String,
    /// Its bounds.
    pub timeouts: Timeouts,
    /// What became of it.
    pub outcome: StepOutcome,
}

/// Why a script was not run to its end. The steps before the one that failed stay done.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The statement was recorded as done with another text.
    #[error("{}:{line}: statement {} was run before with another text", path.display(), position + 1)]
    Changed {
        /// The file.
        path: PathBuf,
        /// The line.
        line: usize,
        /// Its position in the script, from 0.
        position: u32,
    },
    /// The statement failed.
    #[error("{}:{line}:{column}: the statement failed", path.display())]
    Statement {
        /// The file.
        path: PathBuf,
        /// The line that the database points at, else that of the statement.
        line: usize,
        /// The column that the database points at, else that of the statement.
        column: usize,
        /// What the database said.
        #[source]
        error: StatementError,
    },
    /// The statement did not end within its bound. It is not tried again: each try may hold
    /// others up for as long.
    #[error("{}:{line}: the statement did not end within {bound:.0?}", path.display())]
    TooSlow {
        /// The file.
        path: PathBuf,
        /// The line.
        line: usize,
        /// How long it was given.
        bound: Duration,
        /// What the database said.
        #[source]
        error: StatementError,
    },
    /// Another session runs a statement of the same script outside a transaction.
    #[error("{}:{line}: another session runs this script, and did so for {waited:.0?}", path.display())]
    Busy {
        /// The file.
        path: PathBuf,
        /// The line.
        line: usize,
        /// For how long it was waited for.
        waited: Duration,
    },
    /// A lock was not had, however often it was tried.
    #[error("{}:{line}: no lock was had in {tries} tries over {waited:.0?}", path.display())]
    LockTimeout {
        /// The file.
        path: PathBuf,
        /// The line.
        line: usize,
        /// How often it was tried.
        tries: u32,
        /// For how long.
        waited: Duration,
        /// What the database said.
        #[source]
        error: StatementError,
    },
    /// The database failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl RunError {
    /// What to do about it, where something can be said.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Changed { .. } => Some(
                "a statement that was run is not run again; put its text back and add the change \
                 as a new statement at the end"
                    .into(),
            ),
            Self::Statement { error, .. } => error.error.hint.clone().or_else(|| {
                Some("nothing of this statement remains; mend it and run the command again".into())
            }),
            Self::TooSlow { error, .. } if error.error.hint.is_some() => error.error.hint.clone(),
            Self::TooSlow { .. } => Some(
                "nothing of this statement remains; let it work in smaller steps (`concurrently`, \
                 `not valid` and then `validate constraint`) or set a longer `max_execution_time`"
                    .into(),
            ),
            Self::Busy { .. } => Some(
                "wait until it has ended (the statement may go on after its command was killed), \
                 then run the command again"
                    .into(),
            ),
            Self::LockTimeout { .. } => Some(
                "a long transaction holds the table; end it or wait, then run the command again"
                    .into(),
            ),
            Self::Store(error) => error.hint.clone(),
        }
    }
}

/// Runs the statements of a script that were not run before, in order, and records each. They run
/// with what was pinned for `definition`.
///
/// `bounds` hold for each statement, but one that works beside readers and writers
/// (`concurrently`, `validate constraint`) may take an hour.
///
/// # Errors
///
/// See [`RunError`].
///
/// # Cancel safety
///
/// A statement and its record are one transaction where the database allows it. Dropped midway,
/// the next call goes on with the first statement that is not recorded.
pub async fn run_script(
    store: &dyn SchemaStore,
    definition: &Definition,
    script: &Script,
    bounds: Timeouts,
    mode: Mode,
) -> Result<Vec<StepReport>, RunError> {
    let Definition { name: migration, pinned, .. } = definition;
    let mut reports = Vec::with_capacity(script.statements.len());
    for (position, statement) in (0..).zip(&script.statements) {
        let digest = statement.digest();
        let name = script.purpose.as_str();
        let step = ScriptStep { migration, script: name, position, digest: &digest, pinned };
        let timeouts = timeouts_of(statement, bounds);
        let outcome = match (store.step_done(step).await?, mode) {
            (Some(done), _) if done == digest => StepOutcome::AlreadyDone,
            (Some(_), _) => {
                let (path, line) = (script.path.clone(), statement.line);
                return Err(RunError::Changed { path, line, position });
            }
            (None, Mode::Plan) => StepOutcome::Planned,
            (None, Mode::Run) => run_step(store, script, statement, step, timeouts).await?,
        };
        let (line, text) = (statement.line, statement.text.clone());
        reports.push(StepReport { line, text, timeouts, outcome });
    }
    Ok(reports)
}

fn timeouts_of(statement: &ScriptStatement, bounds: Timeouts) -> Timeouts {
    let long = statement.is_concurrent() || has(&statement.words(), &["validate", "constraint"]);
    Timeouts { statement: if long { LONG } else { bounds.statement }, ..bounds }
}

async fn run_step(
    store: &dyn SchemaStore,
    script: &Script,
    statement: &ScriptStatement,
    step: ScriptStep<'_>,
    timeouts: Timeouts,
) -> Result<StepOutcome, RunError> {
    let runnable = statement.to_statement();
    let (path, line) = (script.path.clone(), statement.line);
    let started = Instant::now();
    let mut tries = 0;
    loop {
        let error = match store.run_step(step, &runnable, timeouts).await {
            Ok(StepRun::Ran) => {
                tracing::info!(script = step.script, line, "statement done");
                return Ok(StepOutcome::Ran);
            }
            Ok(StepRun::DoneBefore { digest }) if digest == step.digest => {
                return Ok(StepOutcome::AlreadyDone);
            }
            Ok(StepRun::DoneBefore { .. }) => {
                return Err(RunError::Changed { path, line, position: step.position });
            }
            Ok(StepRun::Busy { waited }) => return Err(RunError::Busy { path, line, waited }),
            Err(error) => error,
        };
        if error.kind() == StoreErrorKind::StatementTimeout {
            return Err(RunError::TooSlow { path, line, bound: timeouts.statement, error });
        }
        if error.kind() != StoreErrorKind::LockTimeout {
            let Position { line, column } =
                script.position_in(statement, error.offset.unwrap_or(0));
            return Err(RunError::Statement { path, line, column, error });
        }
        tries += 1;
        let waited = started.elapsed();
        match TRIES.wait(tries, rand::random()) {
            Some(wait) if waited + wait < OVERALL => {
                tracing::warn!(script = step.script, line, tries, "no lock yet; trying again");
                sleep(wait).await;
            }
            _ => return Err(RunError::LockTimeout { path, line, tries, waited, error }),
        }
    }
}
