//! Write transactions that pass the fence.

use std::error::Error;
use std::fmt::Debug;
use std::time::Duration;

use async_trait::async_trait;
use crossfade_core::{Definition, Epoch, Key, KeyText, MigrationName, MigrationState};

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

/// What makes a write transaction one that commits at most once.
#[derive(Clone, Copy, Debug)]
pub struct Operation<'a> {
    /// Its id, unique in its migration: 1 to 128 bytes without control characters.
    pub id: &'a str,
    /// Tells this try from the others of the same operation.
    pub attempt: i64,
}

/// What an operation met when it began.
#[derive(Debug)]
pub enum Admission<Tx> {
    /// No transaction of this operation has committed, and none can while this one is open.
    First(Tx),
    /// One has. Nothing was begun.
    Repeated {
        /// The text of the key that it wrote.
        key: String,
        /// Which try it was.
        attempt: i64,
    },
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

    /// [`enter`](Self::enter), and records the operation in the same round trip, as part of the
    /// transaction. It waits for a transaction of the same operation that is still open.
    ///
    /// # Errors
    ///
    /// As `enter`.
    async fn enter_once(
        &self,
        entry: Entry<'_>,
        operation: Operation<'_>,
        lock_timeout: Option<Duration>,
    ) -> Result<Admission<Self::Tx>, EnterError>;

    /// Deletes the records of at most `at_most` operations that were begun longer ago than
    /// `older_than`, by the database's clock, without waiting for anybody. Returns how many.
    ///
    /// # Errors
    ///
    /// Kind `NotInstalled` where the control tables know no operations.
    async fn forget_operations(
        &self,
        older_than: Duration,
        at_most: u32,
    ) -> Result<u64, StoreError>;

    /// Begins a transaction that has entered no epoch yet.
    ///
    /// # Errors
    ///
    /// Whatever the database answers.
    async fn begin_unfenced(&self) -> Result<Self::Tx, StoreError>;

    /// Marks the place to [`step_back`](Self::step_back) to and enters the epoch, as
    /// [`enter`](Self::enter) does, in an open transaction and in one round trip. The epoch stays
    /// open until the transaction ends.
    ///
    /// # Errors
    ///
    /// As `enter`. The transaction is good for `step_back` and for nothing else.
    async fn join(
        &self,
        tx: &mut Self::Tx,
        entry: Entry<'_>,
        lock_timeout: Option<Duration>,
    ) -> Result<(), EnterError>;

    /// Undoes what was done since [`join`](Self::join), and nothing else.
    ///
    /// # Errors
    ///
    /// Whatever the database answers; the transaction is then lost as a whole.
    async fn step_back(&self, tx: &mut Self::Tx) -> Result<(), StoreError>;

    /// Makes what was done since [`join`](Self::join) part of the transaction, and lifts the bound
    /// on waits. Where a definition is given, constraints on its New table that would be checked at
    /// the commit are checked now, if the database can.
    ///
    /// # Errors
    ///
    /// Whatever the database answers, also where a statement since then has failed unnoticed. The
    /// transaction is good for `step_back` only.
    async fn settle(
        &self,
        tx: &mut Self::Tx,
        check_new: Option<&Definition>,
    ) -> Result<(), StoreError>;

    /// A number by which [`interrupt`](Self::interrupt) finds the transaction while it is open.
    /// `None` where it was begun without a bound on waits, or the database cannot interrupt.
    fn found_by(&self, tx: &Self::Tx) -> Option<u64>;

    /// Asks the database, on another connection, to end the statement that a transaction is
    /// carrying out; that statement then fails. Nothing happens where there is none.
    ///
    /// It has an effect until it returns. Dropped midway it may have one later, as long as the
    /// transaction is open.
    ///
    /// # Errors
    ///
    /// Whatever the database answers, and kind `Unavailable` where there is no connection to ask on.
    async fn interrupt(&self, number: u64) -> Result<(), StoreError>;

    /// Whether the transaction can be spoken to, and rolled back, after a future that used it was
    /// dropped midway. Where not, only dropping it is left.
    fn intact(&self, tx: &Self::Tx) -> bool;

    /// One migration's state as the transaction's own connection reads it. Another connection may
    /// not be there to be had while this one is held.
    ///
    /// # Errors
    ///
    /// Kind `NotFound` for an unknown name, and whatever the database answers.
    async fn state_within(
        &self,
        tx: &mut Self::Tx,
        name: &MigrationName,
    ) -> Result<MigrationState, StoreError>;

    /// What each key column makes of a text, by the types that the tables have now; `None` while
    /// there is no table to tell. Does not wait for connections that the application holds, where
    /// the engine has others.
    ///
    /// # Errors
    ///
    /// Whatever the database answers.
    async fn key_texts(&self, definition: &Definition) -> Result<Option<Vec<KeyText>>, StoreError>;

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

    /// Deletes New's row of a key that goes into quarantine, which is behind Legacy. Leaves it where
    /// it cannot be deleted, or not without rows of other tables.
    ///
    /// # Errors
    ///
    /// Whatever the database answers that ends the transaction.
    async fn delete_stale(
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

    /// What the database said, without the values that it quotes, for the quarantine's reason: found
    /// in the chain of sources, or the chain's own texts where the database said nothing.
    fn words(&self, error: &(dyn Error + 'static)) -> String;
}
