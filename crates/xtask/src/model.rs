//! `cargo xtask model`: the states of the protocol's model, counted.

use std::process::ExitCode;

use anyhow::Result;

use crate::workspace;

/// Tells the test how many states to go to.
const STATES_VARIABLE: &str = "CROSSFADE_MODEL_STATES";

/// Distinct states of a deep run.
const DEEP_STATES: u32 = 100_000_000;

/// How far a run goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Extent {
    /// What `cargo test` explores.
    Usual,
    /// A hundred million states, optimized.
    Deep,
}

/// Explores the configurations without a violation and prints states, depth and time of each.
pub(crate) fn run(extent: Extent) -> Result<ExitCode> {
    let root = workspace::root()?;
    let mut command = workspace::cargo();
    command.current_dir(&root).args(["test", "--package", "crossfade-tests", "--test", "model"]);
    match extent {
        Extent::Usual => command.env_remove(STATES_VARIABLE),
        Extent::Deep => command.arg("--release").env(STATES_VARIABLE, DEEP_STATES.to_string()),
    };
    command.args(["sound::", "--", "--nocapture"]);
    Ok(workspace::exit_code(command.status()?))
}
