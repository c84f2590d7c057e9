//! `cargo xtask fuzz`: every fuzz target for a while, each from its seeds and what it found before.

#[cfg(test)]
mod tests;

use std::{
    fs, io,
    path::{Path, PathBuf},
    process::{Command, ExitCode, Stdio},
};

use anyhow::{Context, Result, bail, ensure};

use crate::workspace;

/// The package of fuzz targets, which stands apart from the workspace because it needs the nightly
/// compiler.
const FOLDER: &str = "crates/crossfade-rules/fuzz";

/// How long a target runs unless it is said otherwise.
const SECONDS: u32 = 60;

/// An input that takes longer is a finding.
const SECONDS_PER_INPUT: u32 = 10;

/// What is to be run.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Plan {
    /// For each target.
    seconds: u32,
    /// Empty for all.
    targets: Vec<String>,
}

impl Plan {
    /// Reads the arguments `[--seconds N] [TARGET..]`; `None` when they are not of this form.
    pub(crate) fn from_arguments(arguments: &[String]) -> Option<Self> {
        let (seconds, targets) = match arguments {
            [option, seconds, targets @ ..] if option == "--seconds" => {
                (seconds.parse().ok().filter(|&seconds| seconds > 0)?, targets)
            }
            targets => (SECONDS, targets),
        };
        let is_plain = targets.iter().all(|target| !target.starts_with('-'));
        is_plain.then(|| Self { seconds, targets: targets.to_vec() })
    }
}

/// Runs the targets one after the other and stops at the first that finds something.
pub(crate) fn run(plan: &Plan) -> Result<ExitCode> {
    require(
        &["rustup", "run", "nightly", "cargo", "--version"],
        "the nightly compiler is missing",
        "rustup toolchain install nightly",
    )?;
    require(
        &["rustup", "run", "nightly", "cargo", "fuzz", "--version"],
        "cargo-fuzz is missing",
        "cargo install cargo-fuzz",
    )?;

    let folder = workspace::root()?.join(FOLDER);
    let known = targets(&folder)?;
    if let Some(unknown) = plan.targets.iter().find(|target| !known.contains(target)) {
        bail!("there is no fuzz target `{unknown}`; there are {}", known.join(", "));
    }
    let chosen = if plan.targets.is_empty() { &known } else { &plan.targets };
    for target in chosen {
        println!("\n==> {target}, {} s", plan.seconds);
        let status = fuzz(&folder, target, plan.seconds)?;
        if !status.success() {
            report_finding(&folder, target);
            return Ok(workspace::exit_code(status));
        }
    }
    println!("\nfuzz: no findings in {}", chosen.join(", "));
    Ok(ExitCode::SUCCESS)
}

/// Fails with what is missing and how to get it, unless `command` succeeds.
fn require(command: &[&str], missing: &str, remedy: &str) -> Result<()> {
    let [program, arguments @ ..] = command else { return Ok(()) };
    let mut command = Command::new(program);
    let output = command.args(arguments).stdout(Stdio::null()).stderr(Stdio::null()).status();
    let succeeds = match output {
        Ok(status) => status.success(),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            bail!("`{program}` is missing: the fuzz targets are built by rustup's nightly compiler")
        }
        Err(error) => return Err(error).with_context(|| format!("run {command:?}")),
    };
    ensure!(succeeds, "{missing}; get it with `{remedy}`");
    Ok(())
}

/// The names of all targets, in order.
fn targets(folder: &Path) -> Result<Vec<String>> {
    let folder = folder.join("fuzz_targets");
    let entries = fs::read_dir(&folder).with_context(|| format!("read {}", folder.display()))?;
    let mut targets = Vec::new();
    for entry in entries {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "rs") {
            targets.extend(path.file_stem().map(|name| name.to_string_lossy().into_owned()));
        }
    }
    targets.sort();
    Ok(targets)
}

/// Runs one target. What it learns stays in `corpus`, which git ignores.
fn fuzz(folder: &Path, target: &str, seconds: u32) -> Result<std::process::ExitStatus> {
    let corpus = Path::new("corpus").join(target);
    fs::create_dir_all(folder.join(&corpus)).context("make the folder of the corpus")?;
    let mut command = cargo_fuzz(target);
    command.arg(&corpus).arg(Path::new("seeds").join(target)).arg("--");
    command.arg(format!("-max_total_time={seconds}"));
    command.arg(format!("-timeout={SECONDS_PER_INPUT}")).arg("-print_final_stats=1");
    command.current_dir(folder).status().with_context(|| format!("run {command:?}"))
}

/// `cargo fuzz run` for a target, to be started in the folder of the package.
fn cargo_fuzz(target: &str) -> Command {
    let mut command = Command::new("rustup");
    command.args(["run", "nightly", "cargo", "fuzz", "run", "--fuzz-dir", ".", target]);
    command
}

/// Names the input that was found, and how to run it again.
fn report_finding(folder: &Path, target: &str) {
    let artifacts = folder.join("artifacts").join(target);
    match newest(&artifacts) {
        Some(input) => {
            eprintln!("\nfuzz: `{target}` found {}", input.display());
            eprintln!("run it again: {}", replay(target, &input));
        }
        None => eprintln!("\nfuzz: `{target}` failed without leaving an input"),
    }
}

/// The command that runs one input again.
fn replay(target: &str, input: &Path) -> String {
    format!(
        "(cd {FOLDER} && rustup run nightly cargo fuzz run --fuzz-dir . {target} {})",
        input.display()
    )
}

/// The file that was written last.
fn newest(folder: &Path) -> Option<PathBuf> {
    let files = fs::read_dir(folder).ok()?.filter_map(|entry| {
        let entry = entry.ok()?;
        Some((entry.metadata().ok()?.modified().ok()?, entry.path()))
    });
    files.max().map(|(_, path)| path)
}
