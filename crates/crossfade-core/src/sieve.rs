//! Finding the rows that New refuses inside a batch, and how many of them a backfill takes.

use crate::MaxRefusals;

/// Sizes of the groups in which the rows of a batch are tried, one after the other.
///
/// A group that is refused is bisected until its first refused row stands alone; the halves that
/// New takes stay. The next group is as long as the good rows between refused ones were, so that
/// one refused row costs about the logarithm of that distance, and a table that is refused
/// altogether one try for each row.
#[derive(Clone, Copy, Debug)]
pub struct Sieve {
    /// Rows of the next group while no refused row is looked for.
    size: usize,
    /// Rows among which a refused one must be; `None` while none is looked for.
    suspects: Option<usize>,
    /// Good rows since the last refused one.
    gap: usize,
    /// Average number of good rows between refused ones; `None` before the first.
    distance: Option<usize>,
}

impl Sieve {
    /// A sieve whose first group has `size` rows.
    #[must_use]
    pub fn new(size: usize) -> Self {
        Self { size: size.max(1), suspects: None, gap: 0, distance: None }
    }

    /// Rows of the next group, where `left` rows are left; at least 1.
    #[must_use]
    pub fn group(&self, left: usize) -> usize {
        let wanted = self.suspects.map_or(self.size, |suspects| suspects / 2);
        wanted.min(left).max(1)
    }

    /// New took a group of `rows`.
    pub fn taken(&mut self, rows: usize) {
        self.gap += rows;
        self.suspects = self.suspects.and_then(|left| left.checked_sub(rows)).filter(|n| *n > 0);
        if self.suspects.is_none() {
            // Twice as many good rows in all, each time: the next refused row is that far away.
            self.size = self.size.max(self.gap);
        }
    }

    /// New refused a group of `rows`. Returns whether that was a single row, which is passed over.
    pub fn refused(&mut self, rows: usize) -> bool {
        if rows > 1 {
            self.suspects = Some(rows);
            return false;
        }
        let distance = self.distance.map_or(self.gap, |before| before.midpoint(self.gap));
        *self = Self { size: distance.max(1), suspects: None, gap: 0, distance: Some(distance) };
        true
    }
}

/// Refused rows at which a backfill stops by default in a small table.
const FLOOR: u64 = 50;

/// Refused rows at which a backfill stops by default in a large one.
const CEILING: u64 = 1000;

/// The number of refused rows at which a backfill stops, where Legacy has about `rows` rows.
///
/// By default that is 1 % of the rows, but at least 50, so that a small table does not stop at its
/// first, and at most 1,000. A share that was set is rounded up; without an estimate of Legacy's
/// rows it is 1,000. At least 1: a limit of 0 stops at the first refused row.
#[must_use]
pub fn refusal_limit(max: MaxRefusals, rows: Option<u64>) -> u64 {
    let share = |parts: u32| match rows {
        Some(rows) => {
            let limit = (u128::from(rows) * u128::from(parts)).div_ceil(1_000_000);
            u64::try_from(limit).unwrap_or(u64::MAX)
        }
        None => CEILING,
    };
    match max {
        MaxRefusals::Default => share(10_000).clamp(FLOOR, CEILING),
        MaxRefusals::Rows(rows) => rows.max(1),
        MaxRefusals::PartsPerMillion(parts) => share(parts).max(1),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Tries it takes to pass `rows` rows, of which `bad` are refused; and rows that were tried.
    fn tries(rows: usize, bad: impl Fn(usize) -> bool) -> (usize, usize) {
        let mut sieve = Sieve::new(rows / 2);
        let (mut at, mut tries, mut tried, mut found) = (0, 0, 0, 0);
        while at < rows {
            let group = sieve.group(rows - at);
            assert!(group >= 1 && at + group <= rows);
            tries += 1;
            tried += group;
            if (at..at + group).any(&bad) {
                if sieve.refused(group) {
                    found += 1;
                    at += 1;
                }
            } else {
                sieve.taken(group);
                at += group;
            }
        }
        assert_eq!(found, (0..rows).filter(|row| bad(*row)).count());
        (tries, tried)
    }

    #[test]
    fn a_refused_row_costs_a_bisection() {
        assert!(tries(1000, |_| false).0 <= 3);
        let (one, _) = tries(1000, |row| row == 432);
        assert!(one <= 3 + 2 * 10, "{one}");
        // Two rows of a hundred: some nine tries each, and each row tried three times or so.
        let (some, rows) = tries(1000, |row| row % 50 == 17);
        assert!(some <= 20 * 9, "{some}");
        assert!(rows <= 4 * 1000, "{rows}");
        let (uneven, _) = tries(1000, |row| row * 7919 % 50 == 17);
        assert!(uneven <= 20 * 10, "{uneven}");
    }

    #[test]
    fn rows_that_are_all_refused_cost_one_try_each() {
        let (all, rows) = tries(1000, |_| true);
        assert!(all <= 1000 + 12, "{all}");
        assert!(rows <= 2 * 1000, "{rows}");
        let (half, _) = tries(1000, |row| row >= 500);
        assert!(half <= 500 + 50, "{half}");
    }

    #[test]
    fn a_row_that_was_mended_meanwhile_ends_the_search() {
        let mut sieve = Sieve::new(8);
        assert!(!sieve.refused(8));
        for rows in [4, 2, 1, 1] {
            assert_eq!(sieve.group(100), rows);
            sieve.taken(rows);
        }
        assert!(sieve.group(100) >= 8);
    }

    #[test]
    fn limits() {
        use MaxRefusals::{Default, PartsPerMillion, Rows};
        for (max, rows, expect) in [
            (Default, Some(0), 50),
            (Default, Some(50), 50),
            (Default, Some(20_000), 200),
            (Default, Some(100_000), 1000),
            (Default, Some(50_000_000), 1000),
            (Default, None, 1000),
            (Rows(0), Some(10), 1),
            (Rows(7), None, 7),
            (PartsPerMillion(10_000), Some(50), 1),
            (PartsPerMillion(10_000), Some(151), 2),
            (PartsPerMillion(1_000_000), Some(9), 9),
            (PartsPerMillion(500), None, 1000),
        ] {
            assert_eq!(refusal_limit(max, rows), expect, "{max:?} {rows:?}");
        }
    }
}
