//! Counters of the traffic.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use crossfade::Side;

use crate::demo::oracle::Verdict;

/// Counters that go up while the traffic runs.
#[derive(Debug)]
pub(in crate::demo) struct Tally {
    began: Instant,
    reads: AtomicU64,
    new_reads: AtomicU64,
    writes: AtomicU64,
    errors: AtomicU64,
    stale: AtomicU64,
    resurrected: AtomicU64,
    unjudged: AtomicU64,
    /// When New answered a read last, in microseconds since the beginning; 0 before the first.
    new_answered_us: AtomicU64,
}

/// The counters at one moment, or what was added between two.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in crate::demo) struct Counts {
    /// Reads that were answered.
    pub(in crate::demo) reads: u64,
    /// Those of them that New answered.
    pub(in crate::demo) new_reads: u64,
    /// Writes that were acknowledged.
    pub(in crate::demo) writes: u64,
    /// Operations of either kind that failed for their caller.
    pub(in crate::demo) errors: u64,
    /// Reads, and partial updates, that saw an older state than the last acknowledged one.
    pub(in crate::demo) stale: u64,
    /// Reads that saw a row after its delete.
    pub(in crate::demo) resurrected: u64,
    /// Reads that could not be judged.
    pub(in crate::demo) unjudged: u64,
}

impl Default for Tally {
    fn default() -> Self {
        let zero = || AtomicU64::new(0);
        Self {
            began: Instant::now(),
            reads: zero(),
            new_reads: zero(),
            writes: zero(),
            errors: zero(),
            stale: zero(),
            resurrected: zero(),
            unjudged: zero(),
            new_answered_us: zero(),
        }
    }
}

impl Tally {
    /// Counts a read that `side` answered.
    pub(in crate::demo) fn read(&self, side: Side) {
        self.reads.fetch_add(1, Ordering::Relaxed);
        if side == Side::New {
            self.new_reads.fetch_add(1, Ordering::Relaxed);
            let now = u64::try_from(self.began.elapsed().as_micros()).unwrap_or(u64::MAX);
            self.new_answered_us.fetch_max(now, Ordering::Relaxed);
        }
    }

    /// Counts an acknowledged write.
    pub(in crate::demo) fn wrote(&self) {
        self.writes.fetch_add(1, Ordering::Relaxed);
    }

    /// Counts a failed operation.
    pub(in crate::demo) fn failed(&self) {
        self.errors.fetch_add(1, Ordering::Relaxed);
    }

    /// Counts what an operation saw.
    pub(in crate::demo) fn judged(&self, verdict: Verdict) {
        let counter = match verdict {
            Verdict::Right => return,
            Verdict::Unjudged => &self.unjudged,
            Verdict::Resurrected => &self.resurrected,
            Verdict::Stale | Verdict::Lost | Verdict::Altered => &self.stale,
        };
        counter.fetch_add(1, Ordering::Relaxed);
    }

    /// How long after `moment` New answered a read last; zero when it did not any more.
    pub(in crate::demo) fn new_answered_after(&self, moment: Instant) -> Duration {
        let answered = Duration::from_micros(self.new_answered_us.load(Ordering::Relaxed));
        answered.saturating_sub(moment.duration_since(self.began))
    }

    /// The counters now.
    pub(in crate::demo) fn counts(&self) -> Counts {
        let get = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Counts {
            reads: get(&self.reads),
            new_reads: get(&self.new_reads),
            writes: get(&self.writes),
            errors: get(&self.errors),
            stale: get(&self.stale),
            resurrected: get(&self.resurrected),
            unjudged: get(&self.unjudged),
        }
    }
}

impl Counts {
    /// What was added since `before`.
    pub(in crate::demo) fn since(self, before: Self) -> Self {
        Self {
            reads: self.reads - before.reads,
            new_reads: self.new_reads - before.new_reads,
            writes: self.writes - before.writes,
            errors: self.errors - before.errors,
            stale: self.stale - before.stale,
            resurrected: self.resurrected - before.resurrected,
            unjudged: self.unjudged - before.unjudged,
        }
    }

    /// The share of reads that New answered, 0.0 to 1.0.
    pub(in crate::demo) fn new_share(self) -> f64 {
        if self.reads == 0 { 0.0 } else { self.new_reads as f64 / self.reads as f64 }
    }
}
