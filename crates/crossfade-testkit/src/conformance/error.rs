//! What keeps the suite from its work, and what it tells repositories to fail with.

use std::error::Error;

use crossfade::{BuildError, Side, StoreError, UnknownMigration};
use crossfade_reconcile::{BackfillError, VerifyError};
use crossfade_schema::{ExpandError, ManifestError};

/// The suite could not be played. This says nothing about the pair.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConformanceError {
    /// The folder of the migration is not one.
    #[error("failed to read the migration's folder")]
    Manifest(#[from] ManifestError),
    /// The New table could not be made, or does not fit the mapping.
    #[error("failed to make the New table ready")]
    Expand(#[from] ExpandError),
    /// The application around the pair did not start.
    #[error("failed to start an application around the pair")]
    Build(#[from] BuildError),
    /// The story's migration is not there.
    #[error("failed to begin a story")]
    Unknown(#[from] UnknownMigration),
    /// Rows could not be copied.
    #[error("failed to backfill")]
    Backfill(#[from] BackfillError),
    /// Rows could not be compared.
    #[error("failed to compare both sides")]
    Verify(#[from] VerifyError),
    /// A side could not be read outside a write.
    #[error("failed to read the {side} side outside a write")]
    Get {
        /// The side.
        side: Side,
        /// What the repository answered.
        #[source]
        error: Box<dyn Error + Send + Sync>,
    },
    /// The database failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// What a side answers inside a write of the suite.
#[derive(Debug, thiserror::Error)]
pub(super) enum Told<E: Error + 'static> {
    #[error("the repository failed")]
    Side(#[source] E),
    #[error("the suite told it to fail")]
    Fail,
}

/// An error with all its sources, on one line.
pub(super) fn chain(error: &(dyn Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(source) = next {
        text.push_str(": ");
        text.push_str(&source.to_string());
        next = source.source();
    }
    text
}
