//! A connection of PostgreSQL's that the application has had in its hands outside a transaction.

use sqlx::pool::PoolConnection;
use sqlx::postgres::Postgres;
use sqlx::{AssertSqlSafe, Error, SqlSafeStr};
use sqlx_core::transaction::TransactionManager;
use tokio::runtime::Handle;

use super::PgTransactions;

/// Gives it back to the pool where no transaction is open on it, else closes it.
///
/// A `begin` that was dropped midway leaves one that sqlx does not count (upstream issue 4385), and
/// the next statement that commits by itself would be lost with it. Asking costs a round trip, for
/// which nobody waits.
pub(super) fn give_back(mut connection: PoolConnection<Postgres>) {
    let Ok(runtime) = Handle::try_current() else {
        drop(connection.detach());
        return;
    };
    runtime.spawn(async move {
        // sqlx begins by any text, and complains where that has begun nothing. In a transaction that
        // has failed it is this statement which does.
        let text = AssertSqlSafe("select").into_sql_str();
        match PgTransactions::begin(&mut connection, Some(text)).await {
            Err(Error::BeginFailed) => drop(connection),
            _ => drop(connection.detach()),
        }
    });
}
