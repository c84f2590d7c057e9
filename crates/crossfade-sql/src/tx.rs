//! The transaction that the application's closures write in.

#[cfg(feature = "sqlite")]
use sqlx::sqlite::SqliteConnection;

use crate::Engine;
#[cfg(feature = "sqlite")]
use crate::session::Raw;
use crate::session::Session;
#[cfg(feature = "postgres")]
use crate::tracked::PgConn;
#[cfg(feature = "mysql")]
use crate::unbroken::MySqlConn;

/// An open write transaction of Crossfade's. The application writes through the engine's own
/// connection and leaves commit and rollback to Crossfade; savepoints are fine (`begin` on the
/// connection; on MariaDB on what `MySqlConn::connection` returns).
#[derive(Debug)]
pub struct Tx {
    pub(crate) session: Session,
}

/// The connection of another engine was asked for.
#[derive(Debug, thiserror::Error)]
#[error("this transaction is one of {actual}, not of {wanted}")]
pub struct WrongEngine {
    wanted: &'static str,
    actual: Engine,
}

impl From<WrongEngine> for sqlx::Error {
    fn from(error: WrongEngine) -> Self {
        Self::Configuration(Box::new(error))
    }
}

impl Tx {
    /// The engine of this transaction.
    #[must_use]
    pub fn engine(&self) -> Engine {
        self.session.engine()
    }

    /// The MariaDB connection of this transaction: an sqlx executor, to be handed to `execute` and its
    /// like by value; [`MySqlConn::connection`] is sqlx's own. A statement that commits by itself, as
    /// those that change tables do, makes the write fail.
    ///
    /// # Errors
    ///
    /// [`WrongEngine`], which converts into `sqlx::Error`, on another engine.
    #[cfg(feature = "mysql")]
    pub fn mysql(&mut self) -> Result<MySqlConn<'_>, WrongEngine> {
        let actual = self.session.engine();
        self.session.unbroken().ok_or(WrongEngine { wanted: "mysql", actual })
    }

    /// The PostgreSQL connection of this transaction: an sqlx executor, to be handed to `execute`
    /// and its like by value.
    ///
    /// # Errors
    ///
    /// [`WrongEngine`], which converts into `sqlx::Error`, on another engine.
    #[cfg(feature = "postgres")]
    pub fn postgres(&mut self) -> Result<PgConn<'_>, WrongEngine> {
        let actual = self.session.engine();
        self.session.tracked().ok_or(WrongEngine { wanted: "postgres", actual })
    }

    /// The SQLite connection of this transaction. Its commit and rollback hooks are Crossfade's while
    /// the transaction is open: where SQLite ends that by itself, as `raise(rollback)` does, every
    /// later statement that would commit fails (code 531), and so does the write.
    ///
    /// # Errors
    ///
    /// [`WrongEngine`], which converts into `sqlx::Error`, on another engine.
    #[cfg(feature = "sqlite")]
    pub fn sqlite(&mut self) -> Result<&mut SqliteConnection, WrongEngine> {
        #[cfg(any(feature = "mysql", feature = "postgres"))]
        let actual = self.session.engine();
        match self.session.raw() {
            Raw::Sqlite(connection) => Ok(connection),
            #[cfg(any(feature = "mysql", feature = "postgres"))]
            _ => Err(WrongEngine { wanted: "sqlite", actual }),
        }
    }
}
