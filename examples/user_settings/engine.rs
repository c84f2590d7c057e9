//! One statement in three dialects, because this example runs on every engine.
//!
//! An application that knows its engine needs none of this: it writes `conn.mysql()?`,
//! `conn.postgres()?` or `conn.sqlite()?` where the macro stands.

/// Runs an expression with the connection and the statement of whichever engine there is. The
/// statements are those of MariaDB, PostgreSQL and SQLite.
macro_rules! on_engine {
    ($conn:expr, $statements:expr, |$connection:ident, $sql:ident| $run:expr) => {{
        let [mysql, postgres, sqlite]: [&'static str; 3] = $statements;
        match $conn.engine() {
            crossfade::Engine::Mysql => {
                let ($connection, $sql) = ($conn.mysql()?, mysql);
                $run
            }
            crossfade::Engine::Postgres => {
                let ($connection, $sql) = ($conn.postgres()?, postgres);
                $run
            }
            crossfade::Engine::Sqlite => {
                let ($connection, $sql) = ($conn.sqlite()?, sqlite);
                $run
            }
        }
    }};
}

pub(crate) use on_engine;
