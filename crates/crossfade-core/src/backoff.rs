//! Waiting times between tries.

use std::time::Duration;

/// No wait is longer, so that the end of one is always a moment that can be named.
const LONGEST: Duration = Duration::from_secs(365 * 24 * 60 * 60);

/// Exponential backoff with full jitter, bounded in tries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Backoff {
    base: Duration,
    cap: Duration,
    tries: u32,
}

impl Backoff {
    /// `tries` tries in all; the longest wait doubles from `base` up to `cap`.
    #[must_use]
    pub const fn new(base: Duration, cap: Duration, tries: u32) -> Self {
        Self { base, cap, tries }
    }

    /// How long to wait after the failed try number `try_number` (from 1), or `None` when it was
    /// the last. `random` lies in `0.0..1.0`.
    #[must_use]
    pub fn wait(&self, try_number: u32, random: f64) -> Option<Duration> {
        if try_number >= self.tries {
            return None;
        }
        let doubled = self.base.saturating_mul(1 << try_number.saturating_sub(1).min(20));
        Some(doubled.min(self.cap).min(LONGEST).mul_f64(0.5 + 0.5 * random.clamp(0.0, 1.0)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn doubles_to_the_cap_and_ends() {
        let ms = Duration::from_millis;
        let backoff = Backoff::new(ms(10), ms(50), 6);
        let longest: Vec<_> = (1..=6).map(|n| backoff.wait(n, 1.0)).collect();
        let expected = [10, 20, 40, 50, 50].map(|n| Some(ms(n)));
        assert_eq!(longest[..5], expected);
        assert_eq!(longest[5], None);
        assert_eq!(backoff.wait(1, 0.0), Some(ms(5)));
        assert_eq!(Backoff::new(Duration::MAX, Duration::MAX, 9).wait(3, 1.0), Some(LONGEST));
    }
}
