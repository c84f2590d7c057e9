//! `cargo xtask postgres`: any command beside a throw-away PostgreSQL, for benches and the demo.

use std::process::{Command, ExitCode};

use anyhow::Result;

use crate::{
    server::{Server, URL_VARIABLE},
    workspace,
};

/// Runs `command` with the server's address in its environment and returns its exit code.
///
/// Without a command it prints the address and returns only when the server has ended; Ctrl-C ends
/// this process and thereby the server.
pub(crate) fn run(command: &[String]) -> Result<ExitCode> {
    let mut server = Server::start()?;
    match command {
        [] => {
            println!("{URL_VARIABLE}={}", server.url());
            eprintln!("Ctrl-C stops this server and removes its data");
            Err(server.wait())
        }
        [program, arguments @ ..] => {
            let status = server.run(Command::new(program).args(arguments))?;
            Ok(workspace::exit_code(status))
        }
    }
}
