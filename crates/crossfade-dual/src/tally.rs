//! Counts that the application can ask for, and that the recorder of metrics is told.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};

use metrics::Counter;

pub(crate) struct Tally {
    here: AtomicU64,
    told: Counter,
}

impl Tally {
    pub(crate) fn new(told: Counter) -> Self {
        Self { here: AtomicU64::new(0), told }
    }

    pub(crate) fn one(&self) {
        self.here.fetch_add(1, Ordering::Relaxed);
        self.told.increment(1);
    }

    pub(crate) fn get(&self) -> u64 {
        self.here.load(Ordering::Relaxed)
    }
}

impl fmt::Debug for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.get().fmt(f)
    }
}
