//! The size of a worker's next batch, also while it looks for a row for which New refuses the commit.

use std::time::Duration;

use crossfade_core::BatchSize;

/// Size of the next batch.
///
/// While a refused row is looked for, the size only shrinks: growing back into the row would make
/// every other batch fail. It grows again once the row is found, or once so many rows went through
/// that it must have been mended in between.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pace {
    size: BatchSize,
    /// Rows left in which the refused one must lie; `None` when none is looked for.
    suspects: Option<u64>,
}

impl Pace {
    pub(crate) fn new(size: BatchSize) -> Self {
        Self { size, suspects: None }
    }

    pub(crate) fn rows(&self) -> u32 {
        self.size.rows()
    }

    /// After a batch that was written.
    pub(crate) fn written(&mut self, read: u64, elapsed: Duration) {
        self.suspects = self.suspects.and_then(|left| left.checked_sub(read.max(1)));
        // A batch that ran into the end of its segment says nothing of the time a full one takes.
        if self.suspects.is_none() && read >= u64::from(self.rows()) {
            self.size = self.size.after_success(elapsed);
        }
    }

    /// After a batch that holds a row which New refuses at the commit.
    pub(crate) fn refused(&mut self) {
        self.suspects = Some(u64::from(self.rows()));
        self.size = self.size.split();
    }

    /// After a row of a batch was put into quarantine.
    pub(crate) fn quarantined(&mut self) {
        self.suspects = None;
    }

    /// After a batch that took too long for a lock or a statement timeout.
    pub(crate) fn timed_out(&mut self) {
        self.size = self.size.split();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Batches that it takes to pass `table` with the refused rows at `bad`.
    fn batches(table: u64, bad: &[u64]) -> u32 {
        let mut pace = Pace::new(BatchSize::fixed(1000));
        let (mut at, mut count) = (0, 0);
        while at < table {
            let rows = u64::from(pace.rows()).min(table - at);
            let hit = bad.iter().any(|row| (at..at + rows).contains(row));
            count += 1;
            match hit {
                false => pace.written(rows, Duration::from_millis(1)),
                true if rows == 1 => pace.quarantined(),
                true => pace.refused(),
            }
            if !hit || rows == 1 {
                at += rows;
            }
        }
        count
    }

    #[test]
    fn one_refused_row_costs_a_bisection() {
        assert_eq!(batches(10_000, &[]), 10);
        assert!(batches(10_000, &[4321]) <= 10 + 30, "{}", batches(10_000, &[4321]));
    }

    #[test]
    fn a_table_of_refused_rows_costs_about_one_batch_each() {
        let all: Vec<u64> = (0..5000).collect();
        let count = batches(5000, &all);
        assert!(count <= 5000 + 12, "{count}");
    }

    #[test]
    fn a_row_mended_meanwhile_is_not_looked_for_forever() {
        let mut pace = Pace::new(BatchSize::fixed(8));
        pace.refused();
        pace.written(4, Duration::ZERO);
        assert_eq!(pace.rows(), 4, "the row may be in the second half");
        pace.written(4, Duration::ZERO);
        pace.written(4, Duration::ZERO);
        assert_eq!(pace.rows(), 8);
    }
}
