//! The shell that starts the server and outlives this process by as long as stopping it takes.

use std::{
    env,
    fs::File,
    io::{self, Write},
    os::unix::{
        fs::{FileExt, PermissionsExt, chown},
        process::CommandExt,
    },
    path::{Path, PathBuf},
    process::{Child, ChildStdin, Command, ExitStatus, Stdio},
};

use anyhow::{Context, Result, bail};
use tempfile::TempDir;

use super::{Fate, account::Account, binaries::Binaries, kind::Kind};

const SCRIPT: &str = include_str!("keeper.sh");
/// The folder's own name and the socket's fit behind it in the 104 bytes that macOS allows.
const LONGEST_PARENT: usize = 64;
const LOG_TAIL_BYTES: u64 = 4096;

/// A running keeper. Dropping it stops the server, waits for that and removes the folder.
#[derive(Debug)]
pub(super) struct Keeper {
    /// The writing end of the pipe; `None` only while dropping.
    pipe: Option<ChildStdin>,
    child: Child,
    /// Has no name, so it needs no removal and survives the folder.
    log: File,
    folder: TempDir,
}

impl Keeper {
    /// Starts the script; the server comes up, or fails to, in the background.
    pub(super) fn start(
        kind: &Kind,
        binaries: &Binaries,
        account: &Account,
        port: u16,
        primary: Option<u16>,
        fate: Fate,
    ) -> Result<Self> {
        let log = tempfile::tempfile().context("create the server's log")?;
        let handle = || log.try_clone().context("share the server's log");
        let (output, errors) = (handle()?, handle()?);
        let script = format!("{}\n{SCRIPT}", kind.script);
        let (installer, program) = binaries.installer_and_server();
        let folder = private_folder(kind, account)?;
        let mut shell = Command::new("sh");
        if fate == Fate::Crashes {
            shell.env("CROSSFADE_SERVER_CRASHES", "on");
        }
        let mut child = shell
            .args(["-c", &script, "keeper"])
            .args([folder.path(), installer, program])
            .arg(port.to_string())
            .args(account.prefix())
            .env("primary", primary.map_or_else(String::new, |port| port.to_string()))
            .current_dir(folder.path())
            // Messages in English, whatever the user speaks: `lost_port` reads them.
            .env("LC_ALL", "C")
            // Ctrl-C in the terminal goes to this process only, and from here through the pipe.
            .process_group(0)
            .stdin(Stdio::piped())
            .stdout(output)
            .stderr(errors)
            .spawn()
            .context("start the shell that keeps the server")?;
        let pipe = child.stdin.take();
        Ok(Self { pipe, child, log, folder })
    }

    /// The server's data folder; it exists once the server is being initialised.
    pub(super) fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    /// The server's private folder.
    pub(super) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Names the process to end when this one ends first.
    pub(super) fn command_started(&mut self, pid: u32) {
        self.tell(&pid.to_string());
    }

    /// Takes back [`Self::command_started`].
    pub(super) fn command_ended(&mut self) {
        self.tell("none");
    }

    /// How the keeper ended, if it has, which it does when the server does.
    pub(super) fn ended(&mut self) -> io::Result<Option<ExitStatus>> {
        self.child.try_wait()
    }

    /// Blocks until the server has ended.
    pub(super) fn wait(&mut self) -> io::Result<ExitStatus> {
        self.child.wait()
    }

    /// The last lines that the preparation and the server wrote.
    pub(super) fn log_tail(&self) -> String {
        let length = self.log.metadata().map_or(0, |metadata| metadata.len());
        let start = length.saturating_sub(LOG_TAIL_BYTES);
        let mut tail = vec![0; usize::try_from(length - start).unwrap_or_default()];
        // Positioned reads: the server writes at the offset that this handle shares.
        match self.log.read_exact_at(&mut tail, start) {
            Ok(()) => String::from_utf8_lossy(&tail).trim_end().to_owned(),
            Err(error) => format!("(the log cannot be read: {error})"),
        }
    }

    /// A keeper that is gone needs no message, so a broken pipe is not reported.
    fn tell(&mut self, line: &str) {
        if let Some(pipe) = &mut self.pipe {
            let _ = writeln!(pipe, "{line}");
        }
    }
}

impl Drop for Keeper {
    fn drop(&mut self) {
        drop(self.pipe.take());
        let _ = self.child.wait();
    }
}

/// A new folder that `account` owns and can reach through all of the folder's parents.
///
/// Everything that takes time comes before the folder exists: until the keeper runs, killing this
/// process would leave it behind.
fn private_folder(kind: &Kind, account: &Account) -> Result<TempDir> {
    let mut refused = Vec::new();
    for parent in [env::temp_dir(), PathBuf::from("/tmp"), PathBuf::from("/var/tmp")] {
        let reason = if parent.as_os_str().len() > LONGEST_PARENT {
            "too long for a socket's path".to_owned()
        } else if !account.can_enter(&parent) {
            "the server cannot enter it".to_owned()
        } else {
            match folder_below(&parent, kind, account) {
                Ok(folder) => return Ok(folder),
                Err(error) => error.to_string(),
            }
        };
        refused.push(format!("{}: {reason}", parent.display()));
    }
    bail!("no folder for the server's data; tried {}", refused.join("; "))
}

fn folder_below(parent: &Path, kind: &Kind, account: &Account) -> io::Result<TempDir> {
    let folder = tempfile::Builder::new()
        .prefix(kind.folder_prefix)
        .permissions(PermissionsExt::from_mode(0o700))
        .tempdir_in(parent)?;
    if let Some((user, group)) = account.owner() {
        chown(folder.path(), Some(user), Some(group))?;
    }
    Ok(folder)
}
