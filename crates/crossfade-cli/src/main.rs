//! The `crossfade` command: an operator's way through a migration.
//!
//! One file per subcommand under `commands`. Engines do the work; this crate reads arguments,
//! configuration and environment, prints, and exits.

mod cli;
mod commands;
mod demo;

mod app;
mod config;
mod url;

mod failure;
mod output;
mod redact;

mod interrupt;
mod logs;
mod progress;

use std::process::ExitCode;

use clap::Parser;

use crate::{
    cli::Cli,
    failure::{Exit, Failure},
    output::Output,
};

fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => return refused(&error),
    };
    logs::start(cli.global.verbose);
    let output = Output::new(cli.global.json);
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            return output.failure(&Failure::failed("the runtime does not start", &error));
        }
    };
    match runtime.block_on(Box::pin(commands::run(cli, &output))) {
        Ok(exit) => exit.into(),
        Err(failure) => output.failure(&failure),
    }
}

/// Arguments that could not be read, which may hold secrets, or a request for help.
fn refused(error: &clap::Error) -> ExitCode {
    if !error.use_stderr() {
        error.exit();
    }
    let text = error.to_string();
    let wants_json = std::env::args_os().any(|argument| argument == "--json");
    if wants_json {
        // The usage follows after an empty line.
        let lines: Vec<&str> =
            text.lines().map(str::trim).take_while(|line| !line.is_empty()).collect();
        let message = lines.join(" ");
        return Output::new(true).failure(&Failure::usage(message.trim_start_matches("error: ")));
    }
    Output::new(false).note(text.trim_end());
    Exit::Usage.into()
}

#[cfg(test)]
mod tests;
