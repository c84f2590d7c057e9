//! Word that the control tables changed.

use std::fmt::Debug;

use async_trait::async_trait;

use crate::StoreError;

/// Tells when to look at the control tables again.
#[async_trait]
pub trait Changes: Send + Sync + Debug {
    /// Waits until something in the control tables may have changed since the answer `seen`, and
    /// returns the new answer. With 0 it returns at once. Pushed by LISTEN/NOTIFY where the
    /// database has it, answered after the poll interval elsewhere.
    ///
    /// A caller that loads after each answer misses nothing:
    /// `loop { seen = store.changed(seen).await?; load().await?; }`
    ///
    /// # Errors
    ///
    /// Kind `Unavailable` when the database cannot be listened to; wait and try again.
    async fn changed(&self, seen: u64) -> Result<u64, StoreError>;
}
