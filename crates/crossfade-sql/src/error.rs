//! From sqlx's errors to those of the ports.

use std::error::Error;
use std::fmt;

use crossfade_store::{Failure, StoreError, StoreErrorKind};
#[cfg(feature = "postgres")]
use sqlx::postgres::{PgDatabaseError, PgSeverity};

use crate::Engine;
use crate::quoted::without_values;

/// What an sqlx error means for the transaction it happened in.
pub(crate) fn failure(error: &sqlx::Error) -> Failure {
    match error {
        sqlx::Error::Io(_)
        | sqlx::Error::Tls(_)
        | sqlx::Error::Protocol(_)
        | sqlx::Error::PoolClosed
        | sqlx::Error::PoolTimedOut
        | sqlx::Error::WorkerCrashed => Failure::ConnectionLost,
        #[cfg(feature = "postgres")]
        error if ends_connection(error) => Failure::ConnectionLost,
        #[cfg(feature = "mysql")]
        error if mysql_number(error).is_some() => by_mysql(error),
        sqlx::Error::Database(database) => by_code(database.code().as_deref().unwrap_or_default()),
        _ => Failure::Refused,
    }
}

#[cfg(feature = "postgres")]
fn by_postgres(error: &sqlx::Error) -> Option<&PgDatabaseError> {
    error.as_database_error()?.try_downcast_ref::<PgDatabaseError>()
}

/// Whether an error is the last that a connection of PostgreSQL's says. A pooler that lost the
/// server says so in any code, also where the server has carried out what it was sent.
#[cfg(feature = "postgres")]
fn ends_connection(error: &sqlx::Error) -> bool {
    by_postgres(error).is_some_and(|error| !matches!(error.severity(), PgSeverity::Error))
}

/// Whether PostgreSQL itself says that it ended the connection, which it does between statements or
/// in the midst of one, and never behind a commit. A pooler may say so in the same code, and does
/// not name the server's routine.
#[cfg(feature = "postgres")]
pub(crate) fn ended_by_server(error: &sqlx::Error) -> bool {
    by_postgres(error).is_some_and(|error| {
        error.code().starts_with("57P") && error.routine() == Some("ProcessInterrupts")
    })
}

/// Whether PostgreSQL has turned the user away, or knows no such database.
fn login_refused(error: &sqlx::Error) -> bool {
    code(error)
        .is_some_and(|code| code.len() == 5 && (code.starts_with("28") || code.starts_with("3D")))
}

/// MariaDB's number for a row that is there already.
#[cfg(feature = "mysql")]
pub(crate) const DUPLICATE: u16 = 1062;

/// MariaDB's own number of an error, which says more than its SQLSTATE.
#[cfg(feature = "mysql")]
pub(crate) fn mysql_number(error: &sqlx::Error) -> Option<u16> {
    let database = error.as_database_error()?;
    Some(database.try_downcast_ref::<sqlx::mysql::MySqlDatabaseError>()?.number())
}

#[cfg(feature = "mysql")]
fn by_mysql(error: &sqlx::Error) -> Failure {
    match mysql_number(error).unwrap_or_default() {
        // Deadlock; record has changed; the savepoint of the transaction went with a deadlock.
        1213 | 1020 => Failure::Transient,
        1305 if words_of(error).contains(crate::mariadb::SAVEPOINT) => Failure::Transient,
        // Lock wait timeout.
        1205 => Failure::LockTimeout,
        // Connection killed; server shuts down; no thread for another connection.
        1927 | 1053 | 1040 => Failure::ConnectionLost,
        // A client's errors: those of a proxy that has lost the server.
        2000..=2999 => Failure::ConnectionLost,
        _ if code(error).is_some_and(|code| code.starts_with("08")) => Failure::ConnectionLost,
        _ => Failure::Refused,
    }
}

#[cfg(feature = "mysql")]
fn words_of(error: &sqlx::Error) -> &str {
    error.as_database_error().map_or("", |database| database.message())
}

/// SQLSTATEs of PostgreSQL have five characters; SQLite's extended result codes are numbers whose
/// low byte is the code itself.
fn by_code(code: &str) -> Failure {
    match code {
        // serialization_failure, deadlock_detected.
        "40001" | "40P01" => Failure::Transient,
        // lock_not_available.
        "55P03" => Failure::LockTimeout,
        // The statement and what was bound to it do not fit; the connection is well.
        "08P01" => Failure::Refused,
        // idle_in_transaction_session_timeout, statement_completion_unknown.
        "25P03" | "40003" => Failure::ConnectionLost,
        // Connection exceptions; shutdowns and sessions that were ended.
        code if code.len() == 5 && (code.starts_with("08") || code.starts_with("57P")) => {
            Failure::ConnectionLost
        }
        // SQLITE_BUSY and SQLITE_LOCKED.
        code if code.len() < 5 => match code.parse::<u32>() {
            Ok(code) if matches!(code & 0xff, 5 | 6) => Failure::Transient,
            _ => Failure::Refused,
        },
        _ => Failure::Refused,
    }
}

/// An sqlx error in the database's own words. sqlx closes its text with "at line N", a line of the
/// server's source code, which people take for a line of their own script.
#[derive(Debug)]
pub(crate) struct Said(sqlx::Error);

impl fmt::Display for Said {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            sqlx::Error::Database(database) => f.write_str(database.message()),
            error => error.fmt(f),
        }
    }
}

impl Error for Said {}

/// The first sqlx error in a chain of sources.
fn in_chain<'a>(error: &'a (dyn Error + 'static)) -> Option<&'a sqlx::Error> {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(Said(error)) = error.downcast_ref() {
            return Some(error);
        }
        if let Some(error) = error.downcast_ref() {
            return Some(error);
        }
        next = error.source();
    }
    None
}

/// The failure of the first sqlx error in a chain of sources.
pub(crate) fn failure_in_chain(error: &(dyn Error + 'static)) -> Failure {
    in_chain(error).map_or(Failure::Refused, failure)
}

/// The database's words in a chain of sources, without the values that they quote; the chain's own
/// texts where there are none.
pub(crate) fn words_in_chain(error: &(dyn Error + 'static)) -> String {
    if let Some(sqlx::Error::Database(database)) = in_chain(error) {
        return without_values(database.as_ref());
    }
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(source) = next {
        text.push_str(": ");
        text.push_str(&source.to_string());
        next = source.source();
    }
    text
}

/// What the database gave up waiting for: a lock, or the end of the statement.
pub(crate) fn timed_out(error: &sqlx::Error) -> Option<StoreErrorKind> {
    #[cfg(feature = "mysql")]
    if let Some(number) = mysql_number(error) {
        return match number {
            1205 => Some(StoreErrorKind::LockTimeout),
            // max_statement_time exceeded.
            1969 => Some(StoreErrorKind::StatementTimeout),
            _ => None,
        };
    }
    match code(error)?.as_str() {
        // PostgreSQL: lock_not_available. SQLite: SQLITE_BUSY, SQLITE_LOCKED.
        "55P03" | "5" | "6" => Some(StoreErrorKind::LockTimeout),
        // PostgreSQL: query_canceled, which statement_timeout raises.
        "57014" => Some(StoreErrorKind::StatementTimeout),
        _ => None,
    }
}

/// The database's own error code.
pub(crate) fn code(error: &sqlx::Error) -> Option<String> {
    error.as_database_error().and_then(|database| database.code()).map(|code| code.into_owned())
}

/// Whether the statement named a table that is not there.
fn no_such_table(error: &sqlx::Error) -> bool {
    let Some(database) = error.as_database_error() else { return false };
    #[cfg(feature = "mysql")]
    if mysql_number(error) == Some(1146) {
        return database.message().contains(".crossfade_");
    }
    // No such procedure.
    #[cfg(feature = "mysql")]
    if mysql_number(error) == Some(1305) {
        return database.message().contains(".crossfade_");
    }
    matches!(database.code().as_deref(), Some("42P01" | "42883"))
        || database.message().starts_with("no such table: crossfade_")
}

/// Whether the server, the file or the transaction takes no writes.
pub(crate) fn read_only(error: &sqlx::Error) -> bool {
    #[cfg(feature = "mysql")]
    if let Some(number) = mysql_number(error) {
        return matches!(number, 1290 | 1792 | 1836);
    }
    matches!(code(error).as_deref(), Some("8" | "1032" | "25006"))
}

/// Whether PostgreSQL refused a statement because a policy would hide some of its rows, as it does
/// with `row_security = off`. The routine is the same in every language.
pub(crate) fn hidden_by_policy(error: &sqlx::Error) -> bool {
    #[cfg(feature = "postgres")]
    if let Some(error) = by_postgres(error) {
        return error.code() == "42501" && error.routine() == Some("check_enable_rls");
    }
    #[cfg(not(feature = "postgres"))]
    let _ = error;
    false
}

/// Whether the user lacks a right: to a table, a column, a procedure or a schema.
pub(crate) fn forbidden(error: &sqlx::Error) -> bool {
    #[cfg(feature = "mysql")]
    if let Some(number) = mysql_number(error) {
        return matches!(number, 1044 | 1142 | 1143 | 1227 | 1370);
    }
    code(error).as_deref() == Some("42501")
}

/// An error of a port: `doing` is a fragment such as "failed to read the control tables".
pub(crate) fn store_error(doing: &str, error: sqlx::Error) -> StoreError {
    let (kind, hint) = if no_such_table(&error) {
        (
            StoreErrorKind::NotInstalled,
            Some("run `crossfade init` against this database and schema first"),
        )
    } else if let Some(kind) = timed_out(&error) {
        (kind, None)
    } else if read_only(&error) {
        (
            StoreErrorKind::Database,
            Some("the database is read-only for this user; check its file's rights or the server"),
        )
    } else if hidden_by_policy(&error) {
        let doing = format!("{doing}: row-level security would hide rows from this role");
        return StoreError::new(StoreErrorKind::Database, doing)
            .with_source(Said(error))
            .with_hint(
                "run it as a role with BYPASSRLS, or as the owner of the table while that does \
                 not FORCE ROW LEVEL SECURITY",
            );
    } else if forbidden(&error) {
        (
            StoreErrorKind::Database,
            Some("grant the user what it lacks: the README says which rights an application needs"),
        )
    } else {
        match (failure(&error), &error) {
            (_, sqlx::Error::PoolTimedOut) => (
                StoreErrorKind::Unavailable,
                Some("every connection of the pool is in use, or the database does not answer"),
            ),
            _ if login_refused(&error) => (StoreErrorKind::Database, None),
            (Failure::ConnectionLost, _) => (
                StoreErrorKind::Unavailable,
                Some("check that the database runs and that the URL points at it"),
            ),
            (Failure::Transient, _) => (StoreErrorKind::Conflict, None),
            (Failure::LockTimeout, _) => (StoreErrorKind::LockTimeout, None),
            (Failure::Refused, sqlx::Error::Configuration(_)) => (StoreErrorKind::Invalid, None),
            (Failure::Refused, _) => (StoreErrorKind::Database, None),
        }
    };
    let store = StoreError::new(kind, doing).with_source(Said(error));
    match hint {
        Some(hint) => store.with_hint(hint),
        None => store,
    }
}

/// Adds context to an sqlx result.
pub(crate) trait Doing<T> {
    /// `doing` is a fragment such as "failed to read the control tables".
    fn doing(self, doing: &str) -> Result<T, StoreError>;
}

impl<T> Doing<T> for Result<T, sqlx::Error> {
    fn doing(self, doing: &str) -> Result<T, StoreError> {
        self.map_err(|error| store_error(doing, error))
    }
}

/// The error of a URL of no engine that this build knows. What is no URL may hold a password
/// anywhere, so nothing of it is repeated.
pub(crate) fn unknown_engine(url: &str) -> StoreError {
    let known: Vec<&str> = Engine::ALL.iter().map(|engine| engine.as_str()).collect();
    let known = known.join(", ");
    match scheme(url) {
        Some(scheme) => StoreError::new(
            StoreErrorKind::Invalid,
            format!("database URLs of the form `{scheme}:` are not supported"),
        )
        .with_hint(format!("this build knows {known}")),
        None => StoreError::new(StoreErrorKind::Invalid, "the database is not named by a URL")
            .with_hint(format!("it begins with a scheme and `://`; this build knows {known}")),
    }
}

fn scheme(url: &str) -> Option<&str> {
    let (scheme, _) = url.split_once("://")?;
    let begins = scheme.starts_with(|c: char| c.is_ascii_lowercase());
    let fits = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "+.-".contains(c);
    (begins && scheme.chars().all(fits)).then_some(scheme)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_url_is_not_repeated() {
        for text in [
            "host=db user=app password=hunter2",
            "host=db password=hunter2:x://",
            "app:hunter2@db/app",
            "hunter2:5432",
            "Hunter2://db",
            "hunter2@db://",
            "",
        ] {
            let error = unknown_engine(text);
            assert_eq!(error.kind, StoreErrorKind::Invalid);
            let told = format!("{error} {:?}", error.hint);
            assert!(!told.to_lowercase().contains("hunter2"), "{told}");
            assert!(told.contains("://"), "{told}");
        }
        for (url, named) in [("oracle://db/app", "`oracle:`"), ("a+b-1.c://x", "`a+b-1.c:`")] {
            let told = unknown_engine(url).to_string();
            assert!(told.contains(named), "{told}");
        }
    }
}
