//! The account a server runs under: none runs as root.

use std::{
    path::Path,
    process::{Command, Stdio},
};

use anyhow::{Context, Result, bail, ensure};

use super::kind::Kind;

/// How to run a program as the server's owner.
#[derive(Debug)]
pub(super) struct Account {
    prefix: Vec<String>,
    owner: Option<(u32, u32)>,
}

impl Account {
    /// The current user; or, for root, the first of the kind's accounts that exists.
    ///
    /// Where `setpriv` can ask for it, the server also gets SIGQUIT when the process that started
    /// it dies, so that not even killing the keeper leaves a server behind.
    pub(super) fn choose(kind: &Kind) -> Result<Self> {
        if !is_root()? {
            let watched = words("setpriv --pdeathsig QUIT --");
            let prefix = if works(&watched) { watched } else { Vec::new() };
            return Ok(Self { prefix, owner: None });
        }

        let Some((name, user)) =
            kind.accounts.iter().find_map(|name| id(&["-u", name]).ok().map(|user| (name, user)))
        else {
            let accounts = kind.accounts.join("` or `");
            bail!("{} does not run as root and there is no user `{accounts}`", kind.name);
        };
        let group = id(&["-g", name])?;
        let prefix = [
            format!("setpriv --reuid {user} --regid {group} --init-groups --pdeathsig QUIT --"),
            format!("runuser -u {name} --"),
        ]
        .iter()
        .map(|line| words(line))
        .find(|prefix| works(prefix))
        .with_context(|| {
            format!("cannot become the user `{name}`: install util-linux (setpriv or runuser)")
        })?;
        Ok(Self { prefix, owner: Some((user, group)) })
    }

    /// The words to put before a command; none when it runs as it is.
    pub(super) fn prefix(&self) -> &[String] {
        &self.prefix
    }

    /// User and group that must own the server's files, if those are not the current ones.
    pub(super) fn owner(&self) -> Option<(u32, u32)> {
        self.owner
    }

    /// Whether the account can reach what lies in `folder`.
    pub(super) fn can_enter(&self, folder: &Path) -> bool {
        match self.prefix.split_first() {
            Some((program, arguments)) => {
                let mut test = Command::new(program);
                succeeds(test.args(arguments).args(["test", "-x"]).arg(folder))
            }
            None => true,
        }
    }
}

/// Whether this process may become any user.
pub(super) fn is_root() -> Result<bool> {
    Ok(id(&["-u"])? == 0)
}

/// Splits at spaces; the prefixes above hold no quoted words.
fn words(line: &str) -> Vec<String> {
    line.split(' ').map(str::to_owned).collect()
}

fn works(prefix: &[String]) -> bool {
    prefix
        .split_first()
        .is_some_and(|(program, rest)| succeeds(Command::new(program).args(rest).arg("true")))
}

fn succeeds(command: &mut Command) -> bool {
    command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success())
}

fn id(arguments: &[&str]) -> Result<u32> {
    let output = Command::new("id").args(arguments).output().context("run id")?;
    ensure!(output.status.success(), "id {} failed", arguments.join(" "));
    String::from_utf8_lossy(&output.stdout).trim().parse().context("read what id printed")
}
