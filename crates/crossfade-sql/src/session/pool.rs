//! What a pool was made to do, and what it has.

use std::time::Duration;

use super::Pooled;
use crate::database::Pool;

/// By how long sqlx waits for a connection before it says that this was slow, Crossfade's options are
/// told from others: sqlx's default, and a nanosecond.
pub(crate) const MARK: Duration = Duration::new(2, 1);

/// Runs an expression on the engine's own pool.
macro_rules! on {
    ($pool:expr, $one:ident => $value:expr) => {
        match $pool {
            #[cfg(feature = "mysql")]
            Pool::Mysql($one) => $value,
            #[cfg(feature = "postgres")]
            Pool::Postgres($one) => $value,
            #[cfg(feature = "sqlite")]
            Pool::Sqlite($one) => $value,
        }
    };
}

impl Pool {
    /// Whether it asks a connection for an answer before it lends it out.
    pub(crate) fn pings(&self) -> bool {
        on!(self, pool => pool.options().get_test_before_acquire())
    }

    /// Whether it was made by Crossfade's options, whose documentation says what becomes of hooks. sqlx
    /// does not show whether a pool has any.
    pub(crate) fn is_marked(&self) -> bool {
        !self.pings() && on!(self, pool => pool.options().get_acquire_slow_threshold() == MARK)
    }

    /// Whether it opens no further connection.
    pub(super) fn is_full(&self) -> bool {
        on!(self, pool => pool.size() >= pool.options().get_max_connections())
    }

    /// Whether whoever asks has to wait for another to give back.
    pub(super) fn is_exhausted(&self) -> bool {
        self.is_full() && on!(self, pool => pool.num_idle() == 0)
    }

    /// Whether it lends nothing more.
    pub(super) fn is_closed(&self) -> bool {
        on!(self, pool => pool.is_closed())
    }

    /// One of its connections that is idle, without a ping and past `before_acquire`; not in front of
    /// those who wait.
    pub(super) fn lend_idle(&self) -> Option<Pooled> {
        Some(match self {
            #[cfg(feature = "mysql")]
            Self::Mysql(pool) => Pooled::Mysql(pool.try_acquire()?),
            #[cfg(feature = "postgres")]
            Self::Postgres(pool) => Pooled::Postgres(pool.try_acquire()?),
            #[cfg(feature = "sqlite")]
            Self::Sqlite(pool) => Pooled::Sqlite(pool.try_acquire()?),
        })
    }

    /// One of its connections.
    pub(super) async fn lend(&self) -> Result<Pooled, sqlx::Error> {
        Ok(match self {
            #[cfg(feature = "mysql")]
            Self::Mysql(pool) => Pooled::Mysql(pool.acquire().await?),
            #[cfg(feature = "postgres")]
            Self::Postgres(pool) => Pooled::Postgres(pool.acquire().await?),
            #[cfg(feature = "sqlite")]
            Self::Sqlite(pool) => Pooled::Sqlite(pool.acquire().await?),
        })
    }
}
