//! The handle on a database: its pool and what is known of it.

use std::collections::HashMap;
use std::fmt;
#[cfg(feature = "postgres")]
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use crossfade_core::{Definition, KeyText, MigrationName};
use crossfade_store::StoreError;
#[cfg(feature = "mysql")]
use sqlx::mysql::{MySqlPool, MySqlPoolOptions};
#[cfg(feature = "postgres")]
use sqlx::postgres::{PgPool, PgPoolOptions};
#[cfg(feature = "sqlite")]
use sqlx::sqlite::SqlitePool;
use tokio::sync::Semaphore;

use crate::changes::Watcher;
#[cfg(any(feature = "mysql", feature = "postgres"))]
use crate::error::Doing;
#[cfg(feature = "postgres")]
use crate::fence::schema_in_literals;
use crate::replica::ReplicaPool;
#[cfg(any(feature = "mysql", feature = "postgres"))]
use crate::session::MARK;
use crate::session::Relay;
use crate::shape::Shape;
use crate::snapshot;

/// The schema of the control tables, which the search path may find in another than the current
/// one; before they are there, the schema that they will be made in. And the server's version.
#[cfg(feature = "postgres")]
const NAMESPACE: &str = "select coalesce((select n.nspname::text from pg_class c \
    join pg_namespace n on n.oid = c.relnamespace where c.oid = to_regclass('crossfade_epochs')), \
    current_schema()::text), current_setting('server_version_num')::int";

/// How long a connection is handed on: long enough for some twenty writes, short enough for whoever waits
/// at the pool.
const HAND_ON_FOR: Duration = Duration::from_millis(20);

/// A database engine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Engine {
    /// MariaDB 10.6 and later, with InnoDB. MySQL itself lacks some of what is asked of it.
    #[cfg(feature = "mysql")]
    Mysql,
    /// PostgreSQL 14 and later.
    #[cfg(feature = "postgres")]
    Postgres,
    /// SQLite 3.39 and later; the bundled one is newer.
    #[cfg(feature = "sqlite")]
    Sqlite,
}

impl Engine {
    /// The engines of this build.
    pub const ALL: &[Self] = &[
        #[cfg(feature = "mysql")]
        Self::Mysql,
        #[cfg(feature = "postgres")]
        Self::Postgres,
        #[cfg(feature = "sqlite")]
        Self::Sqlite,
    ];

    /// Its name, as in `expand.NAME.sql`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            #[cfg(feature = "mysql")]
            Self::Mysql => "mysql",
            #[cfg(feature = "postgres")]
            Self::Postgres => "postgres",
            #[cfg(feature = "sqlite")]
            Self::Sqlite => "sqlite",
        }
    }
}

impl fmt::Display for Engine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[derive(Clone, Debug)]
pub(crate) enum Pool {
    #[cfg(feature = "mysql")]
    Mysql(MySqlPool),
    #[cfg(feature = "postgres")]
    Postgres(PgPool),
    #[cfg(feature = "sqlite")]
    Sqlite(SqlitePool),
}

impl Pool {
    /// The size to which it may grow.
    pub(crate) fn most_connections(&self) -> u32 {
        match self {
            #[cfg(feature = "mysql")]
            Self::Mysql(pool) => pool.options().get_max_connections(),
            #[cfg(feature = "postgres")]
            Self::Postgres(pool) => pool.options().get_max_connections(),
            #[cfg(feature = "sqlite")]
            Self::Sqlite(pool) => pool.options().get_max_connections(),
        }
    }
}

/// A database that holds both sides and Crossfade's control tables. Cheap to clone.
///
/// It implements every port of `crossfade-store`.
#[derive(Clone)]
pub struct Database {
    pub(crate) inner: Arc<Inner>,
    pub(crate) replicas: Arc<[Arc<ReplicaPool>]>,
    /// By which connections are handed on.
    pub(crate) relay: Option<Arc<Relay>>,
    #[cfg(feature = "mutants")]
    pub(crate) without: u32,
}

pub(crate) struct Inner {
    pub(crate) pool: Pool,
    /// The schema of the control tables. Lock numbers are derived from it, so that fences of
    /// different schemas of one database do not wait for each other.
    pub(crate) namespace: String,
    /// The same as PostgreSQL's fences are named in literals.
    #[cfg(feature = "postgres")]
    pub(crate) schema_in_literals: String,
    /// SQLite has one writer at a time. Queueing here is fair; its busy handler is not.
    #[cfg(feature = "sqlite")]
    pub(crate) single_writer: Arc<Semaphore>,
    /// One place for each snapshot that may be open.
    pub(crate) snapshots: Arc<Semaphore>,
    pub(crate) shapes: Mutex<HashMap<MigrationName, (Definition, Arc<Shape>)>>,
    pub(crate) key_texts: Mutex<HashMap<MigrationName, (Definition, Vec<KeyText>)>>,
    pub(crate) watcher: Watcher,
    /// Whether the fence's `begin` has to name its isolation, where READ COMMITTED is not what
    /// sessions begin with.
    #[cfg(feature = "postgres")]
    pub(crate) name_isolation: AtomicBool,
    display: String,
}

impl fmt::Debug for Database {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Database")
            .field("engine", &self.engine())
            .field("url", &self.inner.display)
            .field("namespace", &self.inner.namespace)
            .finish_non_exhaustive()
    }
}

/// Pools that a [`Database`] can be made of.
#[derive(Clone, Debug)]
pub struct AnyPool(pub(crate) Pool);

impl Pool {
    pub(crate) fn engine(&self) -> Engine {
        match self {
            #[cfg(feature = "mysql")]
            Self::Mysql(_) => Engine::Mysql,
            #[cfg(feature = "postgres")]
            Self::Postgres(_) => Engine::Postgres,
            #[cfg(feature = "sqlite")]
            Self::Sqlite(_) => Engine::Sqlite,
        }
    }

    /// Where it leads, without user name and password.
    pub(crate) fn address(&self) -> String {
        #[cfg(any(feature = "mysql", feature = "postgres"))]
        let on_server = |host: &str, port: u16, database: Option<&str>| {
            format!("{}://{host}:{port}/{}", self.engine(), database.unwrap_or_default())
        };
        match self {
            #[cfg(feature = "mysql")]
            Self::Mysql(pool) => {
                let options = pool.connect_options();
                on_server(options.get_host(), options.get_port(), options.get_database())
            }
            #[cfg(feature = "postgres")]
            Self::Postgres(pool) => {
                let options = pool.connect_options();
                on_server(options.get_host(), options.get_port(), options.get_database())
            }
            #[cfg(feature = "sqlite")]
            Self::Sqlite(pool) => {
                format!("sqlite://{}", pool.connect_options().get_filename().display())
            }
        }
    }
}

#[cfg(feature = "mysql")]
impl From<MySqlPool> for AnyPool {
    fn from(pool: MySqlPool) -> Self {
        Self(Pool::Mysql(pool))
    }
}

#[cfg(feature = "postgres")]
impl From<PgPool> for AnyPool {
    fn from(pool: PgPool) -> Self {
        Self(Pool::Postgres(pool))
    }
}

#[cfg(feature = "sqlite")]
impl From<SqlitePool> for AnyPool {
    fn from(pool: SqlitePool) -> Self {
        Self(Pool::Sqlite(pool))
    }
}

impl Database {
    /// Options for the application's pool: sqlx's defaults, without the ping before a connection
    /// is lent out. The ping is a round trip, and what Crossfade wraps does without it: a write
    /// begins on another connection, and a read is repeated, when the one that it got had died in
    /// the pool. Queries that go around the wrapper, on the same pool, meet such a connection
    /// themselves. Connections of such a pool are handed on, past the pool's hooks: see
    /// [`hand_on_for`](Self::hand_on_for).
    ///
    /// sqlx 0.9 takes a connection back with its transaction open when a `begin` on the pool is
    /// dropped midway, as by a timeout (upstream issue 4385), and then loses the statements of
    /// whoever gets it next outside a transaction. Begin transactions by `Crossfade::begin` instead,
    /// or on the connection of a [`Db`](crate::Db), which are guarded against that.
    #[cfg(feature = "postgres")]
    #[must_use]
    pub fn postgres_pool_options() -> PgPoolOptions {
        PgPoolOptions::new().test_before_acquire(false).acquire_slow_threshold(MARK)
    }

    /// `postgres_pool_options` for MariaDB.
    #[cfg(feature = "mysql")]
    #[must_use]
    pub fn mysql_pool_options() -> MySqlPoolOptions {
        MySqlPoolOptions::new().test_before_acquire(false).acquire_slow_threshold(MARK)
    }

    /// Wraps a pool of the application's own, best made with `postgres_pool_options` or
    /// `mysql_pool_options`.
    ///
    /// # Errors
    ///
    /// Kind `Unavailable` when the database does not answer, `Invalid` for a server that is MySQL
    /// or older than MariaDB 10.6 or PostgreSQL 14, and for a MariaDB pool whose URL names no database.
    pub async fn open(pool: impl Into<AnyPool>) -> Result<Self, StoreError> {
        let AnyPool(pool) = pool.into();
        let namespace = match &pool {
            #[cfg(feature = "mysql")]
            Pool::Mysql(pool) => {
                let found: (String, Option<String>) =
                    sqlx::query_as("select cast(version() as char), cast(database() as char)")
                        .fetch_one(pool)
                        .await
                        .doing("failed to reach MariaDB")?;
                crate::mariadb::accepted(&found.0, found.1)?
            }
            #[cfg(feature = "postgres")]
            Pool::Postgres(pool) => {
                let (schema, version): (Option<String>, i32) = sqlx::query_as(NAMESPACE)
                    .fetch_one(pool)
                    .await
                    .doing("failed to reach PostgreSQL")?;
                crate::postgres::accepted(version)?;
                schema.unwrap_or_default()
            }
            #[cfg(feature = "sqlite")]
            Pool::Sqlite(_) => "main".to_owned(),
        };
        let display = pool.address();
        let watcher = Watcher::new(&pool);
        let snapshots = snapshot::places(pool.most_connections());
        Ok(Self {
            #[cfg(feature = "mutants")]
            without: 0,
            replicas: Arc::default(),
            relay: pool.is_marked().then(|| Relay::new(&pool, HAND_ON_FOR)),
            inner: Arc::new(Inner {
                pool,
                #[cfg(feature = "postgres")]
                schema_in_literals: schema_in_literals(&namespace),
                namespace,
                #[cfg(feature = "sqlite")]
                single_writer: Arc::new(Semaphore::new(1)),
                snapshots: Arc::new(Semaphore::new(snapshots)),
                shapes: Mutex::default(),
                key_texts: Mutex::default(),
                watcher,
                #[cfg(feature = "postgres")]
                name_isolation: AtomicBool::new(false),
                display,
            }),
        })
    }

    /// How long a connection goes from one use of Crossfade's to the next before the pool has it
    /// back: 20 ms by default for pools made of `postgres_pool_options` or `mysql_pool_options`, and
    /// zero, which is never, for others.
    ///
    /// sqlx asks a connection for an answer when it takes it back, which is a round trip in the
    /// background. A write that has just heard of its commit needs none, nor does a query through a
    /// [`Db`](crate::Db) that was answered in full. So the connection is handed to the one of
    /// Crossfade's callers that has waited longest, or is left for the next one, for 2 ms and on a
    /// quarter of the pool at most, but on one connection at least. Whoever waits at the pool without
    /// Crossfade is served when a use ends after this time, and only then the pool looks at the
    /// connection's age and runs `after_release`. A connection that is idle in a pool of these options
    /// is taken past `before_acquire`. So **make it zero where `before_acquire` or `after_release` has to
    /// run around each use**, as when it takes back what a caller set in the session.
    ///
    /// It counts for this handle and what is cloned from it.
    #[must_use]
    pub fn hand_on_for(mut self, turn: Duration) -> Self {
        self.relay = Some(turn)
            .filter(|turn| !turn.is_zero())
            .map(|turn| Relay::new(&self.inner.pool, turn));
        self
    }

    /// Its engine.
    #[must_use]
    pub fn engine(&self) -> Engine {
        self.inner.pool.engine()
    }

    /// Where it is, without user name and password.
    #[must_use]
    pub fn redacted_url(&self) -> &str {
        &self.inner.display
    }

    /// The MariaDB pool; `None` on another engine.
    #[cfg(feature = "mysql")]
    #[must_use]
    pub fn mysql(&self) -> Option<&MySqlPool> {
        match &self.inner.pool {
            Pool::Mysql(pool) => Some(pool),
            #[cfg(any(feature = "postgres", feature = "sqlite"))]
            _ => None,
        }
    }

    /// The PostgreSQL pool; `None` on another engine.
    #[cfg(feature = "postgres")]
    #[must_use]
    pub fn postgres(&self) -> Option<&PgPool> {
        match &self.inner.pool {
            Pool::Postgres(pool) => Some(pool),
            #[cfg(any(feature = "mysql", feature = "sqlite"))]
            _ => None,
        }
    }

    /// The SQLite pool; `None` on another engine.
    #[cfg(feature = "sqlite")]
    #[must_use]
    pub fn sqlite(&self) -> Option<&SqlitePool> {
        match &self.inner.pool {
            Pool::Sqlite(pool) => Some(pool),
            #[cfg(any(feature = "mysql", feature = "postgres"))]
            _ => None,
        }
    }
}
