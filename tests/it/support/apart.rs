//! A connection of its own, on which a test runs what it likes, transactions included.

use crossfade::{Database, Engine};
use sqlx::{AssertSqlSafe, MySqlConnection, PgConnection, SqliteConnection};

/// Somebody else's connection to a test's database.
#[derive(Debug)]
pub(crate) enum Apart {
    Mysql(MySqlConnection),
    Postgres(PgConnection),
    Sqlite(SqliteConnection),
}

impl Apart {
    /// Takes one from the pool, for good.
    pub(crate) async fn of(db: &Database) -> Self {
        match db.engine() {
            Engine::Mysql => {
                let pool = db.mysql().expect("MariaDB");
                Self::Mysql(pool.acquire().await.expect("a connection").detach())
            }
            Engine::Postgres => {
                let pool = db.postgres().expect("PostgreSQL");
                Self::Postgres(pool.acquire().await.expect("a connection").detach())
            }
            Engine::Sqlite => {
                let pool = db.sqlite().expect("SQLite");
                Self::Sqlite(pool.acquire().await.expect("a connection").detach())
            }
        }
    }

    /// Runs one statement or several.
    pub(crate) async fn attempt(&mut self, sql: &str) -> Result<(), sqlx::Error> {
        let sql = sqlx::raw_sql(AssertSqlSafe(sql));
        match self {
            Self::Mysql(connection) => sql.execute(connection).await.map(drop),
            Self::Postgres(connection) => sql.execute(connection).await.map(drop),
            Self::Sqlite(connection) => sql.execute(connection).await.map(drop),
        }
    }

    /// Runs statements that work.
    pub(crate) async fn run(&mut self, sql: &str) {
        self.attempt(sql).await.unwrap_or_else(|error| panic!("{error} in {sql}"));
    }
}
