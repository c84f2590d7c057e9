//! What can go wrong with the source of the rule sets.

use std::{io, path::PathBuf};

use crossfade_rules::ParseError;
use crossfade_store::StoreError;

/// What can go wrong with the source of the rule sets.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FlagsError {
    /// The file cannot be read.
    #[error("the flag file {} cannot be read", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// What was read is no rule set. The source has line, column, flag and reason.
    #[error("{origin} was refused")]
    Refused {
        /// What was read, in words: "the flag file flags.json" or "rule set 7 of the database".
        origin: String,
        /// Where and why.
        source: ParseError,
    },
    /// The database did not hand out its rule set.
    #[error("the rule set in the database cannot be read")]
    Store(#[source] StoreError),
}
