//! Transactions that read one snapshot of both sides, for comparisons.

use std::sync::Arc;

use async_trait::async_trait;
use crossfade_store::{Lent, SnapshotStore, StoreError, StoreErrorKind};

use crate::error::Doing;
use crate::{Database, Db, Engine, Tx};

/// How many snapshots may be open at once: a quarter of the pool's connections, so that the
/// application's own reads and writes find the others.
pub(crate) fn places(connections: u32) -> usize {
    usize::try_from(connections / 4).unwrap_or(1).max(1)
}

impl Database {
    /// The statement that begins a transaction which reads one snapshot.
    pub(crate) fn begin_snapshot(&self) -> String {
        match self.engine() {
            #[cfg(feature = "mysql")]
            Engine::Mysql => crate::mariadb::begin_snapshot(),
            // The first statement takes the snapshot, for all that follow.
            #[cfg(feature = "postgres")]
            Engine::Postgres => "begin isolation level repeatable read read only".to_owned(),
            // The first read takes the snapshot, and a reader takes no writer's place.
            #[cfg(feature = "sqlite")]
            Engine::Sqlite => "begin deferred".to_owned(),
        }
    }
}

#[async_trait]
impl SnapshotStore for Database {
    type Reader = Db;

    fn reader(&self) -> Db {
        Db::from(self)
    }

    fn reader_in(&self, tx: Lent<Tx>) -> Db {
        Db::from(tx)
    }

    async fn snapshot(&self) -> Result<Tx, StoreError> {
        let doing = "failed to begin a snapshot";
        let place = Arc::clone(&self.inner.snapshots).try_acquire_owned().map_err(|_| {
            StoreError::new(StoreErrorKind::Unavailable, "as many snapshots as may be are open")
        })?;
        let session = self.begin_in_place(self.begin_snapshot(), place).await.doing(doing)?;
        Ok(Tx { session })
    }
}
