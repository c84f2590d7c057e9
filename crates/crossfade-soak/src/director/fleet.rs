//! The processes of a round, each with a way to the database that can be cut.

use std::fs::OpenOptions;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use crossfade_testkit::Proxy;
use rustix::process::{Pid, Signal, kill_process};
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};

use super::server::Server;
use crate::mechanism::Without;
use crate::orders::{PAUSE, PAUSED, RESUME};
use crate::place::{APPLICATIONS, Round};

/// Workers of a round.
const WORKERS: u32 = 2;
/// How long a process may take to come to rest. Nothing that it does takes longer than ten seconds.
const REST: Duration = Duration::from_secs(60);

/// What a process is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Role {
    Application(u32),
    Worker(u32),
}

impl Role {
    fn name(self) -> String {
        match self {
            Self::Application(place) => format!("application-{place}"),
            Self::Worker(place) => format!("worker-{place}"),
        }
    }
}

/// What every process of a round is told.
#[derive(Clone, Debug)]
pub(super) struct Terms {
    pub(super) round: Round,
    pub(super) seed: u64,
    pub(super) without: Option<Without>,
    /// Where their logs go.
    pub(super) folder: PathBuf,
}

/// One place in the fleet, and the process that has it now.
#[derive(Debug)]
struct Member {
    role: Role,
    generation: u32,
    url: String,
    proxy: Option<Proxy>,
    process: Process,
}

#[derive(Debug)]
struct Process {
    child: Child,
    orders: ChildStdin,
    answers: Lines<BufReader<ChildStdout>>,
}

/// All of them. Dropping it kills them.
#[derive(Debug)]
pub(super) struct Fleet {
    terms: Terms,
    members: Vec<Member>,
    /// Processes that ended by themselves, with the end of what they said.
    pub(super) accidents: Vec<String>,
}

impl Fleet {
    /// Starts the processes of a round.
    pub(super) async fn start(terms: Terms, server: &Server) -> Result<Self> {
        let roles = (0..APPLICATIONS).map(Role::Application).chain((0..WORKERS).map(Role::Worker));
        let mut members = Vec::new();
        for role in roles {
            let proxy = match server.address() {
                Some(address) => Some(Proxy::start(address).await.context("start a proxy")?),
                None => None,
            };
            let url = proxy.as_ref().map_or(server.url.clone(), |proxy| proxy.url(&server.url));
            let process = spawn(&terms, role, 0, &url)?;
            members.push(Member { role, generation: 0, url, proxy, process });
        }
        Ok(Self { terms, members, accidents: Vec::new() })
    }

    /// How many processes there are; the applications come first.
    pub(super) fn len(&self) -> usize {
        self.members.len()
    }

    /// Kills a process at once, and puts another in its place.
    pub(super) async fn kill(&mut self, index: usize) -> Result<()> {
        let member = &mut self.members[index];
        member.process.child.kill().await.context("kill a process")?;
        self.replace(index)
    }

    fn replace(&mut self, index: usize) -> Result<()> {
        let member = &mut self.members[index];
        member.generation += 1;
        member.process = spawn(&self.terms, member.role, member.generation, &member.url)?;
        Ok(())
    }

    /// The process's way to the database, where it is not a file.
    pub(super) fn proxy(&self, index: usize) -> Option<&Proxy> {
        self.members[index].proxy.as_ref()
    }

    /// Stops a process where it is, or lets it go on.
    pub(super) fn signal(&self, index: usize, signal: Signal) -> Result<()> {
        let id = self.members[index].process.child.id().and_then(|id| i32::try_from(id).ok());
        // Without an id it has ended, which shows when it is asked to pause.
        if let Some(pid) = id.and_then(Pid::from_raw) {
            kill_process(pid, signal).context("signal a process")?;
        }
        Ok(())
    }

    /// Lets everybody come to rest. A process that has ended by itself is replaced, and noted.
    pub(super) async fn pause(&mut self) -> Result<()> {
        for index in 0..self.members.len() {
            self.order(index, PAUSE).await?;
        }
        for index in 0..self.members.len() {
            while self.answer(index).await?.is_none() {
                self.lament(index)?;
                self.order(index, PAUSE).await?;
            }
        }
        Ok(())
    }

    /// Lets everybody go on.
    pub(super) async fn resume(&mut self) -> Result<()> {
        for index in 0..self.members.len() {
            self.order(index, RESUME).await?;
        }
        Ok(())
    }

    /// That a process has ended shows when it does not answer.
    async fn order(&mut self, index: usize, order: &str) -> Result<()> {
        let orders = &mut self.members[index].process.orders;
        let _ = orders.write_all(format!("{order}\n").as_bytes()).await;
        let _ = orders.flush().await;
        Ok(())
    }

    async fn answer(&mut self, index: usize) -> Result<Option<()>> {
        let member = &mut self.members[index];
        let answer = tokio::time::timeout(REST, member.process.answers.next_line()).await;
        let Ok(answer) = answer else {
            bail!("{} did not come to rest within {REST:?}", member.role.name());
        };
        Ok(answer.ok().flatten().filter(|line| line == PAUSED).map(drop))
    }

    fn lament(&mut self, index: usize) -> Result<()> {
        let name = self.members[index].role.name();
        let said = std::fs::read_to_string(errors(&self.terms.folder, &name)).unwrap_or_default();
        let lines: Vec<&str> = said.lines().rev().take(5).collect();
        self.accidents.push(format!("{name} ended by itself: {}", lines.join(" / ")));
        self.replace(index)
    }
}

fn errors(folder: &Path, name: &str) -> PathBuf {
    folder.join(format!("{name}.err"))
}

fn spawn(terms: &Terms, role: Role, generation: u32, url: &str) -> Result<Process> {
    let name = role.name();
    let log = terms.folder.join(format!("{name}.log"));
    let errors = OpenOptions::new().create(true).append(true).open(errors(&terms.folder, &name))?;
    let mut command = Command::new(std::env::current_exe().context("find this program")?);
    match role {
        Role::Application(place) => {
            command.args(["application", "--place", &place.to_string()]);
            command.args(["--generation", &generation.to_string()]);
            command.args(["--seed", &terms.seed.to_string()]);
        }
        Role::Worker(_) => drop(command.arg("worker")),
    }
    command.args(["--url", url, "--round", &terms.round.0.to_string()]);
    command.arg("--log").arg(log);
    if let Some(without) = terms.without {
        command.args(["--without", without.as_str()]);
    }
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(errors).kill_on_drop(true);
    let mut child = command.spawn().with_context(|| format!("start {name}"))?;
    let orders = child.stdin.take().context("the process takes no orders")?;
    let answers = child.stdout.take().context("the process gives no answers")?;
    Ok(Process { child, orders, answers: BufReader::new(answers).lines() })
}
