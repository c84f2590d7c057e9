//! Whether the last verification is a proof, and still true.
//!
//! A proof has a begin, a reach and an age. It says nothing of what was written around the SDK after
//! its begin, so a gate asks what the capture has counted since, and whether anyone could have
//! written unseen.

use std::time::Duration;

use super::{Facts, Parity, Refusals, Warning};
use crate::{CaptureMode, Definition, RunFacts, Stage};

/// What a capture has seen up to a moment. Two of them that are equal have nothing in between.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Witness {
    /// Writes that bypassed the SDK, as the capture has counted them.
    pub bypassed: u64,
    /// The capture: its mode, when it was installed, and the database's own marks of its triggers,
    /// which change whenever a trigger is changed, disabled or enabled. `None` without a capture.
    pub capture: Option<String>,
}

/// What is known of the leases of a migration's instances over time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Leases {
    /// When an instance first held a lease, in milliseconds since 1970; `None` when none ever did.
    pub first_ms: Option<i64>,
    /// The end of the last time in which no instance held a lease; `None` when there was no such
    /// time after the first lease.
    pub gap_ended_ms: Option<i64>,
}

/// The begin that a proof must not be older than.
enum Since<'a> {
    /// The end of a backfill run.
    Run(&'a RunFacts),
    /// The begin of a stage.
    Stage(Stage),
}

/// Everything that the last verification lacks as a proof on the way to `to`.
pub(super) fn refuse(out: &mut Refusals<'_>, definition: &Definition, to: Stage, facts: &Facts) {
    let since = match (to, &facts.run) {
        (Stage::Live, Some(run)) => Since::Run(run),
        // That no run is there is a reason by itself.
        (Stage::Live, None) => return,
        (Stage::RampDown, _) => Since::Stage(Stage::Live),
        (Stage::Complete, _) => Since::Stage(Stage::RampDown),
        _ => return,
    };
    capture(out, definition, facts);
    let verify = out.command("verify");
    let Some(parity) = facts.parity.as_ref().filter(|parity| begun(parity, &since, facts)) else {
        let reason = match since {
            Since::Run(run) => format!("no verification since backfill run {}", run.id),
            Since::Stage(stage) => format!("nothing was verified since `{stage}` began"),
        };
        return out.add(reason, verify);
    };
    let age = facts.age_of(parity.started_ms);
    let allowed = definition.gates.proof_age;
    if age > allowed {
        out.add(
            format!(
                "the last verification began {} ago; it counts for {}",
                in_words(age),
                in_words(allowed)
            ),
            format!("{verify}, or set another `proof_age` under [gates]"),
        );
    }
    clean(out, parity);
    bypassed(out, parity, facts);
}

fn begun(parity: &Parity, since: &Since<'_>, facts: &Facts) -> bool {
    match since {
        Since::Run(run) => {
            parity.run == Some(run.id)
                && run.finished_ms.is_some_and(|end| end <= parity.started_ms)
        }
        Since::Stage(_) => parity.started_ms >= facts.stage_opened_ms,
    }
}

/// What the last verification left on New.
pub(super) fn clean(out: &mut Refusals<'_>, parity: &Parity) {
    let verify = out.command("verify");
    let remaining = parity.differences.saturating_sub(parity.repaired);
    if remaining > 0 {
        let hint = format!("`crossfade verify {} --repair`, then verify again", out.name);
        out.add(format!("the last verification left {remaining} differing keys"), hint);
    } else if parity.repaired > 0 {
        out.add(format!("the last verification repaired {} keys", parity.repaired), verify);
    }
}

/// Whether the capture is there, where one is asked for, and sees what it should.
fn capture(out: &mut Refusals<'_>, definition: &Definition, facts: &Facts) {
    let install = |mode: CaptureMode| {
        format!("`crossfade capture install {} --mode {mode}`", definition.name)
    };
    match &facts.capture {
        Some(capture) if !capture.in_place => out.add(
            "the capture's triggers on Legacy are missing, disabled or changed, so writes that \
             bypass the SDK are not seen",
            format!("{}, then verify again", install(capture.mode)),
        ),
        None if facts.can_capture && definition.gates.require_capture => out.add(
            "no capture is installed, and `require_capture` is set",
            format!("{}, then verify again", install(CaptureMode::Observe)),
        ),
        _ => {}
    }
}

/// Whether anything may have bypassed the SDK since the verification began.
fn bypassed(out: &mut Refusals<'_>, parity: &Parity, facts: &Facts) {
    let verify = out.command("verify");
    let now = &facts.witness;
    let then = parity.witness.as_ref();
    if then.and_then(|then| then.capture.as_ref()) != now.capture.as_ref() {
        out.add(
            "nothing was verified since the capture was installed, changed or removed",
            verify.clone(),
        );
    } else if let Some(then) = then {
        let journals = facts.capture.is_some_and(|capture| capture.mode == CaptureMode::Journal);
        let writes = now.bypassed.saturating_sub(then.bypassed);
        // The journal holds the keys of those writes, and is empty or a reason by itself.
        if writes > 0 && !journals {
            out.add(
                format!("{writes} writes bypassed the SDK since the last verification began"),
                format!("`crossfade capture status {}` names the writers; then {verify}", out.name),
            );
        }
    }
    let gap = facts.leases.gap_ended_ms.filter(|ended| *ended > parity.started_ms);
    if let Some(ended) = gap.filter(|_| facts.capture.is_none()) {
        out.add(
            format!(
                "no instance held a lease for a time that ended {} ago, after the last \
                 verification began; a deployment without the SDK may have written meanwhile",
                in_words(facts.age_of(ended))
            ),
            format!(
                "{verify}; a capture (`crossfade capture install {} --mode observe`) would \
                     have seen such writes",
                out.name
            ),
        );
    }
}

/// What no gate can know on the way to `to`, for the operator to judge.
pub(super) fn warn(definition: &Definition, to: Stage, facts: &Facts, found: &mut Vec<Warning>) {
    if !matches!(to, Stage::Live | Stage::RampDown | Stage::Complete) {
        return;
    }
    let unseen = facts.capture.is_none();
    if unseen && facts.can_capture && !definition.gates.require_capture {
        found.push(Warning {
            message: "no capture is installed: writes that bypass the SDK are not detected".into(),
            hint: format!(
                "`crossfade capture install {} --mode observe`, then verify again",
                definition.name
            ),
        });
    }
    if unseen && !facts.can_capture {
        found.push(Warning {
            message: "this database cannot capture: writes that bypass the SDK are not detected"
                .into(),
            hint: format!(
                "make sure that every writer uses the SDK; `crossfade verify {}` finds the rest",
                definition.name
            ),
        });
    }
    if unseen && facts.leases.first_ms.is_some() && facts.instances.is_empty() {
        found.push(Warning {
            message: "no instance holds a lease: what an application without the SDK writes is \
                      not detected"
                .into(),
            hint: "make sure that the application which runs now was built with the SDK".into(),
        });
    }
}

impl Facts {
    /// How long ago a moment was, in milliseconds since 1970.
    #[must_use]
    pub fn age_of(&self, then_ms: i64) -> Duration {
        let stage = i64::try_from(self.stage_for.as_millis()).unwrap_or(i64::MAX);
        let now_ms = self.stage_opened_ms.saturating_add(stage);
        Duration::from_millis(u64::try_from(now_ms.saturating_sub(then_ms)).unwrap_or(0))
    }
}

/// A duration by its greatest unit, as an operator thinks of a proof's age.
fn in_words(duration: Duration) -> String {
    const HOUR: u64 = 60 * 60;
    let seconds = duration.as_secs();
    match seconds {
        0..120 => format!("{seconds} s"),
        120..7200 => format!("{} min", seconds / 60),
        7200..172_800 => format!("{} h", seconds / HOUR),
        _ => format!("{} days", seconds / (24 * HOUR)),
    }
}
