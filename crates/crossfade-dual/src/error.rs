//! What a wrapped read or write can answer beside the application's own result.

use std::error::Error;

use crossfade_core::Epoch;
use crossfade_store::{CommitError, StoreError};

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
    ///
    /// A write with an operation id ([`write_once`](crate::Migration::write_once)) finds out by
    /// itself which; it answers this only when the database stayed out of reach, and calling it
    /// again with the same id is safe. Any other write has to be looked at before it is repeated.
    #[error(
        "the connection was lost at commit; both sides hold the write or neither does; \
         a write with an operation id can safely be tried again"
    )]
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
    /// holds the write once that transaction is dropped; a transaction of the caller's is over.
    #[error("a closure kept the transaction that it was lent")]
    TransactionKept,
    /// The operation id has been used for another key. Neither side holds this write.
    #[error("the operation id was used for another key")]
    OtherKey,
    /// The database ended the caller's transaction: by a deadlock, a serialization failure or a lost
    /// connection. Nothing of it remains, of this write or of what was done before; beginning it
    /// anew may succeed. What happened is inside.
    #[error("the caller's transaction was ended and everything in it undone")]
    Aborted(#[source] Box<Self>),
    /// The caller's transaction had ended before, by an error that said so or because a write in it
    /// was dropped midway. Nothing of it remains.
    #[error("the caller's transaction is over; nothing in it was kept")]
    TransactionOver,
}

/// What is known of the data after an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Known {
    /// Neither side holds the write. A transaction of the caller's goes on as if it had not been
    /// tried, save after [`WriteError::TransactionKept`].
    NothingWritten,
    /// Both sides hold the write, or neither does.
    BothOrNeither,
    /// Nothing of the caller's whole transaction is held.
    TransactionUndone,
}

impl<E: Error + 'static> WriteError<E> {
    /// The application's own error, where one of the sides failed.
    #[must_use]
    pub fn into_side(self) -> Option<E> {
        match self {
            Self::Legacy(error) | Self::New(error) => Some(error),
            Self::Aborted(error) => error.into_side(),
            _ => None,
        }
    }

    /// What is known of the data.
    #[must_use]
    pub const fn known(&self) -> Known {
        match self {
            Self::CommitUnknown(_) => Known::BothOrNeither,
            Self::Aborted(_) | Self::TransactionOver => Known::TransactionUndone,
            Self::Fenced { .. }
            | Self::Legacy(_)
            | Self::New(_)
            | Self::Store(_)
            | Self::TransactionKept
            | Self::OtherKey => Known::NothingWritten,
        }
    }
}

/// Why a transaction of the caller's did not end well.
#[derive(Debug, thiserror::Error)]
pub enum TransactionError {
    /// It had ended before: an error of a write in it said so, or such a write was dropped midway or
    /// panicked. Nothing of it remains.
    #[error("the transaction is over; nothing in it was kept")]
    Over,
    /// The connection was lost at COMMIT. Everything in the transaction is held, or nothing is.
    #[error("the connection was lost at commit; the transaction is held as a whole or not at all")]
    CommitUnknown(#[source] StoreError),
    /// The database rolled it back. Nothing of it remains; beginning it anew may succeed.
    #[error("the transaction was rolled back at commit and may succeed when begun anew")]
    Aborted(#[source] StoreError),
    /// The database refused to commit it, such as for a constraint that is checked at the end only,
    /// or since a statement in it had failed. Nothing of it remains.
    #[error("the database refused to commit the transaction")]
    Refused(#[source] StoreError),
}

impl TransactionError {
    /// What is known of the data.
    #[must_use]
    pub const fn known(&self) -> Known {
        match self {
            Self::CommitUnknown(_) => Known::BothOrNeither,
            Self::Over | Self::Aborted(_) | Self::Refused(_) => Known::TransactionUndone,
        }
    }
}

impl From<CommitError> for TransactionError {
    fn from(error: CommitError) -> Self {
        match error {
            CommitError::Unknown(error) => Self::CommitUnknown(error),
            CommitError::Transient(error) => Self::Aborted(error),
            CommitError::Refused(error) => Self::Refused(error),
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

    type Told = WriteError<std::fmt::Error>;

    #[track_caller]
    fn check(error: &dyn Error, word: &str) {
        let text = error.to_string();
        assert!(text.chars().next().is_some_and(char::is_lowercase), "{text}");
        assert!(!text.ends_with('.'), "{text}");
        assert!(text.contains(word), "`{word}` is missing: {text}");
    }

    #[test]
    fn each_error_says_what_is_known() {
        use Known::{BothOrNeither, NothingWritten, TransactionUndone};

        let store = || StoreError::new(StoreErrorKind::Unavailable, "failed to commit");
        let side = || std::fmt::Error;
        let writes: [(Told, &str, Known); 9] = [
            (WriteError::Fenced { epoch: Epoch::new(3) }, "epoch 3", NothingWritten),
            (WriteError::CommitUnknown(store()), "operation id", BothOrNeither),
            (WriteError::Legacy(side()), "legacy", NothingWritten),
            (WriteError::New(side()), "new side", NothingWritten),
            (WriteError::Store(store()), "could not be carried out", NothingWritten),
            (WriteError::TransactionKept, "kept", NothingWritten),
            (WriteError::OtherKey, "another key", NothingWritten),
            (WriteError::Aborted(Box::new(Told::New(side()))), "undone", TransactionUndone),
            (WriteError::TransactionOver, "is over", TransactionUndone),
        ];
        for (error, word, known) in writes {
            check(&error, word);
            assert_eq!(error.known(), known, "{error}");
        }
        let transactions = [
            (TransactionError::Over, "is over", TransactionUndone),
            (TransactionError::CommitUnknown(store()), "or not at all", BothOrNeither),
            (CommitError::Transient(store()).into(), "begun anew", TransactionUndone),
            (CommitError::Refused(store()).into(), "refused", TransactionUndone),
        ];
        for (error, word, known) in transactions {
            check(&error, word);
            assert_eq!(error.known(), known, "{error}");
        }
        check(&ReadError::Legacy(side()), "legacy");
        check(&ReadError::New(side()), "new side");
        check(&ReadError::<std::fmt::Error>::Unleased(store()), "lease");
    }

    #[test]
    fn a_sides_error_comes_out() {
        let side = || std::fmt::Error;
        assert!(WriteError::New(side()).into_side().is_some());
        assert!(Told::Aborted(Box::new(WriteError::Legacy(side()))).into_side().is_some());
        assert!(Told::TransactionKept.into_side().is_none());
    }
}
