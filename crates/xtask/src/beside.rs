//! `cargo xtask postgres` and `cargo xtask mariadb`: any command beside a throw-away server, for
//! benches and the demo.

use std::process::{Command, ExitCode};

use anyhow::Result;

use crate::{
    server::{Kind, Servers},
    workspace,
};

/// Runs `command` with the server's address in its environment and returns its exit code.
///
/// Without a command it prints the address and returns only when the server has ended; Ctrl-C ends
/// this process and thereby the server.
pub(crate) fn run(kind: &'static Kind, command: &[String]) -> Result<ExitCode> {
    let mut servers = Servers::start(&[kind])?;
    match command {
        [] => {
            for (variable, url) in servers.variables() {
                println!("{variable}={url}");
            }
            eprintln!("Ctrl-C stops this server and removes its data");
            Err(servers.wait())
        }
        [program, arguments @ ..] => {
            let status = servers.run(Command::new(program).args(arguments))?;
            Ok(workspace::exit_code(status))
        }
    }
}
