//! `cargo xtask layering`: who may depend on whom, and who may touch the outside world.
//!
//! [`table`] states the architecture; [`edges`] compares it with what cargo knows about the
//! packages, [`sources`] with the text of the library crates.

mod edges;
mod sources;
mod table;
#[cfg(test)]
mod tests;

use std::process::ExitCode;

use anyhow::Result;

use crate::{report, workspace};

/// Prints every breach of the architecture.
pub(crate) fn run() -> Result<ExitCode> {
    let root = workspace::root()?;
    let packages = edges::packages(&root)?;
    let mut problems = edges::problems(&packages);
    problems.extend(sources::problems(&packages, &workspace::files(&root)?));
    Ok(report("layering", &problems))
}
