//! Each reason a gate knows, taken one at a time from facts that open it.

use super::*;
use crate::{BackfillOptions, GateOptions, SideTable};

pub(crate) fn definition() -> Definition {
    let side = |table: &str, key: &str| SideTable {
        table: table.parse().unwrap(),
        key: vec![key.parse().unwrap()],
    };
    Definition {
        name: "user_settings".parse().unwrap(),
        read_flag: "read_user_settings_v2".parse().unwrap(),
        legacy: side("users", "id"),
        legacy_columns: Vec::new(),
        new: side("user_settings", "user_id"),
        mapping: "select id as user_id from users".to_owned(),
        backfill: BackfillOptions::default(),
        gates: GateOptions::default(),
        accepted: Vec::new(),
        pinned: crate::Pinned::default(),
    }
}

/// Facts that open the gate to `to`.
fn good(to: Stage) -> Facts {
    let day = Duration::from_secs(24 * 60 * 60);
    Facts {
        epoch: Epoch::new(5),
        previous_open: false,
        stage_opened_ms: 10,
        stage_for: day,
        new_has_rows: Some(to != Stage::DeleteOnly),
        findings: Vec::new(),
        mapping_problems: Vec::new(),
        run: Some(RunFacts { id: RunId::new(1), state: RunState::Done, finished_ms: Some(10) }),
        parity: Some(Parity {
            run: Some(RunId::new(1)),
            started_ms: 10,
            differences: 0,
            repaired: 0,
            witness: Some(Witness::default()),
        }),
        quarantined: 0,
        journaled: 0,
        capture: None,
        can_capture: true,
        witness: Witness::default(),
        leases: Leases { first_ms: Some(1), gap_ended_ms: Some(9) },
        flag: Some(if to == Stage::Live {
            FlagFacts { percent: Some(0.0), full_for: None }
        } else {
            FlagFacts { percent: Some(100.0), full_for: Some(day) }
        }),
        instances: vec![InstanceFacts {
            id: "i-1".to_owned(),
            acknowledged: Epoch::new(5),
            capable_of: Stage::Contracted,
            read_legacy: false,
        }],
        legacy_quiet_for: Some(day),
        approval: Approval {
            approved_by: Some("dba".to_owned()),
            accepted_loss: Some("user_settings".to_owned()),
        },
    }
}

#[track_caller]
fn check(to: Stage, expected: &str, spoil: impl FnOnce(&mut Facts)) {
    let mut facts = good(to);
    assert_eq!(refusals(&definition(), to, &facts), [], "facts that open the gate to {to}");
    spoil(&mut facts);
    let found = refusals(&definition(), to, &facts);
    assert_eq!(found.len(), 1, "{found:?}");
    assert!(found[0].reason.contains(expected), "{}", found[0]);
    assert!(!found[0].hint.is_empty());
}

#[test]
fn every_gate() {
    for to in Stage::ALL {
        check(to, "epoch before 5 is still open", |f| f.previous_open = true);
        check(to, "has acknowledged epoch 4", |f| f.instances[0].acknowledged = Epoch::new(4));
    }
    check(Stage::DualWrite, "cannot serve", |f| f.instances[0].capable_of = Stage::DeleteOnly);
}

#[test]
fn delete_only_and_dual_write() {
    check(Stage::DeleteOnly, "not empty", |f| f.new_has_rows = Some(true));
    check(Stage::DeleteOnly, "does not exist", |f| f.new_has_rows = None);
    check(Stage::DualWrite, "no column x", |f| f.mapping_problems.push("no column x".into()));
}

#[test]
fn live() {
    let run = |f: &mut Facts, state| f.run.as_mut().unwrap().state = state;
    let parity = |f: &mut Facts, change: fn(&mut Parity)| change(f.parity.as_mut().unwrap());
    check(Stage::Live, "nothing was backfilled", |f| f.run = None);
    check(Stage::Live, "run 1 is not done", |f| run(f, RunState::Running));
    check(Stage::Live, "no verification", |f| f.parity = None);
    check(Stage::Live, "no verification", |f| parity(f, |p| p.run = Some(RunId::new(0))));
    check(Stage::Live, "no verification", |f| parity(f, |p| p.started_ms = 9));
    check(Stage::Live, "3 differing", |f| parity(f, |p| p.differences = 3));
    check(Stage::Live, "repaired 2", |f| {
        parity(f, |p| (p.differences, p.repaired) = (2, 2));
    });
    check(Stage::Live, "left 1 differing", |f| {
        parity(f, |p| (p.differences, p.repaired) = (3, 2));
    });
    check(Stage::Live, "1 keys are in quarantine", |f| f.quarantined = 1);
    check(Stage::Live, "1 keys wait in the journal", |f| f.journaled = 1);
    for percent in [Some(5.0), None] {
        check(Stage::Live, "already", |f| {
            f.flag = Some(FlagFacts { percent, full_for: None });
        });
    }
}

/// Facts with a capture that was there when the last verification began.
fn captured(mode: CaptureMode) -> impl Fn(&mut Facts) {
    move |f: &mut Facts| {
        f.capture = Some(CaptureFacts { mode, since_ms: 10, in_place: true });
        f.witness = Witness { bypassed: 5, capture: Some(format!("{mode} 10")) };
        f.parity.as_mut().unwrap().witness = Some(f.witness.clone());
    }
}

#[test]
fn a_capture_that_saw_nothing_opens_the_gates() {
    for (to, mode) in [
        (Stage::Live, CaptureMode::Observe),
        (Stage::Live, CaptureMode::Journal),
        (Stage::Live, CaptureMode::Reject),
        (Stage::RampDown, CaptureMode::Reject),
        (Stage::RampDown, CaptureMode::Observe),
        (Stage::Complete, CaptureMode::Observe),
    ] {
        let mut facts = good(to);
        captured(mode)(&mut facts);
        assert_eq!(refusals(&definition(), to, &facts), [], "{mode} on the way to {to}");
        assert_eq!(warnings(&definition(), to, &facts), []);
    }
    check(Stage::RampDown, "the capture keeps a journal", captured(CaptureMode::Journal));
}

#[test]
fn what_a_capture_shows_since_the_proof_began() {
    for to in [Stage::Live, Stage::RampDown, Stage::Complete] {
        let with = |spoil: fn(&mut Facts)| {
            move |f: &mut Facts| {
                captured(CaptureMode::Observe)(f);
                spoil(f);
            }
        };
        check(to, "2 writes bypassed the SDK", with(|f| f.witness.bypassed = 7));
        check(to, "since the capture", with(|f| f.witness.capture = Some("observe 11".into())));
        check(to, "since the capture", |f| f.witness.capture = Some("observe 11".into()));
        check(to, "since the capture", with(|f| (f.capture, f.witness.capture) = (None, None)));
        check(to, "since the capture", with(|f| f.parity.as_mut().unwrap().witness = None));
        check(
            to,
            "missing, disabled or changed",
            with(|f| f.capture.as_mut().unwrap().in_place = false),
        );
    }
    // Their keys are in the journal, which is empty, so New has those writes.
    let mut facts = good(Stage::Live);
    captured(CaptureMode::Journal)(&mut facts);
    facts.witness.bypassed = 7;
    assert_eq!(refusals(&definition(), Stage::Live, &facts), []);
}

#[test]
fn a_proof_has_an_age() {
    const HOUR_MS: i64 = 60 * 60 * 1000;
    for to in [Stage::Live, Stage::RampDown, Stage::Complete] {
        check(to, "began 31 days ago; it counts for 24 h", |f| {
            f.stage_for = Duration::from_secs(31 * 24 * 60 * 60);
        });
        let mut facts = good(to);
        facts.stage_for += Duration::from_millis(1);
        assert_eq!(refusals(&definition(), to, &facts).len(), 1, "older than a day");
        facts.parity.as_mut().unwrap().started_ms += HOUR_MS;
        assert_eq!(refusals(&definition(), to, &facts), []);
    }
}

#[test]
fn a_proof_ends_with_a_gap_in_leases_that_no_capture_watches() {
    for to in [Stage::Live, Stage::RampDown, Stage::Complete] {
        let gap = |f: &mut Facts| f.leases.gap_ended_ms = Some(11);
        check(to, "no instance held a lease", gap);
        let mut facts = good(to);
        captured(CaptureMode::Observe)(&mut facts);
        gap(&mut facts);
        assert_eq!(refusals(&definition(), to, &facts), []);
    }
}

#[test]
fn what_is_not_known_is_warned_of_or_refused() {
    for to in [Stage::Live, Stage::RampDown, Stage::Complete] {
        let mut facts = good(to);
        let found = warnings(&definition(), to, &facts);
        assert_eq!(found.len(), 1, "{found:?}");
        assert!(found[0].message.contains("no capture is installed"), "{}", found[0]);
        assert!(found[0].hint.contains("capture install user_settings"), "{}", found[0].hint);
        let mut strict = definition();
        strict.gates.require_capture = true;
        assert_eq!(warnings(&strict, to, &facts), []);
        let refused = refusals(&strict, to, &facts);
        assert!(refused[0].reason.contains("`require_capture` is set"), "{refused:?}");
        facts.can_capture = false;
        assert_eq!(refusals(&strict, to, &facts), []);
        let found = warnings(&strict, to, &facts);
        assert!(found[0].message.contains("cannot capture"), "{found:?}");
        facts.instances.clear();
        let found = warnings(&strict, to, &facts);
        assert!(found[1].message.contains("no instance holds a lease"), "{found:?}");
    }
    assert_eq!(warnings(&definition(), Stage::DualWrite, &good(Stage::DualWrite)), []);
}

#[test]
fn ramp_down() {
    check(Stage::RampDown, "1 keys wait in the journal", |f| f.journaled = 1);
    check(Stage::RampDown, "not in the database's rule set", |f| f.flag = None);
    check(Stage::RampDown, "stands at 25 %", |f| {
        f.flag = Some(FlagFacts { percent: Some(25.0), full_for: None });
    });
    check(Stage::RampDown, "bake time", |f| {
        f.flag.as_mut().unwrap().full_for = Some(Duration::from_secs(3));
    });
    check(Stage::RampDown, "bake time", |f| f.stage_for = Duration::from_secs(3));
    check(Stage::RampDown, "nothing was verified", |f| f.parity = None);
    // The pass that opened `live` is older than `live`.
    check(Stage::RampDown, "since `live` began", |f| f.stage_opened_ms = 11);
}

#[test]
fn complete_and_contracted() {
    check(Stage::Complete, "bake time", |f| f.stage_for = Duration::from_secs(3));
    check(Stage::Complete, "nobody approved", |f| f.approval.approved_by = None);
    check(Stage::Complete, "not declared invertible", |f| {
        f.approval.accepted_loss = Some("another".to_owned());
    });
    check(Stage::Complete, "nothing was verified since `ramp_down`", |f| f.stage_opened_ms = 11);
    check(Stage::Complete, "nothing was verified since `ramp_down`", |f| f.parity = None);
    for to in [Stage::RampDown, Stage::Complete, Stage::Contracted] {
        check(to, "left 3 differing", |f| f.parity.as_mut().unwrap().differences = 3);
    }
    for to in [Stage::Complete, Stage::Contracted] {
        check(to, "read Legacy", |f| f.instances[0].read_legacy = true);
    }
    check(Stage::Contracted, "saw users used", |f| f.legacy_quiet_for = Some(Duration::ZERO));
}

#[test]
fn every_reason_is_listed_not_the_first() {
    let mut facts = good(Stage::Live);
    facts.run = None;
    facts.quarantined = 2;
    facts.journaled = 1;
    assert_eq!(refusals(&definition(), Stage::Live, &facts).len(), 3);
}
