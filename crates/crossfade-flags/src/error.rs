//! What can go wrong with the rule sets of a source.

use std::{io, path::PathBuf, sync::Arc};

use crossfade_rules::{FractionalChange, ParseError};
use crossfade_store::SourceError;

use crate::SignatureError;

/// Why the newest rule set of a source is not in use. The last good one is.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FlagsError {
    /// The source cannot be read.
    #[error("{origin} cannot be read")]
    Unreadable {
        /// The source, in words: "file flags.json".
        origin: Arc<str>,
        /// Why.
        source: Arc<SourceError>,
    },
    /// What was read is no rule set. The source has line, column, flag and reason.
    #[error("the rule set of {origin} was refused")]
    Refused {
        /// The source, in words: "file flags.json".
        origin: Arc<str>,
        /// Where and why.
        source: Arc<ParseError>,
    },
    /// The rule set is signed by nobody who is trusted.
    #[error("the signature on the rule set of {origin} was refused")]
    Untrusted {
        /// The source, in words.
        origin: Arc<str>,
        /// Why.
        source: Arc<SignatureError>,
    },
    /// The rule set would assign most users to other variants.
    #[error(
        "the rule set of {origin} was refused: it changes `crossfade.fractional` from {} to {}, \
         which assigns most users anew",
        change.from, change.to
    )]
    FractionalChange {
        /// The source, in words.
        origin: Arc<str>,
        /// The version in use and the one that would follow.
        change: FractionalChange,
    },
    /// The rule set is older than the one in use.
    #[error("the rule set of {origin} was refused: version {offered} is older than {current}")]
    Older {
        /// The source, in words.
        origin: Arc<str>,
        /// The version that was read.
        offered: i64,
        /// The version in use.
        current: i64,
    },
    /// The rule set has the version of the one in use, and is another.
    #[error("the rule set of {origin} was refused: version {version} had another content before")]
    Altered {
        /// The source, in words.
        origin: Arc<str>,
        /// The version that both have.
        version: i64,
    },
}

/// Why the last good rule set is not kept on disk, or was not taken from there.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PersistError {
    /// It cannot be written.
    #[error("{} cannot be written", path.display())]
    Unwritable {
        /// The file.
        path: PathBuf,
        /// Why.
        source: Arc<io::Error>,
    },
    /// It cannot be read.
    #[error("{} cannot be read", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        source: Arc<io::Error>,
    },
    /// It was written by something else, or was damaged.
    #[error("{} holds no rule sets that were kept: {reason}", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// A rule set in it was refused.
    #[error("a rule set kept in {} was refused", path.display())]
    Refused {
        /// The file.
        path: PathBuf,
        /// Why.
        source: Box<FlagsError>,
    },
}
