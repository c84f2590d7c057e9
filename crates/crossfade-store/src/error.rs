//! What can go wrong at a port.

use std::error::Error;
use std::fmt;

/// What kind of trouble a port met; callers decide by it, people read the rest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StoreErrorKind {
    /// The database cannot be reached, or the connection was lost. Nothing of an unfinished
    /// transaction remains.
    Unavailable,
    /// A lock was not had in the time given.
    LockTimeout,
    /// A statement ran for longer than it may.
    StatementTimeout,
    /// Somebody else changed the same thing first.
    Conflict,
    /// The control tables are missing or older than this version needs.
    NotInstalled,
    /// What was asked for is not there.
    NotFound,
    /// What was asked for cannot be done as asked.
    Invalid,
    /// The database refused a statement.
    Database,
}

/// An error of a port: what was being done, why it failed, and what to do about it.
#[derive(Debug)]
pub struct StoreError {
    /// Its kind.
    pub kind: StoreErrorKind,
    /// What failed, as a lower-case fragment.
    pub message: String,
    /// What to do about it, where something can be said.
    pub hint: Option<String>,
    source: Option<Box<dyn Error + Send + Sync>>,
}

impl StoreError {
    /// An error without an underlying one.
    #[must_use]
    pub fn new(kind: StoreErrorKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into(), hint: None, source: None }
    }

    /// The same error with a hint.
    #[must_use]
    pub fn with_hint(self, hint: impl Into<String>) -> Self {
        Self { hint: Some(hint.into()), ..self }
    }

    /// The same error with its cause.
    #[must_use]
    pub fn with_source(self, source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self { source: Some(source.into()), ..self }
    }
}

impl fmt::Display for StoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl Error for StoreError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.source.as_deref().map(|source| source as _)
    }
}

/// What an application's error means for the transaction it happened in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failure {
    /// A serialization failure or deadlock: the database rolled back, and the same transaction
    /// may succeed when tried again.
    Transient,
    /// The connection is gone, and the transaction with it.
    ConnectionLost,
    /// A lock was not had in the time given; the transaction can only be rolled back.
    LockTimeout,
    /// Anything else, such as a constraint that refuses the row.
    Refused,
}
