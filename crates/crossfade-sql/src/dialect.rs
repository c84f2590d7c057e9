//! What differs between the engines' SQL.

use crate::Engine;
use crate::changes::CHANNEL;

impl Engine {
    /// The current time in milliseconds since 1970, by the database's clock, as an expression.
    /// It moves within a transaction.
    pub(crate) const fn now_ms(self) -> &'static str {
        match self {
            #[cfg(feature = "postgres")]
            Self::Postgres => "(extract(epoch from clock_timestamp()) * 1000)::bigint",
            #[cfg(feature = "sqlite")]
            Self::Sqlite => "cast((julianday('now') - 2440587.5) * 86400000.0 as integer)",
        }
    }

    /// The type of a primary key that counts by itself.
    pub(crate) const fn counter(self) -> &'static str {
        match self {
            #[cfg(feature = "postgres")]
            Self::Postgres => "bigint generated always as identity primary key",
            #[cfg(feature = "sqlite")]
            Self::Sqlite => "integer primary key autoincrement",
        }
    }

    /// A suffix that locks the selected rows against every other writer. SQLite's transaction has
    /// no other writer.
    pub(crate) const fn for_update(self) -> &'static str {
        match self {
            #[cfg(feature = "postgres")]
            Self::Postgres => " for update",
            #[cfg(feature = "sqlite")]
            Self::Sqlite => "",
        }
    }

    /// A suffix that locks the selected rows against change.
    pub(crate) const fn for_share(self) -> &'static str {
        match self {
            #[cfg(feature = "postgres")]
            Self::Postgres => " for share",
            #[cfg(feature = "sqlite")]
            Self::Sqlite => "",
        }
    }

    /// The statement that orders appends to a table, if one is needed.
    pub(crate) const fn lock_audit(self) -> Option<&'static str> {
        match self {
            #[cfg(feature = "postgres")]
            Self::Postgres => Some("lock table crossfade_audit in share row exclusive mode"),
            #[cfg(feature = "sqlite")]
            Self::Sqlite => None,
        }
    }

    /// The statement that announces a change when the transaction commits, if there is one.
    pub(crate) fn announce(self) -> Option<String> {
        match self {
            #[cfg(feature = "postgres")]
            Self::Postgres => Some(format!("select pg_notify('{CHANNEL}', '')::text")),
            #[cfg(feature = "sqlite")]
            Self::Sqlite => None,
        }
    }
}
