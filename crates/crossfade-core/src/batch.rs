//! Size and pace of batches.

use std::time::Duration;

/// How many rows the next batch takes.
///
/// Starts at 1000 rows and follows the time a batch takes: towards the target by at most ×1.5 at
/// a time, down to a fifth at once when a batch took five times the target. Floor 10, cap 100 000.
/// A fixed size never moves except when a batch is split.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BatchSize {
    rows: u32,
    fixed: Option<u32>,
    target: Duration,
}

impl BatchSize {
    const START: u32 = 1000;
    const FLOOR: u32 = 10;
    const CAP: u32 = 100_000;

    /// A size that aims at batches of `target`.
    #[must_use]
    pub const fn adaptive(target: Duration) -> Self {
        Self { rows: Self::START, fixed: None, target }
    }

    /// A size that stays at `rows`; 0 counts as 1.
    #[must_use]
    pub fn fixed(rows: u32) -> Self {
        let rows = rows.max(1);
        Self { rows, fixed: Some(rows), target: Duration::ZERO }
    }

    /// Rows of the next batch.
    #[must_use]
    pub const fn rows(self) -> u32 {
        self.rows
    }

    /// The size after a batch that took `elapsed`.
    #[must_use]
    pub fn after_success(self, elapsed: Duration) -> Self {
        if let Some(fixed) = self.fixed {
            return Self { rows: self.rows.saturating_mul(2).min(fixed), ..self };
        }
        let rows = f64::from(self.rows);
        let ratio = self.target.as_secs_f64() / elapsed.as_secs_f64().max(1e-6);
        let wanted = if ratio <= 0.2 { rows / 5.0 } else { rows * ratio.clamp(0.5, 1.5) };
        // The bounds keep the value inside `u32`.
        let rows = wanted.clamp(f64::from(Self::FLOOR), f64::from(Self::CAP)) as u32;
        Self { rows, ..self }
    }

    /// The size after a batch that failed for its size: half, down to a single row.
    #[must_use]
    pub fn split(self) -> Self {
        Self { rows: (self.rows / 2).max(1), ..self }
    }
}

/// How long to rest after a batch that took `elapsed`: the fixed delay where one is set, else
/// max(20 ms, half the batch's time).
#[must_use]
pub fn pause_after(elapsed: Duration, fixed: Option<Duration>) -> Duration {
    fixed.unwrap_or_else(|| (elapsed / 2).max(Duration::from_millis(20)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn grows_slowly_shrinks_at_once_and_stays_in_bounds() {
        let ms = Duration::from_millis;
        let start = BatchSize::adaptive(ms(250));
        assert_eq!(start.rows(), 1000);
        assert_eq!(start.after_success(ms(1)).rows(), 1500);
        assert_eq!(start.after_success(ms(250)).rows(), 1000);
        assert_eq!(start.after_success(ms(500)).rows(), 500);
        assert_eq!(start.after_success(ms(1250)).rows(), 200);
        let mut size = start;
        for _ in 0..40 {
            size = size.after_success(ms(1));
        }
        assert_eq!(size.rows(), 100_000);
        for _ in 0..40 {
            size = size.after_success(ms(10_000));
        }
        assert_eq!(size.rows(), 10);
    }

    #[test]
    fn a_split_reaches_one_row_and_recovers() {
        let mut size = BatchSize::fixed(8);
        for expected in [4, 2, 1, 1] {
            size = size.split();
            assert_eq!(size.rows(), expected);
        }
        for expected in [2, 4, 8, 8] {
            size = size.after_success(Duration::ZERO);
            assert_eq!(size.rows(), expected);
        }
    }

    #[test]
    fn pauses() {
        let ms = Duration::from_millis;
        assert_eq!(pause_after(ms(10), None), ms(20));
        assert_eq!(pause_after(ms(100), None), ms(50));
        assert_eq!(pause_after(ms(100), Some(ms(3))), ms(3));
    }
}
