//! Connecting to a database by its URL.

#[cfg(feature = "postgres")]
mod postgres;

use crossfade_store::StoreError;

#[cfg(any(feature = "mysql", feature = "sqlite"))]
use crate::database::Pool;
use crate::error::unknown_engine;
use crate::{AnyPool, Database};

/// What a connection is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Purpose {
    /// An application's own statements.
    Application,
    /// Making control tables where the search path says.
    Install,
    /// An operator's command on what was registered, wherever the control tables are.
    Operate,
}

impl Database {
    /// Connects to `postgres://…`, `mysql://…`, `mariadb://…` or `sqlite://…`. A missing SQLite file
    /// is created.
    ///
    /// # Errors
    ///
    /// Kind `Invalid` for a URL of another engine or form, `Unavailable` when nothing answers.
    pub async fn connect(url: &str) -> Result<Self, StoreError> {
        connect(url, Purpose::Application).await
    }

    /// [`connect`](Self::connect) to make control tables.
    ///
    /// # Errors
    ///
    /// As `connect`; and kind `Invalid` where a pooler in transaction mode stands in front of
    /// PostgreSQL, as settings and locks of a session would end up with other clients.
    pub async fn connect_to_install(url: &str) -> Result<Self, StoreError> {
        connect(url, Purpose::Install).await
    }

    /// [`connect`](Self::connect) for an operator's command, which works on what was registered,
    /// whatever search path its role or URL has: where PostgreSQL's shows no control tables and one
    /// schema of the database has them, that schema is added to the path.
    ///
    /// # Errors
    ///
    /// As [`connect_to_install`](Self::connect_to_install).
    pub async fn connect_to_operate(url: &str) -> Result<Self, StoreError> {
        connect(url, Purpose::Operate).await
    }
}

async fn connect(url: &str, purpose: Purpose) -> Result<Database, StoreError> {
    let scheme = url.split(':').next().unwrap_or_default();
    let pool = match scheme {
        #[cfg(feature = "mysql")]
        "mysql" | "mariadb" => mariadb(url).await?,
        #[cfg(feature = "postgres")]
        "postgres" | "postgresql" => postgres::pool(url, purpose).await?,
        #[cfg(feature = "sqlite")]
        "sqlite" => sqlite(url).await?,
        _ => return Err(unknown_engine(url)),
    };
    let _ = purpose;
    Database::open(AnyPool(pool)).await
}

#[cfg(feature = "mysql")]
async fn mariadb(url: &str) -> Result<Pool, StoreError> {
    use std::str::FromStr;
    use std::time::Duration;

    use sqlx::mysql::MySqlConnectOptions;
    use sqlx::{ConnectOptions, Connection};

    use crate::error::Doing;

    let options = MySqlConnectOptions::from_str(url).doing("failed to read the database URL")?;
    let first = options.connect().await.doing("failed to connect to MariaDB")?;
    first.close().await.doing("failed to connect to MariaDB")?;
    let pool = Database::mysql_pool_options()
        .max_connections(16)
        .acquire_timeout(Duration::from_secs(10))
        .connect_lazy_with(options);
    Ok(Pool::Mysql(pool))
}

#[cfg(feature = "sqlite")]
async fn sqlite(url: &str) -> Result<Pool, StoreError> {
    use std::str::FromStr;
    use std::time::Duration;

    use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions};

    use crate::error::Doing;

    let options = SqliteConnectOptions::from_str(url)
        .doing("failed to read the database URL")?
        .create_if_missing(true)
        .foreign_keys(true)
        .journal_mode(SqliteJournalMode::Wal);
    let pool = SqlitePoolOptions::new()
        .max_connections(8)
        .acquire_timeout(Duration::from_secs(10))
        .connect_with(options)
        .await
        .doing("failed to open the SQLite file")?;
    Ok(Pool::Sqlite(pool))
}
