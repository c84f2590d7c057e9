//! What a verification found.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use crossfade_core::Key;
use crossfade_store::{Chunk, Difference, DifferenceKind};

/// Numbers of keys, by what is wrong with them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Differences {
    /// The New row is not the mapped Legacy row.
    pub differing: u64,
    /// The mapping yields a row that New lacks.
    pub missing: u64,
    /// New has a row that the mapping does not yield.
    pub orphaned: u64,
}

impl Differences {
    /// All of them.
    #[must_use]
    pub const fn total(self) -> u64 {
        self.differing + self.missing + self.orphaned
    }

    pub(super) fn add(&mut self, chunk: &Chunk) {
        for difference in &chunk.differences {
            match difference.kind {
                DifferenceKind::Differing => self.differing += 1,
                DifferenceKind::Missing => self.missing += 1,
                DifferenceKind::Orphaned => self.orphaned += 1,
            }
        }
    }
}

/// The first keys of each kind, at most [`Samples::LIMIT`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Samples {
    /// Keys that differ.
    pub differing: Vec<Key>,
    /// Keys that New lacks.
    pub missing: Vec<Key>,
    /// Keys that only New has.
    pub orphaned: Vec<Key>,
    /// The differing columns of the keys that differ, with their values.
    pub details: Vec<Difference>,
}

impl Samples {
    /// How many keys of each kind are kept.
    pub const LIMIT: usize = 20;

    /// Of how many more differing keys the values are wanted.
    pub(super) fn wanted(&self) -> usize {
        Self::LIMIT.saturating_sub(self.differing.len())
    }

    pub(super) fn add(&mut self, chunk: &Chunk) {
        for difference in &chunk.differences {
            let keys = match difference.kind {
                DifferenceKind::Differing => &mut self.differing,
                DifferenceKind::Missing => &mut self.missing,
                DifferenceKind::Orphaned => &mut self.orphaned,
            };
            if keys.len() < Self::LIMIT {
                keys.push(difference.key.clone());
                if difference.kind == DifferenceKind::Differing {
                    self.details.push(difference.clone());
                }
            }
        }
    }
}

/// Whether a verification counts as a proof.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Recorded {
    /// It was recorded; gates may rest on it.
    Yes,
    /// It was interrupted. The next pass goes on where it stopped, if it can.
    Interrupted,
    /// It compared a part of the keys only.
    Partial,
    /// Nothing may be written there, for this reason.
    Look(String),
}

/// The part of a pass that an earlier, interrupted one compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Resumed {
    /// Keys it compared; they count in the report.
    pub compared: u64,
    /// When it began, in milliseconds since 1970. The proof begins there.
    pub started_ms: i64,
}

/// What a verification found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VerifyReport {
    /// Keys compared.
    pub compared: u64,
    /// What differed when it was compared.
    pub found: Differences,
    /// How many differing rows there are by each column that differs.
    pub columns: BTreeMap<Arc<str>, u64>,
    /// Keys made equal by this pass, those that were in quarantine included.
    pub repaired: u64,
    /// Keys in quarantine at its end.
    pub quarantined: u64,
    /// Keys that are known to differ at its end: found and not repaired, or in quarantine.
    pub remaining: u64,
    /// Some of the keys that differed.
    pub samples: Samples,
    /// How many rows differed again right after their repair.
    pub stuck: u64,
    /// Some of these, at most [`Samples::LIMIT`].
    pub stuck_samples: Vec<Difference>,
    /// The part that an earlier pass compared.
    pub resumed: Option<Resumed>,
    /// Whether it counts as a proof.
    pub recorded: Recorded,
    /// Whether it was cancelled before its end; nothing was recorded then.
    pub interrupted: bool,
    /// How long it took.
    pub elapsed: Duration,
}
