//! What the demo tells while it runs, and at its end.

use std::time::Duration;

use serde::Serialize;

use super::{compare::Wrong, traffic::Counts};
use crate::output::Output;

/// One stage as it went.
#[derive(Clone, Debug, Serialize)]
pub(super) struct StageReport {
    /// What was done.
    pub(super) stage: String,
    /// How long it lasted.
    pub(super) seconds: f64,
    /// Reads that were answered meanwhile.
    pub(super) reads: u64,
    /// Writes that were acknowledged meanwhile.
    pub(super) writes: u64,
    /// The share of reads that New answered, 0.0 to 1.0.
    pub(super) new_share: f64,
}

/// What came of it. Printed as JSON on request.
#[derive(Clone, Debug, Default, Serialize)]
pub(super) struct Summary {
    pub(super) engine: String,
    pub(super) users: u64,
    pub(super) instances: u64,
    pub(super) seconds: f64,
    pub(super) reads: u64,
    pub(super) writes: u64,
    /// Reads during which too much happened to their key to judge them.
    pub(super) unjudged: u64,
    /// Operations that failed for their caller.
    pub(super) errors: u64,
    pub(super) lost: u64,
    pub(super) stale: u64,
    pub(super) resurrected: u64,
    pub(super) differing: u64,
    pub(super) rollback_ms: f64,
    pub(super) backfill_rows_per_s: f64,
    pub(super) stages: Vec<StageReport>,
    /// The first few things that were wrong, in words.
    pub(super) findings: Vec<String>,
}

impl Summary {
    /// Enters what the traffic counted.
    pub(super) fn count(&mut self, counts: Counts) {
        self.reads = counts.reads;
        self.writes = counts.writes;
        self.unjudged = counts.unjudged;
        self.errors = counts.errors;
        self.stale += counts.stale;
        self.resurrected += counts.resurrected;
    }

    /// Enters what a comparison of rows found.
    pub(super) fn enter(&mut self, wrong: Wrong) {
        self.lost += wrong.lost;
        self.resurrected += wrong.resurrected;
        self.differing += wrong.differing;
    }

    /// Whether nothing was lost, stale, resurrected or differing.
    pub(super) const fn is_clean(&self) -> bool {
        self.lost == 0 && self.stale == 0 && self.resurrected == 0 && self.differing == 0
    }
}

/// The running account, for people; programs get the summary alone.
#[derive(Clone, Copy, Debug)]
pub(super) struct Account {
    output: Output,
}

impl Account {
    /// To where the command prints.
    pub(super) const fn new(output: Output) -> Self {
        Self { output }
    }

    /// Tells one line.
    pub(super) fn line(self, text: &str) {
        self.output.line(text);
    }

    /// Tells the heads of the columns that [`stage`](Self::stage) fills.
    pub(super) fn heads(self) {
        let heads = ["stage", "s", "reads/s", "writes/s", "on New", "errors"];
        let [stage, rest @ ..] = heads;
        let rest: Vec<String> = rest.iter().map(|head| format!("{head:>9}")).collect();
        self.line(&format!("{stage:<24}{}", rest.join("")));
    }

    /// Tells how a stage went, with a word on what was special about it.
    pub(super) fn stage(
        self,
        stage: &str,
        lasted: Duration,
        counts: Counts,
        note: &str,
    ) -> StageReport {
        let seconds = lasted.as_secs_f64();
        let rate = |count: u64| count as f64 / seconds.max(1e-3);
        let line = format!(
            "{stage:<24}{seconds:>9.1}{:>9.0}{:>9.0}{:>7.1} %{:>9}  {note}",
            rate(counts.reads),
            rate(counts.writes),
            counts.new_share() * 100.0,
            counts.errors,
        );
        self.line(line.trim_end());
        StageReport {
            stage: stage.to_owned(),
            seconds: rounded(seconds),
            reads: counts.reads,
            writes: counts.writes,
            new_share: rounded(counts.new_share()),
        }
    }

    /// Tells what came of it.
    pub(super) fn summary(self, summary: &Summary) {
        for finding in &summary.findings {
            self.line(&format!("! {finding}"));
        }
        let rows: [(&str, String); 10] = [
            ("reads", summary.reads.to_string()),
            ("writes", summary.writes.to_string()),
            ("errors seen by callers", summary.errors.to_string()),
            ("acknowledged writes lost", summary.lost.to_string()),
            ("stale reads", summary.stale.to_string()),
            ("deleted rows resurrected", summary.resurrected.to_string()),
            ("keys differing", summary.differing.to_string()),
            (
                "rollback",
                format!("{:.0} ms until no read was answered by New", summary.rollback_ms),
            ),
            ("backfill", format!("{:.0} rows/s", summary.backfill_rows_per_s)),
            ("in all", format!("{:.1} s on {}", summary.seconds, summary.engine)),
        ];
        self.line("");
        for (name, value) in rows {
            self.line(&format!("{name:<26}{value}"));
        }
        self.output.result(summary);
    }
}

/// To three places, which is what the figures are worth.
pub(super) fn rounded(figure: f64) -> f64 {
    (figure * 1000.0).round() / 1000.0
}
