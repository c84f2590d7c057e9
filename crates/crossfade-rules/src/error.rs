//! Why a document is refused.

use std::fmt;

use crate::{MAX_NESTING, source::Position};

/// Why a document is refused as a whole, and where.
///
/// Lines and columns count from one; columns count characters.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ParseError {
    position: Option<Position>,
    flag: Option<String>,
    kind: ParseErrorKind,
}

impl ParseError {
    pub(crate) fn new(kind: ParseErrorKind) -> Self {
        Self { position: None, flag: None, kind }
    }

    pub(crate) fn at(mut self, position: impl Into<Option<Position>>) -> Self {
        self.position = position.into();
        self
    }

    pub(crate) fn in_flag(mut self, flag: &str) -> Self {
        self.flag = Some(flag.to_owned());
        self
    }

    /// The line, where it is known.
    #[must_use]
    pub fn line(&self) -> Option<usize> {
        self.position.map(|position| position.line)
    }

    /// The column, where it is known.
    #[must_use]
    pub fn column(&self) -> Option<usize> {
        self.position.map(|position| position.column)
    }

    /// The key of the flag that cannot be read; `None` when the trouble is outside of any flag.
    #[must_use]
    pub fn flag(&self) -> Option<&str> {
        self.flag.as_deref()
    }

    /// What is wrong. Its `Display` is the reason without the place.
    #[must_use]
    pub fn reason(&self) -> &ParseErrorKind {
        &self.kind
    }
}

impl fmt::Display for ParseError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(Position { line, column }) = self.position {
            write!(out, "line {line}, column {column}: ")?;
        }
        if let Some(flag) = &self.flag {
            write!(out, "flag \"{flag}\": ")?;
        }
        write!(out, "{}", self.kind)
    }
}

impl std::error::Error for ParseError {}

/// What is wrong with a document.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum ParseErrorKind {
    /// The document is larger than its reader allows.
    #[error("the document has {bytes} bytes; at most {limit} are read")]
    TooLarge {
        /// The size of the document.
        bytes: usize,
        /// The largest size that is read.
        limit: usize,
    },
    /// Objects and arrays are nested deeper than [`MAX_NESTING`].
    #[error("nested deeper than {MAX_NESTING} levels")]
    TooDeep,
    /// The text begins with a byte order mark, which other readers of JSON refuse as well.
    #[error("the text begins with a byte order mark, which JSON does not have")]
    ByteOrderMark,
    /// The text is not JSON.
    #[error("{0}")]
    Syntax(String),
    /// The document is JSON but not an object.
    #[error("the document is not an object")]
    NotAnObject,
    /// The document has no `flags` member.
    #[error("there is no \"flags\" object")]
    FlagsMissing,
    /// The `flags` member is not an object.
    #[error("\"flags\" is not an object")]
    FlagsNotAnObject,
    /// The flag's `defaultVariant` is neither a string nor `null`.
    #[error("\"defaultVariant\" is neither a string nor null")]
    DefaultVariantNotAString,
    /// The flag's `defaultVariant` names no variant.
    #[error("\"defaultVariant\" names \"{name}\", which is not one of its variants: {known}")]
    UnknownDefaultVariant {
        /// The name that `defaultVariant` holds.
        name: String,
        /// The names of the flag's variants, separated by commas.
        known: String,
    },
}
