//! The good end of a transaction, or the one that was asked for.

use crossfade_store::StoreError;
#[cfg(any(feature = "postgres", feature = "sqlite"))]
use sqlx_core::transaction::TransactionManager;

#[cfg(feature = "postgres")]
use super::PgTransactions;
#[cfg(feature = "sqlite")]
use super::SqliteTransactions;
use super::{Raw, Session};
use crate::error::Doing;

impl Session {
    /// Commits. After an error the connection is closed, which rolls back; SQLite's is kept where it
    /// can roll back.
    ///
    /// In doubt, a `select` goes in front of the COMMIT, which fails in an aborted transaction.
    /// `and chain` then leaves a new, empty transaction, because sqlx still counts one and lets go
    /// of it with a rollback only; that travels with the ping by which the pool takes the
    /// connection back. On MariaDB every commit looks whether the transaction is still the one that
    /// was begun.
    pub(crate) async fn commit(mut self) -> Result<(), sqlx::Error> {
        #[cfg(feature = "postgres")]
        let doubt = self.doubt;
        #[cfg(feature = "sqlite")]
        let held = self.held.clone();
        #[cfg(feature = "mysql")]
        let commit = self.ending.commit();
        let committed = match self.raw() {
            #[cfg(feature = "mysql")]
            Raw::Mysql(connection) => connection.run(commit).await,
            #[cfg(feature = "postgres")]
            Raw::Postgres(connection) if !doubt => PgTransactions::commit(connection).await,
            #[cfg(feature = "postgres")]
            Raw::Postgres(connection) => {
                let sql = "select; commit and chain";
                let committed = sqlx::raw_sql(sql).execute(&mut *connection).await.map(drop);
                if committed.is_ok() {
                    PgTransactions::start_rollback(connection);
                }
                committed
            }
            #[cfg(feature = "sqlite")]
            Raw::Sqlite(connection) => held.unwrap_or_default().commit(connection).await,
        };
        if committed.is_ok() {
            #[cfg(feature = "postgres")]
            let settled = !doubt && !self.bare;
            #[cfg(not(feature = "postgres"))]
            let settled = true;
            self.ended();
            self.settled = settled;
        }
        committed
    }

    /// Rolls back; a failure closes the connection, which rolls back as well.
    pub(crate) async fn rollback(mut self) {
        #[cfg(feature = "mysql")]
        let rollback = self.ending.rollback();
        let rolled_back = match self.raw() {
            #[cfg(feature = "mysql")]
            Raw::Mysql(connection) => connection.run(rollback).await,
            #[cfg(feature = "postgres")]
            Raw::Postgres(connection) => PgTransactions::rollback(connection).await,
            #[cfg(feature = "sqlite")]
            Raw::Sqlite(connection) => SqliteTransactions::rollback(connection).await,
        };
        if rolled_back.is_ok() {
            self.ended();
        }
    }

    /// The transaction has ended, save where sqlx still counts it, or a savepoint that somebody has
    /// lost sight of.
    fn ended(&mut self) {
        self.open = self.depth() > 0;
        #[cfg(feature = "postgres")]
        {
            self.bare = false;
        }
        #[cfg(feature = "sqlite")]
        if let Some(held) = self.held.take_if(|_| !self.open) {
            held.release();
        }
    }

    /// [`commit`](Self::commit) with the error of a port.
    pub(crate) async fn commit_or(self, doing: &str) -> Result<(), StoreError> {
        self.commit().await.doing(doing)
    }
}
