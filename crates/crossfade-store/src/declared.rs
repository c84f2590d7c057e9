//! Writes whose statements are declared before they are used.

use std::error::Error;
use std::fmt::Debug;

use async_trait::async_trait;
use crossfade_core::{AtOnce, MigrationState, Side};

use crate::{Entry, FencedStore, StoreError};

/// How the writes of a declared pair of statements travel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Travels {
    /// Fence, Legacy and New in one statement, where the stage has both sides written or neither.
    OneStatement,
    /// In a transaction, as any other write.
    Transaction {
        /// Why not in one statement.
        because: String,
    },
}

/// Why a write was not carried out in one statement.
#[derive(Debug, thiserror::Error)]
pub enum AtOnceError {
    /// The epoch is closed, or is being closed at this moment. Nothing was written.
    #[error("the epoch is closed")]
    Closed,
    /// It cannot be, or the database refused it. Nothing was written; a transaction will do, or
    /// tell which side is to blame.
    #[error("the write needs a transaction")]
    NeedsTransaction,
    /// The connection was lost after the statement was sent: every side holds the write, or none.
    #[error("the connection was lost, so the outcome is unknown")]
    Unknown(#[source] StoreError),
    /// The database could not be reached. Nothing was written.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Takes a value for the next parameter of a statement.
pub trait Bind<T> {
    /// Binds it.
    fn bind(&mut self, value: T);
}

/// Knows pairs of statements, and carries them out.
///
/// # Cancel safety
///
/// Dropping a future of this trait midway leaves nothing on a connection that anyone else gets.
/// Whether a statement that was sent by [`at_once`](Self::at_once) is carried out is then unknown.
#[async_trait]
pub trait DeclaredStore: FencedStore {
    /// A pair of statements that fits the migration. Cheap to clone.
    type Declared: Clone + Debug + Send + Sync + 'static;

    /// Such a pair and the values of one write.
    type Bound<'q>: Debug + Send + Sync;

    /// What a statement of the application's fails with.
    type RunError: Error + Send + Sync + 'static;

    /// Looks whether two statements fit the migration and each other.
    ///
    /// # Errors
    ///
    /// Kind `Invalid` where they do not, with a hint.
    async fn declare(
        &self,
        state: &MigrationState,
        legacy: &str,
        new: &str,
    ) -> Result<Self::Declared, StoreError>;

    /// How writes of the pair travel.
    fn travels(&self, declared: &Self::Declared) -> Travels;

    /// The pair without values.
    fn bound<'q>(&self, declared: &Self::Declared) -> Self::Bound<'q>;

    /// Whether there is a value for each parameter.
    ///
    /// # Errors
    ///
    /// Kind `Invalid` where there are fewer or more.
    fn check_bound(&self, bound: &Self::Bound<'_>) -> Result<(), StoreError>;

    /// Enters the epoch, locks the key and writes, in one statement, and returns how many rows it
    /// touched on `answer`.
    ///
    /// # Errors
    ///
    /// See [`AtOnceError`].
    async fn at_once(
        &self,
        bound: &Self::Bound<'_>,
        entry: Entry<'_>,
        sides: AtOnce,
        answer: Side,
    ) -> Result<u64, AtOnceError>;

    /// Writes one side in a transaction, and returns how many rows it touched.
    ///
    /// # Errors
    ///
    /// The database's own.
    async fn run_side(
        &self,
        bound: &Self::Bound<'_>,
        side: Side,
        tx: &mut Self::Tx,
    ) -> Result<u64, Self::RunError>;
}
