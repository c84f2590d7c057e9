//! Word that the control tables changed: LISTEN/NOTIFY on PostgreSQL, polling elsewhere.

use std::sync::Mutex;
use std::time::Duration;

use async_trait::async_trait;
use crossfade_store::{Changes, StoreError};
#[cfg(feature = "postgres")]
use sqlx::postgres::{PgListener, PgPool};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::database::{Database, Pool};
use crate::mechanism::Mechanism;

/// The channel on which every change of the control tables is announced.
#[cfg(feature = "postgres")]
pub(crate) const CHANNEL: &str = "crossfade";

/// How often MariaDB and SQLite are looked at.
const POLL: Duration = Duration::from_millis(100);

/// How long a missed announcement may stay unnoticed.
#[cfg(feature = "postgres")]
const SAFETY_POLL: Duration = Duration::from_secs(5);

/// Counts announcements. On PostgreSQL one background task listens on a connection of its own,
/// from the first question on; it ends with the last [`Database`]. What was announced is read on
/// another, so that a flag is turned off in time also where slow queries hold the whole pool.
#[derive(Debug)]
pub(crate) struct Watcher {
    count: watch::Sender<u64>,
    task: Mutex<Option<JoinHandle<()>>>,
    /// On PostgreSQL the listener's connection, and one for what it makes others read; on MariaDB
    /// one that asks for changes. SQLite has no queue for connections.
    reserved: Option<Pool>,
}

impl Watcher {
    pub(crate) fn new(pool: &Pool) -> Self {
        Self { count: watch::Sender::new(1), task: Mutex::default(), reserved: reserved(pool) }
    }

    #[cfg(feature = "postgres")]
    fn listen(&self, pool: &PgPool) {
        let mut task = self.task.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if task.as_ref().is_some_and(|task| !task.is_finished()) {
            return;
        }
        *task = Some(tokio::spawn(follow(pool.clone(), self.count.clone())));
    }

    /// A connection that no query of the application can hold; `None` where there is none such.
    pub(crate) fn reserved(&self) -> Option<&Pool> {
        self.reserved.as_ref()
    }
}

/// A small pool with the application's own hooks, which may set the search path.
fn reserved(pool: &Pool) -> Option<Pool> {
    match pool {
        #[cfg(feature = "mysql")]
        Pool::Mysql(pool) => {
            let one = pool.options().clone().min_connections(0).max_connections(1);
            Some(Pool::Mysql(one.connect_lazy_with((*pool.connect_options()).clone())))
        }
        #[cfg(feature = "postgres")]
        Pool::Postgres(pool) => {
            let two = pool.options().clone().min_connections(0).max_connections(2);
            Some(Pool::Postgres(two.connect_lazy_with((*pool.connect_options()).clone())))
        }
        #[cfg(feature = "sqlite")]
        Pool::Sqlite(_) => None,
    }
}

impl Drop for Watcher {
    fn drop(&mut self) {
        let task = self.task.get_mut().unwrap_or_else(std::sync::PoisonError::into_inner);
        if let Some(task) = task.take() {
            task.abort();
        }
    }
}

/// Listens for ever; each lost connection counts as a change, since one may have been missed.
#[cfg(feature = "postgres")]
async fn follow(pool: PgPool, count: watch::Sender<u64>) {
    loop {
        if let Err(error) = follow_once(&pool, &count).await {
            tracing::warn!(error = %error, "lost the notification channel; connecting again");
        }
        tokio::time::sleep(Duration::from_millis(500)).await;
        count.send_modify(|count| *count += 1);
    }
}

#[cfg(feature = "postgres")]
async fn follow_once(pool: &PgPool, count: &watch::Sender<u64>) -> Result<(), sqlx::Error> {
    let mut listener = PgListener::connect_with(pool).await?;
    listener.listen(CHANNEL).await?;
    count.send_modify(|count| *count += 1);
    while listener.try_recv().await?.is_some() {
        count.send_modify(|count| *count += 1);
    }
    Ok(())
}

#[async_trait]
impl Changes for Database {
    async fn changed(&self, seen: u64) -> Result<u64, StoreError> {
        if !self.keeps(Mechanism::Changes) {
            return std::future::pending().await;
        }
        let watcher = &self.inner.watcher;
        #[cfg(feature = "postgres")]
        if let Some(Pool::Postgres(pool)) = &watcher.reserved {
            watcher.listen(pool);
            let mut count = watcher.count.subscribe();
            let wait = count.wait_for(|count| *count != seen);
            return Ok(match tokio::time::timeout(SAFETY_POLL, wait).await {
                Ok(Ok(count)) => *count,
                _ => seen,
            });
        }
        if seen > 0 {
            tokio::time::sleep(POLL).await;
        }
        Ok(seen.wrapping_add(1).max(*watcher.count.borrow()))
    }
}
