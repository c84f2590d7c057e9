//! Who waits for a lock, as it is now.

use std::collections::HashSet;

use sqlx::mysql::MySqlPool;
use sqlx::postgres::PgPool;

/// How many sessions of the database wait for a lock.
pub(super) async fn on_postgres(pool: &PgPool) -> i64 {
    sqlx::query_scalar(
        "select count(*) from pg_stat_activity \
         where datname = current_database() and wait_event_type = 'Lock'",
    )
    .fetch_one(pool)
    .await
    .expect("pg_stat_activity")
}

/// The same. Who waits for a row stands in the monitor's text: the tables that tell it too are not
/// refreshed for those who ask often.
pub(super) async fn on_mariadb(pool: &MySqlPool) -> i64 {
    let monitor: (String, String, String) = sqlx::query_as("show engine innodb status")
        .fetch_one(pool)
        .await
        .expect("the monitor answers");
    let for_rows: HashSet<i64> = monitor.2.split("---TRANSACTION ").filter_map(waiting).collect();
    let connections: Vec<(i64, String)> = sqlx::query_as(
        "select cast(id as signed), coalesce(state, '') from information_schema.processlist \
         where db = database() and id <> connection_id()",
    )
    .fetch_all(pool)
    .await
    .expect("processlist");
    let waits = |(id, state): &&(i64, String)| {
        for_rows.contains(id) || state.starts_with("Waiting for") || state == "User lock"
    };
    i64::try_from(connections.iter().filter(waits).count()).expect("few connections")
}

/// The connection of a transaction that waits for a row.
fn waiting(transaction: &str) -> Option<i64> {
    transaction.lines().find(|line| line.starts_with("LOCK WAIT"))?;
    let (_, id) = transaction.split_once("thread id ")?;
    id.split(',').next()?.parse().ok()
}
