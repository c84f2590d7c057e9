//! Tables and statements that change them.

use std::fmt::{self, Debug};
use std::time::Duration;

use async_trait::async_trait;
use crossfade_core::{Definition, MigrationName, Pinned, TableName};

use crate::{StoreError, StoreErrorKind};

/// Bounds on one statement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timeouts {
    /// Longest wait for a lock.
    pub lock: Duration,
    /// Longest run of the statement.
    pub statement: Duration,
}

/// One statement of a script.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Statement {
    /// Its text, without the closing semicolon.
    pub text: String,
    /// Whether the database runs it outside a transaction only, as `create index concurrently`.
    pub outside_transaction: bool,
}

/// Which statement of which script: what makes running a script again harmless.
#[derive(Clone, Copy, Debug)]
pub struct ScriptStep<'a> {
    /// The migration.
    pub migration: &'a MigrationName,
    /// `expand` or `contract`.
    pub script: &'a str,
    /// Position of the statement in the script, from 0.
    pub position: u32,
    /// Hash of the statement's text.
    pub digest: &'a str,
    /// What the statement runs with.
    pub pinned: &'a Pinned,
}

/// What a session that expands runs with, and where that comes from.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Surroundings {
    /// The settings, to be pinned.
    pub pinned: Pinned,
    /// Where the time zone is set, as a fragment: `the database`. Empty where there is no zone.
    pub zone_source: &'static str,
    /// Whether the time zone is a guess, since this role may not read where it is set.
    pub zone_assumed: bool,
}

/// What became of a step that was to be run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StepRun {
    /// It was run and recorded.
    Ran,
    /// Somebody else had run and recorded it by the time it was this call's turn.
    DoneBefore {
        /// Hash of the statement that was run.
        digest: String,
    },
    /// Somebody else runs a statement of the same script that no transaction holds, and has done
    /// so for this long. Nothing was run.
    Busy {
        /// How long that was waited for.
        waited: Duration,
    },
}

/// A reason why a definition does not fit the database.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// What is wrong, as a fragment.
    pub message: String,
    /// What it is about.
    pub about: About,
}

/// What a [`Problem`] is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum About {
    /// Legacy, or a column of it that the definition names, is not there. Expanding does not help.
    MissingOnLegacy,
    /// The mapping's text, with line and column, both from 1, where one place is to blame.
    Mapping(Option<(usize, usize)>),
    /// How tables, keys and mapping fit together.
    Fit,
}

impl Problem {
    /// Something that the definition names and Legacy lacks.
    #[must_use]
    pub fn missing_on_legacy(message: impl Into<String>) -> Self {
        Self { message: message.into(), about: About::MissingOnLegacy }
    }

    /// Something in the mapping's text, at this line and column.
    #[must_use]
    pub fn in_mapping(message: impl Into<String>, place: Option<(usize, usize)>) -> Self {
        Self { message: message.into(), about: About::Mapping(place) }
    }
}

impl From<String> for Problem {
    fn from(message: String) -> Self {
        Self { message, about: About::Fit }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)?;
        match self.about {
            About::Mapping(Some((line, column))) => {
                write!(f, " at line {line}, column {column} of the mapping")
            }
            About::Mapping(None) | About::MissingOnLegacy | About::Fit => Ok(()),
        }
    }
}

/// A statement that failed.
#[derive(Debug, thiserror::Error)]
#[error("{error}")]
pub struct StatementError {
    /// What the database said.
    #[source]
    pub error: StoreError,
    /// The position in the statement's text that the database points at, in characters from 0.
    pub offset: Option<usize>,
}

impl StatementError {
    /// The kind of the underlying error.
    #[must_use]
    pub fn kind(&self) -> StoreErrorKind {
        self.error.kind
    }
}

/// Inspects tables and runs scripts.
#[async_trait]
pub trait SchemaStore: Send + Sync + Debug {
    /// Moves each counter of New that is at or below the greatest value of its column beyond it,
    /// with room for values that are written meanwhile. Returns the statements that were run.
    ///
    /// # Errors
    ///
    /// Whatever the database answers. Counters that were moved stay moved.
    async fn advance_sequences(&self, definition: &Definition) -> Result<Vec<String>, StoreError>;

    /// The engine's name, as in `expand.NAME.sql`: `mysql`, `postgres` or `sqlite`.
    fn engine(&self) -> &'static str;

    /// The search path and the time zone that this role's sessions have by the database's own
    /// settings, whatever the driver asks for when it connects.
    ///
    /// # Errors
    ///
    /// Whatever the database answers.
    async fn surroundings(&self) -> Result<Surroundings, StoreError>;

    /// The table with its schema, as the pinned search path finds it; `None` when it does not
    /// exist. Unchanged where a name without schema can mean one table only: on MariaDB that of
    /// the control tables' database, on SQLite that of the file.
    ///
    /// # Errors
    ///
    /// Kind `Invalid` for a schema whose name is not a plain identifier.
    async fn resolve(
        &self,
        table: &TableName,
        pinned: &Pinned,
    ) -> Result<Option<TableName>, StoreError>;

    /// Whether New has rows; `None` when it does not exist.
    ///
    /// # Errors
    ///
    /// Whatever the database answers.
    async fn new_has_rows(&self, definition: &Definition) -> Result<Option<bool>, StoreError>;

    /// Every reason why the definition does not fit the database: missing tables or key columns,
    /// key types that differ, no unique key on New, a mapping that does not parse or whose columns
    /// do not match New, columns to be dropped that Legacy does not have. Empty when it fits.
    ///
    /// # Errors
    ///
    /// Only when the database cannot be asked.
    async fn definition_problems(
        &self,
        definition: &Definition,
    ) -> Result<Vec<Problem>, StoreError>;

    /// Whether the step was recorded as done, and with which digest.
    ///
    /// # Errors
    ///
    /// Whatever the database answers.
    async fn step_done(&self, step: ScriptStep<'_>) -> Result<Option<String>, StoreError>;

    /// Runs the statement within its bounds and records the step, in one transaction where the
    /// statement allows it. Of two that run the same step at once, one runs it and the other
    /// finds it done.
    ///
    /// # Errors
    ///
    /// Kind `LockTimeout` when a lock was not had in time, `StatementTimeout` when the statement
    /// did not end in time; nothing was changed.
    async fn run_step(
        &self,
        step: ScriptStep<'_>,
        statement: &Statement,
        timeouts: Timeouts,
    ) -> Result<StepRun, StatementError>;

    /// The rights on Legacy that [`revoke_legacy`](Self::revoke_legacy) would take away. Changes
    /// nothing.
    ///
    /// # Errors
    ///
    /// Whatever the database answers.
    async fn legacy_grants(&self, definition: &Definition) -> Result<Vec<String>, StoreError>;

    /// Takes every right on Legacy away from everybody but its owner, so that use that nobody
    /// knew of fails while the rows are still there. Returns what was taken; nothing where the
    /// database has no rights or only columns of Legacy go. On MariaDB, which has no owners, the
    /// user who asks is left out, and rights on a whole database or server stay.
    ///
    /// # Errors
    ///
    /// Kind `Database` when a right cannot be taken away, as by a user who does not own Legacy;
    /// then all are left as they were, but on MariaDB, where the message names those that are gone.
    async fn revoke_legacy(&self, definition: &Definition) -> Result<Vec<String>, StoreError>;

    /// Deletes every row of New. Only called in stage `off`.
    ///
    /// # Errors
    ///
    /// Kind `LockTimeout` when a lock was not had in time.
    async fn truncate_new(
        &self,
        definition: &Definition,
        timeouts: Timeouts,
    ) -> Result<(), StoreError>;
}
