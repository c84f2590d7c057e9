//! A script: its file, its statements and where they stand.

use std::fmt;
use std::ops::Range;
use std::path::PathBuf;

use crossfade_store::Statement;
use sha2::{Digest, Sha256};

use crate::{
    splitter::{SplitError, split},
    words::{has, words},
};

/// What a script is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// It adds what the migration moves to.
    Expand,
    /// It takes away what the migration has left.
    Contract,
}

impl Purpose {
    /// `expand` or `contract`: the name of the file and of the recorded steps.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Expand => "expand",
            Self::Contract => "contract",
        }
    }
}

impl fmt::Display for Purpose {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A place in a file. Lines and columns count from one; columns count characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Position {
    pub(crate) line: usize,
    pub(crate) column: usize,
}

impl Position {
    /// The place of the byte `offset` of `text`.
    pub(crate) fn of(text: &str, offset: usize) -> Self {
        let before = text.get(..offset).unwrap_or(text);
        let start = before.rfind('\n').map_or(0, |newline| newline + 1);
        Self { line: before.matches('\n').count() + 1, column: before[start..].chars().count() + 1 }
    }
}

fn hex(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A statement of a script.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ScriptStatement {
    /// Its text, without the closing semicolon.
    pub text: String,
    /// The line it begins on, from 1.
    pub line: usize,
    /// The column it begins in, from 1.
    pub column: usize,
    start: usize,
}

impl ScriptStatement {
    /// The words of the statement.
    pub(crate) fn words(&self) -> Vec<String> {
        words(&self.text)
    }

    /// Hash of the text, by which a step is known again.
    #[must_use]
    pub fn digest(&self) -> String {
        hex(self.text.as_bytes())
    }

    /// The statement as an adapter runs it.
    #[must_use]
    pub fn to_statement(&self) -> Statement {
        let words = self.words();
        let first = words.first().map_or("", String::as_str);
        let outside_transaction = self.is_concurrent() || matches!(first, "vacuum" | "reindex");
        Statement { text: self.text.clone(), outside_transaction }
    }

    /// Whether it works beside readers and writers, for as long as it takes.
    pub(crate) fn is_concurrent(&self) -> bool {
        let words = self.words();
        let first = words.first().map_or("", String::as_str);
        matches!(first, "create" | "drop" | "reindex") && has(&words, &["concurrently"])
    }
}

/// A script, split into statements.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Script {
    /// What it is for.
    pub purpose: Purpose,
    /// The file it was read from.
    pub path: PathBuf,
    /// Its statements in order.
    pub statements: Vec<ScriptStatement>,
    text: String,
}

impl Script {
    /// Splits `text`, which was read from `path`.
    ///
    /// # Errors
    ///
    /// [`SplitError`] when a quote or comment is never closed.
    pub fn parse(
        purpose: Purpose,
        path: impl Into<PathBuf>,
        text: impl Into<String>,
    ) -> Result<Self, SplitError> {
        let text = text.into();
        let at = |range: Range<usize>| {
            let Position { line, column } = Position::of(&text, range.start);
            let start = range.start;
            ScriptStatement { text: text[range].to_owned(), line, column, start }
        };
        let statements = split(&text)?.into_iter().map(at).collect();
        Ok(Self { purpose, path: path.into(), statements, text })
    }

    /// Hash of its statements, by which it is known again.
    #[must_use]
    pub fn digest(&self) -> String {
        let digests: Vec<String> = self.statements.iter().map(ScriptStatement::digest).collect();
        hex(digests.join("\n").as_bytes())
    }

    /// The place in the file of a character of a statement, counted from 0 in characters.
    pub(crate) fn position_in(&self, statement: &ScriptStatement, character: usize) -> Position {
        let bytes = statement.text.char_indices().nth(character);
        let offset = bytes.map_or(statement.text.len(), |(offset, _)| offset);
        Position::of(&self.text, statement.start + offset)
    }
}
