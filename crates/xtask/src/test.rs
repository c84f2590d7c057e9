//! `cargo xtask test`: every test of the workspace against throw-away servers.

use std::process::ExitCode;

use anyhow::Result;

use crate::{
    server::{MARIADB, POSTGRES, Servers},
    workspace,
};

/// Builds the binaries, which the integration tests start, and runs unit and integration tests
/// with `arguments`, then the documentation tests.
///
/// Benches are left out: they measure, and CI only compiles them.
pub(crate) fn run(arguments: &[String]) -> Result<ExitCode> {
    let root = workspace::root()?;
    let mut servers = Servers::start(&[&POSTGRES, &MARIADB])?;

    let mut build = workspace::cargo();
    build.current_dir(&root).args(["build", "--workspace", "--bins"]);
    let status = servers.run(&mut build)?;
    if !status.success() {
        return Ok(workspace::exit_code(status));
    }

    let targets = ["test", "--workspace", "--lib", "--bins", "--tests", "--examples"];
    let mut tests = workspace::cargo();
    tests.current_dir(&root).args(targets).args(arguments);
    let status = servers.run(&mut tests)?;
    if !status.success() {
        return Ok(workspace::exit_code(status));
    }

    let mut doctests = workspace::cargo();
    doctests.current_dir(&root).args(["test", "--workspace", "--doc"]);
    Ok(workspace::exit_code(servers.run(&mut doctests)?))
}
