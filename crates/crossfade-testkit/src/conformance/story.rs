//! Stories: what the suite does to a pair, step by step.

use std::fmt;

use crossfade::{Side, Stage};

/// Keys that one story plays with.
pub(super) const KEYS: usize = 3;

/// What befalls a write on its way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Mishap {
    /// Nothing.
    None,
    /// The side's call fails before it reaches the repository.
    FailsBefore(Side),
    /// The side's call fails behind the repository, which has answered.
    FailsAfter(Side),
    /// The side's call panics behind the repository.
    PanicsAfter(Side),
    /// The write's future is dropped after so many polls.
    DroppedAfter(u32),
}

/// What is asked of the wrapped pair.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Verb {
    /// Stores the value of this number.
    Put(u32),
    /// Stores the value that New refuses.
    PutRefused,
    /// Changes a part of the row.
    Patch(u32),
    /// Deletes the row.
    Delete,
    /// Reads the row.
    Read,
}

/// One step of a story.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Step {
    /// The migration goes to a stage, through those between. Where there is no way, or a gate is
    /// shut, it stays where it is.
    Go(Stage),
    /// What Legacy holds is copied.
    Backfill,
    /// What differs is repaired.
    Repair,
    /// The read flag is set for every user.
    Flag(bool),
    /// The application asks something of a row.
    Act {
        /// What.
        verb: Verb,
        /// Of which of the story's keys.
        key: usize,
        /// What befalls it.
        mishap: Mishap,
    },
}

impl Step {
    pub(super) const fn act(verb: Verb, key: usize) -> Self {
        Self::Act { verb, key, mishap: Mishap::None }
    }

    pub(super) const fn upset(verb: Verb, key: usize, mishap: Mishap) -> Self {
        Self::Act { verb, key, mishap }
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Go(stage) => write!(f, "go to `{stage}`"),
            Self::Backfill => f.write_str("backfill"),
            Self::Repair => f.write_str("repair"),
            Self::Flag(true) => f.write_str("turn the read flag on"),
            Self::Flag(false) => f.write_str("turn the read flag off"),
            Self::Act { verb, key, mishap } => {
                match verb {
                    Verb::Put(n) => write!(f, "put value({n}) on key {key}")?,
                    Verb::PutRefused => write!(f, "put refused() on key {key}")?,
                    Verb::Patch(n) => write!(f, "patch key {key} with number {n}")?,
                    Verb::Delete => write!(f, "delete key {key}")?,
                    Verb::Read => write!(f, "read key {key}")?,
                }
                match mishap {
                    Mishap::None => Ok(()),
                    Mishap::FailsBefore(side) => write!(f, "; the {side} call fails at once"),
                    Mishap::FailsAfter(side) => {
                        write!(f, "; the {side} call fails behind the repository")
                    }
                    Mishap::PanicsAfter(side) => {
                        write!(f, "; the {side} call panics behind the repository")
                    }
                    Mishap::DroppedAfter(polls) => {
                        write!(f, "; its future is dropped after {polls} polls")
                    }
                }
            }
        }
    }
}
