//! Which flags two rule sets answer differently, and for how many users.

mod outcomes;

use std::fmt;

use crate::{Flag, RuleSet};

/// A flag that is not the same in two rule sets.
#[derive(Clone, Debug, PartialEq)]
pub struct FlagDiff {
    /// The key of the flag.
    pub key: String,
    /// What happened to it.
    pub change: FlagChange,
    /// The share of users that get another value.
    pub share: Share,
}

/// What happened to a flag between two rule sets.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum FlagChange {
    /// Only the second set has it.
    Added,
    /// Only the first set has it.
    Removed,
    /// Its definition is another one.
    Changed,
}

impl fmt::Display for FlagChange {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Self::Added => "added",
            Self::Removed => "removed",
            Self::Changed => "changed",
        })
    }
}

/// A share of the users with a targeting key, in percent.
///
/// It is known exactly where the rules alone tell. Where they ask for attributes, it depends on how
/// many users have which, and lies between the two bounds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Share {
    /// The smallest it can be, 0.0 to 100.0.
    pub least: f64,
    /// The largest it can be, 0.0 to 100.0.
    pub most: f64,
}

impl Share {
    const ANY: Self = Self { least: 0.0, most: 100.0 };

    fn exactly(percent: f64) -> Self {
        Self { least: percent, most: percent }
    }
}

impl fmt::Display for Share {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { least, most } = self;
        match least == most {
            true => write!(out, "{} %", Rounded(*least)),
            false => write!(out, "{} to {} %", Rounded(*least), Rounded(*most)),
        }
    }
}

/// A percentage with at most three decimals.
struct Rounded(f64);

impl fmt::Display for Rounded {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}", (self.0 * 1000.0).round() / 1000.0)
    }
}

/// Lists the flags that differ between two rule sets: those of the first in their order, then those
/// that the second adds.
///
/// A user counts as affected when the flag's value is another one, or when the default in the code
/// takes its place or gives way to it. Another name for the same value, or other metadata, is a change
/// that affects nobody.
#[must_use]
pub fn diff(before: &RuleSet, after: &RuleSet) -> Vec<FlagDiff> {
    let kept = before.flags().filter_map(|flag| match after.flag(flag.key()) {
        None => Some(lone(flag, FlagChange::Removed)),
        Some(other) if flag == other => None,
        Some(other) => Some(FlagDiff {
            key: flag.key().to_owned(),
            change: FlagChange::Changed,
            share: outcomes::difference(flag, other),
        }),
    });
    let added = after.flags().filter(|flag| before.flag(flag.key()).is_none());
    kept.chain(added.map(|flag| lone(flag, FlagChange::Added))).collect()
}

/// A flag that only one set has; everybody gets the default in the code from the other.
fn lone(flag: &Flag, change: FlagChange) -> FlagDiff {
    FlagDiff { key: flag.key().to_owned(), change, share: outcomes::beyond_the_default(flag) }
}
