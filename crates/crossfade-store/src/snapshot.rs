//! Reading both sides as they were at one moment.

use async_trait::async_trait;

use crate::{FencedStore, Lent, StoreError};

/// Begins transactions that read one snapshot of both sides.
#[async_trait]
pub trait SnapshotStore: FencedStore {
    /// What a side's repository reads through: connections as they come, or one transaction.
    type Reader: Send + 'static;

    /// A reader outside any transaction.
    fn reader(&self) -> Self::Reader;

    /// A reader in a transaction, which it gives back when it is dropped.
    fn reader_in(&self, tx: Lent<Self::Tx>) -> Self::Reader;

    /// Begins a transaction that only reads, and sees the same rows however often it looks. It is
    /// ended by [`FencedStore::rollback`], and dropping it is as safe.
    ///
    /// # Errors
    ///
    /// Kind `Unavailable` when too many are open already, which is never waited for; else whatever
    /// the database answers.
    ///
    /// # Cancel safety
    ///
    /// Nothing is left behind.
    async fn snapshot(&self) -> Result<Self::Tx, StoreError>;
}
