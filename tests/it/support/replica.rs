//! The replica of a test's database, and a hand on its replication.

use crossfade::{AnyPool, Database, Engine};
use sqlx::mysql::MySqlPool;
use sqlx::postgres::PgPool;
use tokio::sync::{Mutex, MutexGuard};

use super::eventually;

/// Pausing concerns the whole server, so tests that use replicas take turns.
static TURN: Mutex<()> = Mutex::const_new(());

/// A server that follows the one that a test's database is on.
pub(crate) struct ReplicaServer {
    engine: Engine,
    /// Of this database on the replica.
    pub(crate) url: String,
    _turn: MutexGuard<'static, ()>,
}

/// The variable that names the replica of an engine's test server; SQLite has none.
fn variable(engine: Engine) -> Option<&'static str> {
    match engine {
        Engine::Mysql => Some("CROSSFADE_TEST_MYSQL_REPLICA_URL"),
        Engine::Postgres => Some("CROSSFADE_TEST_POSTGRES_REPLICA_URL"),
        Engine::Sqlite => None,
    }
}

impl ReplicaServer {
    /// The replica of the database at `url`; `None` on SQLite.
    pub(crate) async fn of(engine: Engine, url: &str) -> Option<Self> {
        let server = std::env::var(variable(engine)?).expect("`cargo xtask test` names replicas");
        let turn = TURN.lock().await;
        let replica = Self { engine, url: Self::beside(&server, url), _turn: turn };
        // A test that failed may have left it paused.
        replica.resume().await;
        Some(replica)
    }

    /// The URL on the replica of another database of the same server.
    pub(crate) fn url_of(&self, url: &str) -> String {
        Self::beside(&self.url, url)
    }

    fn beside(server: &str, url: &str) -> String {
        let (base, _) = server.rsplit_once('/').expect("the URL has a path");
        let (_, database) = url.rsplit_once('/').expect("the URL has a path");
        format!("{base}/{database}")
    }

    /// A pool of the application's, which connects when it is used: the database may not have
    /// arrived yet.
    pub(crate) fn pool(engine: Engine, url: &str) -> AnyPool {
        match engine {
            Engine::Mysql => {
                let pool = Database::mysql_pool_options().max_connections(4);
                pool.connect_lazy(url).expect("a valid URL").into()
            }
            _ => {
                let pool = Database::postgres_pool_options().max_connections(4);
                pool.connect_lazy(url).expect("a valid URL").into()
            }
        }
    }

    /// Stops replaying; what the primary commits from now on is not seen.
    pub(crate) async fn pause(&self) {
        match self.engine {
            Engine::Mysql => self.tell_mysql("stop slave sql_thread").await,
            _ => {
                self.tell_postgres("select pg_wal_replay_pause()").await;
                let admin = self.postgres().await;
                eventually("replay is paused", async || {
                    let state: String =
                        sqlx::query_scalar("select pg_get_wal_replay_pause_state()")
                            .fetch_one(&admin)
                            .await
                            .expect("the standby answers");
                    state == "paused"
                })
                .await;
            }
        }
    }

    /// Goes on replaying.
    pub(crate) async fn resume(&self) {
        match self.engine {
            Engine::Mysql => self.tell_mysql("start slave sql_thread").await,
            _ => self.tell_postgres("select pg_wal_replay_resume()").await,
        }
    }

    async fn tell_mysql(&self, sql: &'static str) {
        let server = Self::beside(&self.url, "/mysql");
        let admin = MySqlPool::connect(&server).await.expect("the replica answers");
        sqlx::raw_sql(sql).execute(&admin).await.expect("the replica obeys");
    }

    async fn tell_postgres(&self, sql: &'static str) {
        let admin = self.postgres().await;
        sqlx::raw_sql(sql).execute(&admin).await.expect("the standby obeys");
    }

    async fn postgres(&self) -> PgPool {
        let server = Self::beside(&self.url, "/postgres");
        PgPool::connect(&server).await.expect("the standby answers")
    }
}
