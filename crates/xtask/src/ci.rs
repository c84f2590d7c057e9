//! `cargo xtask ci`: everything that must pass before a change is merged, cheapest first.

mod readme;

use std::{
    path::Path,
    process::{Command, ExitCode},
    time::Instant,
};

use anyhow::{Context, Result};

use crate::{layering, soak, tidy, workspace};

/// Runs the steps in order and stops at the first that fails.
pub(crate) fn run() -> Result<ExitCode> {
    let root = workspace::root()?;
    let started = Instant::now();
    for (name, step) in STEPS {
        println!("\n==> {name}");
        let step_started = Instant::now();
        let outcome = step(&root);
        let seconds = step_started.elapsed().as_secs_f64();
        match outcome {
            Ok(code) if code == ExitCode::SUCCESS => println!("<== {name}: ok in {seconds:.1} s"),
            Ok(code) => {
                eprintln!("<== {name}: failed after {seconds:.1} s");
                return Ok(code);
            }
            Err(error) => {
                eprintln!("<== {name}: failed after {seconds:.1} s");
                return Err(error);
            }
        }
    }
    println!("\nci: ok in {:.1} s", started.elapsed().as_secs_f64());
    Ok(ExitCode::SUCCESS)
}

/// A step gets the workspace's folder.
type Step = fn(&Path) -> Result<ExitCode>;

/// The facade with everything that it can do.
const WHOLE: &str = "crossfade/flagd,crossfade/http,crossfade/openfeature";

const STEPS: [(&str, Step); 9] = [
    ("fmt", |root| run_cargo(root, &["fmt", "--all", "--check"])),
    ("clippy", |root| {
        run_cargo(root, &["clippy", "--workspace", "--all-targets", "--", "-D", "warnings"])
    }),
    ("clippy, as an application builds it", |root| {
        run_cargo(root, &["clippy", "--package", "crossfade", "--", "-D", "warnings"])
    }),
    ("clippy, with one engine at a time", |root| {
        for engine in ["mysql", "postgres", "sqlite"] {
            let facade = ["--package", "crossfade", "--no-default-features", "--features", engine];
            let code =
                run_cargo(root, &[&["clippy"], &facade[..], &["--", "-D", "warnings"]].concat())?;
            if code != ExitCode::SUCCESS {
                return Ok(code);
            }
        }
        Ok(ExitCode::SUCCESS)
    }),
    ("layering", |_| layering::run()),
    ("tidy", |_| tidy::run()),
    ("doc", |root| {
        let mut command = workspace::cargo();
        command.env("RUSTDOCFLAGS", "-D warnings");
        command.args(["doc", "--workspace", "--no-deps", "--features", WHOLE]);
        run_command(root, &mut command)
    }),
    ("test, as README.md says", |root| {
        let line = readme::test_command(root)?;
        println!("{line}");
        run_command(root, Command::new("sh").args(["-c", &line]))
    }),
    ("soak", |_| soak::run(&[])),
];

fn run_cargo(root: &Path, arguments: &[&str]) -> Result<ExitCode> {
    run_command(root, workspace::cargo().args(arguments))
}

fn run_command(root: &Path, command: &mut Command) -> Result<ExitCode> {
    let status = command.current_dir(root).status().with_context(|| format!("run {command:?}"))?;
    Ok(workspace::exit_code(status))
}
