//! The database that the demo makes for itself: a file in a temporary folder, or a schema of its
//! own on a PostgreSQL server.

use std::str::FromStr as _;
use std::time::Duration;

use crossfade::{AnyPool, Database};
use sqlx::{
    AssertSqlSafe, Connection as _,
    postgres::{PgConnectOptions, PgConnection},
    sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous},
};
use tempfile::TempDir;

use super::Result;
use crate::failure::Failure;

/// How long a connection of a pool, or SQLite's one writer, is waited for.
const PATIENCE: Duration = Duration::from_secs(20);

/// Connections of each pool.
const CONNECTIONS: u32 = 8;

/// Where the demo takes place.
#[derive(Debug)]
pub(super) struct Place {
    /// Holds SQLite's file, and on both engines the migration's folder.
    folder: TempDir,
    kind: Kind,
}

#[derive(Debug)]
enum Kind {
    Sqlite,
    Postgres { options: Box<PgConnectOptions>, schema: String },
}

impl Place {
    /// Makes a place on the server of a PostgreSQL URL, else in a temporary folder. What a URL
    /// points to is left alone.
    ///
    /// # Errors
    ///
    /// Exit code 2 for a URL of another engine.
    pub(super) async fn make(url: Option<&str>) -> Result<Self> {
        let postgres = match url.and_then(|url| url.split_once(':')) {
            Some(("postgres" | "postgresql", _)) => url,
            Some(("sqlite", _)) => None,
            None if url.is_none() => None,
            _ => {
                let failure = Failure::usage("the demo runs on PostgreSQL and SQLite");
                return Err(failure.with_hint("give a postgres:// URL, or none for SQLite"));
            }
        };
        let folder = tempfile::Builder::new()
            .prefix("crossfade-demo-")
            .tempdir()
            .map_err(|error| Failure::failed("failed to create a temporary folder", &error))?;
        let Some(url) = postgres else { return Ok(Self { folder, kind: Kind::Sqlite }) };
        let options = PgConnectOptions::from_str(url)
            .map_err(|error| Failure::failed("failed to read the database URL", &error))?;
        let options = Box::new(options.application_name("crossfade demo"));
        let schema = format!("crossfade_demo_{:08x}", rand::random::<u32>());
        execute(&options, format!("create schema {schema}")).await.map_err(|error| {
            Failure::failed("failed to create a schema for the demo", &error)
                .with_hint("is the server up, and may this user create schemas in this database?")
        })?;
        Ok(Self { folder, kind: Kind::Postgres { options, schema } })
    }

    /// The folder for files.
    pub(super) fn folder(&self) -> &std::path::Path {
        self.folder.path()
    }

    /// Where it is, in words.
    pub(super) fn describe(&self) -> String {
        match &self.kind {
            Kind::Sqlite => format!("SQLite, {}", self.file().display()),
            Kind::Postgres { options, schema } => format!(
                "PostgreSQL, schema {schema} on {}:{}/{}",
                options.get_host(),
                options.get_port(),
                options.get_database().unwrap_or_default()
            ),
        }
    }

    /// A pool of its own on it, as another process of an application would have.
    pub(super) async fn open(&self) -> Result<Database> {
        let pool: AnyPool = match &self.kind {
            Kind::Sqlite => {
                let options = SqliteConnectOptions::new()
                    .filename(self.file())
                    .create_if_missing(true)
                    .foreign_keys(true)
                    .journal_mode(SqliteJournalMode::Wal)
                    // The demo's file need not survive a power failure.
                    .synchronous(SqliteSynchronous::Normal)
                    .busy_timeout(PATIENCE);
                let pool =
                    SqlitePoolOptions::new().max_connections(CONNECTIONS).acquire_timeout(PATIENCE);
                let pool = pool.connect_with(options).await;
                pool.map_err(|error| Failure::failed("failed to open the SQLite file", &error))?
                    .into()
            }
            Kind::Postgres { options, schema } => {
                let options = PgConnectOptions::clone(options).options([("search_path", schema)]);
                let pool = Database::postgres_pool_options()
                    .max_connections(CONNECTIONS)
                    .acquire_timeout(PATIENCE);
                let pool = pool.connect_with(options).await;
                pool.map_err(|error| Failure::failed("failed to connect to PostgreSQL", &error))?
                    .into()
            }
        };
        Ok(Database::open(pool).await?)
    }

    /// Removes everything that was made.
    pub(super) async fn remove(self) -> Result<()> {
        if let Kind::Postgres { options, schema } = &self.kind {
            let dropped = execute(options, format!("drop schema {schema} cascade")).await;
            dropped.map_err(|error| {
                Failure::failed(format!("failed to drop the schema {schema}"), &error)
            })?;
        }
        let removed = self.folder.close();
        removed.map_err(|error| Failure::failed("failed to remove the temporary folder", &error))
    }

    /// Leaves the data, and tells where.
    pub(super) fn keep(mut self) -> String {
        if matches!(self.kind, Kind::Sqlite) {
            self.folder.disable_cleanup(true);
        }
        self.describe()
    }

    fn file(&self) -> std::path::PathBuf {
        self.folder.path().join("demo.db")
    }
}

/// Runs one statement on a connection of its own.
async fn execute(options: &PgConnectOptions, sql: String) -> Result<(), sqlx::Error> {
    let mut connection = PgConnection::connect_with(options).await?;
    sqlx::query("set lock_timeout = '10s'").execute(&mut connection).await?;
    sqlx::query(AssertSqlSafe(sql)).execute(&mut connection).await?;
    connection.close().await
}
