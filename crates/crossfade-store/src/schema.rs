//! Tables and statements that change them.

use std::fmt::Debug;
use std::time::Duration;

use async_trait::async_trait;
use crossfade_core::{Definition, MigrationName};

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
    /// The engine's name, as in `expand.NAME.sql`: `postgres` or `sqlite`.
    fn engine(&self) -> &'static str;

    /// Whether New has rows; `None` when it does not exist.
    ///
    /// # Errors
    ///
    /// Whatever the database answers.
    async fn new_has_rows(&self, definition: &Definition) -> Result<Option<bool>, StoreError>;

    /// Every reason why the definition does not fit the database: missing tables or key columns,
    /// key types that differ, no unique key on New, a mapping that does not parse or whose columns
    /// do not match New. Empty when it fits.
    ///
    /// # Errors
    ///
    /// Only when the database cannot be asked.
    async fn definition_problems(&self, definition: &Definition)
    -> Result<Vec<String>, StoreError>;

    /// Whether the step was recorded as done, and with which digest.
    ///
    /// # Errors
    ///
    /// Whatever the database answers.
    async fn step_done(&self, step: ScriptStep<'_>) -> Result<Option<String>, StoreError>;

    /// Runs the statement within its bounds and records the step, in one transaction where the
    /// statement allows it.
    ///
    /// # Errors
    ///
    /// Kind `LockTimeout` when a lock was not had in time; nothing was changed.
    async fn run_step(
        &self,
        step: ScriptStep<'_>,
        statement: &Statement,
        timeouts: Timeouts,
    ) -> Result<(), StatementError>;

    /// Takes every right on Legacy away from everybody but its owner, so that use that nobody
    /// knew of fails while the rows are still there. Returns what was taken; nothing where the
    /// database has no rights or only columns of Legacy go.
    ///
    /// # Errors
    ///
    /// Whatever the database answers.
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
