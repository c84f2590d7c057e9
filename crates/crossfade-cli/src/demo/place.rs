//! The database that the demo makes for itself: a file in a temporary folder, a schema of its own
//! on a PostgreSQL server, or a database of its own on a MariaDB server.

use std::str::FromStr as _;
use std::time::Duration;

use crossfade::{AnyPool, Database};
use sqlx::{
    AssertSqlSafe, Connection as _,
    mysql::{MySqlConnectOptions, MySqlConnection},
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
    /// Holds SQLite's file, and on every engine the migration's folder.
    folder: TempDir,
    kind: Kind,
}

#[derive(Debug)]
enum Kind {
    Sqlite,
    Mysql { options: Box<MySqlConnectOptions>, database: String },
    Postgres { options: Box<PgConnectOptions>, schema: String },
}

impl Place {
    /// Makes a place on the server of a PostgreSQL or MariaDB URL, else in a temporary folder. What
    /// a URL points to is left alone.
    ///
    /// # Errors
    ///
    /// Exit code 2 for a URL of another engine.
    pub(super) async fn make(url: Option<&str>) -> Result<Self> {
        let folder = tempfile::Builder::new()
            .prefix("crossfade-demo-")
            .tempdir()
            .map_err(|error| Failure::failed("failed to create a temporary folder", &error))?;
        let kind = match (url, url.and_then(|url| url.split_once(':')).map(|(scheme, _)| scheme)) {
            (None, _) | (_, Some("sqlite")) => Kind::Sqlite,
            (Some(url), Some("mysql" | "mariadb")) => Kind::on_mariadb(url).await?,
            (Some(url), Some("postgres" | "postgresql")) => Kind::on_postgres(url).await?,
            _ => {
                let failure = Failure::usage("the demo runs on PostgreSQL, MariaDB and SQLite");
                let hint = "give a postgres:// or mysql:// URL, or none for SQLite";
                return Err(failure.with_hint(hint));
            }
        };
        Ok(Self { folder, kind })
    }

    /// The folder for files.
    pub(super) fn folder(&self) -> &std::path::Path {
        self.folder.path()
    }

    /// Where it is, in words.
    pub(super) fn describe(&self) -> String {
        match &self.kind {
            Kind::Sqlite => format!("SQLite, {}", self.file().display()),
            Kind::Mysql { options, database } => format!(
                "MariaDB, database {database} on {}:{}",
                options.get_host(),
                options.get_port()
            ),
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
            Kind::Mysql { options, database } => {
                let options = MySqlConnectOptions::clone(options).database(database);
                let pool = Database::mysql_pool_options()
                    .max_connections(CONNECTIONS)
                    .acquire_timeout(PATIENCE);
                let pool = pool.connect_with(options).await;
                pool.map_err(|error| Failure::failed("failed to connect to MariaDB", &error))?
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
        self.kind.drop().await?;
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

impl Kind {
    async fn on_mariadb(url: &str) -> Result<Self> {
        let options = MySqlConnectOptions::from_str(url).map_err(unreadable)?;
        let database = name();
        on_mariadb(&options, format!("create database {database}")).await.map_err(|error| {
            Failure::failed("failed to create a database for the demo", &error)
                .with_hint("is the server up, and may this user create databases?")
        })?;
        Ok(Self::Mysql { options: Box::new(options), database })
    }

    async fn on_postgres(url: &str) -> Result<Self> {
        let options = PgConnectOptions::from_str(url).map_err(unreadable)?;
        let options = Box::new(options.application_name("crossfade demo"));
        let schema = name();
        on_postgres(&options, format!("create schema {schema}")).await.map_err(|error| {
            Failure::failed("failed to create a schema for the demo", &error)
                .with_hint("is the server up, and may this user create schemas in this database?")
        })?;
        Ok(Self::Postgres { options, schema })
    }

    /// Drops what was made on a server.
    async fn drop(&self) -> Result<()> {
        let (name, dropped) = match self {
            Self::Sqlite => return Ok(()),
            Self::Mysql { options, database } => {
                (database, on_mariadb(options, format!("drop database {database}")).await)
            }
            Self::Postgres { options, schema } => {
                (schema, on_postgres(options, format!("drop schema {schema} cascade")).await)
            }
        };
        dropped.map_err(|error| Failure::failed(format!("failed to drop {name}"), &error))
    }
}

/// A name that nobody else has.
fn name() -> String {
    format!("crossfade_demo_{:08x}", rand::random::<u32>())
}

fn unreadable(error: sqlx::Error) -> Failure {
    Failure::failed("failed to read the database URL", &error)
}

/// Runs one statement on a connection of its own.
async fn on_mariadb(options: &MySqlConnectOptions, sql: String) -> Result<(), sqlx::Error> {
    let mut connection = MySqlConnection::connect_with(options).await?;
    sqlx::query("set lock_wait_timeout = 10").execute(&mut connection).await?;
    sqlx::raw_sql(AssertSqlSafe(sql)).execute(&mut connection).await?;
    connection.close().await
}

/// Runs one statement on a connection of its own.
async fn on_postgres(options: &PgConnectOptions, sql: String) -> Result<(), sqlx::Error> {
    let mut connection = PgConnection::connect_with(options).await?;
    sqlx::query("set lock_timeout = '10s'").execute(&mut connection).await?;
    sqlx::query(AssertSqlSafe(sql)).execute(&mut connection).await?;
    connection.close().await
}
