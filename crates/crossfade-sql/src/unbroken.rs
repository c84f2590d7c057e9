//! The MariaDB connection as the application sees it: itself, with an eye on whether a statement was
//! left midway.
//!
//! sqlx 0.9.0 takes a connection back whose statement was dropped while it was being prepared, and
//! then takes the rest of the answer for that of the next statement. So such a connection is closed;
//! see `Session`.

use std::task::Poll;

use futures_util::future::BoxFuture;
use futures_util::stream::{BoxStream, poll_fn};
use futures_util::{FutureExt, StreamExt};
use sqlx::mysql::{
    MySql, MySqlConnection, MySqlQueryResult, MySqlRow, MySqlStatement, MySqlTypeInfo,
};
use sqlx::{AssertSqlSafe, Connection, Either, Error, Execute, Executor, SqlSafeStr, SqlStr};
use sqlx_core::transaction::TransactionManager;

use crate::session::MySqlTransactions;

/// A MariaDB connection for the application's statements: an sqlx executor. `fetch_one` and
/// `fetch_optional` wait for the end of the answer or for a second row, and fail where the answer does.
/// [`connection`](Self::connection) is for whatever asks for sqlx's own.
#[derive(Debug)]
pub struct MySqlConn<'a> {
    connection: &'a mut MySqlConnection,
    /// Whether a transaction of Crossfade's is open on it.
    begun: bool,
    midway: &'a mut bool,
    /// Whether the last statement was answered well and in full.
    settled: &'a mut bool,
}

impl<'a> MySqlConn<'a> {
    pub(crate) fn new(
        connection: &'a mut MySqlConnection,
        begun: bool,
        midway: &'a mut bool,
        settled: &'a mut bool,
    ) -> Self {
        Self { connection, begun, midway, settled }
    }

    /// The bare connection, for code that asks for a `&mut MySqlConnection`, as `begin` for a
    /// savepoint does. Within a transaction it costs a round trip. What happens on it is out of
    /// sight, so it is closed afterwards, and the next caller pays for another.
    ///
    /// ```
    /// # use crossfade_sql::Tx;
    /// # use sqlx::{Connection, mysql::MySqlConnection};
    /// # async fn existing(_: &mut MySqlConnection) -> Result<(), sqlx::Error> { Ok(()) }
    /// # async fn example(mut tx: Tx) -> Result<(), sqlx::Error> {
    /// let connection = tx.mysql()?.connection().await?;
    /// existing(&mut *connection).await?;
    /// let savepoint = connection.begin().await?;
    /// # savepoint.commit().await
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// sqlx's, when the connection is lost, or the transaction is over.
    ///
    /// # Cancel safety
    ///
    /// The connection is closed when it is dropped midway.
    pub async fn connection(self) -> Result<&'a mut MySqlConnection, Error> {
        *self.midway = true;
        if self.begun && MySqlTransactions::get_transaction_depth(self.connection) == 0 {
            // sqlx counts a transaction where there is one behind any text, and what is begun next
            // is a savepoint of it.
            let nothing = AssertSqlSafe("do 0").into_sql_str();
            MySqlTransactions::begin(self.connection, Some(nothing)).await?;
        }
        Ok(self.connection)
    }

    /// Runs a text that begins or ends a transaction: one that is dropped in it is closed anyway.
    pub(crate) async fn run(self, sql: impl SqlSafeStr) -> Result<(), Error> {
        sqlx::raw_sql(sql).execute(self.connection).await.map(drop)
    }

    /// Whether the server answers.
    pub(crate) async fn answers(self) -> Result<(), Error> {
        let before = std::mem::replace(self.midway, true);
        let answer = self.connection.ping().await;
        *self.midway = before;
        answer
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
        let Self { connection, midway, settled, .. } = self;
        *settled = false;
        let mut failed = false;
        let mut rows = connection.fetch_many(query);
        poll_fn(move |context| {
            let next = rows.poll_next_unpin(context);
            // An error is the last that a stream yields.
            if matches!(&next, Poll::Ready(None | Some(Err(_)))) {
                *midway = before;
            }
            match &next {
                Poll::Ready(Some(Err(_))) => failed = true,
                Poll::Ready(None) => *settled = !failed,
                _ => {}
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
        let before = std::mem::replace(self.midway, true);
        let mut rows = self.connection.fetch_many(query);
        Box::pin(async move {
            let mut first = None;
            *self.settled = false;
            let row = loop {
                match rows.next().await {
                    None => {
                        *self.settled = true;
                        break Ok(first);
                    }
                    Some(Ok(Either::Left(_))) => {}
                    Some(Ok(Either::Right(row))) if first.is_none() => first = Some(row),
                    // The rest of an answer that goes on is well skipped.
                    Some(Ok(Either::Right(_))) => break Ok(first),
                    Some(Err(error)) => break Err(error),
                }
            };
            *self.midway = before;
            row
        })
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
        Box::pin(prepared.inspect(move |prepared| {
            *self.midway = before;
            *self.settled = prepared.is_ok();
        }))
    }
}
