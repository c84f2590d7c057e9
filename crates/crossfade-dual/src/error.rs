//! What a wrapped read or write can answer beside the application's own result.

use std::error::Error;

use crossfade_core::Epoch;
use crossfade_store::StoreError;

/// Why a write failed, and what is known of the data.
#[derive(Debug, thiserror::Error)]
pub enum WriteError<E: Error + 'static> {
    /// The stage changed again and again under the write. Neither side holds it; trying again is
    /// safe.
    #[error("the stage changed at each try, last seen in epoch {epoch}")]
    Fenced {
        /// The epoch of the last try.
        epoch: Epoch,
    },
    /// The connection was lost at COMMIT. Both sides hold the write, or neither does.
    #[error("the connection was lost at commit; both sides hold the write or neither does")]
    CommitUnknown(#[source] StoreError),
    /// The Legacy side failed. Neither side holds the write.
    #[error("the legacy side failed")]
    Legacy(#[source] E),
    /// The New side failed, in a stage where it may. Neither side holds the write.
    #[error("the new side failed")]
    New(#[source] E),
    /// Crossfade's own statements failed. Neither side holds the write.
    #[error("the write could not be carried out")]
    Store(#[from] StoreError),
    /// A closure kept its transaction instead of dropping it when its future ended. Neither side
    /// holds the write once that transaction is dropped.
    #[error("a closure kept the transaction that it was lent")]
    TransactionKept,
}

impl<E: Error + 'static> WriteError<E> {
    /// The application's own error, where one of the sides failed.
    #[must_use]
    pub fn into_side(self) -> Option<E> {
        match self {
            Self::Legacy(error) | Self::New(error) => Some(error),
            _ => None,
        }
    }
}

/// Why a read failed.
#[derive(Debug, thiserror::Error)]
pub enum ReadError<E: Error + 'static> {
    /// The Legacy side failed.
    #[error("the legacy side failed")]
    Legacy(#[source] E),
    /// The New side failed, in a stage where Legacy is no longer a safe answer.
    #[error("the new side failed")]
    New(#[source] E),
    /// The lease had lapsed and could not be renewed, so the answer may be of another stage.
    #[error("the instance lost its lease and could not look up the stage")]
    Unleased(#[source] StoreError),
}

impl<E: Error + 'static> ReadError<E> {
    /// The application's own error, where one of the sides failed.
    #[must_use]
    pub fn into_side(self) -> Option<E> {
        match self {
            Self::Legacy(error) | Self::New(error) => Some(error),
            Self::Unleased(_) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use crossfade_store::StoreErrorKind;

    use super::*;

    #[test]
    fn texts() {
        let store = || StoreError::new(StoreErrorKind::Unavailable, "failed to commit");
        let side = || std::fmt::Error;
        let writes: [WriteError<std::fmt::Error>; 6] = [
            WriteError::Fenced { epoch: Epoch::new(3) },
            WriteError::CommitUnknown(store()),
            WriteError::Legacy(side()),
            WriteError::New(side()),
            WriteError::Store(store()),
            WriteError::TransactionKept,
        ];
        for error in writes {
            let text = error.to_string();
            assert!(text.chars().next().is_some_and(char::is_lowercase), "{text}");
            assert!(!text.ends_with('.'), "{text}");
        }
        assert!(WriteError::New(side()).into_side().is_some());
        assert!(WriteError::<std::fmt::Error>::TransactionKept.into_side().is_none());
    }
}
