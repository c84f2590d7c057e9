//! What differs between the servers that can be started.

use std::{
    fs,
    io::Read,
    net::{Ipv4Addr, SocketAddr, TcpStream},
    path::Path,
    process::{Command, Stdio},
    time::Duration,
};

use anyhow::{Context, Result};

use super::{binaries::Binaries, install};

/// A kind of server. The functions of its script prepare a data folder and run the server.
#[derive(Debug)]
pub(crate) struct Kind {
    /// Its name, for messages.
    pub(super) name: &'static str,
    /// The environment variable under which commands find the server.
    pub(super) url_variable: &'static str,
    /// The folder variable that overrides the search for its programs.
    pub(super) folder_variable: &'static str,
    /// The programs a test server needs; the first prepares a data folder, the second serves it.
    pub(super) programs: &'static [&'static str],
    /// Whether packages put all of them into one folder, of which there may be several.
    pub(super) together: bool,
    /// Folders outside `PATH` where packages put the programs: parent, start of the name, and the
    /// folder below it.
    pub(super) places: &'static [(&'static str, &'static str, &'static str)],
    /// The accounts it may run under when this process is root's, best first.
    pub(super) accounts: &'static [&'static str],
    /// Shell functions `prepare` and `serve`, and the variables `pid_file` and `signal`.
    pub(super) script: &'static str,
    /// How the name of its private folder begins.
    pub(super) folder_prefix: &'static str,
    /// Debian's packages that hold the programs; the next ones where the first are not to be had.
    pub(super) packages: &'static [&'static [&'static str]],
    /// What to do where they are missing.
    pub(super) missing: &'static str,
    /// Keeps the packages from starting a server of their own.
    pub(super) before_install: fn() -> Result<()>,
    /// Whether the server in a data folder answers on a port.
    pub(super) answers: fn(&Binaries, &Path, u16) -> Result<bool>,
    /// What the log says when another process took the port between choosing and binding it.
    pub(super) lost_port: &'static str,
    /// User, in front of the host, and database, behind the port, in the server's address.
    pub(super) address: (&'static str, &'static str),
    /// The kind of server that follows this one, beside which it is started.
    pub(super) replica: Option<&'static Kind>,
}

#[cfg(test)]
impl Kind {
    /// Its name.
    pub(crate) const fn name(&self) -> &'static str {
        self.name
    }
}

/// PostgreSQL, whose superuser `crossfade` needs no password, with a standby.
pub(crate) const POSTGRES: Kind = Kind { replica: Some(&POSTGRES_REPLICA), ..POSTGRES_ALONE };

const POSTGRES_ALONE: Kind = Kind {
    name: "PostgreSQL",
    url_variable: "CROSSFADE_TEST_POSTGRES_URL",
    folder_variable: "CROSSFADE_PG_BIN",
    // The client packages install some of them.
    programs: &["initdb", "postgres", "pg_isready", "pg_basebackup"],
    together: true,
    // Debian, Red Hat, Homebrew on ARM and on Intel.
    places: &[
        ("/usr/lib/postgresql", "", "bin"),
        ("/usr", "pgsql-", "bin"),
        ("/opt/homebrew/opt", "postgresql", "bin"),
        ("/usr/local/opt", "postgresql", "bin"),
    ],
    accounts: &["postgres", "nobody"],
    script: include_str!("postgres.sh"),
    folder_prefix: "crossfade-pg-",
    packages: &[&["postgresql"]],
    missing: "\
PostgreSQL's programs (initdb, postgres, pg_isready, pg_basebackup) were not found; install them:
  Debian, Ubuntu   apt-get install postgresql
  Fedora, RHEL     dnf install postgresql-server
  Alpine           apk add postgresql
  macOS            brew install postgresql
or set CROSSFADE_PG_BIN to the folder that holds them",
    before_install: install::keep_postgres_from_starting,
    answers: postgres_answers,
    lost_port: "could not bind IPv4 address",
    address: ("postgres://crossfade", "postgres"),
    replica: None,
};

/// A hot standby of that PostgreSQL, by streaming replication.
const POSTGRES_REPLICA: Kind = Kind {
    name: "PostgreSQL's standby",
    url_variable: "CROSSFADE_TEST_POSTGRES_REPLICA_URL",
    // The same, so that both come from one folder.
    programs: &["pg_basebackup", "postgres", "pg_isready", "initdb"],
    folder_prefix: "crossfade-pg-standby-",
    script: concat!(include_str!("postgres.sh"), include_str!("postgres_replica.sh")),
    ..POSTGRES_ALONE
};

/// MariaDB, whose user `root` needs no password, with a replica.
pub(crate) const MARIADB: Kind = Kind { replica: Some(&MARIADB_REPLICA), ..MARIADB_ALONE };

const MARIADB_ALONE: Kind = Kind {
    name: "MariaDB",
    url_variable: "CROSSFADE_TEST_MYSQL_URL",
    folder_variable: "CROSSFADE_MARIADB_BIN",
    programs: &["mariadb-install-db", "mariadbd"],
    together: false,
    // Debian, Red Hat, Homebrew on ARM and on Intel.
    places: &[
        ("/usr", "sbin", ""),
        ("/usr", "libexec", ""),
        ("/opt/homebrew/opt", "mariadb", "bin"),
        ("/usr/local/opt", "mariadb", "bin"),
    ],
    accounts: &["mysql", "nobody"],
    script: include_str!("mariadb.sh"),
    folder_prefix: "crossfade-maria-",
    // The programs alone: the package `mariadb-server` starts a server of its own, but older releases
    // have packages of the programs only under names with a version.
    packages: &[&["mariadb-server-core", "mariadb-client-core"], &["mariadb-server"]],
    missing: "\
MariaDB's server programs (mariadb-install-db, mariadbd) were not found; install them:
  Debian, Ubuntu   apt-get install mariadb-server
  Fedora, RHEL     dnf install mariadb-server
  Alpine           apk add mariadb
  macOS            brew install mariadb
or set CROSSFADE_MARIADB_BIN to the folder that holds them",
    before_install: || Ok(()),
    answers: mariadb_answers,
    lost_port: "Can't start server: Bind on TCP/IP port",
    address: ("mysql://root", "mysql"),
    replica: None,
};

/// A read-only replica of that MariaDB, by its binary log.
const MARIADB_REPLICA: Kind = Kind {
    name: "MariaDB's replica",
    url_variable: "CROSSFADE_TEST_MYSQL_REPLICA_URL",
    folder_prefix: "crossfade-maria-replica-",
    script: concat!(include_str!("mariadb.sh"), include_str!("mariadb_replica.sh")),
    ..MARIADB_ALONE
};

/// The status in the private folder tells this server from a stranger on the same port.
fn postgres_answers(binaries: &Binaries, data: &Path, port: u16) -> Result<bool> {
    if !says_ready(data) {
        return Ok(false);
    }
    let mut probe = Command::new(binaries.program("pg_isready"));
    probe.args(["--quiet", "--host=127.0.0.1", "--dbname=postgres", "--username=crossfade"]);
    probe.arg(format!("--port={port}")).stdin(Stdio::null());
    Ok(probe.status().context("run pg_isready")?.success())
}

/// Whether the postmaster of this data folder accepts connections, if only for reading: line 8 of
/// `postmaster.pid`.
pub(super) fn says_ready(data: &Path) -> bool {
    let accepts = |status: &str| matches!(status.trim(), "ready" | "standby");
    fs::read_to_string(data.join("postmaster.pid"))
        .is_ok_and(|text| text.lines().nth(7).is_some_and(accepts))
}

/// MariaDB writes the file once it has its port, and greets whoever connects.
fn mariadb_answers(_: &Binaries, data: &Path, port: u16) -> Result<bool> {
    const PATIENCE: Duration = Duration::from_secs(1);
    if !data.join("mariadbd.pid").exists() {
        return Ok(false);
    }
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let Ok(mut stream) = TcpStream::connect_timeout(&address, PATIENCE) else { return Ok(false) };
    stream.set_read_timeout(Some(PATIENCE)).context("bound the wait for the greeting")?;
    // Three bytes of length, a sequence number, and the version of the protocol.
    let mut greeting = [0; 5];
    Ok(stream.read_exact(&mut greeting).is_ok() && greeting[4] == 10)
}
