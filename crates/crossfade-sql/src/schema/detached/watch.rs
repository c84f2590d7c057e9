//! Whom a statement waits for while it works beside readers and writers.

use std::fmt;
use std::future::Future;
use std::time::Duration;

use sqlx::Error;
use sqlx::postgres::PgPool;
use tokio::time::{Instant, sleep};

/// Pause between two looks.
const POLL: Duration = Duration::from_millis(500);

/// How often the same sessions are named again.
const AGAIN: Duration = Duration::from_secs(10);

/// The sessions that hold up session `$1`, directly or by a snapshot that is older than its own.
const HOLDERS: &str = "\
select b.pid, coalesce(a.usename::text, ''), coalesce(a.application_name, ''),
    coalesce(a.state, 'unknown state'),
    coalesce(extract(epoch from clock_timestamp() - a.xact_start), 0)::bigint
from (select distinct unnest(pg_blocking_pids($1))) as b (pid)
left join pg_stat_activity a on a.pid = b.pid
order by b.pid";

/// A session that is waited for.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Holder {
    pid: i32,
    user: String,
    application: String,
    state: String,
    /// How old its transaction is, in seconds.
    age: i64,
}

impl fmt::Display for Holder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { pid, user, application, state, age } = self;
        if *pid == 0 {
            return f.write_str("a prepared transaction");
        }
        write!(f, "pid {pid} ({state}, transaction of {age} s, user {user}")?;
        if !application.is_empty() {
            write!(f, ", application {application}")?;
        }
        f.write_str(")")
    }
}

/// What a statement that failed had waited for.
#[derive(Debug)]
pub(super) struct Failed {
    /// What the server said.
    pub(super) error: Error,
    /// The sessions that it waited for at the last look, in words; empty where it did not wait.
    pub(super) holders: String,
}

impl From<Error> for Failed {
    fn from(error: Error) -> Self {
        Self { error, holders: String::new() }
    }
}

/// Runs a statement of session `pid`, and logs whom it waits for as long as it does.
pub(super) async fn watched<T>(
    pool: &PgPool,
    pid: i32,
    running: impl Future<Output = Result<T, Error>>,
) -> Result<T, Failed> {
    let mut running = std::pin::pin!(running);
    let (mut last, mut told) = (Vec::new(), None::<(Vec<i32>, Instant)>);
    loop {
        tokio::select! {
            done = &mut running => {
                return done.map_err(|error| Failed { error, holders: listed(&last) });
            }
            () = sleep(POLL) => {}
        }
        // A look that fails is made again; the statement goes on.
        let Ok(found) = holders(pool, pid).await else { continue };
        last = found;
        let pids: Vec<i32> = last.iter().map(|holder| holder.pid).collect();
        let known = told.as_ref().is_some_and(|(known, at)| *known == pids && at.elapsed() < AGAIN);
        if !pids.is_empty() && !known {
            tracing::warn!("the statement waits for older transactions to end: {}", listed(&last));
            told = Some((pids, Instant::now()));
        }
    }
}

async fn holders(pool: &PgPool, pid: i32) -> Result<Vec<Holder>, Error> {
    let rows: Vec<(i32, String, String, String, i64)> =
        sqlx::query_as(HOLDERS).bind(pid).fetch_all(pool).await?;
    let holder =
        |(pid, user, application, state, age)| Holder { pid, user, application, state, age };
    Ok(rows.into_iter().map(holder).collect())
}

fn listed(holders: &[Holder]) -> String {
    holders.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}
