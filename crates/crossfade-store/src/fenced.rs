//! Write transactions that pass the fence.

use std::error::Error;
use std::fmt::Debug;
use std::time::Duration;

use async_trait::async_trait;
use crossfade_core::{Definition, Epoch, Key, MigrationName};

use crate::{Failure, StoreError};

/// What a write transaction declares when it begins.
#[derive(Clone, Copy, Debug)]
pub struct Entry<'a> {
    /// The migration it writes under.
    pub migration: &'a MigrationName,
    /// The epoch it believes to be the newest.
    pub epoch: Epoch,
    /// The key it will touch; everything that touches a key is ordered by it.
    pub key: &'a Key,
}

/// Why a write transaction could not begin.
#[derive(Debug, thiserror::Error)]
pub enum EnterError {
    /// The epoch is closed, or is being closed at this moment. Nothing was written; look up the
    /// newest epoch and try again.
    #[error("the epoch is closed")]
    Closed,
    /// The database did not let the transaction begin.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Why a commit gave no clear answer.
#[derive(Debug, thiserror::Error)]
pub enum CommitError {
    /// The connection was lost after COMMIT was sent: both sides hold the write, or neither.
    #[error("the connection was lost at commit, so the outcome is unknown")]
    Unknown(#[source] StoreError),
    /// The database rolled the transaction back, and it may succeed when tried again.
    #[error("the transaction was rolled back at commit")]
    Transient(#[source] StoreError),
    /// The database refused the commit; neither side holds the write.
    #[error("the transaction was refused at commit")]
    Refused(#[source] StoreError),
}

/// Begins, ends and classifies fenced write transactions.
///
/// # Cancel safety
///
/// Dropping any future of this trait midway, or dropping a `Tx`, leaves nothing behind: the
/// connection is closed or rolled back before anyone else gets it.
#[async_trait]
pub trait FencedStore: Send + Sync + Debug + 'static {
    /// An open transaction. Dropping it undoes it.
    type Tx: Send + 'static;

    /// Begins a transaction and enters the epoch in the same round trip. While the transaction
    /// is open the epoch cannot be closed. `lock_timeout` bounds each wait for a lock in it, where
    /// New must not hold Legacy up; `None` leaves the connection's own bound.
    ///
    /// # Errors
    ///
    /// [`EnterError::Closed`] when the epoch is closed or about to be.
    async fn enter(
        &self,
        entry: Entry<'_>,
        lock_timeout: Option<Duration>,
    ) -> Result<Self::Tx, EnterError>;

    /// Deletes the key's row on New.
    ///
    /// # Errors
    ///
    /// Whatever the database answers.
    async fn remove_new(
        &self,
        tx: &mut Self::Tx,
        definition: &Definition,
        key: &Key,
    ) -> Result<(), StoreError>;

    /// Puts the key into quarantine with the reason; a later reason replaces an earlier one.
    ///
    /// # Errors
    ///
    /// Whatever the database answers.
    async fn put_into_quarantine(
        &self,
        tx: &mut Self::Tx,
        entry: Entry<'_>,
        reason: &str,
    ) -> Result<(), StoreError>;

    /// Takes the key out of quarantine.
    ///
    /// # Errors
    ///
    /// Whatever the database answers.
    async fn release_from_quarantine(
        &self,
        tx: &mut Self::Tx,
        entry: Entry<'_>,
    ) -> Result<(), StoreError>;

    /// Commits.
    ///
    /// # Errors
    ///
    /// See [`CommitError`].
    async fn commit(&self, tx: Self::Tx) -> Result<(), CommitError>;

    /// Rolls back and gives the connection back. A failure closes the connection instead, which
    /// rolls back as well.
    async fn rollback(&self, tx: Self::Tx);

    /// What an error of the application's own code means for the transaction, found by looking
    /// through its chain of sources.
    fn classify(&self, error: &(dyn Error + 'static)) -> Failure;

    /// What the database said, for the quarantine's reason: found in the chain of sources, or the
    /// chain's own texts where the database said nothing.
    fn words(&self, error: &(dyn Error + 'static)) -> String;
}
