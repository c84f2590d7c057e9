//! The breaker: whether a process should leave New alone, from how its reads went lately.
//!
//! Closed, it only counts. Open, every read that may fall back uses Legacy at once. After the
//! cool-off it is half open: now and then one call probes New, and enough good probes close it.

mod options;
#[cfg(test)]
mod tests;
mod window;

use std::fmt;
use std::time::Duration;

pub use options::BreakerOptions;
use window::{Tally, Window, log};

use crate::ReadPlan;

/// How many of Legacy's times a tenth of the window takes in. More would hardly move their mean.
const LEGACY_TIMES: u32 = 1000;

/// What a breaker does with reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BreakerState {
    /// Nothing: they go as stage and flag say.
    Closed,
    /// It keeps them on Legacy.
    Open,
    /// It keeps them on Legacy, but for the probes.
    HalfOpen,
}

impl fmt::Display for BreakerState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Closed => "closed",
            Self::Open => "open",
            Self::HalfOpen => "half open",
        })
    }
}

/// Why a breaker opened.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum BreakerTrip {
    /// Reads of New failed where Legacy answered.
    Errors {
        /// How many.
        failed: u32,
        /// Of how many.
        calls: u32,
    },
    /// New took too much longer than Legacy.
    Slow {
        /// How many times as long.
        ratio: f64,
        /// How many reads of New that is the mean of.
        calls: u32,
    },
    /// Shadow comparisons found differences.
    Mismatches {
        /// How many.
        mismatched: u32,
        /// Of how many.
        compared: u32,
    },
}

impl fmt::Display for BreakerTrip {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Errors { failed, calls } => write!(f, "{failed} of {calls} reads of New failed"),
            Self::Slow { ratio, calls } => {
                write!(f, "New took {ratio:.1} times as long as Legacy in {calls} reads")
            }
            Self::Mismatches { mismatched, compared } => {
                write!(f, "{mismatched} of {compared} comparisons found a difference")
            }
        }
    }
}

/// What happened to a read in `live`, or to a comparison.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Observation {
    /// Legacy answered.
    LegacyAnswered(Duration),
    /// New answered.
    NewAnswered(Duration),
    /// New failed where Legacy answered the same call.
    NewFailed,
    /// The caller gave up on New after this time. That may be the caller's own affair, so it only
    /// counts where New was too slow by then.
    NewAbandoned(Duration),
    /// A comparison ended; whether the sides agreed.
    Compared {
        /// Whether they did.
        agreed: bool,
    },
}

/// What a call can find out about New.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Offer {
    /// Whether it would read New for the caller.
    pub reads_new: bool,
    /// Whether it could be compared.
    pub compares: bool,
}

/// A call that the breaker lets through in order to learn from it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Probe {
    kind: ProbeKind,
    /// Which opening it belongs to; a probe that ends late says nothing about a later one.
    opening: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum ProbeKind {
    Read,
    Comparison,
}

/// What a breaker says to one call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Admission {
    /// Go as planned.
    AsPlanned,
    /// Leave New alone.
    Legacy,
    /// Go and tell how it went.
    Probe(Probe),
}

/// The plan of a read behind a breaker's answer.
///
/// Whatever the answer, only a plan that may fall back to Legacy is turned to it: before `live`
/// there is nothing to turn, and from `ramp_down` on Legacy is no safe answer.
#[must_use]
pub fn past_breaker(plan: ReadPlan, admission: Admission) -> ReadPlan {
    let answer = plan.fallback.unwrap_or(plan.answer);
    let away = ReadPlan { answer, fallback: None, shadow: None, ..plan };
    match admission {
        Admission::AsPlanned | Admission::Probe(Probe { kind: ProbeKind::Read, .. }) => plan,
        Admission::Legacy => away,
        Admission::Probe(Probe { kind: ProbeKind::Comparison, .. }) => {
            // What differs is compared with Legacy and shown to nobody.
            ReadPlan { shadow: Some(answer.other()), ..away }
        }
    }
}

/// A change of state.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct BreakerChange {
    /// The state left.
    pub from: BreakerState,
    /// The state entered.
    pub to: BreakerState,
    /// Why it is open, or was.
    pub why: Option<BreakerTrip>,
}

/// What the window of a breaker holds.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct BreakerCounts {
    /// Reads of New.
    pub calls: u32,
    /// Those that failed where Legacy answered.
    pub failed: u32,
    /// Comparisons.
    pub compared: u32,
    /// Those that found a difference.
    pub mismatched: u32,
    /// How many times as long as Legacy New takes; `None` without enough reads of either.
    pub latency_ratio: Option<f64>,
    /// Good probes since it was half open.
    pub good_probes: u32,
    /// How often it has opened.
    pub opened: u64,
}

/// The breaker of one migration in one process. Time is given as milliseconds of any clock that
/// does not go back.
#[derive(Clone, Debug)]
pub struct Breaker {
    options: BreakerOptions,
    state: BreakerState,
    since_ms: i64,
    why: Option<BreakerTrip>,
    opened: u64,
    window: Window,
    /// Legacy's mean when it was last known, for a time at which nobody reads Legacy.
    baseline: Option<f64>,
    probed: Tally,
    next_probe_ms: i64,
}

impl Breaker {
    /// A closed one.
    #[must_use]
    pub fn new(options: BreakerOptions, now_ms: i64) -> Self {
        Self {
            options,
            state: BreakerState::Closed,
            since_ms: now_ms,
            why: None,
            opened: 0,
            window: Window::new(options.window),
            baseline: None,
            probed: Tally::default(),
            next_probe_ms: now_ms,
        }
    }

    /// Its state.
    #[must_use]
    pub const fn state(&self) -> BreakerState {
        self.state
    }

    /// When it entered its state.
    #[must_use]
    pub const fn since_ms(&self) -> i64 {
        self.since_ms
    }

    /// Why it last opened; `None` when it never did.
    #[must_use]
    pub const fn why(&self) -> Option<BreakerTrip> {
        self.why
    }

    /// What its window holds.
    #[must_use]
    pub fn counts(&self, now_ms: i64) -> BreakerCounts {
        let sum = self.window.sum(now_ms);
        let legacy = sum.legacy.mean(self.options.minimum).or(self.baseline);
        let new = sum.new.mean(self.options.minimum);
        BreakerCounts {
            calls: sum.calls,
            failed: sum.failed,
            compared: sum.compared,
            mismatched: sum.mismatched,
            latency_ratio: new.zip(legacy).map(|(new, legacy)| (new - legacy).exp()),
            good_probes: match self.state {
                BreakerState::HalfOpen => good(&self.probed),
                _ => 0,
            },
            opened: self.opened,
        }
    }

    /// Asks for a call that has something to do with New, in `live`.
    pub fn admit(&mut self, offer: Offer, now_ms: i64) -> (Admission, Option<BreakerChange>) {
        let mut change = None;
        match self.state {
            BreakerState::Closed => return (Admission::AsPlanned, None),
            BreakerState::Open
                if now_ms < self.since_ms.saturating_add(ms(self.options.cool_off)) =>
            {
                return (Admission::Legacy, None);
            }
            BreakerState::Open => {
                self.probed = Tally::default();
                self.next_probe_ms = now_ms;
                change = Some(self.enter(BreakerState::HalfOpen, now_ms));
            }
            BreakerState::HalfOpen => {}
        }
        let (kind, offered) = match self.why {
            Some(BreakerTrip::Mismatches { .. }) => (ProbeKind::Comparison, offer.compares),
            _ => (ProbeKind::Read, offer.reads_new),
        };
        if !offered || now_ms < self.next_probe_ms {
            return (Admission::Legacy, change);
        }
        self.next_probe_ms = now_ms.saturating_add(ms(self.options.probe_interval));
        (Admission::Probe(Probe { kind, opening: self.opened }), change)
    }

    /// Takes in how a call or a comparison went, which was a probe or was not.
    pub fn observe(
        &mut self,
        probe: Option<Probe>,
        observation: Observation,
        now_ms: i64,
    ) -> Option<BreakerChange> {
        if let Observation::LegacyAnswered(took) = observation {
            if self.legacy_known_until_ms(now_ms).is_none() {
                self.window.now(now_ms).legacy.add(took);
            }
            return None;
        }
        if let Observation::NewAbandoned(took) = observation
            && !self.too_slow(log(took), self.legacy(now_ms), self.options.latency.opens)
        {
            return None;
        }
        match self.state {
            BreakerState::Closed => {
                count(self.window.now(now_ms), observation);
                let trip = self.trip(now_ms)?;
                Some(self.open(trip, now_ms))
            }
            BreakerState::HalfOpen if probe.is_some_and(|it| it.opening == self.opened) => {
                count(&mut self.probed, observation);
                self.after_probe(now_ms)
            }
            BreakerState::Open | BreakerState::HalfOpen => None,
        }
    }

    /// Until when it needs to be told no more of Legacy's times, by the same clock; `None` while it
    /// does. That ends early with a change of its state.
    pub fn legacy_known_until_ms(&mut self, now_ms: i64) -> Option<i64> {
        let enough = LEGACY_TIMES.max(self.options.minimum);
        let known = self.window.now(now_ms).legacy.count >= enough;
        known.then(|| self.window.slot_ends_ms(now_ms))
    }

    /// What the window gives as a reason to open.
    fn trip(&mut self, now_ms: i64) -> Option<BreakerTrip> {
        let (sum, options) = (self.window.sum(now_ms), self.options);
        let reached = |part: u32, of: u32, share: f64| {
            of >= options.minimum && f64::from(part) >= share * f64::from(of)
        };
        if reached(sum.mismatched, sum.compared, options.mismatches.opens) {
            let Tally { mismatched, compared, .. } = sum;
            return Some(BreakerTrip::Mismatches { mismatched, compared });
        }
        if reached(sum.failed, sum.calls, options.errors.opens) {
            return Some(BreakerTrip::Errors { failed: sum.failed, calls: sum.calls });
        }
        self.baseline = sum.legacy.mean(options.minimum).or(self.baseline);
        let new = sum.new.mean(options.minimum)?;
        self.too_slow(new, self.baseline, options.latency.opens)
            .then(|| slow(new, self.baseline, sum.new.count))
    }

    /// Decides once there are enough probes, or so many bad ones that enough would not help.
    fn after_probe(&mut self, now_ms: i64) -> Option<BreakerChange> {
        let (probed, options) = (self.probed, self.options);
        let wanted = f64::from(options.probes);
        if f64::from(probed.mismatched) > options.mismatches.closes * wanted {
            let Tally { mismatched, compared, .. } = probed;
            return Some(self.open(BreakerTrip::Mismatches { mismatched, compared }, now_ms));
        }
        if f64::from(probed.failed) > options.errors.closes * wanted {
            let Tally { failed, calls, .. } = probed;
            return Some(self.open(BreakerTrip::Errors { failed, calls }, now_ms));
        }
        if good(&probed) < options.probes {
            return None;
        }
        let legacy = self.legacy(now_ms);
        if let Some(new) = probed.new.mean(1)
            && self.too_slow(new, legacy, options.latency.closes)
        {
            return Some(self.open(slow(new, legacy, probed.new.count), now_ms));
        }
        // What is long known of New says nothing of the New that the probes have met.
        self.baseline = legacy;
        self.window.clear();
        Some(self.enter(BreakerState::Closed, now_ms))
    }

    fn legacy(&self, now_ms: i64) -> Option<f64> {
        self.window.sum(now_ms).legacy.mean(self.options.minimum).or(self.baseline)
    }

    fn too_slow(&self, new: f64, legacy: Option<f64>, ratio: f64) -> bool {
        new > log(self.options.latency_floor)
            && legacy.is_some_and(|legacy| (new - legacy).exp() > ratio)
    }

    fn open(&mut self, trip: BreakerTrip, now_ms: i64) -> BreakerChange {
        self.why = Some(trip);
        self.opened += 1;
        self.enter(BreakerState::Open, now_ms)
    }

    fn enter(&mut self, to: BreakerState, now_ms: i64) -> BreakerChange {
        let from = std::mem::replace(&mut self.state, to);
        self.since_ms = now_ms;
        BreakerChange { from, to, why: self.why }
    }
}

fn count(tally: &mut Tally, observation: Observation) {
    match observation {
        Observation::LegacyAnswered(_) => {}
        Observation::NewAnswered(took) => {
            tally.calls += 1;
            tally.new.add(took);
        }
        Observation::NewAbandoned(took) => {
            tally.calls += 1;
            tally.abandoned += 1;
            tally.new.add(took);
        }
        Observation::NewFailed => {
            tally.calls += 1;
            tally.failed += 1;
        }
        Observation::Compared { agreed } => {
            tally.compared += 1;
            tally.mismatched += u32::from(!agreed);
        }
    }
}

/// Probes that got an answer from New, or found no difference.
const fn good(probed: &Tally) -> u32 {
    (probed.calls - probed.failed - probed.abandoned) + (probed.compared - probed.mismatched)
}

fn slow(new: f64, legacy: Option<f64>, calls: u32) -> BreakerTrip {
    BreakerTrip::Slow { ratio: (new - legacy.unwrap_or(new)).exp(), calls }
}

fn ms(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}
