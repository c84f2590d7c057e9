//! How decisions of an OpenFeature client are kept.

use std::time::Duration;

const A_DAY: Duration = Duration::from_hours(24);

/// Options of an [`OpenFeatureFlag`](crate::OpenFeatureFlag).
#[derive(Clone, Debug)]
#[must_use]
pub struct OpenFeatureOptions {
    pub(super) time_to_live: Duration,
    pub(super) capacity: u64,
    pub(super) timeout: Duration,
    pub(super) pause: Duration,
}

impl Default for OpenFeatureOptions {
    fn default() -> Self {
        Self {
            time_to_live: Duration::from_secs(5),
            capacity: 100_000,
            timeout: Duration::from_millis(100),
            pause: Duration::from_secs(1),
        }
    }
}

impl OpenFeatureOptions {
    /// How long a decision for one user holds, and with that how long a flip of the flag can take to
    /// move the reads. Default: 5 s. Zero keeps nothing, for a provider that answers from memory.
    pub fn time_to_live(mut self, time: Duration) -> Self {
        self.time_to_live = time;
        self
    }

    /// How many decisions are kept, one for each flag and user. Default: 100 000.
    pub fn capacity(mut self, decisions: u64) -> Self {
        self.capacity = decisions;
        self
    }

    /// How long a read waits for the provider, a day at most. Default: 100 ms.
    pub fn timeout(mut self, most: Duration) -> Self {
        self.timeout = most.min(A_DAY);
        self
    }

    /// How long a user for whom there was no answer is not asked for again, and how long a provider
    /// is left alone that failed three times in a row. The former is never longer than the time to
    /// live. Default: 1 s.
    pub fn pause(mut self, pause: Duration) -> Self {
        self.pause = pause;
        self
    }
}
