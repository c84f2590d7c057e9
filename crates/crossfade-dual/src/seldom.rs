//! Warnings that come with each read of a bad day, thinned out.

use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

use crate::clock;

/// The shortest time between two warnings of a kind.
const PAUSE_MS: i64 = 10_000;

/// Counts events and says now and then how many there were.
#[derive(Debug)]
pub(crate) struct Seldom {
    next_ms: AtomicI64,
    unsaid: AtomicU64,
}

impl Seldom {
    pub(crate) const fn new() -> Self {
        Self { next_ms: AtomicI64::new(i64::MIN), unsaid: AtomicU64::new(0) }
    }

    /// Counts one event. Returns how many there were since it was last said, this one included,
    /// when it is time to say it again.
    pub(crate) fn count(&self) -> Option<u64> {
        self.count_at(clock::now_ms())
    }

    fn count_at(&self, now_ms: i64) -> Option<u64> {
        self.unsaid.fetch_add(1, Ordering::Relaxed);
        let next = self.next_ms.load(Ordering::Relaxed);
        let due = now_ms >= next
            && self
                .next_ms
                .compare_exchange(next, now_ms + PAUSE_MS, Ordering::Relaxed, Ordering::Relaxed)
                .is_ok();
        due.then(|| self.unsaid.swap(0, Ordering::Relaxed))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn says_the_first_at_once_and_the_rest_together() {
        let seldom = Seldom::new();
        assert_eq!(seldom.count_at(0), Some(1));
        for moment in 1..=5 {
            assert_eq!(seldom.count_at(moment), None);
        }
        assert_eq!(seldom.count_at(PAUSE_MS), Some(6));
        assert_eq!(seldom.count_at(PAUSE_MS + 1), None);
    }
}
