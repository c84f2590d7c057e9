//! The servers: where they are, how one is crashed, and when it is back.

use std::path::PathBuf;
use std::time::{Duration, Instant};
use std::{env, fs};

use anyhow::{Context, Result, bail};
use crossfade::Engine;
use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;
use tokio::process::Command;

use crate::place;

/// How long a server may take to recover.
const RECOVERY: Duration = Duration::from_secs(60);

/// What `--engine` takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum EngineName {
    All,
    Mariadb,
    Postgres,
    Sqlite,
}

impl EngineName {
    /// The engines it stands for.
    pub(super) fn engines(self) -> Vec<Engine> {
        match self {
            Self::All => vec![Engine::Postgres, Engine::Mysql, Engine::Sqlite],
            Self::Mariadb => vec![Engine::Mysql],
            Self::Postgres => vec![Engine::Postgres],
            Self::Sqlite => vec![Engine::Sqlite],
        }
    }

    /// The first of them.
    pub(super) fn first(self) -> Engine {
        match self {
            Self::All | Self::Postgres => Engine::Postgres,
            Self::Mariadb => Engine::Mysql,
            Self::Sqlite => Engine::Sqlite,
        }
    }
}

/// What the engine is called on the command line.
pub(super) const fn name_of(engine: Engine) -> &'static str {
    match engine {
        Engine::Mysql => "mariadb",
        Engine::Postgres => "postgres",
        Engine::Sqlite => "sqlite",
    }
}

/// A database of the run's own, on a server that `cargo xtask soak` keeps, or in a file.
#[derive(Debug)]
pub(super) struct Server {
    /// Its address.
    pub(super) url: String,
    engine: Engine,
    /// The folder that the server's keeper looks into; `None` for a file.
    folder: Option<PathBuf>,
    _file: Option<TempDir>,
}

impl Server {
    /// The engine's server, with a new database.
    pub(super) async fn of(engine: Engine) -> Result<Self> {
        let variable = match engine {
            Engine::Mysql => "CROSSFADE_TEST_MYSQL",
            Engine::Postgres => "CROSSFADE_TEST_POSTGRES",
            Engine::Sqlite => {
                let folder = tempfile::tempdir().context("make a folder for SQLite's file")?;
                let url = format!("sqlite://{}", folder.path().join("soak.db").display());
                return Ok(Self { url, engine, folder: None, _file: Some(folder) });
            }
        };
        let get = |what: &str| {
            let name = format!("{variable}_{what}");
            env::var(&name).with_context(|| format!("{name} is not set; use `cargo xtask soak`"))
        };
        let (url, folder) = (get("URL")?, PathBuf::from(get("FOLDER")?));
        let name = format!("soak_{:08x}", rand::random::<u32>());
        let sql = sqlx::AssertSqlSafe(format!("create database {name}"));
        let database = place::open(&url).await?;
        if let Some(pool) = database.postgres() {
            sqlx::raw_sql(sql).execute(pool).await?;
        } else if let Some(pool) = database.mysql() {
            sqlx::raw_sql(sql).execute(pool).await?;
        }
        let (base, _) = url.rsplit_once('/').context("the server's address names no database")?;
        Ok(Self { url: format!("{base}/{name}"), engine, folder: Some(folder), _file: None })
    }

    /// Host and port; `None` for a file.
    pub(super) fn address(&self) -> Option<&str> {
        self.folder.as_ref()?;
        let (_, rest) = self.url.split_once("//")?;
        let authority = rest.split('/').next()?;
        Some(authority.rsplit('@').next().unwrap_or(authority))
    }

    /// Whether it can be crashed.
    pub(super) fn can_crash(&self) -> bool {
        self.folder.is_some()
    }

    /// Kills every process of the server, and returns once it has recovered.
    ///
    /// The keeper starts a server again that ends while its folder holds the file `restart`.
    pub(super) async fn crash(&self) -> Result<()> {
        let Some(folder) = &self.folder else { return Ok(()) };
        fs::write(folder.join("restart"), "").context("ask for a restart")?;
        let file = match self.engine {
            Engine::Postgres => "data/postmaster.pid",
            _ => "data/mariadbd.pid",
        };
        let text = fs::read_to_string(folder.join(file)).context("read the server's process id")?;
        let server: i32 = text.lines().next().unwrap_or_default().trim().parse()?;
        let children = children(server).await?;
        for process in [server].into_iter().chain(children) {
            if let Some(pid) = Pid::from_raw(process) {
                // One that has ended meanwhile is as good as killed.
                let _ = kill_process(pid, Signal::KILL);
            }
        }
        self.wait_until_back().await
    }

    async fn wait_until_back(&self) -> Result<()> {
        let began = Instant::now();
        // The dying server must not be taken for the new one.
        tokio::time::sleep(Duration::from_millis(100)).await;
        while began.elapsed() < RECOVERY {
            if let Ok(Ok(_)) = tokio::time::timeout(RECOVERY, place::open(&self.url)).await {
                return Ok(());
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        bail!("the server did not come back within {} seconds", RECOVERY.as_secs())
    }
}

/// The processes that a process has started.
async fn children(parent: i32) -> Result<Vec<i32>> {
    let listed = Command::new("ps").args(["-A", "-o", "pid=,ppid="]).output().await;
    let text = String::from_utf8(listed.context("run ps")?.stdout)?;
    let children = text.lines().filter_map(|line| {
        let mut words = line.split_whitespace();
        let (pid, ppid): (i32, i32) = (words.next()?.parse().ok()?, words.next()?.parse().ok()?);
        (parent == ppid).then_some(pid)
    });
    Ok(children.collect())
}
