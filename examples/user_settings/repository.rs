//! The application's own repository trait, and what can go wrong behind it.

use async_trait::async_trait;
use crossfade::{ReadError, StoreError, WriteError, WrongEngine};

use super::{
    dual::update,
    settings::{Changes, Settings},
};

/// Where the settings of users are kept.
///
/// The application's own trait as it was before, with marks. Each side implements it, and so does
/// the wrapper around the pair, `DualSettings`, which the attribute writes.
#[crossfade::repository(dual = DualSettings)]
#[async_trait]
pub(crate) trait UserSettingsRepository: Send + Sync {
    /// The settings of a user; `None` for a user who has none.
    #[read(key = user, compare)]
    async fn get(&self, user: i64) -> Result<Option<Settings>, RepositoryError>;

    /// Stores the settings of a user, whether or not there were any.
    #[write(key = user)]
    async fn put(&self, user: i64, settings: &Settings) -> Result<(), RepositoryError>;

    /// Changes some of them and returns the outcome.
    #[custom(update)]
    async fn update(&self, user: i64, changes: &Changes) -> Result<Settings, RepositoryError>;

    /// Forgets the settings of a user.
    #[delete(key = user)]
    async fn delete(&self, user: i64) -> Result<(), RepositoryError>;
}

/// Why the repository did not do what it was asked to.
///
/// The variants are not `#[error(transparent)]`: Crossfade looks for the `sqlx::Error` in the
/// chain of sources to tell a deadlock, which it tries again, from a refused row.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RepositoryError {
    /// A statement failed.
    #[error("the database refused a statement on the settings")]
    Sql(#[from] sqlx::Error),
    /// No connection was to be had, or Crossfade's own statements failed. Nothing was written.
    #[error("the settings cannot be reached at present")]
    Unavailable(#[from] StoreError),
    /// The connection was lost at the very end of a write, which took place or did not.
    #[error("the connection was lost before the database confirmed the change")]
    Unconfirmed(#[source] StoreError),
    /// The write was not carried out.
    #[error("the change was not carried out: {0}")]
    NotWritten(String),
}

impl From<WrongEngine> for RepositoryError {
    fn from(error: WrongEngine) -> Self {
        Self::Sql(error.into())
    }
}

impl From<ReadError<Self>> for RepositoryError {
    fn from(error: ReadError<Self>) -> Self {
        match error {
            ReadError::Legacy(error) | ReadError::New(error) => error,
            ReadError::Unleased(error) => Self::Unavailable(error),
        }
    }
}

impl From<WriteError<Self>> for RepositoryError {
    fn from(error: WriteError<Self>) -> Self {
        match error {
            WriteError::Legacy(error) | WriteError::New(error) => error,
            WriteError::Store(error) => Self::Unavailable(error),
            WriteError::CommitUnknown(error) => Self::Unconfirmed(error),
            error => Self::NotWritten(error.to_string()),
        }
    }
}
