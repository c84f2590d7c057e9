//! The gate in front of each stage: given facts, every reason against the change.

mod proof;

use std::fmt;
use std::time::Duration;

use crate::check::Finding;
use crate::{CaptureFacts, CaptureMode, Definition, Epoch, RunId, RunState, Stage};
pub use proof::{Leases, Witness};

/// What is known of the newest backfill run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunFacts {
    /// Its number.
    pub id: RunId,
    /// How far it is.
    pub state: RunState,
    /// When it ended, in milliseconds since 1970; `None` while it runs.
    pub finished_ms: Option<i64>,
}

/// What the newest finished verification found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Parity {
    /// The run whose rows it compared, if there was one.
    pub run: Option<RunId>,
    /// When it began, in milliseconds since 1970.
    pub started_ms: i64,
    /// Keys whose New row was not the mapped Legacy row, in either direction.
    pub differences: u64,
    /// Keys of these that the pass repaired; such a pass opens no gate.
    pub repaired: u64,
    /// What the capture had seen when it began; `None` when that was not recorded.
    pub witness: Option<Witness>,
}

/// What is known of the read flag in the database's rule set.
#[derive(Clone, Debug, PartialEq)]
pub struct FlagFacts {
    /// Share of users that read New, 0 to 100; `None` when the rule does not tell.
    pub percent: Option<f64>,
    /// How long it has stood at 100 %; `None` when it does not.
    pub full_for: Option<Duration>,
}

/// What is known of one live instance.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InstanceFacts {
    /// Its id, as the operator sees it in `crossfade status`.
    pub id: String,
    /// The newest epoch that no operation in flight is behind.
    pub acknowledged: Epoch,
    /// The last stage this instance knows how to serve.
    pub capable_of: Stage,
    /// Whether it read Legacy since the current epoch began.
    pub read_legacy: bool,
}

/// What the operator says beside the facts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Approval {
    /// Who approved `complete`.
    pub approved_by: Option<String>,
    /// The migration whose loss of a way back was accepted.
    pub accepted_loss: Option<String>,
}

/// Everything a gate looks at.
#[derive(Clone, Debug, PartialEq)]
pub struct Facts {
    /// The newest epoch.
    pub epoch: Epoch,
    /// Whether the epoch before it is still open.
    pub previous_open: bool,
    /// When the current stage began, in milliseconds since 1970.
    pub stage_opened_ms: i64,
    /// How long the current stage has lasted.
    pub stage_for: Duration,
    /// `None` when New does not exist; else whether it has rows.
    pub new_has_rows: Option<bool>,
    /// What the checks found.
    pub findings: Vec<Finding>,
    /// Why the mapping does not fit, one reason each.
    pub mapping_problems: Vec<String>,
    /// The newest run that is not void.
    pub run: Option<RunFacts>,
    /// The newest finished verification.
    pub parity: Option<Parity>,
    /// Keys in quarantine.
    pub quarantined: u64,
    /// Keys in the journal.
    pub journaled: u64,
    /// What becomes of writes around the SDK; `None` where nothing looks at them.
    pub capture: Option<CaptureFacts>,
    /// Whether the database can capture at all.
    pub can_capture: bool,
    /// What the capture has seen up to now.
    pub witness: Witness,
    /// The leases of its instances over time.
    pub leases: Leases,
    /// The read flag.
    pub flag: Option<FlagFacts>,
    /// The instances whose lease has not lapsed.
    pub instances: Vec<InstanceFacts>,
    /// How long the database's statistics have shown no use of Legacy; `None` where the database
    /// keeps none, or Legacy shares its table with columns that stay.
    pub legacy_quiet_for: Option<Duration>,
    /// What the operator says.
    pub approval: Approval,
}

/// One reason why a gate stays shut.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// What is wrong.
    pub reason: String,
    /// What to do about it.
    pub hint: String,
    /// Whether waiting alone may open the gate (an instance is about to acknowledge).
    pub passes_with_time: bool,
}

/// Something that a gate cannot know, and that holds nothing up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Warning {
    /// What is not known.
    pub message: String,
    /// What to do about it.
    pub hint: String,
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl Refusal {
    /// The reason that a finding is.
    #[must_use]
    pub fn of(finding: &Finding) -> Self {
        Self { reason: finding.to_string(), hint: finding.advice(), passes_with_time: false }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.reason)
    }
}

/// Every reason against going forward to `to`; empty when the gate is open.
#[must_use]
pub fn refusals(definition: &Definition, to: Stage, facts: &Facts) -> Vec<Refusal> {
    let mut out = Refusals { name: definition.name.as_str(), list: Vec::new() };
    out.epochs_and_fleet(to, facts);
    for finding in facts.findings.iter().filter(|finding| finding.blocks(to)) {
        out.list.push(Refusal::of(finding));
    }
    match to {
        Stage::Off => {}
        Stage::DeleteOnly => out.delete_only(facts),
        Stage::DualWrite => out.mapping(facts),
        Stage::Live => {
            out.live(definition, facts);
            out.flag_is_off(definition, facts);
        }
        Stage::RampDown => out.ramp_down(definition, facts),
        Stage::Complete => out.complete(definition, facts),
        Stage::Contracted => out.contracted(definition, facts),
    }
    out.list
}

/// Everything that the gate to `to` cannot know; it holds nothing up.
#[must_use]
pub fn warnings(definition: &Definition, to: Stage, facts: &Facts) -> Vec<Warning> {
    let mut found = Vec::new();
    proof::warn(definition, to, facts, &mut found);
    found
}

struct Refusals<'a> {
    name: &'a str,
    list: Vec<Refusal>,
}

impl Refusals<'_> {
    fn add(&mut self, reason: impl Into<String>, hint: impl Into<String>) {
        let (reason, hint) = (reason.into(), hint.into());
        self.list.push(Refusal { reason, hint, passes_with_time: false });
    }

    fn add_passing(&mut self, reason: impl Into<String>, hint: impl Into<String>) {
        let (reason, hint) = (reason.into(), hint.into());
        self.list.push(Refusal { reason, hint, passes_with_time: true });
    }

    fn epochs_and_fleet(&mut self, to: Stage, facts: &Facts) {
        if facts.previous_open {
            self.add(
                format!("the epoch before {} is still open", facts.epoch),
                "run `crossfade stage` again to close it; its writers are named when they hold it",
            );
        }
        for instance in &facts.instances {
            if instance.capable_of < to {
                self.add(
                    format!("instance {} cannot serve `{to}`", instance.id),
                    "deploy a version of the application that can",
                );
            }
            if instance.acknowledged < facts.epoch {
                self.add_passing(
                    format!(
                        "instance {} has acknowledged epoch {} but not {}",
                        instance.id, instance.acknowledged, facts.epoch
                    ),
                    "it follows within seconds; if not, look at it or stop it",
                );
            }
        }
    }

    fn mapping(&mut self, facts: &Facts) {
        if facts.new_has_rows.is_none() {
            self.add("the New table does not exist", self.command("expand"));
        }
        for problem in &facts.mapping_problems {
            self.add(problem.clone(), "mend mapping.sql or the New table");
        }
    }

    fn delete_only(&mut self, facts: &Facts) {
        self.mapping(facts);
        if facts.new_has_rows == Some(true) {
            self.add(
                "the New table is not empty",
                format!(
                    "its rows are left from an earlier try; `crossfade stage {} delete_only \
                     --truncate-new` empties it",
                    self.name
                ),
            );
        }
    }

    fn live(&mut self, definition: &Definition, facts: &Facts) {
        self.mapping(facts);
        match &facts.run {
            Some(run) if run.state == RunState::Done => {
                proof::refuse(self, definition, Stage::Live, facts);
            }
            Some(run) => {
                let reason = format!("backfill run {} is not done", run.id);
                self.add(reason, self.command("backfill"));
            }
            None => self.add("nothing was backfilled in this stage", self.command("backfill")),
        }
        self.no_leftovers(facts);
    }

    /// `live` honours the flag at once, so it begins with the flag off.
    fn flag_is_off(&mut self, definition: &Definition, facts: &Facts) {
        let flag = &definition.read_flag;
        match facts.flag.as_ref().map(|facts| facts.percent) {
            None | Some(Some(0.0)) => {}
            Some(percent) => {
                let share = percent.map_or("an unknown share".to_owned(), |p| format!("{p} %"));
                self.add(
                    format!("flag {flag} stands at {share} already"),
                    format!("`crossfade flag off {flag}`; raise it once the stage is `live`"),
                );
            }
        }
    }

    fn no_leftovers(&mut self, facts: &Facts) {
        if facts.quarantined > 0 {
            self.add(
                format!("{} keys are in quarantine", facts.quarantined),
                format!(
                    "`crossfade status {}` lists them; mend the rows, then `crossfade verify {} \
                     --repair`",
                    self.name, self.name
                ),
            );
        }
        if facts.journaled > 0 {
            self.add(
                format!("{} keys wait in the journal", facts.journaled),
                format!(
                    "`crossfade repair {} --follow` carries them to New, and those that come; ask \
                     again beside it",
                    self.name
                ),
            );
        }
    }

    fn ramp_down(&mut self, definition: &Definition, facts: &Facts) {
        let flag = &definition.read_flag;
        let on = format!("`crossfade flag on {flag}` once the ramp is done");
        match &facts.flag {
            None => self.add(format!("flag {flag} is not in the database's rule set"), on),
            Some(FlagFacts { full_for: None, percent }) => {
                let share = percent.map_or("an unknown share".to_owned(), |p| format!("{p} %"));
                self.add(format!("flag {flag} stands at {share}, not 100 %"), on);
            }
            Some(FlagFacts { full_for: Some(full_for), .. }) => {
                // A flag that was on before `live` has moved no reads until then.
                let reading = (*full_for).min(facts.stage_for);
                self.baked(&format!("flag {flag} at 100 % in `live`"), reading, definition);
            }
        }
        // The pass that opened `live` saw none of the writes of `live`.
        proof::refuse(self, definition, Stage::RampDown, facts);
        self.no_leftovers(facts);
        if facts.capture.is_some_and(|capture| capture.mode == CaptureMode::Journal) {
            self.add(
                "the capture keeps a journal, which nothing carries to New from `ramp_down` on",
                format!(
                    "lead its writers through the SDK (`crossfade capture status {0}` names them), \
                     then `crossfade capture install {0} --mode reject`",
                    self.name
                ),
            );
        }
    }

    fn complete(&mut self, definition: &Definition, facts: &Facts) {
        self.baked("stage `ramp_down`", facts.stage_for, definition);
        proof::refuse(self, definition, Stage::Complete, facts);
        self.no_leftovers(facts);
        for instance in facts.instances.iter().filter(|instance| instance.read_legacy) {
            self.add(
                format!("instance {} read Legacy in this stage", instance.id),
                "find the read that goes around the wrapper or restart the instance",
            );
        }
        if facts.approval.approved_by.is_none() {
            self.add(
                "nobody approved it",
                "`--approved-by NAME`: after this stage no flip brings reads back",
            );
        }
        let accepted = facts.approval.accepted_loss.as_deref() == Some(self.name);
        if !definition.gates.invertible && !accepted {
            self.add(
                "the mapping is not declared invertible",
                format!(
                    "set `invertible = true` under [gates] or accept the loss of a way back with \
                     `--accept-loss {}`",
                    self.name
                ),
            );
        }
    }

    fn contracted(&mut self, definition: &Definition, facts: &Facts) {
        // A pass that ended after `complete` began has seen what its gate did not.
        if let Some(parity) = &facts.parity {
            proof::clean(self, parity);
        }
        for instance in facts.instances.iter().filter(|instance| instance.read_legacy) {
            self.add(
                format!("instance {} read Legacy in this stage", instance.id),
                "find the read that goes around the wrapper or restart the instance",
            );
        }
        let wanted = definition.gates.quiet_time;
        if let Some(quiet) = facts.legacy_quiet_for.filter(|quiet| *quiet < wanted) {
            self.add_passing(
                format!(
                    "the database saw {} used {quiet:.0?} ago; {wanted:.0?} without use are asked",
                    definition.legacy.table
                ),
                "find who still uses it, or wait",
            );
        }
    }

    fn baked(&mut self, what: &str, lasted: Duration, definition: &Definition) {
        let wanted = definition.gates.bake_time;
        if lasted < wanted {
            self.add_passing(
                format!("{what} for {lasted:.0?}; the bake time is {wanted:.0?}"),
                "wait, or set another `bake_time` under [gates]",
            );
        }
    }

    fn command(&self, verb: &str) -> String {
        format!("`crossfade {verb} {}`", self.name)
    }
}

#[cfg(test)]
pub(crate) mod tests;
