//! How durations are spread.

use std::time::Duration;

use hdrhistogram::Histogram;

/// Durations, and how they are spread.
#[derive(Debug)]
pub(crate) struct Spread(pub(crate) Histogram<u64>);

impl Spread {
    pub(crate) fn new() -> Self {
        // Up to a minute in nanoseconds, to three digits.
        Self(Histogram::new_with_bounds(1, 60_000_000_000, 3).expect("the bounds are good"))
    }

    pub(crate) fn add(&mut self, duration: Duration) {
        let nanoseconds = u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX);
        self.0.saturating_record(nanoseconds.max(1));
    }

    pub(crate) fn at(&self, percentile: f64) -> Duration {
        Duration::from_nanos(self.0.value_at_percentile(percentile))
    }

    #[expect(clippy::print_stdout, reason = "a benchmark prints its figures")]
    pub(crate) fn print(&self, name: &str) {
        let [median, p99, p999] = [50.0, 99.0, 99.9].map(|percentile| self.at(percentile));
        let (count, most) = (self.0.len(), self.at(100.0));
        println!("{name}: p50 {median:?}, p99 {p99:?}, p99.9 {p999:?}, most {most:?} of {count}");
    }
}
