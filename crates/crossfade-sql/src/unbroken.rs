//! The MariaDB connection as the application sees it: itself, with an eye on whether a statement was
//! left midway.
//!
//! sqlx 0.9.0 takes a connection back whose statement was dropped while it was being prepared, and
//! then takes the rest of the answer for that of the next statement. So such a connection is closed;
//! see `Session`.

use std::ops::{Deref, DerefMut};
use std::task::Poll;

use futures_util::future::BoxFuture;
use futures_util::stream::{BoxStream, poll_fn};
use futures_util::{FutureExt, StreamExt};
use sqlx::mysql::{
    MySql, MySqlConnection, MySqlQueryResult, MySqlRow, MySqlStatement, MySqlTypeInfo,
};
use sqlx::{Connection, Either, Error, Execute, Executor, SqlStr};

/// A MariaDB connection for the application's statements: an sqlx executor. It dereferences to
/// `MySqlConnection` for whatever asks for one, such as a savepoint; a connection that was used so is
/// closed behind it, or behind its transaction, so that the next caller pays for another.
#[derive(Debug)]
pub struct MySqlConn<'a> {
    connection: &'a mut MySqlConnection,
    midway: &'a mut bool,
}

impl<'a> MySqlConn<'a> {
    pub(crate) fn new(connection: &'a mut MySqlConnection, midway: &'a mut bool) -> Self {
        Self { connection, midway }
    }

    /// The connection for statements around a transaction: one that is dropped in it is closed
    /// anyway.
    pub(crate) fn within_transaction(self) -> &'a mut MySqlConnection {
        self.connection
    }

    /// Whether the server answers.
    pub(crate) async fn answers(self) -> Result<(), Error> {
        let before = std::mem::replace(self.midway, true);
        let answer = self.connection.ping().await;
        *self.midway = before;
        answer
    }
}

impl Deref for MySqlConn<'_> {
    type Target = MySqlConnection;

    fn deref(&self) -> &MySqlConnection {
        self.connection
    }
}

impl DerefMut for MySqlConn<'_> {
    fn deref_mut(&mut self) -> &mut MySqlConnection {
        // What happens on the bare connection is out of sight.
        *self.midway = true;
        self.connection
    }
}

impl<'c> Executor<'c> for MySqlConn<'c> {
    type Database = MySql;

    fn fetch_many<'e, 'q: 'e, E>(
        self,
        query: E,
    ) -> BoxStream<'e, Result<Either<MySqlQueryResult, MySqlRow>, Error>>
    where
        'c: 'e,
        E: 'q + Execute<'q, MySql>,
    {
        let before = std::mem::replace(self.midway, true);
        let midway = self.midway;
        let mut rows = self.connection.fetch_many(query);
        poll_fn(move |context| {
            let next = rows.poll_next_unpin(context);
            // An error is the last that a stream yields.
            if matches!(&next, Poll::Ready(None | Some(Err(_)))) {
                *midway = before;
            }
            next
        })
        .boxed()
    }

    fn fetch_optional<'e, 'q: 'e, E>(
        self,
        query: E,
    ) -> BoxFuture<'e, Result<Option<MySqlRow>, Error>>
    where
        'c: 'e,
        E: 'q + Execute<'q, MySql>,
    {
        // The rest of an answer that has begun is well skipped.
        let before = std::mem::replace(self.midway, true);
        let row = self.connection.fetch_optional(query);
        Box::pin(row.inspect(move |_| *self.midway = before))
    }

    fn prepare_with<'e>(
        self,
        sql: SqlStr,
        parameters: &'e [MySqlTypeInfo],
    ) -> BoxFuture<'e, Result<MySqlStatement, Error>>
    where
        'c: 'e,
    {
        let before = std::mem::replace(self.midway, true);
        let prepared = self.connection.prepare_with(sql, parameters);
        Box::pin(prepared.inspect(move |_| *self.midway = before))
    }
}
