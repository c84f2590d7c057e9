//! Running scripts against a fake.

use std::time::Duration;

use crossfade_store::{Problem, Registration};

use super::{definition, fake::Fake};
use crate::{
    DEFAULT_TIMEOUTS, ExpandError, ExpandReport, Manifest, MappingFile, Mode, Purpose, RunError,
    Script, StepOutcome, expand, script::Position,
};

fn manifest(script: &str) -> Manifest {
    Manifest {
        definition: definition(),
        mapping: MappingFile { path: "mapping.sql".into(), start: Position { line: 3, column: 5 } },
        expand: Script::parse(Purpose::Expand, "expand.sql", script).unwrap(),
        contract: Script::parse(Purpose::Contract, "contract.sql", "").unwrap(),
    }
}

async fn run(fake: &Fake, script: &str, mode: Mode) -> Result<ExpandReport, ExpandError> {
    expand(fake, fake, fake, &manifest(script), DEFAULT_TIMEOUTS, mode, "tester").await
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
async fn a_statement_timeout_is_not_tried_again() {
    let fake = Fake::default();
    fake.get().slow = true;
    let failed = run(&fake, "select 1", Mode::Run).await;
    let Err(ExpandError::Run(error @ RunError::TooSlow { .. })) = failed else {
        panic!("{failed:?}");
    };
    assert_eq!(error.to_string(), "expand.sql:1: the statement did not end within 5s");
    assert!(error.hint().is_some_and(|hint| hint.contains("max_execution_time")));
    assert_eq!(fake.get().tries, 1);
}

#[tokio::test(start_paused = true)]
async fn a_step_that_a_rival_ran_is_done_if_its_text_is_the_same() {
    let script = Script::parse(Purpose::Expand, "expand.sql", "select 1").unwrap();
    let fake = Fake::default();
    fake.get().rival = Some(script.statements[0].digest());
    let report = run(&fake, "select 1", Mode::Run).await.unwrap();
    assert_eq!(outcomes(&report), [StepOutcome::AlreadyDone]);
    let changed = run(&fake, "select 2", Mode::Run).await;
    let Err(ExpandError::Run(RunError::Changed { line: 1, position: 0, .. })) = changed else {
        panic!("{changed:?}");
    };
}

#[tokio::test(start_paused = true)]
async fn what_does_not_fit_is_not_registered() {
    let fake = Fake::default();
    fake.get().problems = vec![
        Problem::in_mapping("no column a", Some((1, 3))),
        Problem::in_mapping("no column b", Some((2, 3))),
        Problem::in_mapping("no column c", None),
        Problem::from("no key".to_owned()),
    ];
    let misfit = run(&fake, "select 1", Mode::Run).await;
    let Err(error @ ExpandError::Misfit { .. }) = misfit else { panic!("{misfit:?}") };
    let problems = "mapping.sql:3:7: no column a; mapping.sql:4:3: no column b; \
                    mapping.sql: no column c; no key";
    assert!(error.to_string().ends_with(problems), "{error}");
    assert!(!fake.get().registered);

    let unsafe_script = run(&fake, "drop table users", Mode::Run).await;
    assert!(matches!(unsafe_script, Err(ExpandError::Unsafe { .. })), "{unsafe_script:?}");
    assert_eq!(fake.get().ran.len(), 1, "nothing was run");
}

#[tokio::test(start_paused = true)]
async fn what_expanding_does_not_mend_keeps_the_script_from_running() {
    for mode in [Mode::Run, Mode::Plan] {
        let fake = Fake::default();
        // What New lacks, the script may add.
        fake.get().problems = vec![Problem::from("no New".to_owned())];
        let planned = run(&fake, "select 1", Mode::Plan).await.unwrap();
        assert_eq!(outcomes(&planned), [StepOutcome::Planned]);
        fake.get().problems = vec![Problem::missing_on_legacy("no Legacy")];
        let misfit = run(&fake, "select 1", mode).await;
        let Err(error @ ExpandError::Misfit { .. }) = misfit else { panic!("{misfit:?}") };
        assert!(error.to_string().ends_with("no Legacy"), "{error}");
        assert!(fake.get().ran.is_empty(), "nothing was run");
    }
}

#[tokio::test(start_paused = true)]
async fn a_plan_with_nothing_left_to_run_tells_every_problem() {
    let fake = Fake::default();
    run(&fake, "select 1", Mode::Run).await.unwrap();
    fake.get().problems = vec![Problem::in_mapping("no column a", None)];
    let misfit = run(&fake, "select 1", Mode::Plan).await;
    assert!(matches!(misfit, Err(ExpandError::Misfit { .. })), "{misfit:?}");
}
