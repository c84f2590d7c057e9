//! When a breaker opens and closes.

use std::time::Duration;

/// When a breaker opens, how long it stays open, and what closes it again.
///
/// Each of the three things it watches has two thresholds: it opens at the upper one, and closes
/// only where the probes stay at or below the lower one.
#[derive(Clone, Copy, Debug, PartialEq)]
#[must_use]
pub struct BreakerOptions {
    pub(super) window: Duration,
    pub(super) minimum: u32,
    pub(super) errors: Thresholds,
    pub(super) latency: Thresholds,
    pub(super) latency_floor: Duration,
    pub(super) mismatches: Thresholds,
    pub(super) cool_off: Duration,
    pub(super) probes: u32,
    pub(super) probe_interval: Duration,
}

/// A pair of thresholds; the lower one is never above the upper one.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Thresholds {
    pub(super) opens: f64,
    pub(super) closes: f64,
}

impl Thresholds {
    const fn new(opens: f64, closes: f64) -> Self {
        Self { opens, closes: closes.min(opens) }
    }

    /// A pair of shares, each from just above 0 and from 0, up to 1.
    const fn shares(opens: f64, closes: f64) -> Self {
        Self::new(opens.clamp(f64::EPSILON, 1.0), closes.clamp(0.0, 1.0))
    }
}

impl Default for BreakerOptions {
    fn default() -> Self {
        Self {
            window: Duration::from_secs(30),
            minimum: 20,
            errors: Thresholds::shares(0.2, 0.05),
            latency: Thresholds::new(5.0, 2.0),
            latency_floor: Duration::from_millis(10),
            mismatches: Thresholds::shares(0.05, 0.01),
            cool_off: Duration::from_secs(10),
            probes: 10,
            probe_interval: Duration::from_millis(100),
        }
    }
}

impl BreakerOptions {
    /// How far back the breaker looks. Default: 30 s; at least 10 ms.
    pub fn window(self, window: Duration) -> Self {
        Self { window: window.max(Duration::from_millis(10)), ..self }
    }

    /// How many reads of New, and how many comparisons, the window must hold before their shares
    /// say anything. Default: 20; at least 1.
    pub const fn minimum(self, minimum: u32) -> Self {
        Self { minimum: if minimum == 0 { 1 } else { minimum }, ..self }
    }

    /// The shares of failed reads of New, 0.0 to 1.0. Default: opens at 0.2, closes at 0.05.
    pub const fn errors(self, opens: f64, closes: f64) -> Self {
        Self { errors: Thresholds::shares(opens, closes), ..self }
    }

    /// How many times as long as Legacy New takes, by the geometric means of the window. Default:
    /// opens at 5.0, closes at 2.0. `f64::INFINITY` watches no latency.
    pub const fn latency_ratio(self, opens: f64, closes: f64) -> Self {
        Self { latency: Thresholds::new(opens, closes), ..self }
    }

    /// New is never too slow below this mean, whatever Legacy takes. Default: 10 ms.
    pub const fn latency_floor(self, floor: Duration) -> Self {
        Self { latency_floor: floor, ..self }
    }

    /// The shares of shadow comparisons that found a difference, 0.0 to 1.0. Default: opens at
    /// 0.05, closes at 0.01.
    pub const fn mismatches(self, opens: f64, closes: f64) -> Self {
        Self { mismatches: Thresholds::shares(opens, closes), ..self }
    }

    /// How long an open breaker keeps every read from New before it probes. Default: 10 s.
    pub const fn cool_off(self, cool_off: Duration) -> Self {
        Self { cool_off, ..self }
    }

    /// How many probes decide whether an open breaker closes. Default: 10; at least 1.
    pub const fn probes(self, probes: u32) -> Self {
        Self { probes: if probes == 0 { 1 } else { probes }, ..self }
    }

    /// The shortest time between two probes. Default: 100 ms.
    pub const fn probe_interval(self, interval: Duration) -> Self {
        Self { probe_interval: interval, ..self }
    }
}
