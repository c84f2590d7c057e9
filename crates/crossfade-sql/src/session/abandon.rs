//! What becomes of a connection whose transaction is dropped midway.

use sqlx_core::transaction::TransactionManager;

#[cfg(feature = "mysql")]
use super::MySqlTransactions;
#[cfg(feature = "postgres")]
use super::PgTransactions;
#[cfg(feature = "sqlite")]
use super::SqliteTransactions;
use super::{Pooled, Session};

impl Drop for Session {
    fn drop(&mut self) {
        #[cfg(feature = "mysql")]
        if self.midway {
            self.open = true;
        }
        if !self.open {
            return;
        }
        if !self.guarded {
            self.return_as_sqlx_would();
            return;
        }
        match self.pooled.take() {
            // Closing the socket ends the transaction; the pool opens another connection.
            #[cfg(feature = "mysql")]
            Some(Pooled::Mysql(connection)) => drop(connection.detach()),
            #[cfg(feature = "postgres")]
            Some(Pooled::Postgres(connection)) => drop(connection.detach()),
            // The worker thread handles commands in order, so this follows whatever still runs;
            // it undoes a `begin` by itself whose answer nobody waits for.
            #[cfg(feature = "sqlite")]
            Some(Pooled::Sqlite(mut connection)) => {
                while SqliteTransactions::get_transaction_depth(&connection) > 1 {
                    SqliteTransactions::start_rollback(&mut connection);
                }
                SqliteTransactions::start_rollback(&mut connection);
            }
            None => {}
        }
    }
}

impl Session {
    /// Without the guard: a transaction that sqlx counts is rolled back, one whose `begin` was
    /// dropped midway is not, and the connection goes back to the pool.
    fn return_as_sqlx_would(&mut self) {
        match self.pooled.as_mut() {
            #[cfg(feature = "mysql")]
            Some(Pooled::Mysql(connection)) => MySqlTransactions::start_rollback(connection),
            #[cfg(feature = "postgres")]
            Some(Pooled::Postgres(connection)) => PgTransactions::start_rollback(connection),
            #[cfg(feature = "sqlite")]
            Some(Pooled::Sqlite(connection)) => SqliteTransactions::start_rollback(connection),
            None => {}
        }
    }
}
