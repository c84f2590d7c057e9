//! The PostgreSQL connection as a closure sees it: itself, with an eye on whether a statement
//! failed.
//!
//! PostgreSQL answers the COMMIT of an aborted transaction with ROLLBACK and no error, and sqlx
//! calls that a success. A closure that swallowed the error which aborted the transaction would
//! have its write acknowledged and lost. So once a statement has failed, or nobody could see
//! whether one did, the commit asks first; see `Session::commit`.

use std::ops::{Deref, DerefMut};
use std::task::Poll;

use futures_util::future::{BoxFuture, ready};
use futures_util::stream::{self, BoxStream, poll_fn};
use futures_util::{StreamExt, TryFutureExt};
use sqlx::postgres::{PgConnection, PgQueryResult, PgRow, PgStatement, PgTypeInfo, Postgres};
use sqlx::{Either, Error, Execute, Executor, SqlStr};
use sqlx_core::transaction::TransactionManager;

use crate::session::PgTransactions;

/// A PostgreSQL connection for the application's statements: an sqlx executor. It dereferences to
/// `PgConnection` for whatever asks for one, such as a savepoint or COPY; a connection that was used
/// so outside a transaction is asked, once it is given back, whether one is open on it, and closed
/// if so.
#[derive(Debug)]
pub struct PgConn<'a> {
    connection: &'a mut PgConnection,
    /// Whether it has been in a transaction that is over, so that a statement would commit alone.
    lost: bool,
    doubt: &'a mut bool,
    bare: &'a mut bool,
    /// Whether the last statement was answered well and in full.
    settled: &'a mut bool,
}

impl<'a> PgConn<'a> {
    pub(crate) fn new(
        connection: &'a mut PgConnection,
        begun: bool,
        doubt: &'a mut bool,
        bare: &'a mut bool,
        settled: &'a mut bool,
    ) -> Self {
        // Where the `begin` of a savepoint is dropped midway, sqlx rolls all of it back.
        let lost = begun && PgTransactions::get_transaction_depth(connection) == 0;
        Self { connection, lost, doubt, bare, settled }
    }

    fn not_lost(&self) -> Result<(), Error> {
        match self.lost {
            true => Err(Error::Configuration(Box::new(Lost))),
            false => Ok(()),
        }
    }
}

/// Why a statement is not sent.
#[derive(Debug, thiserror::Error)]
#[error("the transaction was rolled back when the `begin` of a savepoint in it was dropped midway")]
struct Lost;

impl Deref for PgConn<'_> {
    type Target = PgConnection;

    fn deref(&self) -> &PgConnection {
        self.connection
    }
}

impl DerefMut for PgConn<'_> {
    fn deref_mut(&mut self) -> &mut PgConnection {
        // What happens on the bare connection is out of sight.
        *self.doubt = true;
        *self.bare = true;
        *self.settled = false;
        self.connection
    }
}

/// In doubt from the first byte of a statement until its good end.
#[derive(Debug)]
struct Watch<'a> {
    doubt: &'a mut bool,
    settled: &'a mut bool,
    before: bool,
}

impl<'a> Watch<'a> {
    fn begin(doubt: &'a mut bool, settled: &'a mut bool) -> Self {
        let before = std::mem::replace(doubt, true);
        *settled = false;
        Self { doubt, settled, before }
    }

    fn ended_well(&mut self) {
        *self.doubt = self.before;
        *self.settled = true;
    }
}

impl<'c> Executor<'c> for PgConn<'c> {
    type Database = Postgres;

    fn fetch_many<'e, 'q: 'e, E>(
        self,
        query: E,
    ) -> BoxStream<'e, Result<Either<PgQueryResult, PgRow>, Error>>
    where
        'c: 'e,
        E: 'q + Execute<'q, Postgres>,
    {
        if let Err(lost) = self.not_lost() {
            return stream::once(ready(Err(lost))).boxed();
        }
        let mut watch = Watch::begin(self.doubt, self.settled);
        let mut failed = false;
        let mut rows = self.connection.fetch_many(query);
        poll_fn(move |context| {
            let next = rows.poll_next_unpin(context);
            match &next {
                Poll::Ready(Some(Err(_))) => failed = true,
                Poll::Ready(None) if !failed => watch.ended_well(),
                _ => {}
            }
            next
        })
        .boxed()
    }

    fn fetch_optional<'e, 'q: 'e, E>(self, query: E) -> BoxFuture<'e, Result<Option<PgRow>, Error>>
    where
        'c: 'e,
        E: 'q + Execute<'q, Postgres>,
    {
        if let Err(lost) = self.not_lost() {
            return Box::pin(ready(Err(lost)));
        }
        let mut watch = Watch::begin(self.doubt, self.settled);
        let row = self.connection.fetch_optional(query);
        Box::pin(row.inspect_ok(move |_| watch.ended_well()))
    }

    fn prepare_with<'e>(
        self,
        sql: SqlStr,
        parameters: &'e [PgTypeInfo],
    ) -> BoxFuture<'e, Result<PgStatement, Error>>
    where
        'c: 'e,
    {
        if let Err(lost) = self.not_lost() {
            return Box::pin(ready(Err(lost)));
        }
        let mut watch = Watch::begin(self.doubt, self.settled);
        let prepared = self.connection.prepare_with(sql, parameters);
        Box::pin(prepared.inspect_ok(move |_| watch.ended_well()))
    }
}
