//! Throw-away servers: private data folder, free port, gone when this process is.
//!
//! A server belongs to a small shell, the *keeper* (`keeper.sh`), which holds the reading end of
//! a pipe whose only writing end is here. However this process ends (return, panic, Ctrl-C,
//! SIGTERM, SIGKILL), the kernel closes the pipe and the keeper stops the server and removes its
//! folder. There is no signal handler that could be missed.

mod account;
mod binaries;
mod install;
mod keeper;
mod kind;
#[cfg(test)]
mod tests;

use std::{
    net::TcpListener,
    path::Path,
    process::{Command, ExitStatus},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Error, Result, anyhow, bail};

pub(crate) use self::kind::{Kind, MARIADB, POSTGRES};
use self::{account::Account, binaries::Binaries, keeper::Keeper};

const START_DEADLINE: Duration = Duration::from_secs(60);
const START_POLL: Duration = Duration::from_millis(25);
/// How often another free port is tried when a stranger took the first one.
const PORT_ATTEMPTS: u32 = 5;

/// `off` leaves replicas out, which take their share of the machine from a benchmark.
const REPLICAS: &str = "CROSSFADE_REPLICAS";

/// What a server has to live through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    /// Nothing; what it holds is lost with it.
    Quiet,
    /// Its processes are killed, and it recovers what was committed. Whoever kills them puts a file
    /// `restart` into its folder first, which is named beside its address.
    Crashes,
}

/// A running server that accepts its first user without a password on 127.0.0.1.
///
/// Dropping it stops the server and removes its data.
#[derive(Debug)]
struct Server {
    kind: &'static Kind,
    port: u16,
    url: String,
    keeper: Keeper,
}

impl Server {
    /// Starts a server, and then the replica that its kind has; none for one that crashes.
    ///
    /// # Errors
    /// Those of [`Self::start`], for either.
    fn start_all(kind: &'static Kind, fate: Fate) -> Result<Vec<Self>> {
        let mut servers = vec![Self::start(kind, None, fate)?];
        let wanted = fate == Fate::Quiet && std::env::var_os(REPLICAS).is_none_or(|it| it != "off");
        if let Some(replica) = kind.replica.filter(|_| wanted) {
            servers.push(Self::start(replica, Some(servers[0].port), fate)?);
        }
        Ok(servers)
    }

    /// Starts a server, which follows the one on port `primary` where there is one, and returns
    /// when it answers; at most 60 seconds later.
    ///
    /// # Errors
    /// The server is not installed, or does not start; the error carries the end of its log.
    fn start(kind: &'static Kind, primary: Option<u16>, fate: Fate) -> Result<Self> {
        let binaries = Binaries::find(kind)?.context(kind.missing)?;
        let account = Account::choose(kind)?;

        let mut attempt = 1;
        loop {
            let port = free_port()?;
            let mut keeper = Keeper::start(kind, &binaries, &account, port, primary, fate)?;
            match wait_until_ready(kind, &binaries, &mut keeper, port) {
                Ok(()) => {
                    let (user, database) = kind.address;
                    let url = format!("{user}@127.0.0.1:{port}/{database}");
                    return Ok(Self { kind, port, url, keeper });
                }
                Err(_) if attempt < PORT_ATTEMPTS && keeper.log_tail().contains(kind.lost_port) => {
                    attempt += 1;
                }
                Err(error) => {
                    let log = keeper.log_tail();
                    bail!("{} does not start: {error:#}; its log ends:\n{log}", kind.name);
                }
            }
        }
    }

    /// Waits until the server ends, which it does by itself only when something is wrong.
    fn wait(&mut self) -> Error {
        match self.keeper.wait() {
            Ok(status) => anyhow!(
                "the server ended by itself ({status}); its log ends:\n{}",
                self.keeper.log_tail()
            ),
            Err(error) => Error::new(error).context("wait for the server"),
        }
    }
}

/// Servers that run beside one command.
#[derive(Debug)]
pub(crate) struct Servers(Vec<Server>);

impl Servers {
    /// Starts one of each kind, at the same time, each with its replica. What is missing is
    /// installed before, one after the other.
    ///
    /// # Errors
    /// Those of [`Server::start`]; the servers that did start are gone again.
    pub(crate) fn start(kinds: &[&'static Kind]) -> Result<Self> {
        Self::start_for(Fate::Quiet, kinds)
    }

    /// [`start`](Self::start), for servers that have more to live through.
    pub(crate) fn start_for(fate: Fate, kinds: &[&'static Kind]) -> Result<Self> {
        for kind in kinds {
            if Binaries::find(kind)?.is_none() {
                install::distribution(kind)?;
            }
        }
        let started: Vec<Result<Vec<Server>>> = thread::scope(|scope| {
            let starting: Vec<_> =
                kinds.iter().map(|kind| scope.spawn(|| Server::start_all(kind, fate))).collect();
            starting
                .into_iter()
                .map(|thread| thread.join().unwrap_or_else(|_| Err(anyhow!("the start panicked"))))
                .collect()
        });
        let started = started.into_iter().collect::<Result<Vec<_>>>()?;
        Ok(Self(started.into_iter().flatten().collect()))
    }

    /// For each server the environment variable for its address, and the address.
    pub(crate) fn variables(&self) -> impl Iterator<Item = (&'static str, &str)> {
        self.0.iter().map(|server| (server.kind.url_variable, server.url.as_str()))
    }

    /// For each server the environment variable for its folder, and the folder.
    fn folders(&self) -> impl Iterator<Item = (String, &Path)> {
        self.0.iter().map(|server| {
            (server.kind.url_variable.replace("_URL", "_FOLDER"), server.keeper.folder())
        })
    }

    /// Runs `command` to its end with the servers' addresses and folders in its environment.
    ///
    /// The command is ended together with this process.
    pub(crate) fn run(&mut self, command: &mut Command) -> Result<ExitStatus> {
        let mut child = command
            .envs(self.variables())
            .envs(self.folders())
            .spawn()
            .with_context(|| format!("run {}", command.get_program().display()))?;
        for server in &mut self.0 {
            server.keeper.command_started(child.id());
        }
        let status = child.wait().context("wait for the command");
        for server in &mut self.0 {
            server.keeper.command_ended();
        }
        status
    }

    /// Waits until the first server ends.
    pub(crate) fn wait(&mut self) -> Error {
        self.0.first_mut().map_or_else(|| anyhow!("there is no server"), Server::wait)
    }
}

/// A port that nobody listened on a moment ago.
fn free_port() -> Result<u16> {
    let probe = TcpListener::bind(("127.0.0.1", 0)).context("look for a free port")?;
    Ok(probe.local_addr().context("look for a free port")?.port())
}

fn wait_until_ready(
    kind: &Kind,
    binaries: &Binaries,
    keeper: &mut Keeper,
    port: u16,
) -> Result<()> {
    let deadline = Instant::now() + START_DEADLINE;
    loop {
        if let Some(status) = keeper.ended()? {
            bail!("the server ended before it answered ({status})");
        }
        if (kind.answers)(binaries, &keeper.data(), port)? {
            return Ok(());
        }
        if Instant::now() >= deadline {
            bail!("the server did not answer within {} seconds", START_DEADLINE.as_secs());
        }
        thread::sleep(START_POLL);
    }
}
