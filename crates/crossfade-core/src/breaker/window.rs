//! What was observed lately: a ring of slots, each a tenth of the window.

use std::time::Duration;

const SLOTS: i64 = 10;

/// Times of calls, kept as their number and the sum of their logarithms. A geometric mean follows
/// a side that has become slower and is hardly moved by a single call that hung.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Times {
    pub(super) count: u32,
    logs: f64,
}

impl Times {
    pub(super) fn add(&mut self, took: Duration) {
        self.count = self.count.saturating_add(1);
        self.logs += log(took);
    }

    /// The logarithm of the mean; `None` below `minimum` calls.
    pub(super) fn mean(&self, minimum: u32) -> Option<f64> {
        (self.count >= minimum.max(1)).then(|| self.logs / f64::from(self.count))
    }
}

/// A time on the scale of [`Times::mean`].
pub(super) fn log(took: Duration) -> f64 {
    (took.as_secs_f64() * 1e6).max(1.0).ln()
}

/// Sums over some time.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Tally {
    pub(super) calls: u32,
    pub(super) failed: u32,
    pub(super) abandoned: u32,
    pub(super) compared: u32,
    pub(super) mismatched: u32,
    pub(super) new: Times,
    pub(super) legacy: Times,
}

impl Tally {
    fn add(&mut self, other: &Self) {
        self.calls = self.calls.saturating_add(other.calls);
        self.failed = self.failed.saturating_add(other.failed);
        self.abandoned = self.abandoned.saturating_add(other.abandoned);
        self.compared = self.compared.saturating_add(other.compared);
        self.mismatched = self.mismatched.saturating_add(other.mismatched);
        for (sum, part) in [(&mut self.new, &other.new), (&mut self.legacy, &other.legacy)] {
            sum.count = sum.count.saturating_add(part.count);
            sum.logs += part.logs;
        }
    }
}

#[derive(Clone, Debug)]
pub(super) struct Window {
    slot_ms: i64,
    /// The number of the time slot that each place holds, and its sums.
    slots: [(i64, Tally); SLOTS as usize],
}

impl Window {
    pub(super) fn new(length: Duration) -> Self {
        let length_ms = i64::try_from(length.as_millis()).unwrap_or(i64::MAX);
        let slots = [(i64::MIN, Tally::default()); SLOTS as usize];
        Self { slot_ms: (length_ms / SLOTS).max(1), slots }
    }

    /// Where something that happens now is counted.
    pub(super) fn now(&mut self, now_ms: i64) -> &mut Tally {
        let number = now_ms.div_euclid(self.slot_ms);
        let place = usize::try_from(number.rem_euclid(SLOTS)).unwrap_or_default();
        let (held, tally) = &mut self.slots[place];
        // A clock that was read by another thread may be a moment behind.
        if *held < number {
            (*held, *tally) = (number, Tally::default());
        }
        tally
    }

    /// When the slot ends that counts what happens now.
    pub(super) const fn slot_ends_ms(&self, now_ms: i64) -> i64 {
        (now_ms.div_euclid(self.slot_ms) + 1).saturating_mul(self.slot_ms)
    }

    /// Everything that is not too long ago.
    pub(super) fn sum(&self, now_ms: i64) -> Tally {
        let oldest = now_ms.div_euclid(self.slot_ms) - (SLOTS - 1);
        let mut sum = Tally::default();
        for (_, tally) in self.slots.iter().filter(|(number, _)| *number >= oldest) {
            sum.add(tally);
        }
        sum
    }

    pub(super) fn clear(&mut self) {
        self.slots = [(i64::MIN, Tally::default()); SLOTS as usize];
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_too_long_ago_no_longer_counts() {
        let mut window = Window::new(Duration::from_millis(100));
        window.now(5).calls += 1;
        window.now(50).calls += 1;
        for (now_ms, expected) in [(50, 2), (99, 2), (100, 1), (149, 1), (150, 0)] {
            assert_eq!(window.sum(now_ms).calls, expected, "at {now_ms}");
        }
        window.now(107).calls += 1;
        assert_eq!(window.sum(107).calls, 2, "the slot of 5 is used again");
    }

    #[test]
    fn one_call_that_hung_hardly_moves_the_mean() {
        let mut times = Times::default();
        for _ in 0..19 {
            times.add(Duration::from_millis(1));
        }
        times.add(Duration::from_secs(5));
        let ratio = (times.mean(20).unwrap() - log(Duration::from_millis(1))).exp();
        assert!(ratio < 2.0, "{ratio}");
        assert_eq!(times.mean(21), None);
    }
}
