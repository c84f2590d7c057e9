//! What is remembered of a provider's answers.

use std::time::{Duration, Instant};

use moka::{Equivalent, Expiry, future::Cache};

use super::OpenFeatureOptions;

/// What a decision is kept under.
#[derive(Debug, Eq, Hash, PartialEq)]
pub(super) struct Asked {
    generation: u64,
    flag: Box<str>,
    user: Box<str>,
}

/// The same, borrowed.
#[derive(Clone, Copy, Debug, Hash)]
pub(super) struct Asking<'a> {
    /// How often all was forgotten before, so that an evaluation which was under way then is not
    /// remembered afterwards.
    pub(super) generation: u64,
    pub(super) flag: &'a str,
    pub(super) user: &'a str,
}

impl Asking<'_> {
    pub(super) fn own(self) -> Asked {
        let Self { generation, flag, user } = self;
        Asked { generation, flag: flag.into(), user: user.into() }
    }
}

impl Equivalent<Asked> for Asking<'_> {
    fn equivalent(&self, asked: &Asked) -> bool {
        self.generation == asked.generation
            && *self.flag == *asked.flag
            && *self.user == *asked.user
    }
}

/// A decision; `None` where the provider had none.
pub(super) type Decision = Option<bool>;

pub(super) fn cache(options: &OpenFeatureOptions) -> Cache<Asked, Decision> {
    let expiry = ByDecision { decided: options.time_to_live, undecided: options.pause };
    Cache::builder().max_capacity(options.capacity).expire_after(expiry).build()
}

/// A missing decision is asked for again sooner, and never kept longer than one.
#[derive(Debug)]
struct ByDecision {
    decided: Duration,
    undecided: Duration,
}

impl ByDecision {
    fn time(&self, decision: Decision) -> Option<Duration> {
        Some(match decision {
            Some(_) => self.decided,
            None => self.undecided.min(self.decided),
        })
    }
}

impl Expiry<Asked, Decision> for ByDecision {
    fn expire_after_create(&self, _: &Asked, decision: &Decision, _: Instant) -> Option<Duration> {
        self.time(*decision)
    }

    /// One that has expired is replaced in its place.
    fn expire_after_update(
        &self,
        _: &Asked,
        decision: &Decision,
        _: Instant,
        _: Option<Duration>,
    ) -> Option<Duration> {
        self.time(*decision)
    }
}
