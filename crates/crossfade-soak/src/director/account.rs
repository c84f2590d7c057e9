//! What the run tells while it goes on, and at its end.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Serialize;

use super::chaos::Troubles;
use super::is_in_time;
use crate::mechanism::Without;
use crate::oracle::Counts;

/// What came of one engine.
#[derive(Clone, Debug, Default, Serialize)]
pub(super) struct EngineSummary {
    pub(super) engine: &'static str,
    pub(super) seconds: f64,
    pub(super) rounds: u32,
    pub(super) stage_changes: u64,
    pub(super) flips: u64,
    #[serde(flatten)]
    pub(super) troubles: Troubles,
    #[serde(flatten)]
    pub(super) counts: Counts,
    /// Seconds until the first fault was seen.
    pub(super) first_fault: Option<f64>,
    /// Processes that ended by themselves, which is a fault too.
    pub(super) accidents: u64,
    /// What is being done, for the account.
    #[serde(skip)]
    pub(super) doing: String,
    /// What was wrong, in words.
    pub(super) findings: Vec<String>,
}

impl EngineSummary {
    /// Whatever is wrong.
    pub(super) const fn faults(&self) -> u64 {
        self.counts.faults() + self.accidents
    }
}

/// What came of it all.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Summary {
    pub(super) seed: u64,
    pub(super) seconds: f64,
    pub(super) engines: Vec<EngineSummary>,
    /// For each mechanism that was taken out, after how many seconds that showed.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub(super) noticed: BTreeMap<&'static str, Option<f64>>,
}

impl Summary {
    /// Of a run that begins.
    pub(super) fn new(seed: u64) -> Self {
        Self { seed, seconds: 0.0, engines: Vec::new(), noticed: BTreeMap::new() }
    }

    /// Whatever is wrong.
    pub(super) fn faults(&self) -> u64 {
        self.engines.iter().map(EngineSummary::faults).sum()
    }
}

/// The running account: lines for people, or one JSON document at the end for programs.
#[derive(Clone, Copy, Debug)]
pub(super) struct Account {
    json: bool,
}

impl Account {
    /// To standard output.
    pub(super) const fn new(json: bool) -> Self {
        Self { json }
    }

    /// Tells one line, where nobody reads JSON.
    pub(super) fn line(self, text: &str) {
        if self.json {
            eprintln!("{text}");
        } else {
            println!("{text}");
        }
    }

    /// Tells how far an engine is.
    pub(super) fn progress(self, what: &str, seconds: f64, engine: &EngineSummary) {
        let EngineSummary { counts, troubles, stage_changes, flips, .. } = engine;
        self.line(&format!(
            "{:>6.1} s  {:<9} {what:<22} {:>7} writes {:>7} reads {:>4} failed {:>4} unknown \
             {:>3} kills {:>2} crashes {:>3} cuts {:>2} stops {stage_changes:>3} stages \
             {flips:>3} flips {:>2} faults",
            seconds,
            engine.engine,
            counts.writes,
            counts.reads,
            counts.failed + counts.failed_reads,
            counts.unknown,
            troubles.kills,
            troubles.crashes,
            troubles.cuts,
            troubles.stops,
            engine.faults(),
        ));
    }

    /// Tells how long a missing mechanism took to be noticed.
    pub(super) fn noticed(self, without: Without, engine: &EngineSummary, limit: Duration) {
        let name = without.as_str();
        self.line(&match engine.first_fault {
            Some(seconds) if !is_in_time(engine.first_fault, limit) => {
                format!(
                    "without {name}: noticed after {seconds:.1} s, TOO LATE by the limit {limit:?}"
                )
            }
            Some(seconds) => {
                format!("without {name}: noticed after {seconds:.1} s on {}", engine.engine)
            }
            None => format!("without {name}: NOT noticed in {:.0} s", engine.seconds),
        });
    }

    /// Tells what came of it.
    pub(super) fn summary(self, summary: &Summary) {
        if self.json {
            match serde_json::to_string_pretty(summary) {
                Ok(text) => println!("{text}"),
                Err(error) => eprintln!("error: {error}"),
            }
            return;
        }
        for engine in &summary.engines {
            let EngineSummary { counts, troubles, .. } = engine;
            self.line(&format!(
                "\n{}: {} rounds in {:.1} s, {} stage changes, {} flips, {} kills, {} crashes, \
                 {} cuts, {} stops",
                engine.engine,
                engine.rounds,
                engine.seconds,
                engine.stage_changes,
                engine.flips,
                troubles.kills,
                troubles.crashes,
                troubles.cuts,
                troubles.stops,
            ));
            let operations = counts.writes + counts.failed + counts.unknown;
            self.line(&format!(
                "  {operations} writes: {} acknowledged ({:.0}/s), {} failed, {} unknown; {} reads, \
                 {} failed",
                counts.writes,
                counts.writes as f64 / engine.seconds.max(1e-3),
                counts.failed,
                counts.unknown,
                counts.reads,
                counts.failed_reads,
            ));
            self.line(&format!(
                "  lost {}, resurrected {}, stale {}, duplicated {}, differing {}, accidents {}",
                counts.lost,
                counts.resurrected,
                counts.stale,
                counts.duplicated,
                counts.differing,
                engine.accidents,
            ));
        }
        for (without, seconds) in &summary.noticed {
            let noticed = seconds.map_or("NOT noticed".to_owned(), |it| format!("{it:.1} s"));
            self.line(&format!("without {without:<14} {noticed}"));
        }
        self.line(&format!("seed {}, {:.1} s in all", summary.seed, summary.seconds));
    }
}
