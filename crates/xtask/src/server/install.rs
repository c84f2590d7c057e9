//! Installs a server where that can be done without asking: on Debian and Ubuntu, as root.

use std::{fs, path::Path, process::Command};

use anyhow::{Context, Result, bail};

use super::{account, kind::Kind};

/// Tells Debian's package of PostgreSQL not to create and start a server of its own.
const CLUSTER_OPTIONS: &str = "/etc/postgresql-common/createcluster.conf";

/// Installs the distribution's server.
pub(super) fn distribution(kind: &Kind) -> Result<()> {
    if !Path::new("/etc/debian_version").exists() || !account::is_root()? {
        bail!(kind.missing);
    }
    eprintln!("{} is missing", kind.name);
    (kind.before_install)().context("configure the package")?;
    if !apt_get(&["update"])? {
        // One list of several that cannot be had must not be the end of it.
        eprintln!("apt-get update failed; going on with the package lists that are there");
    }
    let commands: Vec<_> = kind.packages.iter().map(|packages| install(packages)).collect();
    for command in &commands {
        eprintln!("running apt-get {}", command.join(" "));
        if apt_get(command)? {
            return Ok(());
        }
    }
    bail!(failed(kind, &commands))
}

/// The arguments by which apt-get installs packages.
fn install(packages: &[&'static str]) -> Vec<&'static str> {
    ["install", "-y", "--no-install-recommends"].iter().chain(packages).copied().collect()
}

/// What is said when none of the commands got the server installed.
pub(super) fn failed(kind: &Kind, commands: &[Vec<&str>]) -> String {
    let commands: Vec<String> =
        commands.iter().map(|command| format!("  apt-get {}", command.join(" "))).collect();
    format!(
        "apt-get could not install {}; its own words are above. These failed:\n{}\n{}",
        kind.name,
        commands.join("\n"),
        kind.missing
    )
}

/// Writes the option unless the machine's owner has a file of their own there.
pub(super) fn keep_postgres_from_starting() -> Result<()> {
    let options = Path::new(CLUSTER_OPTIONS);
    if options.exists() {
        return Ok(());
    }
    if let Some(folder) = options.parent() {
        fs::create_dir_all(folder)?;
    }
    fs::write(options, "create_main_cluster = false\n")?;
    Ok(())
}

/// Whether it succeeded.
fn apt_get(arguments: &[&str]) -> Result<bool> {
    let status = Command::new("apt-get")
        .args(arguments)
        .env("DEBIAN_FRONTEND", "noninteractive")
        // Keeps the options file written above instead of asking about it.
        .env("UCF_FORCE_CONFFOLD", "1")
        .status()
        .context("run apt-get")?;
    Ok(status.success())
}
