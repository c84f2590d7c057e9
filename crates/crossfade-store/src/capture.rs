//! Writers that go around the SDK: what becomes of their writes, and the keys that they leave dirty.

use std::fmt::Debug;
use std::time::Duration;

use async_trait::async_trait;
use crossfade_core::{CaptureMode, Key, MigrationState};

use crate::{EnterError, StoreError, Timeouts};

/// A capture as it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Capture {
    /// What it does.
    pub mode: CaptureMode,
    /// Since when, in milliseconds since 1970, by the database's clock.
    pub since_ms: i64,
    /// Whether its triggers are there, switched on, and those of this version and definition.
    pub in_place: bool,
}

/// A writer that went around the SDK.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bypass {
    /// The database's user.
    pub writer: String,
    /// The application's name as its connections give it; empty where the database does not tell.
    pub application: String,
    /// What it did: `insert`, `update`, `delete` or `truncate`.
    pub operation: String,
    /// Rows that it did it to; statements where it is `truncate`.
    pub writes: u64,
    /// When it was seen first, in milliseconds since 1970.
    pub first_ms: i64,
    /// When it was seen last.
    pub last_ms: i64,
}

/// How much waits in the journal.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Journal {
    /// Keys.
    pub keys: u64,
    /// How long the one that has waited longest has done so; `None` when it is empty.
    pub oldest: Option<Duration>,
}

/// A key whose New side may be behind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DirtyKey {
    /// The key.
    pub key: Key,
    /// Its text as the journal holds it, by which the journal is ordered.
    pub text: String,
    /// The number of the write that it was marked by. No number is given twice, so a mark of this
    /// number is that very mark, and a later write has left another.
    pub version: i64,
}

/// What became of a journaled key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Cleaned {
    /// New is equal to the mapped Legacy row, and the mark that was read is gone. A later one stays.
    Equal,
    /// New refuses the row: the key is in quarantine, and the mark that was read is gone.
    Quarantined {
        /// What the database said.
        reason: String,
    },
    /// The mark that was read was gone already, by another worker or a later write. Nothing was
    /// done.
    Gone,
}

/// A change of a capture.
#[derive(Clone, Copy, Debug)]
pub struct CaptureChange<'a> {
    /// The migration.
    pub state: &'a MigrationState,
    /// The mode before, for the audit trail.
    pub from: Option<CaptureMode>,
    /// The mode to go to; `None` takes the capture away.
    pub to: Option<CaptureMode>,
    /// Who asks.
    pub actor: &'a str,
    /// Why.
    pub reason: &'a str,
}

/// Installs triggers on Legacy, and keeps the journal.
#[async_trait]
pub trait CaptureStore: Send + Sync + Debug {
    /// The statements by which [`change_capture`](Self::change_capture) would go to `to`. Changes
    /// nothing.
    ///
    /// # Errors
    ///
    /// Kind `Invalid` where the engine, or the Legacy table, cannot be captured in this mode.
    async fn capture_plan(
        &self,
        state: &MigrationState,
        to: Option<CaptureMode>,
    ) -> Result<Vec<String>, StoreError>;

    /// Puts the triggers of a mode in place of those that are there, and leaves an audit record.
    /// Every writer that began under the old ones has ended by then, and none sees a mixture.
    ///
    /// # Errors
    ///
    /// As [`capture_plan`](Self::capture_plan); kind `LockTimeout` when Legacy was not had in time,
    /// with nothing changed.
    ///
    /// # Cancel safety
    ///
    /// On PostgreSQL all of it happens or nothing. On MariaDB, dropped midway, some triggers may be
    /// the new ones; calling it again finishes.
    async fn change_capture(
        &self,
        change: CaptureChange<'_>,
        timeouts: Timeouts,
    ) -> Result<(), StoreError>;

    /// The capture of a migration; `None` when there is none.
    ///
    /// # Errors
    ///
    /// Whatever the database answers.
    async fn capture(&self, state: &MigrationState) -> Result<Option<Capture>, StoreError>;

    /// The writers that the capture has seen, those with most writes first.
    ///
    /// # Errors
    ///
    /// Whatever the database answers.
    async fn bypasses(&self, state: &MigrationState) -> Result<Vec<Bypass>, StoreError>;

    /// How much waits in the journal.
    ///
    /// # Errors
    ///
    /// Whatever the database answers.
    async fn journal(&self, state: &MigrationState) -> Result<Journal, StoreError>;

    /// At most `limit` keys of the journal behind the text `after`, in the order of their texts.
    /// Locks nothing.
    ///
    /// # Errors
    ///
    /// Kind `Invalid` for a text that is no key of the migration.
    async fn dirty_keys(
        &self,
        state: &MigrationState,
        after: Option<&str>,
        limit: u32,
    ) -> Result<Vec<DirtyKey>, StoreError>;

    /// Makes New equal to the mapped Legacy row of a dirty key as
    /// [`repair`](crate::ReconcileStore::repair) does, and takes the mark that was read away in the
    /// same transaction. It takes the Legacy row before the mark, as writers do.
    ///
    /// # Errors
    ///
    /// [`EnterError::Closed`] when the epoch was closed; kind `LockTimeout` when a writer holds the
    /// row.
    ///
    /// # Cancel safety
    ///
    /// Row and mark change together, or neither does.
    async fn clean(&self, state: &MigrationState, dirty: &DirtyKey) -> Result<Cleaned, EnterError>;
}
