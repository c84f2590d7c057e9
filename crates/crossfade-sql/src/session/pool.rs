//! What a pool was made to do.

use crate::database::{Database, Pool};

impl Database {
    /// Whether the pool asks a connection for an answer before it lends it out.
    pub(super) fn pool_pings(&self) -> bool {
        match &self.inner.pool {
            #[cfg(feature = "mysql")]
            Pool::Mysql(pool) => pool.options().get_test_before_acquire(),
            #[cfg(feature = "postgres")]
            Pool::Postgres(pool) => pool.options().get_test_before_acquire(),
            #[cfg(feature = "sqlite")]
            Pool::Sqlite(pool) => pool.options().get_test_before_acquire(),
        }
    }
}
