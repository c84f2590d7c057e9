//! How long flags take where percentiles matter: from a flip to the answer that shows it, for a file
//! and for a PostgreSQL with 20 clients; an evaluation while large rule sets are swapped in; a start
//! without the source. Run with nothing else on the machine:
//! `cargo xtask postgres -- cargo bench -p crossfade-benches --bench flag_latency`.

#[path = "../flags/document.rs"]
mod document;

mod flips;
mod start;
mod tail;

use std::time::Duration;

use hdrhistogram::Histogram;
use tokio::runtime::Runtime;

fn main() {
    let runtime = Runtime::new().expect("a runtime");
    runtime.block_on(flips::file());
    runtime.block_on(flips::notify_alone());
    runtime.block_on(flips::postgres());
    runtime.block_on(start::persisted());
    tail::reload();
}

/// Durations, and how they are spread.
#[derive(Debug)]
struct Spread(Histogram<u64>);

impl Spread {
    fn new() -> Self {
        // Up to a minute in nanoseconds, to three digits.
        Self(Histogram::new_with_bounds(1, 60_000_000_000, 3).expect("the bounds are good"))
    }

    fn add(&mut self, duration: Duration) {
        let nanoseconds = u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX);
        self.0.saturating_record(nanoseconds.max(1));
    }

    fn at(&self, percentile: f64) -> Duration {
        Duration::from_nanos(self.0.value_at_percentile(percentile))
    }

    #[expect(clippy::print_stdout, reason = "a benchmark prints its figures")]
    fn print(&self, name: &str) {
        let [median, p99, p999] = [50.0, 99.0, 99.9].map(|percentile| self.at(percentile));
        let (count, most) = (self.0.len(), self.at(100.0));
        println!("{name}: p50 {median:?}, p99 {p99:?}, p99.9 {p999:?}, most {most:?} of {count}");
    }
}
