//! Ending the statement of a transaction from another connection.
//!
//! Dropping a future does not end what the server carries out for it, nor does closing the socket:
//! the statement keeps its locks to its end, the key's own among them, which the next try needs. sqlx
//! tells nobody the number by which a server knows a connection. So a transaction in which New must
//! not hold Legacy up takes a lock of a random number, on the fence's round trip, and whoever holds
//! that lock is the one to interrupt. It is let go of with the transaction.

#[cfg(any(feature = "mysql", feature = "postgres"))]
use std::hash::{BuildHasher, RandomState};

use crossfade_store::StoreError;

#[cfg(any(feature = "mysql", feature = "postgres"))]
use crate::error::Doing;
#[cfg(feature = "mysql")]
use crate::error::mysql_number;
#[cfg(any(feature = "mysql", feature = "postgres"))]
use crate::session::Connections;
#[cfg(any(feature = "mysql", feature = "postgres"))]
use crate::value::args;
use crate::{Database, Engine};

/// What MariaDB says where nobody has the lock.
#[cfg(feature = "mysql")]
const NO_SUCH_THREAD: u16 = 1094;

/// The number of a transaction's lock.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Mark(u64);

impl Mark {
    #[cfg(any(feature = "mysql", feature = "postgres"))]
    pub(crate) fn random() -> Self {
        Self(RandomState::new().hash_one(()))
    }

    pub(crate) const fn of(number: u64) -> Self {
        Self(number)
    }

    pub(crate) const fn number(self) -> u64 {
        self.0
    }

    /// The two halves, as PostgreSQL takes them; keys and epochs are locked by whole numbers.
    #[cfg(feature = "postgres")]
    const fn halves(self) -> (u32, u32) {
        let bytes = self.0.to_be_bytes();
        let [a, b, c, d, e, f, g, h] = bytes;
        (u32::from_be_bytes([a, b, c, d]), u32::from_be_bytes([e, f, g, h]))
    }

    /// The statement that takes the lock.
    #[cfg(feature = "postgres")]
    pub(crate) fn on_postgres(self) -> String {
        let (high, low) = self.halves();
        let (high, low) = (high.cast_signed(), low.cast_signed());
        format!("select pg_advisory_xact_lock_shared({high}, {low})")
    }

    #[cfg(feature = "mysql")]
    fn name(self) -> String {
        format!("crossfade_{:016x}", self.0)
    }

    /// The assignment, behind a comma, that takes the lock. The session has it until the text that
    /// ends its transaction lets go of it.
    #[cfg(feature = "mysql")]
    pub(crate) fn on_mariadb(self) -> String {
        let name = self.name();
        format!(", @crossfade_mark = if(get_lock('{name}', 0), '{name}', null)")
    }

    /// Ends the statement of whoever has the lock.
    pub(crate) async fn interrupt(self, database: &Database) -> Result<(), StoreError> {
        #[cfg(any(feature = "mysql", feature = "postgres"))]
        let doing = "failed to interrupt a statement";
        match database.engine() {
            #[cfg(feature = "mysql")]
            Engine::Mysql => {
                let sql = format!("kill query is_used_lock('{}')", self.name());
                match database.read(Connections::Reserved, &sql, args![]).await {
                    Err(error) if mysql_number(&error) == Some(NO_SUCH_THREAD) => Ok(()),
                    killed => killed.map(drop).doing(doing),
                }
            }
            #[cfg(feature = "postgres")]
            Engine::Postgres => {
                let (high, low) = self.halves();
                let sql = "select pg_cancel_backend(l.pid)::text from pg_locks l \
                           where l.locktype = 'advisory' and l.granted and l.objsubid = 2 \
                           and l.classid::bigint = $1 and l.objid::bigint = $2 and l.database = \
                           (select oid from pg_database where datname = current_database())";
                let args = args![i64::from(high), i64::from(low)];
                database.read(Connections::Reserved, sql, args).await.map(drop).doing(doing)
            }
            // A statement of SQLite's is this process's own, and goes to its end.
            #[cfg(feature = "sqlite")]
            Engine::Sqlite => Ok(()),
        }
    }
}
