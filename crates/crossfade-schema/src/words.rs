//! The words of a statement, as far as rules of thumb need them.

use crate::splitter::{Kind, Tokens};

/// The words of a statement outside quotes and comments, in lower case. Quoted names keep their
/// quotes, so that they are never taken for keywords.
pub(crate) fn words(statement: &str) -> Vec<String> {
    Tokens::of(statement)
        .filter_map(Result::ok)
        .filter(|(kind, _)| matches!(kind, Kind::Word | Kind::Quoted))
        .map(|(_, range)| statement[range].to_lowercase())
        .collect()
}

/// Whether `words` contains `wanted` in a row.
pub(crate) fn has(words: &[String], wanted: &[&str]) -> bool {
    words.windows(wanted.len()).any(|window| window.iter().zip(wanted).all(|(a, b)| a == b))
}
