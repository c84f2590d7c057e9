//! Installs PostgreSQL where that can be done without asking: on Debian and Ubuntu, as root.

use std::{fs, path::Path, process::Command};

use anyhow::{Context, Result, bail, ensure};

use super::{account, binaries::Binaries};

/// Tells Debian's package not to create and start a server of its own.
const CLUSTER_OPTIONS: &str = "/etc/postgresql-common/createcluster.conf";

const MISSING: &str = "\
PostgreSQL's server programs (initdb, postgres, pg_isready) were not found; install them:
  Debian, Ubuntu   apt-get install postgresql
  Fedora, RHEL     dnf install postgresql-server
  Alpine           apk add postgresql
  macOS            brew install postgresql
or set CROSSFADE_PG_BIN to the folder that holds them";

/// Installs the distribution's PostgreSQL and returns its programs.
pub(super) fn postgresql() -> Result<Binaries> {
    if !Path::new("/etc/debian_version").exists() || !account::is_root()? {
        bail!(MISSING);
    }
    eprintln!("PostgreSQL is missing; installing the package `postgresql`");
    keep_from_starting().context("configure the package")?;
    apt_get(&["update"])?;
    apt_get(&["install", "-y", "--no-install-recommends", "postgresql"])?;
    Binaries::find()?.context(MISSING)
}

/// Writes the option unless the machine's owner has a file of their own there.
fn keep_from_starting() -> Result<()> {
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

fn apt_get(arguments: &[&str]) -> Result<()> {
    let status = Command::new("apt-get")
        .args(arguments)
        .env("DEBIAN_FRONTEND", "noninteractive")
        // Keeps the options file written above instead of asking about it.
        .env("UCF_FORCE_CONFFOLD", "1")
        .status()
        .context("run apt-get")?;
    ensure!(status.success(), "apt-get {} failed: {status}\n{MISSING}", arguments.join(" "));
    Ok(())
}
