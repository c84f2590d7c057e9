//! What an instance knows of a migration at one moment.

use std::collections::BTreeSet;
use std::fmt;

use crate::{Definition, Stage};

/// Counter that grows with each stage change. Not a stage: a migration may pass a stage twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Epoch(i64);

impl Epoch {
    /// The epoch with this number.
    #[must_use]
    pub const fn new(number: i64) -> Self {
        Self(number)
    }

    /// Its number.
    #[must_use]
    pub const fn get(self) -> i64 {
        self.0
    }

    /// The epoch after this one.
    #[must_use]
    pub const fn next(self) -> Self {
        Self(self.0 + 1)
    }
}

impl fmt::Display for Epoch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Number of one backfill attempt. Not an epoch: a run lives in the epochs after its start until
/// `dual_write` is left backwards, which voids it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RunId(i64);

impl RunId {
    /// The run with this number.
    #[must_use]
    pub const fn new(number: i64) -> Self {
        Self(number)
    }

    /// Its number.
    #[must_use]
    pub const fn get(self) -> i64 {
        self.0
    }
}

impl fmt::Display for RunId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Whether a backfill run still works, has finished, or no longer counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RunState {
    /// Batches may still be written.
    Running,
    /// Every source row up to the frozen upper bound was handled.
    Done,
    /// Its stage was left; nothing of it counts any more.
    Void,
}

impl RunState {
    /// The name used in output and control tables.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Done => "done",
            Self::Void => "void",
        }
    }

    /// The state of that name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        [Self::Running, Self::Done, Self::Void].into_iter().find(|state| state.as_str() == name)
    }
}

/// A migration as its control tables describe it at one moment.
#[derive(Clone, Debug, PartialEq)]
pub struct MigrationState {
    /// What is being migrated.
    pub definition: Definition,
    /// The stage of the newest epoch.
    pub stage: Stage,
    /// The newest epoch; it is open.
    pub epoch: Epoch,
    /// Whether the epoch before it is still open, so that its writers may be at work.
    pub previous_open: bool,
    /// Text of the keys that New refused.
    pub quarantined: BTreeSet<String>,
}
