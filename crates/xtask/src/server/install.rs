//! Installs a server where that can be done without asking: on Debian and Ubuntu, as root.

use std::{fs, path::Path, process::Command};

use anyhow::{Context, Result, bail, ensure};

use super::{account, kind::Kind};

/// Tells Debian's package of PostgreSQL not to create and start a server of its own.
const CLUSTER_OPTIONS: &str = "/etc/postgresql-common/createcluster.conf";

/// Installs the distribution's server.
pub(super) fn distribution(kind: &Kind) -> Result<()> {
    if !Path::new("/etc/debian_version").exists() || !account::is_root()? {
        bail!(kind.missing);
    }
    let packages = kind.packages.join(" ");
    eprintln!("{} is missing; installing the package(s) {packages}", kind.name);
    (kind.before_install)().context("configure the package")?;
    let mut install = vec!["install", "-y", "--no-install-recommends"];
    install.extend(kind.packages);
    for arguments in [&["update"][..], &install] {
        let status = apt_get(arguments)?;
        let arguments = arguments.join(" ");
        ensure!(status, "apt-get {arguments} failed\n{}", kind.missing);
    }
    Ok(())
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
