//! A pooled connection that never goes back to the pool with a transaction on it.
//!
//! sqlx 0.9.0 returns a connection to the pool when its `begin` is dropped midway, with the
//! transaction open; the next borrower's acknowledged writes then disappear with it (upstream
//! issue 4385). A [`Session`] counts itself as open from before the first byte of `begin` until
//! the answer to `commit` or `rollback`, and is closed instead of returned when dropped between. One
//! that the application began a transaction on by itself is asked before it is returned.

mod abandon;
#[cfg(feature = "postgres")]
mod autocommit;
mod ending;
mod first;
#[cfg(feature = "postgres")]
mod handed_out;
#[cfg(feature = "sqlite")]
mod held;
mod pinned;
mod pool;
mod relay;

use std::sync::Arc;

use crossfade_store::Failure;
use sqlx::AssertSqlSafe;
#[cfg(any(feature = "postgres", feature = "sqlite"))]
use sqlx::Connection as _;
#[cfg(feature = "mysql")]
use sqlx::mysql::{MySql, MySqlArguments};
use sqlx::pool::PoolConnection;
#[cfg(feature = "postgres")]
use sqlx::postgres::{PgArguments, PgConnection, Postgres};
#[cfg(feature = "sqlite")]
use sqlx::sqlite::{Sqlite, SqliteArguments, SqliteConnection};
use sqlx_core::transaction::TransactionManager;
use tokio::sync::OwnedSemaphorePermit;

use crate::database::{Database, Engine, Pool};
use crate::error::failure;
#[cfg(feature = "mysql")]
use crate::error::{DUPLICATE, mysql_number};
use crate::interrupt::Mark;
#[cfg(feature = "mysql")]
use crate::mariadb;
use crate::mechanism::Mechanism;
#[cfg(feature = "postgres")]
use crate::tracked::PgConn;
#[cfg(feature = "mysql")]
use crate::unbroken::MySqlConn;
use crate::value::{Row, Value, bind, decode};
#[cfg(feature = "postgres")]
pub(crate) use autocommit::Failed;
#[cfg(feature = "sqlite")]
use held::Held;
#[cfg(feature = "mysql")]
pub(crate) use pinned::unpin;
#[cfg(feature = "postgres")]
pub(crate) use pinned::with_control_tables;
#[cfg(any(feature = "mysql", feature = "postgres"))]
pub(crate) use pool::MARK;
pub(crate) use relay::Relay;
use relay::Turn;

#[cfg(feature = "mysql")]
pub(crate) type MySqlTransactions = <MySql as sqlx::Database>::TransactionManager;
#[cfg(feature = "postgres")]
pub(crate) type PgTransactions = <Postgres as sqlx::Database>::TransactionManager;
#[cfg(feature = "sqlite")]
type SqliteTransactions = <Sqlite as sqlx::Database>::TransactionManager;

enum Pooled {
    #[cfg(feature = "mysql")]
    Mysql(PoolConnection<MySql>),
    #[cfg(feature = "postgres")]
    Postgres(PoolConnection<Postgres>),
    #[cfg(feature = "sqlite")]
    Sqlite(PoolConnection<Sqlite>),
}

/// The engine's own connection, borrowed.
pub(crate) enum Raw<'a> {
    #[cfg(feature = "mysql")]
    Mysql(MySqlConn<'a>),
    #[cfg(feature = "postgres")]
    Postgres(&'a mut PgConnection),
    #[cfg(feature = "sqlite")]
    Sqlite(&'a mut SqliteConnection),
}

#[cfg(feature = "postgres")]
impl<'a> Raw<'a> {
    /// PostgreSQL's, if it is that.
    pub(crate) fn postgres(self) -> Option<&'a mut PgConnection> {
        match self {
            Self::Postgres(connection) => Some(connection),
            #[cfg(any(feature = "mysql", feature = "sqlite"))]
            _ => None,
        }
    }
}

/// A connection, in a transaction or not.
pub(crate) struct Session {
    /// `None` only while dropping.
    pooled: Option<Pooled>,
    /// Whether a transaction may be open on it.
    open: bool,
    /// Whether it is closed rather than lent out again with a transaction on it.
    guarded: bool,
    /// Whether a statement of the application's on PostgreSQL may have failed unnoticed.
    #[cfg(feature = "postgres")]
    doubt: bool,
    /// Whether the application has had PostgreSQL's bare connection outside a transaction, or in one
    /// that has not ended.
    #[cfg(feature = "postgres")]
    bare: bool,
    /// What holds SQLite's open transaction together.
    #[cfg(feature = "sqlite")]
    held: Option<Held>,
    /// Whether a statement on MariaDB may have been left midway.
    #[cfg(feature = "mysql")]
    midway: bool,
    /// How MariaDB's open transaction is to be ended.
    #[cfg(feature = "mysql")]
    ending: mariadb::Ending,
    /// Whether the write under way within the caller's transaction bounds its waits for locks.
    pub(crate) bounded: bool,
    /// By what others find the transaction that is open on it.
    pub(crate) mark: Option<Mark>,
    /// Whether its last statement was answered well and in full.
    settled: bool,
    /// The turn that the connection is on, where others take it over.
    turn: Option<Turn>,
    /// Held while this is SQLite's one writer, or one of the snapshots.
    place: Option<OwnedSemaphorePermit>,
}

impl std::fmt::Debug for Session {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Session").field("open", &self.open).finish_non_exhaustive()
    }
}

/// Where a query gets its connection.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Connections {
    /// The pool, which the application's queries may hold whole.
    Shared,
    /// Those that are kept for following changes.
    Reserved,
}

impl Database {
    /// A connection outside any transaction that answered just now.
    pub(crate) async fn session(&self) -> Result<Session, sqlx::Error> {
        let mut tries = 0;
        loop {
            tries += 1;
            let mut session = self.untested_session().await?;
            if self.inner.pool.pings() && self.relay.is_none() {
                return Ok(session);
            }
            match session.ping().await {
                Err(error) if tries > self.inner.pool.most_connections() => return Err(error),
                Err(_) => session.open = true,
                Ok(()) => return Ok(session),
            }
        }
    }

    /// A connection outside any transaction, which may be dead unless the pool itself pings.
    pub(crate) async fn untested_session(&self) -> Result<Session, sqlx::Error> {
        let mut session = match &self.relay {
            Some(relay) => Session::relayed(relay).await?,
            // Boxed, since the pool's own future has 9 kB, which all those around it would have.
            None => Box::pin(Session::acquire(&self.inner.pool)).await?,
        };
        session.guarded = self.keeps(Mechanism::CancelGuard);
        Ok(session)
    }

    /// A connection as [`Database::untested_session`] has it, but not one of the pool's where the
    /// engine has others.
    pub(crate) async fn reserved_session(&self) -> Result<Session, sqlx::Error> {
        let pool = self.inner.watcher.reserved().unwrap_or(&self.inner.pool);
        Session::acquire(pool).await
    }

    /// Runs one query that changes nothing and returns its rows. A connection that died in the pool
    /// costs a second try rather than a ping before each query.
    pub(crate) async fn read(
        &self,
        connections: Connections,
        sql: &str,
        args: Vec<Value>,
    ) -> Result<Vec<Row>, sqlx::Error> {
        let mut tries = 0;
        loop {
            tries += 1;
            let mut session = match connections {
                Connections::Shared => self.untested_session().await?,
                Connections::Reserved => self.reserved_session().await?,
            };
            match session.fetch(sql, args.clone()).await {
                Err(error)
                    if failure(&error) == Failure::ConnectionLost
                        && tries <= self.inner.pool.most_connections() =>
                {
                    session.open = true;
                }
                rows => return rows,
            }
        }
    }

    /// A write transaction: READ COMMITTED on PostgreSQL and MariaDB, so that each statement sees what was
    /// committed before it; `begin immediate` on SQLite, so that it never upgrades a read lock.
    pub(crate) async fn begin(&self) -> Result<Session, sqlx::Error> {
        match &self.inner.pool {
            #[cfg(feature = "mysql")]
            Pool::Mysql(_) => self.begin_by(mariadb::begin("")).await,
            #[cfg(feature = "postgres")]
            Pool::Postgres(_) => {
                self.begin_by("begin isolation level read committed".to_owned()).await
            }
            #[cfg(feature = "sqlite")]
            Pool::Sqlite(pool) => {
                let place = Arc::clone(&self.inner.single_writer).acquire_owned();
                // Bounded, because a write inside a write would wait for itself.
                let place = tokio::time::timeout(pool.options().get_acquire_timeout(), place)
                    .await
                    .map_err(|_| sqlx::Error::PoolTimedOut)?;
                let place = place.map_err(|_| sqlx::Error::PoolClosed)?;
                self.begin_in_place("begin immediate".to_owned(), place).await
            }
        }
    }

    /// A transaction that `sql` begins, on a server.
    #[cfg(any(feature = "mysql", feature = "postgres"))]
    pub(crate) async fn begin_by(&self, sql: String) -> Result<Session, sqlx::Error> {
        self.begin_as(sql, |_| {}).await
    }

    /// A transaction that `sql` begins by a call of MariaDB's procedure, and another call ends.
    #[cfg(feature = "mysql")]
    pub(crate) async fn begin_by_call(&self, sql: String) -> Result<Session, sqlx::Error> {
        self.begin_as(sql, |session| session.ending = mariadb::Ending::ByCall).await
    }

    /// A transaction that `sql` begins and that holds `place` until its connection is given back.
    pub(crate) async fn begin_in_place(
        &self,
        sql: String,
        place: OwnedSemaphorePermit,
    ) -> Result<Session, sqlx::Error> {
        let mut session = self.begin_as(sql, |_| {}).await?;
        session.place = Some(place);
        Ok(session)
    }

    /// A transaction that `sql` begins, on a connection that was told of what is to come.
    async fn begin_as(
        &self,
        sql: String,
        tell: impl Fn(&mut Session),
    ) -> Result<Session, sqlx::Error> {
        let mut tries = 0;
        loop {
            tries += 1;
            let mut session = self.untested_session().await?;
            session.open = true;
            tell(&mut session);
            let Err(error) = session.start(sql.clone()).await else {
                return Ok(session);
            };
            session.abandon_failed_begin().await;
            // Nothing was done yet, so a connection that died in the pool only costs a try. All of
            // them may have, where the pool does not ping before it lends one out.
            if failure(&error) != Failure::ConnectionLost
                || tries > self.inner.pool.most_connections()
            {
                return Err(error);
            }
        }
    }
}

impl Session {
    /// One of the pool's connections, without a transaction that somebody has lost sight of.
    pub(crate) async fn acquire(pool: &Pool) -> Result<Self, sqlx::Error> {
        loop {
            let mut session = Self::of(pool.lend().await?, None);
            if session.depth() == 0 {
                return Ok(session);
            }
            session.open = true;
        }
    }

    /// [`acquire`](Self::acquire) from those that are handed on, too.
    async fn relayed(relay: &Arc<Relay>) -> Result<Self, sqlx::Error> {
        loop {
            let (pooled, turn) = relay.take().await?;
            let mut session = Self::of(pooled, Some(turn));
            if session.depth() == 0 {
                return Ok(session);
            }
            session.open = true;
        }
    }

    fn of(pooled: Pooled, turn: Option<Turn>) -> Self {
        Self {
            pooled: Some(pooled),
            open: false,
            guarded: true,
            #[cfg(feature = "postgres")]
            doubt: false,
            #[cfg(feature = "postgres")]
            bare: false,
            #[cfg(feature = "sqlite")]
            held: None,
            #[cfg(feature = "mysql")]
            midway: false,
            #[cfg(feature = "mysql")]
            ending: mariadb::Ending::InFull,
            bounded: false,
            mark: None,
            settled: false,
            turn,
            place: None,
        }
    }

    /// Sends `begin`, and has sqlx count the transaction. On MariaDB sqlx would count it out by one
    /// more round trip, so it counts there only once it has to; see `MySqlConn::connection`.
    async fn start(&mut self, sql: String) -> Result<(), sqlx::Error> {
        #[cfg(any(feature = "postgres", feature = "sqlite"))]
        let counted = |sql| sqlx::SqlSafeStr::into_sql_str(AssertSqlSafe(sql));
        match self.raw() {
            #[cfg(feature = "mysql")]
            Raw::Mysql(connection) => connection.run(AssertSqlSafe(sql)).await,
            #[cfg(feature = "postgres")]
            Raw::Postgres(connection) => {
                PgTransactions::begin(connection, Some(counted(sql))).await
            }
            #[cfg(feature = "sqlite")]
            Raw::Sqlite(connection) => {
                self.held = Some(Held::begin(connection, counted(sql)).await?);
                Ok(())
            }
        }
    }

    /// How many transactions sqlx counts on the connection, one within the other.
    fn depth(&self) -> usize {
        match &self.pooled {
            #[cfg(feature = "mysql")]
            Some(Pooled::Mysql(connection)) => MySqlTransactions::get_transaction_depth(connection),
            #[cfg(feature = "postgres")]
            Some(Pooled::Postgres(connection)) => PgTransactions::get_transaction_depth(connection),
            #[cfg(feature = "sqlite")]
            Some(Pooled::Sqlite(connection)) => {
                SqliteTransactions::get_transaction_depth(connection)
            }
            None => 0,
        }
    }

    /// Whether SQLite has ended the transaction by itself.
    #[cfg(feature = "sqlite")]
    pub(crate) fn has_ended(&self) -> bool {
        self.held.as_ref().is_some_and(Held::has_ended)
    }

    async fn ping(&mut self) -> Result<(), sqlx::Error> {
        match self.raw() {
            #[cfg(feature = "mysql")]
            Raw::Mysql(connection) => connection.answers().await,
            #[cfg(feature = "postgres")]
            Raw::Postgres(connection) => connection.ping().await,
            #[cfg(feature = "sqlite")]
            Raw::Sqlite(connection) => connection.ping().await,
        }
    }

    /// After a failed `begin`: PostgreSQL may stand in an aborted transaction that sqlx has not
    /// counted, which only an explicit `rollback` ends, and MariaDB in one that is well.
    async fn abandon_failed_begin(mut self) {
        #[cfg(feature = "mysql")]
        let rollback = self.ending.rollback();
        match self.raw() {
            #[cfg(feature = "mysql")]
            Raw::Mysql(connection) => {
                if sqlx::raw_sql(rollback).execute(connection).await.is_ok() {
                    self.open = false;
                }
            }
            #[cfg(feature = "postgres")]
            Raw::Postgres(connection) => {
                if sqlx::raw_sql("rollback").execute(connection).await.is_ok() {
                    self.open = false;
                }
            }
            #[cfg(feature = "sqlite")]
            Raw::Sqlite(_) => self.open = false,
        }
    }

    /// Whether its next statement gets an answer of its own, whatever was dropped before. sqlx skips
    /// the rest of an answer on PostgreSQL, and SQLite carries statements out in turn.
    pub(crate) fn intact(&self) -> bool {
        #[cfg(feature = "mysql")]
        return !self.midway;
        #[cfg(not(feature = "mysql"))]
        true
    }

    /// Its engine.
    pub(crate) fn engine(&self) -> Engine {
        match self.pooled.as_ref().expect("a session has its connection until it is dropped") {
            #[cfg(feature = "mysql")]
            Pooled::Mysql(_) => Engine::Mysql,
            #[cfg(feature = "postgres")]
            Pooled::Postgres(_) => Engine::Postgres,
            #[cfg(feature = "sqlite")]
            Pooled::Sqlite(_) => Engine::Sqlite,
        }
    }

    /// The engine's own connection.
    pub(crate) fn raw(&mut self) -> Raw<'_> {
        self.settled = false;
        match self.pooled.as_mut().expect("a session has its connection until it is dropped") {
            #[cfg(feature = "mysql")]
            Pooled::Mysql(connection) => Raw::Mysql(MySqlConn::new(
                connection,
                self.open,
                &mut self.midway,
                &mut self.settled,
            )),
            #[cfg(feature = "postgres")]
            Pooled::Postgres(connection) => Raw::Postgres(connection),
            #[cfg(feature = "sqlite")]
            Pooled::Sqlite(connection) => Raw::Sqlite(connection),
        }
    }

    /// The PostgreSQL connection for statements of the application's.
    #[cfg(feature = "postgres")]
    pub(crate) fn tracked(&mut self) -> Option<PgConn<'_>> {
        match self.pooled.as_mut() {
            Some(Pooled::Postgres(connection)) => {
                let begun = self.open;
                Some(PgConn::new(
                    connection,
                    begun,
                    &mut self.doubt,
                    &mut self.bare,
                    &mut self.settled,
                ))
            }
            _ => None,
        }
    }

    /// The MariaDB connection for statements of the application's, and for those of Crossfade's that
    /// may be dropped outside a transaction.
    #[cfg(feature = "mysql")]
    pub(crate) fn unbroken(&mut self) -> Option<MySqlConn<'_>> {
        match self.pooled.as_mut() {
            Some(Pooled::Mysql(connection)) => {
                Some(MySqlConn::new(connection, self.open, &mut self.midway, &mut self.settled))
            }
            _ => None,
        }
    }

    /// Runs one statement and returns the number of rows it touched.
    pub(crate) async fn execute(
        &mut self,
        sql: &str,
        args: Vec<Value>,
    ) -> Result<u64, sqlx::Error> {
        Ok(match self.raw() {
            #[cfg(feature = "mysql")]
            Raw::Mysql(connection) => {
                let (sql, args) = mariadb::translate(sql, &args);
                let sql = AssertSqlSafe(sql);
                if args.is_empty() {
                    sqlx::raw_sql(sql).execute(connection).await?.rows_affected()
                } else {
                    let args: MySqlArguments = bind(args)?;
                    sqlx::query_with(sql, args).execute(connection).await?.rows_affected()
                }
            }
            #[cfg(feature = "postgres")]
            Raw::Postgres(connection) => {
                let args: PgArguments = bind(args)?;
                sqlx::query_with(AssertSqlSafe(sql), args)
                    .execute(connection)
                    .await?
                    .rows_affected()
            }
            #[cfg(feature = "sqlite")]
            Raw::Sqlite(connection) => {
                let args: SqliteArguments = bind(args)?;
                sqlx::query_with(AssertSqlSafe(sql), args)
                    .execute(connection)
                    .await?
                    .rows_affected()
            }
        })
    }

    /// Runs one statement and returns its rows.
    pub(crate) async fn fetch(
        &mut self,
        sql: &str,
        args: Vec<Value>,
    ) -> Result<Vec<Row>, sqlx::Error> {
        match self.raw() {
            #[cfg(feature = "mysql")]
            Raw::Mysql(connection) => {
                let (sql, args) = mariadb::translate(sql, &args);
                let sql = AssertSqlSafe(sql);
                let rows = if args.is_empty() {
                    // Without arguments there is nothing to prepare, which is a round trip.
                    sqlx::raw_sql(sql).fetch_all(connection).await?
                } else {
                    let args: MySqlArguments = bind(args)?;
                    sqlx::query_with(sql, args).fetch_all(connection).await?
                };
                rows.iter().map(decode).collect()
            }
            #[cfg(feature = "postgres")]
            Raw::Postgres(connection) => {
                let args: PgArguments = bind(args)?;
                let rows = sqlx::query_with(AssertSqlSafe(sql), args).fetch_all(connection).await?;
                rows.iter().map(decode).collect()
            }
            #[cfg(feature = "sqlite")]
            Raw::Sqlite(connection) => {
                let args: SqliteArguments = bind(args)?;
                let rows = sqlx::query_with(AssertSqlSafe(sql), args).fetch_all(connection).await?;
                rows.iter().map(decode).collect()
            }
        }
    }

    /// The first row, if there is one.
    pub(crate) async fn fetch_one(
        &mut self,
        sql: &str,
        args: Vec<Value>,
    ) -> Result<Option<Row>, sqlx::Error> {
        Ok(self.fetch(sql, args).await?.into_iter().next())
    }

    /// Runs an insert of a row that may be there already, and returns the number of rows it made.
    /// `key` are the columns of the index that it may be found in, with the index's condition.
    ///
    /// MariaDB has no form of `insert` that passes over such a row and nothing else.
    pub(crate) async fn insert_new(
        &mut self,
        insert: &str,
        key: &str,
        args: Vec<Value>,
    ) -> Result<u64, sqlx::Error> {
        #[cfg(feature = "mysql")]
        if self.engine() == Engine::Mysql {
            return match self.execute(insert, args).await {
                Err(error) if mysql_number(&error) == Some(DUPLICATE) => Ok(0),
                inserted => inserted,
            };
        }
        self.execute(&format!("{insert} on conflict {key} do nothing"), args).await
    }

    /// Runs a script of several statements without arguments.
    pub(crate) async fn run_script(&mut self, sql: &str) -> Result<(), sqlx::Error> {
        match self.raw() {
            #[cfg(feature = "mysql")]
            Raw::Mysql(connection) => {
                sqlx::raw_sql(AssertSqlSafe(sql)).execute(connection).await?;
            }
            #[cfg(feature = "postgres")]
            Raw::Postgres(connection) => {
                sqlx::raw_sql(AssertSqlSafe(sql)).execute(connection).await?;
            }
            #[cfg(feature = "sqlite")]
            Raw::Sqlite(connection) => {
                sqlx::raw_sql(AssertSqlSafe(sql)).execute(connection).await?;
            }
        }
        Ok(())
    }
}
