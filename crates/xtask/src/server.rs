//! A throw-away PostgreSQL server: private data folder, free port, gone when this process is.
//!
//! The server belongs to a small shell, the *keeper* (`keeper.sh`), which holds the reading end of
//! a pipe whose only writing end is here. However this process ends (return, panic, Ctrl-C,
//! SIGTERM, SIGKILL), the kernel closes the pipe and the keeper stops the server and removes its
//! folder. There is no signal handler that could be missed.

mod account;
mod binaries;
mod install;
mod keeper;
#[cfg(test)]
mod tests;

use std::{
    fs,
    net::TcpListener,
    path::Path,
    process::{Command, ExitStatus, Stdio},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Error, Result, anyhow, bail};

use self::{account::Account, binaries::Binaries, keeper::Keeper};

/// The environment variable under which commands find the server.
pub(crate) const URL_VARIABLE: &str = "CROSSFADE_TEST_POSTGRES_URL";

const START_DEADLINE: Duration = Duration::from_secs(60);
const START_POLL: Duration = Duration::from_millis(25);
/// How often another free port is tried when a stranger took the first one.
const PORT_ATTEMPTS: u32 = 5;

/// A running server that accepts its superuser `crossfade` without a password on 127.0.0.1.
///
/// Dropping it stops the server and removes its data.
#[derive(Debug)]
pub(crate) struct Server {
    url: String,
    keeper: Keeper,
}

impl Server {
    /// Starts a server and returns when it answers; at most 60 seconds later.
    ///
    /// # Errors
    /// PostgreSQL is not installed and cannot be, or does not start; the error carries the end of
    /// the server's log.
    pub(crate) fn start() -> Result<Self> {
        let binaries = match Binaries::find()? {
            Some(found) => found,
            None => install::postgresql()?,
        };
        let account = Account::choose()?;

        let mut attempt = 1;
        loop {
            let port = free_port()?;
            let mut keeper = Keeper::start(&binaries, &account, port)?;
            match wait_until_ready(&binaries, &mut keeper, port) {
                Ok(()) => {
                    let url = format!("postgres://crossfade@127.0.0.1:{port}/postgres");
                    return Ok(Self { url, keeper });
                }
                Err(_) if attempt < PORT_ATTEMPTS && lost_port(&keeper.log_tail()) => attempt += 1,
                Err(error) => {
                    let log = keeper.log_tail();
                    bail!("PostgreSQL does not start: {error:#}; its log ends:\n{log}");
                }
            }
        }
    }

    /// The address of the server's database `postgres`.
    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    /// Runs `command` to its end with the server's address in its environment.
    ///
    /// The command is ended together with this process.
    pub(crate) fn run(&mut self, command: &mut Command) -> Result<ExitStatus> {
        let mut child = command
            .env(URL_VARIABLE, &self.url)
            .spawn()
            .with_context(|| format!("run {}", command.get_program().display()))?;
        self.keeper.command_started(child.id());
        let status = child.wait().context("wait for the command");
        self.keeper.command_ended();
        status
    }

    /// Waits until the server ends, which it does by itself only when something is wrong.
    pub(crate) fn wait(&mut self) -> Error {
        match self.keeper.wait() {
            Ok(status) => anyhow!(
                "the server ended by itself ({status}); its log ends:\n{}",
                self.keeper.log_tail()
            ),
            Err(error) => Error::new(error).context("wait for the server"),
        }
    }
}

/// A port that nobody listened on a moment ago.
fn free_port() -> Result<u16> {
    let probe = TcpListener::bind(("127.0.0.1", 0)).context("look for a free port")?;
    Ok(probe.local_addr().context("look for a free port")?.port())
}

fn wait_until_ready(binaries: &Binaries, keeper: &mut Keeper, port: u16) -> Result<()> {
    let deadline = Instant::now() + START_DEADLINE;
    let mut probe = Command::new(binaries.program("pg_isready"));
    probe.args(["--quiet", "--host=127.0.0.1", "--dbname=postgres", "--username=crossfade"]);
    probe.arg(format!("--port={port}")).stdin(Stdio::null());
    loop {
        if let Some(status) = keeper.ended()? {
            bail!("the server ended before it answered ({status})");
        }
        // The status in the private folder tells this server from a stranger on the same port.
        if says_ready(&keeper.data()) && probe.status().context("run pg_isready")?.success() {
            return Ok(());
        }
        if Instant::now() >= deadline {
            bail!("the server did not answer within {} seconds", START_DEADLINE.as_secs());
        }
        thread::sleep(START_POLL);
    }
}

/// Whether the postmaster of this data folder accepts connections: line 8 of `postmaster.pid`.
fn says_ready(data: &Path) -> bool {
    fs::read_to_string(data.join("postmaster.pid"))
        .is_ok_and(|text| text.lines().nth(7).is_some_and(|status| status.trim() == "ready"))
}

/// Whether the log says that another process took the port between choosing and binding it.
fn lost_port(log: &str) -> bool {
    log.contains("could not bind IPv4 address")
}
