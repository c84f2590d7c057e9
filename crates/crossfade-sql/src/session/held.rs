//! SQLite's transaction, which the database may end by itself.
//!
//! `or rollback`, `raise(rollback)`, a full disk, a failed read or write of the file and an
//! interrupted write all end it behind the back of whoever swallows the error. Each statement after
//! that would commit by itself, outside the fence, and one side without the other. So two hooks of
//! the connection watch while a transaction is open: one hears of its rollback, and the other
//! refuses every commit but the one that `Session` asks for.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

use sqlx::pool::PoolConnection;
use sqlx::sqlite::{Sqlite, SqliteConnection};
use sqlx::{Connection as _, Error, SqlStr};
use sqlx_core::transaction::TransactionManager;
use tokio::runtime::Handle;
use tokio::sync::OwnedSemaphorePermit;

use super::SqliteTransactions;

/// No transaction of Crossfade's is open: everything passes.
const FREE: u8 = 0;
/// One is, and nothing may be committed.
const OPEN: u8 = 1;
/// It is being committed.
const COMMITTING: u8 = 2;
/// The database has ended it by itself, and nothing may be committed.
const ENDED: u8 = 3;

/// Where the transaction stands, as its connection's hooks know it.
#[derive(Clone, Debug, Default)]
pub(super) struct Held(Arc<AtomicU8>);

impl Held {
    /// Begins a transaction by `sql`, with the hooks set.
    pub(super) async fn begin(
        connection: &mut SqliteConnection,
        sql: SqlStr,
    ) -> Result<Self, Error> {
        let held = Self::default();
        let (committing, rolled_back) = (held.clone(), held.clone());
        let mut handle = connection.lock_handle().await?;
        handle.set_commit_hook(move || {
            matches!(committing.0.load(Ordering::Acquire), FREE | COMMITTING)
        });
        handle.set_rollback_hook(move || {
            rolled_back.turn(OPEN, ENDED);
            rolled_back.turn(COMMITTING, ENDED);
        });
        drop(handle);
        SqliteTransactions::begin(connection, Some(sql)).await?;
        held.turn(FREE, OPEN);
        Ok(held)
    }

    /// Whether the database has ended the transaction.
    pub(super) fn has_ended(&self) -> bool {
        self.0.load(Ordering::Acquire) == ENDED
    }

    /// Commits. Where the transaction has ended, SQLite says that there is none: what somebody has
    /// begun in its place goes first.
    pub(super) async fn commit(&self, connection: &mut SqliteConnection) -> Result<(), Error> {
        self.turn(OPEN, COMMITTING);
        if self.has_ended() {
            let _ = sqlx::raw_sql("rollback").execute(&mut *connection).await;
        }
        // sqlx counts savepoints that somebody has lost sight of.
        loop {
            SqliteTransactions::commit(connection).await?;
            if SqliteTransactions::get_transaction_depth(connection) == 0 {
                return Ok(());
            }
        }
    }

    /// Lets everything pass again.
    pub(super) fn release(&self) {
        self.0.store(FREE, Ordering::Release);
    }

    fn turn(&self, from: u8, to: u8) {
        let _ = self.0.compare_exchange(from, to, Ordering::AcqRel, Ordering::Acquire);
    }
}

/// Has a connection whose transaction was dropped roll back, and gives it back to the pool once it
/// has, or closes it if it could not. The place of its transaction is kept until then.
pub(super) fn abandon(
    mut connection: PoolConnection<Sqlite>,
    held: Option<Held>,
    place: Option<OwnedSemaphorePermit>,
) {
    // The worker thread handles commands in order, so these follow whatever still runs; the last
    // undoes a `begin` by itself whose answer nobody waits for. The depth is the worker's to count,
    // and may change at any time, so it is looked at once: one rollback too many does nothing.
    for _ in 0..SqliteTransactions::get_transaction_depth(&connection).max(1) {
        SqliteTransactions::start_rollback(&mut connection);
    }
    let Ok(runtime) = Handle::try_current() else {
        drop(connection.detach());
        return;
    };
    runtime.spawn(async move {
        let answers = connection.ping().await.is_ok();
        // Where the database had ended the transaction, the rollback fails, and sqlx would count
        // one on the connection for ever.
        if answers && SqliteTransactions::get_transaction_depth(&connection) == 0 {
            if let Some(held) = held {
                held.release();
            }
        } else {
            drop(connection.detach());
        }
        drop(place);
    });
}
