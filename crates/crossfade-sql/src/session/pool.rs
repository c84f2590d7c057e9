//! What a pool was made to do, and what it has.

use super::Pooled;
use crate::database::Pool;

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
