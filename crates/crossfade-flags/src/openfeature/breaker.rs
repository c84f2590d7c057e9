//! Spares the callers a provider that does not answer.

use std::{
    sync::atomic::{AtomicU32, AtomicU64, Ordering},
    time::Duration,
};

use tokio::time::Instant;

/// How many failures in a row tell trouble from bad luck.
const IN_A_ROW: u32 = 3;

/// Opens after failures in a row, and then lets one caller through in each pause, until that one
/// succeeds.
#[derive(Debug)]
pub(super) struct Breaker {
    pause: Duration,
    begun: Instant,
    failures: AtomicU32,
    /// When the next caller is let through, in milliseconds since `begun`; 0 while all are.
    opens_to: AtomicU64,
}

impl Breaker {
    pub(super) fn new(pause: Duration) -> Self {
        Self {
            pause,
            begun: Instant::now(),
            failures: AtomicU32::new(0),
            opens_to: AtomicU64::new(0),
        }
    }

    /// Whether this caller may ask.
    pub(super) fn permits(&self) -> bool {
        let next = self.opens_to.load(Ordering::Acquire);
        if next == 0 {
            return true;
        }
        // Whoever moves the time on is the one; should it be dropped, the next pause has another.
        let (now, later) = self.times();
        let moved =
            || self.opens_to.compare_exchange(next, later, Ordering::AcqRel, Ordering::Acquire);
        now >= next && moved().is_ok()
    }

    pub(super) fn succeeded(&self) {
        self.failures.store(0, Ordering::Release);
        self.opens_to.store(0, Ordering::Release);
    }

    /// Answers whether this failure opened it.
    pub(super) fn failed(&self) -> bool {
        let before = self.failures.fetch_add(1, Ordering::AcqRel);
        if before.saturating_add(1) < IN_A_ROW {
            return false;
        }
        self.opens_to.swap(self.times().1, Ordering::AcqRel) == 0
    }

    /// The present, and the end of a pause that begins now. Neither is ever 0.
    fn times(&self) -> (u64, u64) {
        let now = u64::try_from(self.begun.elapsed().as_millis()).unwrap_or(u64::MAX).max(1);
        let pause = u64::try_from(self.pause.as_millis()).unwrap_or(u64::MAX);
        (now, now.saturating_add(pause))
    }
}
