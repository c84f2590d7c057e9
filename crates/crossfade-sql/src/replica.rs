//! Replicas of a database: pools beside the primary's, which routed reads may use.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use crossfade_core::LogPosition;
use crossfade_store::{
    PrimaryStanding, Replica, ReplicaStanding, ReplicaStore, Route, StoreError, StoreErrorKind,
    current_route,
};

use crate::database::Pool;
use crate::error::Doing;
use crate::session::{Connections, Session};
use crate::value::{Row, args};
use crate::{AnyPool, Database, Engine};

/// How long a read waits for a connection to a replica before it goes on to the primary.
const CONNECT: Duration = Duration::from_millis(250);

/// When the lease of an instance ends.
const LEASE: &str = "select max(lease_ms) from crossfade_instances where instance = $1";

/// A replica's pool.
#[derive(Debug)]
pub(crate) struct ReplicaPool {
    pool: Pool,
    name: String,
}

impl Database {
    /// The same database with one more replica, whose pool is the application's own. A [`Db`]
    /// made of it takes its connections there while a read is routed there, and nowhere else.
    ///
    /// Each pool leads to one server: behind an address that several share, a read could meet
    /// another than the one that was measured. On PostgreSQL that is a hot standby; on MariaDB a
    /// replica that follows by GTID, of a primary with a binary log.
    ///
    /// Reads use it once `Options::replica_reads` says so.
    ///
    /// # Errors
    ///
    /// Kind `Invalid` for a pool of another engine than the primary's, and for SQLite, which has no
    /// replicas. Whether the server answers, and follows this primary, is found out while it is
    /// measured.
    ///
    /// [`Db`]: crate::Db
    pub fn with_replica(self, pool: impl Into<AnyPool>) -> Result<Self, StoreError> {
        let AnyPool(pool) = pool.into();
        let invalid = |message: String| StoreError::new(StoreErrorKind::Invalid, message);
        #[cfg(feature = "sqlite")]
        if pool.engine() == Engine::Sqlite {
            return Err(invalid("SQLite has no replicas".to_owned())
                .with_hint("leave the replica out; reads use the file itself"));
        }
        if pool.engine() != self.engine() {
            return Err(invalid(format!(
                "a replica on {} cannot follow a primary on {}",
                pool.engine(),
                self.engine()
            )));
        }
        let replica = Arc::new(ReplicaPool { name: pool.address(), pool });
        let replicas = self.replicas.iter().cloned().chain([replica]).collect();
        Ok(Self { replicas, ..self })
    }

    /// The replica that the current route names, where it is one of this database's.
    pub(crate) fn routed_replica(&self) -> Option<&ReplicaPool> {
        if self.replicas.is_empty() {
            return None;
        }
        let Route::Replica(named) = current_route() else { return None };
        let own = self.replicas.iter().map(Arc::as_ref);
        own.into_iter().find(|own| std::ptr::addr_eq(*own, Arc::as_ptr(&named)))
    }
}

impl ReplicaPool {
    /// A connection, soon or not at all.
    pub(crate) async fn session(&self) -> Result<Session, sqlx::Error> {
        tokio::time::timeout(CONNECT, Session::acquire(&self.pool))
            .await
            .map_err(|_| sqlx::Error::PoolTimedOut)?
    }
}

#[async_trait]
impl Replica for ReplicaPool {
    fn name(&self) -> &str {
        &self.name
    }

    async fn standing(&self, instance: &str) -> Result<ReplicaStanding, StoreError> {
        let doing = "failed to measure the replica";
        let engine = self.pool.engine();
        let sql = format!("select {}, ({LEASE})", engine.replayed());
        let mut session = Session::acquire(&self.pool).await.doing(doing)?;
        let row = session.fetch_one(&sql, args![instance]).await.doing(doing)?;
        let (position, lease_ms) =
            row.map_or((None, None), |row| (position(engine, &row), row.opt_int(1)));
        let position = position.ok_or_else(|| {
            StoreError::new(StoreErrorKind::Invalid, "the server is not a replica")
                .with_hint("on MariaDB, a replica follows by GTID")
        })?;
        Ok(ReplicaStanding { position, lease_ms })
    }
}

#[async_trait]
impl ReplicaStore for Database {
    fn replicas(&self) -> Vec<Arc<dyn Replica>> {
        self.replicas.iter().map(|replica| Arc::clone(replica) as Arc<dyn Replica>).collect()
    }

    async fn primary_standing(&self, instance: &str) -> Result<PrimaryStanding, StoreError> {
        let engine = self.engine();
        let sql = format!(
            "select {}, {}, {}, ({LEASE})",
            engine.written(),
            engine.now_ms(),
            engine.log()
        );
        let doing = "failed to ask the primary for its log's position";
        let rows = self.read(Connections::Reserved, &sql, args![instance]).await.doing(doing)?;
        let found = rows.first().and_then(|row| Some((position(engine, row)?, row)));
        let (position, row) = found.ok_or_else(|| {
            StoreError::new(StoreErrorKind::Invalid, "the primary keeps no log to follow")
                .with_hint("on MariaDB, switch the binary log on")
        })?;
        let (now_ms, log, lease_ms) = (row.int(1), row.text(2), row.opt_int(3));
        Ok(PrimaryStanding { position, now_ms, log, lease_ms })
    }
}

impl Engine {
    /// The position behind everything that is committed and seen by now, as an expression. On
    /// PostgreSQL a commit may be seen before it is flushed. An insert position right behind the
    /// header of an empty page is one that no replica reports until something is written there.
    const fn written(self) -> &'static str {
        match self {
            #[cfg(feature = "mysql")]
            Self::Mysql => "@@global.gtid_binlog_pos",
            #[cfg(feature = "postgres")]
            Self::Postgres => {
                "(select (case when inserted - flushed <= 40 and \
                    mod(flushed - '0/0', current_setting('wal_block_size')::numeric) = 0 \
                  then flushed else inserted end - '0/0')::bigint \
                  from (select pg_current_wal_flush_lsn() as flushed, \
                               pg_current_wal_insert_lsn() as inserted) as log)"
            }
            #[cfg(feature = "sqlite")]
            Self::Sqlite => "null",
        }
    }

    /// Which log a primary writes, as an expression: on PostgreSQL the timeline, which grows with
    /// each promotion, and since two servers may both be promoted, when the server was started. On
    /// MariaDB the server.
    const fn log(self) -> &'static str {
        match self {
            #[cfg(feature = "mysql")]
            Self::Mysql => "concat(@@server_id, ' ', @@hostname, ':', @@port)",
            #[cfg(feature = "postgres")]
            Self::Postgres => {
                "substr(pg_walfile_name(pg_current_wal_flush_lsn()), 1, 8) || ' ' || \
                 extract(epoch from pg_postmaster_start_time())::text"
            }
            #[cfg(feature = "sqlite")]
            Self::Sqlite => "''",
        }
    }

    /// The position that reads see, as an expression; NULL on a server that follows none.
    const fn replayed(self) -> &'static str {
        match self {
            #[cfg(feature = "mysql")]
            Self::Mysql => "@@global.gtid_slave_pos",
            #[cfg(feature = "postgres")]
            Self::Postgres => {
                "case when pg_is_in_recovery() \
                 then (pg_last_wal_replay_lsn() - '0/0')::bigint end"
            }
            #[cfg(feature = "sqlite")]
            Self::Sqlite => "null",
        }
    }
}

/// The position in the first column of a row.
fn position(engine: Engine, row: &Row) -> Option<LogPosition> {
    match engine {
        #[cfg(feature = "mysql")]
        Engine::Mysql => gtids(&row.text(0)),
        #[cfg(any(feature = "postgres", feature = "sqlite"))]
        _ => row.opt_int(0)?.try_into().ok().map(LogPosition::single),
    }
}

/// A position as MariaDB writes it, such as `0-1-42,3-1-7`: of each domain the last transaction, with
/// the server that wrote it in the middle. Within a domain the numbers grow.
#[cfg(feature = "mysql")]
fn gtids(text: &str) -> Option<LogPosition> {
    let part = |gtid: &str| {
        let mut numbers = gtid.trim().splitn(3, '-').map(str::parse::<u64>);
        let (domain, _server, number) = (numbers.next()?, numbers.next()?, numbers.next()?);
        Some((domain.ok()?, number.ok()?))
    };
    let parts: Vec<_> = text.split(',').map(part).collect::<Option<_>>()?;
    Some(LogPosition::of_parts(parts))
}

#[cfg(all(test, feature = "mysql"))]
mod tests {
    use super::*;

    #[test]
    fn a_position_of_mariadb_has_a_number_for_each_domain() {
        let expect = LogPosition::of_parts([(0, 42), (3, 7)]);
        assert_eq!(gtids("0-1-42,3-1-7"), Some(expect.clone()));
        assert_eq!(gtids("0-9-42,\n3-1-7"), Some(expect));
        for text in ["", "0-1", "a-1-1", "0-1-1,"] {
            assert_eq!(gtids(text), None, "{text}");
        }
    }
}
