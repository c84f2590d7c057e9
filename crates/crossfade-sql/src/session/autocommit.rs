//! A statement of PostgreSQL's that writes outside a transaction, and commits by itself.

use std::sync::Arc;

use crossfade_store::Failure;
use futures_util::StreamExt;
use sqlx::postgres::{PgArguments, PgRow};
use sqlx::{AssertSqlSafe, Either, Error, Executor};

use super::{Pooled, Session};
use crate::error::{ended_by_server, failure};

/// What is known of a statement that failed.
#[derive(Debug)]
pub(crate) enum Failed {
    /// The database refused it, and its work is undone.
    Refused(Error),
    /// The server ended the connection before the statement was through; its work is undone.
    Ended(Error),
    /// The connection was lost. The statement's work is done, or undone, or still to come.
    Unknown(Error),
}

impl Session {
    /// Runs a statement that yields one row when it is through, and gives the connection back.
    ///
    /// The connection counts as open from before the first byte until the answer is complete, so
    /// nobody else gets it busy. A deferred constraint is checked behind the row.
    pub(crate) async fn autocommit(
        mut self,
        sql: Arc<str>,
        args: PgArguments,
    ) -> Result<PgRow, Failed> {
        let mut row = None;
        let mut outcome = Ok(());
        self.open = true;
        self.settled = false;
        if let Some(Pooled::Postgres(connection)) = self.pooled.as_mut() {
            let mut answer = connection.fetch_many(sqlx::query_with(AssertSqlSafe(sql), args));
            while let Some(next) = answer.next().await {
                match next {
                    Ok(Either::Left(_)) => {}
                    Ok(Either::Right(found)) => row = Some(found),
                    Err(error) => {
                        outcome = Err(error);
                        break;
                    }
                }
            }
        }
        match (outcome, row) {
            (Ok(()), Some(row)) => {
                self.open = false;
                self.settled = true;
                Ok(row)
            }
            (Ok(()), None) => Err(Failed::Unknown(Error::RowNotFound)),
            (Err(error), row) => Err(self.failed(error, row.is_some())),
        }
    }

    /// What an error tells of the statement, which is through once its row has come.
    fn failed(&mut self, error: Error, through: bool) -> Failed {
        let lost = failure(&error) == Failure::ConnectionLost;
        if !lost && (!through || error.as_database_error().is_some()) {
            self.open = false;
            return Failed::Refused(error);
        }
        // Shutdowns and sessions that were ended. A connection that died so in the pool says it too.
        // The row goes out before the commit, so what is said in its place is said before it.
        if !through && ended_by_server(&error) {
            return Failed::Ended(error);
        }
        Failed::Unknown(error)
    }
}
