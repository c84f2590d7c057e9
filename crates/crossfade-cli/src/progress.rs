//! How far long work is: a bar on a terminal, a line every two seconds elsewhere, nothing beside
//! JSON.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use indicatif::{HumanCount, HumanDuration, ProgressBar, ProgressStyle};

use crate::output::Output;

const EVERY: Duration = Duration::from_secs(2);

const BAR: &str = "{prefix} [{bar:32}] {human_pos}/{human_len} {msg} {per_sec}, {eta} left";
const SPINNER: &str = "{prefix} {spinner} {human_pos} {msg} {per_sec}";

/// Progress of one piece of work.
#[derive(Debug)]
pub(crate) struct Progress {
    kind: Kind,
}

#[derive(Debug)]
enum Kind {
    Bar(ProgressBar),
    Lines { output: Output, what: &'static str, started: Instant, last: Mutex<Option<Mark>> },
    Silent,
}

/// The position at which the last line was printed.
#[derive(Clone, Copy, Debug)]
struct Mark {
    at: Instant,
    position: u64,
}

impl Progress {
    /// Progress of `what`, such as "backfill".
    pub(crate) fn start(output: Output, what: &'static str) -> Self {
        let kind = if output.is_json() {
            Kind::Silent
        } else if output.can_animate() {
            let bar = ProgressBar::no_length().with_prefix(what);
            bar.set_style(style(SPINNER));
            bar.enable_steady_tick(Duration::from_millis(200));
            Kind::Bar(bar)
        } else {
            Kind::Lines { output, what, started: Instant::now(), last: Mutex::new(None) }
        };
        Self { kind }
    }

    /// Shows `position` of about `total` rows, and a word on what was found.
    pub(crate) fn show(&self, position: u64, total: Option<u64>, message: impl Into<String>) {
        match &self.kind {
            Kind::Silent => {}
            Kind::Bar(bar) => {
                // An estimate may be too low.
                if let Some(total) = total.map(|total| total.max(position))
                    && bar.length() != Some(total)
                {
                    bar.set_length(total);
                    bar.set_style(style(BAR));
                }
                bar.set_message(message.into());
                bar.set_position(position);
            }
            Kind::Lines { output, what, started, last } => {
                let now = Instant::now();
                let mut last = last.lock().unwrap_or_else(PoisonError::into_inner);
                let before = last.unwrap_or(Mark { at: *started, position });
                if last.is_some() && now - before.at < EVERY {
                    return;
                }
                let rate = rate(position - before.position.min(position), now - before.at);
                output.note(line(what, position, total, rate, &message.into()));
                *last = Some(Mark { at: now, position });
            }
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if let Kind::Bar(bar) = &self.kind {
            bar.finish_and_clear();
        }
    }
}

fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar())
}

fn rate(rows: u64, elapsed: Duration) -> f64 {
    if elapsed < Duration::from_millis(1) { 0.0 } else { rows as f64 / elapsed.as_secs_f64() }
}

fn line(what: &str, position: u64, total: Option<u64>, rate: f64, message: &str) -> String {
    let mut out = format!("{what}: {}", HumanCount(position));
    if let Some(total) = total.map(|total| total.max(position)) {
        out.push_str(&format!(" of about {}", HumanCount(total)));
        if rate >= 1.0 {
            let left = Duration::from_secs_f64((total - position) as f64 / rate);
            out.push_str(&format!(", {rate:.0} rows/s, {} left", HumanDuration(left)));
        }
    } else if rate >= 1.0 {
        out.push_str(&format!(", {rate:.0} rows/s"));
    }
    if !message.is_empty() {
        out.push_str(&format!(", {message}"));
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines() {
        assert_eq!(line("backfill", 5, None, 0.0, ""), "backfill: 5");
        assert_eq!(
            line("backfill", 5000, Some(20_000), 500.0, "1 in quarantine"),
            "backfill: 5,000 of about 20,000, 500 rows/s, 30 seconds left, 1 in quarantine"
        );
        assert_eq!(
            line("verify", 7, Some(5), 10.0, ""),
            "verify: 7 of about 7, 10 rows/s, 0 seconds left"
        );
    }

    #[test]
    fn templates_are_valid() {
        for template in [BAR, SPINNER] {
            assert!(ProgressStyle::with_template(template).is_ok());
        }
    }
}
