//! The control tables: migrations, epochs, instances, audit.

use std::time::Duration;

use async_trait::async_trait;
use crossfade_core::{Definition, Epoch, Facts, MigrationName, MigrationState, Stage};

use crate::{Changes, StoreError};

/// What [`ControlStore::register`] did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Registration {
    /// The migration is new and stands in `off`.
    Created,
    /// It was there and its definition was replaced.
    Updated,
    /// It was there with this definition.
    Unchanged,
}

/// A stage change to append.
#[derive(Clone, Debug)]
pub struct StageChange<'a> {
    /// The migration.
    pub migration: &'a MigrationName,
    /// The definition the decision was made about.
    pub definition: &'a Definition,
    /// The epoch the decision was made in. Another newest epoch means that somebody else won.
    pub from_epoch: Epoch,
    /// The stage it leaves.
    pub from: Stage,
    /// The stage it enters.
    pub to: Stage,
    /// Who changes it.
    pub actor: &'a str,
    /// Why.
    pub reason: &'a str,
}

/// A session that keeps an epoch from closing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EpochHolder {
    /// Process id of the session on the database server.
    pub pid: i64,
    /// Application name, user, client address, state and age of its transaction, as far as known.
    pub description: String,
}

/// What an instance says of itself, for one migration.
#[derive(Clone, Debug)]
pub struct Heartbeat<'a> {
    /// The instance's id, unique per process start.
    pub instance: &'a str,
    /// Version of the application or the SDK.
    pub version: &'a str,
    /// The migration.
    pub migration: &'a MigrationName,
    /// The newest epoch that no operation in flight is behind.
    pub acknowledged: Epoch,
    /// Whether a read used Legacy since the last heartbeat, and in which epoch.
    pub legacy_read_in: Option<Epoch>,
    /// How long the lease lasts from now.
    pub ttl: Duration,
}

/// An instance as the control tables show it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InstanceRecord {
    /// Its id.
    pub id: String,
    /// Its version.
    pub version: String,
    /// The epoch it acknowledged.
    pub acknowledged: Epoch,
    /// Milliseconds until its lease lapses; negative once it has.
    pub lease_left_ms: i64,
}

/// Something worth a line in the audit trail.
#[derive(Clone, Copy, Debug)]
pub struct AuditEntry<'a> {
    /// What was done, such as `stage`, `gate.refused`, `contract`.
    pub action: &'a str,
    /// The migration or flag it concerns.
    pub subject: &'a str,
    /// State before; empty where there is none.
    pub from: &'a str,
    /// State after; empty where there is none.
    pub to: &'a str,
    /// Who.
    pub actor: &'a str,
    /// Why.
    pub reason: &'a str,
}

/// A line of the audit trail.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuditRecord {
    /// Its number, from 1 without gaps.
    pub seq: i64,
    /// When, in milliseconds since 1970, by the database's clock.
    pub at_ms: i64,
    /// What was done.
    pub action: String,
    /// The migration or flag it concerns.
    pub subject: String,
    /// State before.
    pub from: String,
    /// State after.
    pub to: String,
    /// Who.
    pub actor: String,
    /// Why.
    pub reason: String,
    /// Whether its hash follows from its content and the line before it.
    pub intact: bool,
}

/// Reads and changes the control tables.
#[async_trait]
pub trait ControlStore: Changes {
    /// Brings the control tables up to date and returns the names of the versioned migrations
    /// that were applied. Running it again returns none.
    ///
    /// # Errors
    ///
    /// Kind `Invalid` when the tables were made by a newer version.
    async fn install(&self) -> Result<Vec<String>, StoreError>;

    /// Records the migration, in stage `off` when it is new. An existing one keeps its stage; its
    /// definition is replaced only where the rows move alike or the stage is `off`.
    ///
    /// # Errors
    ///
    /// Kind `Conflict` when the definition moves rows differently and the stage is past `off`.
    async fn register(
        &self,
        definition: &Definition,
        actor: &str,
    ) -> Result<Registration, StoreError>;

    /// Every migration.
    ///
    /// # Errors
    ///
    /// Kind `NotInstalled` before `install`.
    async fn migrations(&self) -> Result<Vec<MigrationState>, StoreError>;

    /// One migration.
    ///
    /// # Errors
    ///
    /// Kind `NotFound` for an unknown name; the hint lists the known ones.
    async fn migration(&self, name: &MigrationName) -> Result<MigrationState, StoreError>;

    /// What the control tables and the database know for a gate. `mapping_problems`,
    /// `new_has_rows`, `flag` and `approval` are left for the caller to fill in.
    ///
    /// # Errors
    ///
    /// Whatever the database answers.
    async fn facts(&self, state: &MigrationState) -> Result<Facts, StoreError>;

    /// Appends an epoch with its audit record and tells every instance, in one transaction.
    ///
    /// # Errors
    ///
    /// Kind `Conflict` when `from_epoch` is not the newest epoch, an epoch before it is open, or the
    /// stored definition moves rows differently from the one that was judged.
    async fn append_epoch(&self, change: StageChange<'_>) -> Result<Epoch, StoreError>;

    /// Closes `epoch` once its writers have left. Closing a closed epoch does nothing.
    ///
    /// # Errors
    ///
    /// Kind `LockTimeout` when writers stay longer than `lock_timeout`.
    async fn close_epoch(
        &self,
        migration: &MigrationName,
        epoch: Epoch,
        lock_timeout: Duration,
    ) -> Result<(), StoreError>;

    /// Who keeps `epoch` from closing. Empty where the database cannot tell.
    ///
    /// # Errors
    ///
    /// Whatever the database answers.
    async fn epoch_holders(
        &self,
        migration: &MigrationName,
        epoch: Epoch,
    ) -> Result<Vec<EpochHolder>, StoreError>;

    /// Ends the session of a holder, if it still holds `epoch`; its transaction is rolled back.
    /// Whether it did: a process id may belong to another session by now.
    ///
    /// # Errors
    ///
    /// Kind `Invalid` where the database has no such sessions.
    async fn terminate(
        &self,
        migration: &MigrationName,
        epoch: Epoch,
        holder: &EpochHolder,
    ) -> Result<bool, StoreError>;

    /// Renews an instance's lease.
    ///
    /// # Errors
    ///
    /// Whatever the database answers.
    async fn heartbeat(&self, beat: Heartbeat<'_>) -> Result<(), StoreError>;

    /// Ends an instance's leases, at a clean shutdown.
    ///
    /// # Errors
    ///
    /// Whatever the database answers.
    async fn sign_off(&self, instance: &str) -> Result<(), StoreError>;

    /// The instances that ever served the migration and whose lease lapsed less than a day ago.
    ///
    /// # Errors
    ///
    /// Whatever the database answers.
    async fn instances(&self, name: &MigrationName) -> Result<Vec<InstanceRecord>, StoreError>;

    /// Keys in quarantine with their reasons, at most `limit`, in key order.
    ///
    /// # Errors
    ///
    /// Whatever the database answers.
    async fn quarantine(
        &self,
        name: &MigrationName,
        limit: u32,
    ) -> Result<Vec<(String, String)>, StoreError>;

    /// Appends an audit record.
    ///
    /// # Errors
    ///
    /// Whatever the database answers.
    async fn audit(&self, entry: AuditEntry<'_>) -> Result<(), StoreError>;

    /// The newest `limit` audit records, newest first, each checked against the one before it.
    ///
    /// # Errors
    ///
    /// Whatever the database answers.
    async fn audit_trail(&self, limit: u32) -> Result<Vec<AuditRecord>, StoreError>;

    /// The database's clock, in milliseconds since 1970.
    ///
    /// # Errors
    ///
    /// Whatever the database answers.
    async fn now_ms(&self) -> Result<i64, StoreError>;
}
