//! A fresh database per test: dropped on success, kept on failure.

use std::future::Future;
use std::time::Duration;

use crossfade_sql::{Database, Engine};
use crossfade_testkit::Proxy;
use sqlx::mysql::MySqlPool;
use sqlx::postgres::PgPool;
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};
use sqlx::{AssertSqlSafe, Executor};
use tempfile::TempDir;

/// Name the servers that `cargo xtask test` started.
const POSTGRES: &str = "CROSSFADE_TEST_POSTGRES_URL";
const MARIADB: &str = "CROSSFADE_TEST_MYSQL_URL";

/// A database of a test's own.
pub(crate) struct TestDatabase {
    pub(crate) engine: Engine,
    pub(crate) url: String,
    folder: Option<TempDir>,
    name: String,
}

fn server(variable: &str) -> String {
    std::env::var(variable).unwrap_or_else(|_| {
        panic!("{variable} is not set; run the tests with `cargo xtask test`, which starts servers")
    })
}

/// The URL of another database of the same server.
fn beside(server: &str, name: &str) -> String {
    let (base, _) = server.rsplit_once('/').expect("the URL has a path");
    format!("{base}/{name}")
}

impl TestDatabase {
    /// Makes one.
    pub(crate) async fn create(engine: Engine, test: &str) -> Self {
        let name = format!("t_{test}_{:08x}", rand::random::<u32>());
        let create = AssertSqlSafe(format!("create database {name}"));
        match engine {
            Engine::Mysql => {
                let server = server(MARIADB);
                let admin = MySqlPool::connect(&server).await.expect("the test server answers");
                admin.execute(create).await.expect("a database can be made");
                Self { engine, url: beside(&server, &name), folder: None, name }
            }
            Engine::Postgres => {
                let server = server(POSTGRES);
                let admin = PgPool::connect(&server).await.expect("the test server answers");
                admin.execute(create).await.expect("a database can be made");
                Self { engine, url: beside(&server, &name), folder: None, name }
            }
            Engine::Sqlite => {
                let folder = tempfile::tempdir().expect("a folder can be made");
                let url = format!("sqlite://{}", folder.path().join("test.db").display());
                Self { engine, url, folder: Some(folder), name }
            }
        }
    }

    /// Its name on the server.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// Opens it with a pool of Crossfade's own making.
    pub(crate) async fn open(&self) -> Database {
        Database::connect(&self.url).await.expect("the test database opens")
    }

    /// Opens it so that SQLite waits for no disk, for tests that commit very often; whoever waits
    /// for its writer in vain is told soon.
    pub(crate) async fn open_unsynced(&self) -> Database {
        match self.engine {
            Engine::Sqlite => {
                let options = self.url.parse::<SqliteConnectOptions>().expect("a URL");
                let options = options
                    .create_if_missing(true)
                    .journal_mode(SqliteJournalMode::Wal)
                    .synchronous(SqliteSynchronous::Off)
                    .busy_timeout(Duration::from_millis(200));
                let pool = SqlitePoolOptions::new().connect_with(options).await.expect("opens");
                Database::open(pool).await.expect("the test database opens")
            }
            Engine::Mysql | Engine::Postgres => self.open().await,
        }
    }

    /// A proxy in front of its server, and the database through it, with a pool of one connection.
    pub(crate) async fn open_behind_proxy(&self) -> (Proxy, Database) {
        let authority = self.url.split('/').nth(2).expect("a server's URL");
        let server = authority.rsplit('@').next().expect("a host and a port");
        let proxy = Proxy::start(server).await.expect("a port is free");
        let db = self.open_narrow_at(&proxy.url(&self.url), 1).await;
        (proxy, db)
    }

    /// Opens it with a pool of at most `connections`, as the documentation asks for it; SQLite has no
    /// use for that.
    pub(crate) async fn open_narrow(&self, connections: u32) -> Database {
        self.open_narrow_at(&self.url, connections).await
    }

    async fn open_narrow_at(&self, url: &str, connections: u32) -> Database {
        let opened = match self.engine {
            Engine::Mysql => {
                let pool = Database::mysql_pool_options().max_connections(connections);
                Database::open(pool.connect(url).await.expect("the server answers")).await
            }
            Engine::Postgres => {
                let pool = Database::postgres_pool_options().max_connections(connections);
                Database::open(pool.connect(url).await.expect("the server answers")).await
            }
            Engine::Sqlite => Database::connect(url).await,
        };
        opened.expect("the test database opens")
    }

    /// Drops it.
    pub(crate) async fn drop(self) {
        match self.engine {
            Engine::Mysql => {
                let admin =
                    MySqlPool::connect(&server(MARIADB)).await.expect("the test server answers");
                admin
                    .execute(AssertSqlSafe(format!("drop database {}", self.name)))
                    .await
                    .expect("the test's own database can be dropped");
            }
            Engine::Postgres => {
                let admin =
                    PgPool::connect(&server(POSTGRES)).await.expect("the test server answers");
                admin
                    .execute(AssertSqlSafe(format!("drop database {} with (force)", self.name)))
                    .await
                    .expect("the test's own database can be dropped");
            }
            Engine::Sqlite => drop(self.folder),
        }
    }
}

/// Runs a test on each engine of this build, each time with a fresh database. A database whose
/// test failed is kept, and its URL printed with the failure.
pub(crate) async fn engines<F, Fut>(test: &str, body: F)
where
    F: Fn(Database, String) -> Fut,
    Fut: Future<Output = ()>,
{
    for engine in Engine::ALL {
        let database = TestDatabase::create(*engine, test).await;
        let keep = KeepOnPanic(&database);
        body(database.open().await, database.url.clone()).await;
        std::mem::forget(keep);
        database.drop().await;
    }
}

struct KeepOnPanic<'a>(&'a TestDatabase);

impl Drop for KeepOnPanic<'_> {
    #[expect(clippy::print_stderr, reason = "a failed test says where its database is")]
    fn drop(&mut self) {
        eprintln!("failed on {}; database: {}", self.0.engine, self.0.url);
    }
}
