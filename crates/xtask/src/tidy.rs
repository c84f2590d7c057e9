//! `cargo xtask tidy`: the rules on files that neither the compiler nor clippy knows.
//!
//! [`text`] holds the rules on one file, [`modules`] the one on the tree of integration tests.

mod modules;
#[cfg(test)]
mod tests;
mod text;

use std::process::ExitCode;

use anyhow::Result;

use crate::{report, workspace};

/// Prints every breach, each with its file and line.
pub(crate) fn run() -> Result<ExitCode> {
    let files = workspace::files(&workspace::root()?)?;
    let mut problems: Vec<String> =
        files.iter().flat_map(|file| text::problems(&file.path, &file.text)).collect();
    problems.extend(modules::problems(&files));
    Ok(report("tidy", &problems))
}
