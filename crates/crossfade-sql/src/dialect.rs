//! What differs between the engines' SQL.

use crate::Engine;
#[cfg(feature = "postgres")]
use crate::changes::CHANNEL;

impl Engine {
    /// The current time in milliseconds since 1970, by the database's clock, as an expression.
    /// It moves within a transaction. On MariaDB it does not go by the session's time zone.
    pub(crate) const fn now_ms(self) -> &'static str {
        match self {
            #[cfg(feature = "mysql")]
            Self::Mysql => "timestampdiff(microsecond, '1970-01-01', utc_timestamp(6)) div 1000",
            #[cfg(feature = "postgres")]
            Self::Postgres => "(extract(epoch from clock_timestamp()) * 1000)::bigint",
            #[cfg(feature = "sqlite")]
            Self::Sqlite => "cast((julianday('now') - 2440587.5) * 86400000.0 as integer)",
        }
    }

    /// The type of a primary key that counts by itself.
    pub(crate) const fn counter(self) -> &'static str {
        match self {
            #[cfg(feature = "mysql")]
            Self::Mysql => "bigint not null auto_increment primary key",
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
            #[cfg(feature = "mysql")]
            Self::Mysql => " for update",
            #[cfg(feature = "postgres")]
            Self::Postgres => " for update",
            #[cfg(feature = "sqlite")]
            Self::Sqlite => "",
        }
    }

    /// A suffix that locks the selected rows against change.
    pub(crate) const fn for_share(self) -> &'static str {
        match self {
            #[cfg(feature = "mysql")]
            Self::Mysql => " lock in share mode",
            #[cfg(feature = "postgres")]
            Self::Postgres => " for share",
            #[cfg(feature = "sqlite")]
            Self::Sqlite => "",
        }
    }

    /// The statement that orders appends to the audit trail, if one is needed. MariaDB would commit
    /// for the lock of a whole table, so a row that is always there stands for it.
    pub(crate) const fn lock_audit(self) -> Option<&'static str> {
        match self {
            #[cfg(feature = "mysql")]
            Self::Mysql => {
                Some("select version from crossfade_schema where version = 1 for update")
            }
            #[cfg(feature = "postgres")]
            Self::Postgres => Some("lock table crossfade_audit in share row exclusive mode"),
            #[cfg(feature = "sqlite")]
            Self::Sqlite => None,
        }
    }

    /// The statement that announces a change when the transaction commits, if there is one.
    pub(crate) fn announce(self) -> Option<String> {
        match self {
            #[cfg(feature = "mysql")]
            Self::Mysql => None,
            #[cfg(feature = "postgres")]
            Self::Postgres => Some(format!("select pg_notify('{CHANNEL}', '')::text")),
            #[cfg(feature = "sqlite")]
            Self::Sqlite => None,
        }
    }

    /// What stands in front of a common table expression that is to be run once, whatever its use.
    /// MariaDB decides for itself.
    pub(crate) const fn materialized(self) -> &'static str {
        match self {
            #[cfg(feature = "mysql")]
            Self::Mysql => "as",
            #[cfg(feature = "postgres")]
            Self::Postgres => "as materialized",
            #[cfg(feature = "sqlite")]
            Self::Sqlite => "as materialized",
        }
    }

    /// The type to which `cast` turns a value into text.
    pub(crate) const fn text_type(self) -> &'static str {
        match self {
            #[cfg(feature = "mysql")]
            Self::Mysql => "char",
            #[cfg(feature = "postgres")]
            Self::Postgres => "text",
            #[cfg(feature = "sqlite")]
            Self::Sqlite => "text",
        }
    }

    /// The type to which `cast` turns a sum into an integer.
    pub(crate) const fn integer_type(self) -> &'static str {
        match self {
            #[cfg(feature = "mysql")]
            Self::Mysql => "signed",
            #[cfg(feature = "postgres")]
            Self::Postgres => "bigint",
            #[cfg(feature = "sqlite")]
            Self::Sqlite => "bigint",
        }
    }

    /// What follows the values of an insert whose row may be there already, in front of the
    /// assignments. `key` are the columns of the table's one unique index.
    pub(crate) fn or_update(self, key: &str) -> String {
        match self {
            #[cfg(feature = "mysql")]
            Self::Mysql => {
                let _ = key;
                "on duplicate key update".to_owned()
            }
            #[cfg(feature = "postgres")]
            Self::Postgres => format!("on conflict ({key}) do update set"),
            #[cfg(feature = "sqlite")]
            Self::Sqlite => format!("on conflict ({key}) do update set"),
        }
    }

    /// The texts in a row. PostgreSQL's function takes 100 at most, SQLite has it of late.
    pub(crate) fn concat(self, texts: &[String]) -> String {
        match self {
            _ if texts.is_empty() => "''".to_owned(),
            #[cfg(feature = "mysql")]
            Self::Mysql => format!("concat({})", texts.join(", ")),
            #[cfg(any(feature = "postgres", feature = "sqlite"))]
            _ => texts.join(" || "),
        }
    }

    /// The value that such an insert would have stored in a column.
    pub(crate) fn proposed(self, column: &str) -> String {
        match self {
            #[cfg(feature = "mysql")]
            Self::Mysql => format!("values({column})"),
            #[cfg(feature = "postgres")]
            Self::Postgres => format!("excluded.{column}"),
            #[cfg(feature = "sqlite")]
            Self::Sqlite => format!("excluded.{column}"),
        }
    }

    /// A name, quoted. It may hold anything.
    pub(crate) fn quote(self, name: &str) -> String {
        match self {
            #[cfg(feature = "mysql")]
            Self::Mysql => format!("`{}`", name.replace('`', "``")),
            #[cfg(feature = "postgres")]
            Self::Postgres => format!("\"{}\"", name.replace('"', "\"\"")),
            #[cfg(feature = "sqlite")]
            Self::Sqlite => format!("\"{}\"", name.replace('"', "\"\"")),
        }
    }
}
