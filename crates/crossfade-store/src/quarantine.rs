//! The entries of the quarantine, page by page.

use std::fmt::Debug;

use async_trait::async_trait;
use crossfade_core::MigrationName;

use crate::StoreError;

/// A key whose row New or the mapping refuses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Quarantined {
    /// The key as the control tables hold it; [`Key::from_text`](crossfade_core::Key::from_text)
    /// reads it.
    pub key: String,
    /// What the database said, without the values that it quoted.
    pub reason: String,
    /// When it was put there last, in milliseconds since 1970, by the database's clock.
    pub marked_ms: i64,
}

/// Lists keys in quarantine.
#[async_trait]
pub trait QuarantineStore: Send + Sync + Debug {
    /// The entries after the key `after`, at most `limit`, in the order of the keys' texts.
    ///
    /// # Errors
    ///
    /// Whatever the database answers.
    async fn quarantine_page(
        &self,
        name: &MigrationName,
        after: Option<&str>,
        limit: u32,
    ) -> Result<Vec<Quarantined>, StoreError>;
}
