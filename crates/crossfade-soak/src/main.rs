//! The chaos run, which `cargo xtask soak` starts beside throw-away servers.
//!
//! Application processes and workers of a migration are killed, stopped and cut off, and the
//! database is crashed, while stages and flags change. Each application process logs every
//! operation before and after its call; at quiet points the [`oracle`] compares these logs with
//! what was read and with the rows of both sides. [`director`] runs it all; [`application`] and
//! [`worker`] are the processes that it starts, kills and starts again.
//!
//! Exit codes: 0 nothing is wrong, 1 the run could not go on, 2 the command line was not
//! understood, 4 a fault was found. With `--without` 0 is a fault that was found, and 4 none.

#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a command-line tool prints")]

mod application;
mod director;
mod worker;

mod oracle;

mod mechanism;
mod orders;
mod place;
mod record;
mod rows;

use std::process::ExitCode;

use clap::Parser;

/// The command line.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask soak", bin_name = "cargo xtask soak")]
enum Cli {
    /// Runs everything.
    #[command(name = "soak")]
    Direct(director::Args),
    /// One application process; the director starts it.
    #[command(hide = true)]
    Application(application::Args),
    /// One worker; the director starts it.
    #[command(hide = true)]
    Worker(worker::Args),
}

#[tokio::main]
async fn main() -> ExitCode {
    let outcome = match Cli::parse() {
        Cli::Direct(args) => director::run(args).await,
        Cli::Application(args) => application::run(args).await.map(|()| ExitCode::SUCCESS),
        Cli::Worker(args) => worker::run(args).await.map(|()| ExitCode::SUCCESS),
    };
    outcome.unwrap_or_else(|error| {
        eprintln!("error: {error:#}");
        ExitCode::FAILURE
    })
}
