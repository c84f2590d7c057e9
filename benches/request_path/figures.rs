//! What the sections of this benchmark ask of their durations beyond printing them.

use crate::spread::Spread;

impl Spread {
    /// Takes in what another one holds.
    pub(crate) fn join(&mut self, other: &Self) {
        self.0.add(&other.0).expect("both have the same bounds");
    }

    /// Prints how its percentiles stand to those of another.
    #[expect(clippy::print_stdout, reason = "a benchmark prints its figures")]
    pub(crate) fn print_against(&self, other: &Self, what: &str) {
        let ratio =
            |percentile| self.at(percentile).as_secs_f64() / other.at(percentile).as_secs_f64();
        let [median, p99, most] = [50.0, 99.0, 100.0].map(ratio);
        println!("{what}: p50 {median:.3}, p99 {p99:.3}, most {most:.3}");
    }
}
