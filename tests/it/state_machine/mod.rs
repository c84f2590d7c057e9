//! Random operations, stage changes, backfill batches and repairs by two instances, against a map
//! for each side: invariants 1 to 5 of the protocol are asserted after each step, on each engine.
//!
//! A failure prints the shortest history that proptest finds and keeps its seed in
//! `tests/it/state_machine/mod.regressions`, which later runs begin with; the file is to be
//! committed with the fix.

mod machine;
mod model;

use std::ops::RangeInclusive;

use crossfade::Engine;
use crossfade_sql::Mechanism;
use proptest::strategy::Strategy;
use proptest::test_runner::{
    Config, FileFailurePersistence, RngAlgorithm, TestError, TestRng, TestRunner,
};
use proptest_state_machine::{ReferenceStateMachine, StateMachineTest};

use machine::Machine;
use model::Model;

/// Histories that are tried on each engine, and their lengths.
const CASES: u32 = 20;
const STEPS: RangeInclusive<usize> = 8..=36;

/// Tries random histories on an engine, perhaps with a mechanism taken out.
fn histories(
    mut runner: TestRunner,
    engine: Engine,
    without: Option<Mechanism>,
) -> Result<(), String> {
    let config = runner.config().clone();
    let strategy = Model::sequential_strategy(STEPS)
        .prop_map(move |(_, history, seen)| (Model::new(engine, without), history, seen));
    let tried = runner.run(&strategy, |(model, history, seen)| {
        Machine::test_sequential(config.clone(), model, history, seen);
        Ok(())
    });
    tried.map_err(|error| match error {
        TestError::Abort(reason) => panic!("{reason}"),
        TestError::Fail(reason, (_, history, _)) => format!("{reason}\nafter {history:#?}"),
    })
}

fn hold(engine: Engine) {
    let config = Config {
        cases: CASES,
        max_shrink_iters: 200,
        source_file: Some(file!()),
        failure_persistence: Some(Box::new(FileFailurePersistence::WithSource("regressions"))),
        ..Config::default()
    };
    if let Err(failure) = histories(TestRunner::new(config), engine, None) {
        panic!("{engine}: {failure}");
    }
}

#[test]
fn invariants_hold_in_random_histories_on_postgres() {
    hold(Engine::Postgres);
}

#[test]
fn invariants_hold_in_random_histories_on_mariadb() {
    hold(Engine::Mysql);
}

#[test]
fn invariants_hold_in_random_histories_on_sqlite() {
    hold(Engine::Sqlite);
}

#[test]
fn missing_mechanisms_are_found_on_postgres() {
    missing_mechanisms_are_found(Engine::Postgres);
}

#[test]
fn missing_mechanisms_are_found_on_sqlite() {
    missing_mechanisms_are_found(Engine::Sqlite);
}

/// As many histories as a run of CI tries find a protocol that lacks something. On MariaDB they take
/// more than a minute.
fn missing_mechanisms_are_found(engine: Engine) {
    let taken_out = [Mechanism::Mark, Mechanism::Removal, Mechanism::BothOrNeither];
    let found = taken_out.into_iter().filter(|mechanism| {
        let config = Config {
            cases: CASES,
            // That one is found is enough here; a few tries show that it is made shorter.
            max_shrink_iters: 8,
            failure_persistence: None,
            ..Config::default()
        };
        let rng = TestRng::deterministic_rng(RngAlgorithm::ChaCha);
        let runner = TestRunner::new_with_rng(config, rng);
        histories(runner, engine, Some(*mechanism)).is_err()
    });
    assert_eq!(found.collect::<Vec<_>>(), taken_out, "{engine}");
}
