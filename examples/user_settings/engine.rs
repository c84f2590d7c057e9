//! One statement in two dialects, because this example runs on both engines.
//!
//! An application that knows its engine needs none of this: it writes `conn.postgres()?` or
//! `conn.sqlite()?` where the macro stands.

/// Runs an expression with the connection and the statement of whichever engine there is.
macro_rules! on_engine {
    ($conn:expr, [$postgres:expr, $sqlite:expr], |$connection:ident, $sql:ident| $run:expr) => {
        match $conn.postgres() {
            Ok($connection) => {
                let $sql: &'static str = $postgres;
                $run
            }
            Err(_) => {
                let $connection = $conn.sqlite()?;
                let $sql: &'static str = $sqlite;
                $run
            }
        }
    };
}

pub(crate) use on_engine;
