//! Connecting to PostgreSQL: what stands between, and where the control tables are.

use std::str::FromStr;
use std::time::Duration;

use crossfade_store::{StoreError, StoreErrorKind};
use sqlx::postgres::{PgConnectOptions, PgConnection};
use sqlx::{ConnectOptions, Connection, Row};

use super::Purpose;
use crate::Database;
use crate::database::Pool;
use crate::error::Doing;

const CONNECTING: &str = "failed to connect to PostgreSQL";

/// How often each of two connections asks for the server process that serves it. A pooler hands out
/// the process that was given back last, so the first two answers show it unless others use it too.
const ROUNDS: usize = 4;

/// How long a second connection is waited for.
const PATIENCE: Duration = Duration::from_secs(5);

/// The schema of the control tables, where the path shows none and one schema alone has them.
const ELSEWHERE: &str = "\
select min(n.nspname)::text from pg_class c join pg_namespace n on n.oid = c.relnamespace
where c.relname = 'crossfade_epochs' and c.relkind = 'r' and to_regclass('crossfade_epochs') is null
and has_schema_privilege(n.oid, 'usage') having count(*) = 1";

pub(super) async fn pool(url: &str, purpose: Purpose) -> Result<Pool, StoreError> {
    let options = PgConnectOptions::from_str(url)
        .doing("failed to read the database URL")?
        .application_name("crossfade");
    // A pool keeps trying a dead server until it times out; a plain connection says at once what
    // is wrong.
    let mut first = options.connect().await.doing(CONNECTING)?;
    let mut schema = None;
    if purpose != Purpose::Application && is_pooled(&options, &mut first).await.doing(CONNECTING)? {
        return Err(pooled());
    }
    if purpose == Purpose::Operate {
        let found = sqlx::raw_sql(ELSEWHERE).fetch_optional(&mut first).await.doing(CONNECTING)?;
        schema = found.and_then(|row| row.try_get::<String, _>(0).ok());
    }
    first.close().await.doing(CONNECTING)?;
    // The planner overestimates the common table expressions of a chunk and would spend ten times
    // the chunk's own time on compiling it.
    let mut setup = "set jit = off".to_owned();
    if let Some(schema) = schema {
        let schema = schema.replace('\'', "''");
        setup += &format!(
            "; select set_config('search_path', \
             concat_ws(', ', nullif(current_setting('search_path'), ''), quote_ident('{schema}')), \
             false)"
        );
    }
    let pool = Database::postgres_pool_options()
        .max_connections(16)
        .acquire_timeout(Duration::from_secs(10))
        .after_connect(move |connection, _| {
            let setup = sqlx::AssertSqlSafe(setup.clone());
            Box::pin(async move { sqlx::raw_sql(setup).execute(connection).await.map(drop) })
        })
        .connect_lazy_with(options);
    Ok(Pool::Postgres(pool))
}

/// Whether a pooler in transaction mode answers. A pool in session mode that has no second
/// connection to give does not answer at all.
async fn is_pooled(
    options: &PgConnectOptions,
    first: &mut PgConnection,
) -> Result<bool, sqlx::Error> {
    let asked = async {
        let mut second = options.connect().await?;
        let shared = share_processes(first, &mut second).await;
        second.close().await?;
        shared
    };
    tokio::time::timeout(PATIENCE, asked).await.unwrap_or(Ok(false))
}

/// Whether two connections that are open at once are served by one process, or one of them by
/// several: then a pooler lends them to a connection for a transaction at a time. Each connection to
/// a server, or through a pool in session mode, has a process of its own for as long as it lasts.
async fn share_processes(
    first: &mut PgConnection,
    second: &mut PgConnection,
) -> Result<bool, sqlx::Error> {
    let (one, other) = (process(first).await?, process(second).await?);
    if one == other {
        return Ok(true);
    }
    for _ in 1..ROUNDS {
        if process(first).await? != one || process(second).await? != other {
            return Ok(true);
        }
    }
    Ok(false)
}

/// In one simple query: a pooler may not carry prepared statements from one process to the next.
async fn process(connection: &mut PgConnection) -> Result<i32, sqlx::Error> {
    sqlx::raw_sql("select pg_backend_pid()").fetch_one(connection).await?.try_get(0)
}

fn pooled() -> StoreError {
    let message = "a pooler in transaction mode is between this command and PostgreSQL";
    StoreError::new(StoreErrorKind::Invalid, message).with_hint(
        "connect to the server itself, or through a pool in session mode (PgBouncer: \
         `pool_mode = session`): settings and locks of a session would end up with other clients",
    )
}
