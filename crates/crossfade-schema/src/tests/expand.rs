//! Running scripts against a fake.

use std::time::Duration;

use crossfade_core::{BackfillOptions, Definition, GateOptions, SideTable};
use crossfade_store::Registration;

use super::fake::Fake;
use crate::{
    DEFAULT_TIMEOUTS, ExpandError, ExpandReport, Manifest, Mode, Purpose, RunError, Script,
    StepOutcome, expand,
};

fn manifest(script: &str) -> Manifest {
    let side =
        |table: &str| SideTable { table: table.parse().unwrap(), key: vec!["id".parse().unwrap()] };
    Manifest {
        definition: Definition {
            name: "m".parse().unwrap(),
            read_flag: "f".parse().unwrap(),
            legacy: side("users"),
            legacy_columns: Vec::new(),
            new: side("user_settings"),
            mapping: String::new(),
            backfill: BackfillOptions { batch_size: None, delay: None },
            gates: GateOptions::default(),
        },
        expand: Script::parse(Purpose::Expand, "expand.sql", script).unwrap(),
        contract: Script::parse(Purpose::Contract, "contract.sql", "").unwrap(),
    }
}

async fn run(fake: &Fake, script: &str, mode: Mode) -> Result<ExpandReport, ExpandError> {
    expand(fake, fake, &manifest(script), DEFAULT_TIMEOUTS, mode, "tester").await
}

fn outcomes(report: &ExpandReport) -> Vec<StepOutcome> {
    report.steps.iter().map(|step| step.outcome).collect()
}

#[tokio::test(start_paused = true)]
async fn each_statement_runs_once_within_its_bounds() {
    use StepOutcome::{AlreadyDone, Planned, Ran};
    let fake = Fake::default();
    let script = "create table t (a int);\ncreate index concurrently i on u (a)";
    let planned = run(&fake, script, Mode::Plan).await.unwrap();
    assert_eq!(outcomes(&planned), [Planned, Planned]);
    assert!(fake.get().ran.is_empty() && !fake.get().registered);

    let report = run(&fake, script, Mode::Run).await.unwrap();
    assert_eq!(outcomes(&report), [Ran, Ran]);
    assert_eq!(report.registration, Some(Registration::Created));
    let bounds: Vec<_> = fake.get().ran.iter().map(|(_, bounds)| bounds.statement).collect();
    assert_eq!(bounds, [Duration::from_secs(5), Duration::from_secs(3600)]);

    let again = run(&fake, script, Mode::Run).await.unwrap();
    assert_eq!(outcomes(&again), [AlreadyDone, AlreadyDone]);
    let longer = format!("{script};\nselect 1");
    let onward = run(&fake, &longer, Mode::Run).await.unwrap();
    assert_eq!(outcomes(&onward), [AlreadyDone, AlreadyDone, Ran]);
}

#[tokio::test(start_paused = true)]
async fn a_changed_statement_is_pointed_at() {
    let fake = Fake::default();
    run(&fake, "select 1;\nselect 2", Mode::Run).await.unwrap();
    let changed = run(&fake, "select 1;\nselect 3", Mode::Run).await;
    let Err(ExpandError::Run(error)) = changed else { panic!("{changed:?}") };
    assert_eq!(error.to_string(), "expand.sql:2: statement 2 was run before with another text");
    assert!(error.hint().is_some());
}

#[tokio::test(start_paused = true)]
async fn a_failing_statement_is_pointed_at_and_gone_on_from() {
    let fake = Fake::default();
    fake.get().refused = Some(("create\n  tabel t", 9));
    let script = "select 1;\ncreate\n  tabel t;";
    let failed = run(&fake, script, Mode::Run).await;
    let Err(ExpandError::Run(error)) = failed else { panic!("{failed:?}") };
    assert_eq!(error.to_string(), "expand.sql:3:3: the statement failed");
    assert!(!fake.get().registered);
    fake.get().refused = None;
    let report = run(&fake, script, Mode::Run).await.unwrap();
    assert_eq!(outcomes(&report), [StepOutcome::AlreadyDone, StepOutcome::Ran]);
}

#[tokio::test(start_paused = true)]
async fn a_lock_is_tried_for_thirty_times() {
    let fake = Fake::default();
    fake.get().locked_for = 29;
    run(&fake, "select 1", Mode::Run).await.unwrap();

    let fake = Fake::default();
    fake.get().locked_for = u32::MAX;
    let failed = run(&fake, "select 1", Mode::Run).await;
    let Err(ExpandError::Run(RunError::LockTimeout { tries: 30, waited, .. })) = failed else {
        panic!("{failed:?}");
    };
    assert!(waited < Duration::from_secs(600), "{waited:?}");
}

#[tokio::test(start_paused = true)]
async fn what_does_not_fit_is_not_registered() {
    let fake = Fake::default();
    fake.get().problems = vec!["no column a".to_owned(), "no key".to_owned()];
    let misfit = run(&fake, "select 1", Mode::Run).await;
    let Err(error @ ExpandError::Misfit { .. }) = misfit else { panic!("{misfit:?}") };
    assert!(error.to_string().ends_with("no column a; no key"), "{error}");
    assert!(!fake.get().registered);

    let unsafe_script = run(&fake, "drop table users", Mode::Run).await;
    assert!(matches!(unsafe_script, Err(ExpandError::Unsafe { .. })), "{unsafe_script:?}");
    assert_eq!(fake.get().ran.len(), 1, "nothing was run");
}
