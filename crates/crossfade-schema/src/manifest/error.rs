//! Why a manifest is refused.

use std::fmt;
use std::path::{Path, PathBuf};

use crate::script::Position;

/// Why a manifest is refused, and where. Nothing of it was used.
#[derive(Debug)]
pub struct ManifestError {
    path: PathBuf,
    position: Option<Position>,
    message: String,
    hint: Option<String>,
    source: Option<std::io::Error>,
}

impl ManifestError {
    pub(crate) fn at(path: &Path, position: Position, message: impl Into<String>) -> Self {
        Self { position: Some(position), ..Self::new(path, message) }
    }

    pub(crate) fn new(path: &Path, message: impl Into<String>) -> Self {
        let (path, message) = (path.to_owned(), message.into());
        Self { path, position: None, message, hint: None, source: None }
    }

    pub(crate) fn unreadable(path: &Path, error: std::io::Error) -> Self {
        let missing = error.kind() == std::io::ErrorKind::NotFound;
        let refused = Self { source: Some(error), ..Self::new(path, "cannot be read") };
        if missing {
            return refused.with_hint("`crossfade new NAME` makes a folder with all its files");
        }
        refused
    }

    pub(crate) fn with_hint(self, hint: impl Into<String>) -> Self {
        Self { hint: Some(hint.into()), ..self }
    }

    /// The file.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The line, from 1, where one is to blame.
    #[must_use]
    pub fn line(&self) -> Option<usize> {
        self.position.map(|position| position.line)
    }

    /// The column, from 1, where one is to blame.
    #[must_use]
    pub fn column(&self) -> Option<usize> {
        self.position.map(|position| position.column)
    }

    /// What to do about it, where something can be said.
    #[must_use]
    pub fn hint(&self) -> Option<&str> {
        self.hint.as_deref()
    }

    /// Whether the file does not exist.
    #[must_use]
    pub fn is_missing(&self) -> bool {
        self.source.as_ref().is_some_and(|error| error.kind() == std::io::ErrorKind::NotFound)
    }
}

impl fmt::Display for ManifestError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.path.display())?;
        if let Some(Position { line, column }) = self.position {
            write!(f, ":{line}:{column}")?;
        }
        write!(f, ": {}", self.message)
    }
}

impl std::error::Error for ManifestError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.source.as_ref().map(|error| error as _)
    }
}
