//! What becomes of a connection whose transaction is dropped midway.

use sqlx_core::transaction::TransactionManager;

#[cfg(feature = "postgres")]
use super::PgTransactions;
#[cfg(feature = "sqlite")]
use super::SqliteTransactions;
#[cfg(feature = "postgres")]
use super::handed_out;
#[cfg(feature = "sqlite")]
use super::held;
use super::{Pooled, Session};

impl Drop for Session {
    fn drop(&mut self) {
        #[cfg(feature = "mysql")]
        if self.midway {
            self.open = true;
        }
        #[cfg(feature = "postgres")]
        if self.bare && self.guarded && !self.open {
            if let Some(Pooled::Postgres(connection)) = self.pooled.take() {
                handed_out::give_back(connection);
            }
            return;
        }
        if !self.open {
            self.hand_on();
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
            #[cfg(feature = "sqlite")]
            Some(Pooled::Sqlite(connection)) => {
                held::abandon(connection, self.held.take(), self.place.take());
            }
            None => {}
        }
    }
}

impl Session {
    /// Hands its connection on where it is known to be at rest, or leaves it for the pool.
    fn hand_on(&mut self) {
        let at_rest = self.settled && self.guarded;
        if let Some(turn) = self.turn.take().filter(|_| at_rest)
            && let Some(pooled) = self.pooled.take()
        {
            turn.hand_on(pooled);
        }
    }

    /// Without the guard: a transaction that sqlx counts is rolled back, one whose `begin` was
    /// dropped midway is not, and the connection goes back to the pool.
    fn return_as_sqlx_would(&mut self) {
        match self.pooled.as_mut() {
            #[cfg(feature = "mysql")]
            Some(Pooled::Mysql(connection)) => super::MySqlTransactions::start_rollback(connection),
            #[cfg(feature = "postgres")]
            Some(Pooled::Postgres(connection)) => PgTransactions::start_rollback(connection),
            #[cfg(feature = "sqlite")]
            Some(Pooled::Sqlite(connection)) => {
                SqliteTransactions::start_rollback(connection);
                if let Some(held) = self.held.take() {
                    held.release();
                }
            }
            None => {}
        }
    }
}
