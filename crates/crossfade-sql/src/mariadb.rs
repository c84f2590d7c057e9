//! What MariaDB alone needs: the texts around a transaction, locks of the session, and numbered
//! parameters.
//!
//! A transaction is put between `set autocommit = 0` and a savepoint. A deadlock ends the whole
//! transaction on the server, behind the back of a closure that swallows the error: with autocommit
//! on, its later statements would each commit by themselves, outside the fence. So they go into a
//! transaction that nobody commits, since the commit releases the savepoint first, which is gone.

use crossfade_core::MigrationName;
use crossfade_store::{StoreError, StoreErrorKind};
use sqlx::{AssertSqlSafe, SqlSafeStr, SqlStr};

use crate::Engine;
use crate::schema::skip;
use crate::session::Session;

/// The savepoint that shows whether the transaction is still the one that was begun.
pub(crate) const SAVEPOINT: &str = "crossfade_transaction";

/// Begins a transaction in one round trip, with more assignments to session variables, each behind
/// a comma. What the session had is kept in variables of the session's.
pub(crate) fn begin(assignments: &str) -> String {
    let how = "set transaction isolation level read committed; start transaction";
    begin_by(assignments, how)
}

/// Begins a transaction that only reads, and as of now.
pub(crate) fn begin_snapshot() -> String {
    let how = "set transaction isolation level repeatable read; \
               start transaction with consistent snapshot, read only";
    begin_by("", how)
}

/// Begins a transaction that sees one moment, for a look that is rolled back.
pub(crate) fn begin_look() -> String {
    let how = "set transaction isolation level repeatable read; \
               start transaction with consistent snapshot";
    begin_by("", how)
}

fn begin_by(assignments: &str, how: &str) -> String {
    format!("set {SAVE}, autocommit = 0{assignments}; {how}; savepoint {SAVEPOINT}")
}

/// Assignments that keep the session's own bounds on waits and time.
pub(crate) const SAVE: &str = "@crossfade_rows = @@innodb_lock_wait_timeout, \
    @crossfade_tables = @@lock_wait_timeout, @crossfade_time = @@max_statement_time";

/// How a transaction is to be ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ending {
    /// One that [`begin`] began, with whatever it changed of the session.
    InFull,
    /// One that `crossfade_begin` began, which changes no more than it has to.
    ByCall,
    /// One whose settings were pinned, however it began.
    Pinned,
}

impl Ending {
    /// Commits; fails where the transaction is another than the one that was begun.
    pub(crate) fn commit(self) -> SqlStr {
        match self {
            Self::InFull => {
                AssertSqlSafe(format!("call crossfade_commit(); {RESTORE}")).into_sql_str()
            }
            Self::ByCall => SqlStr::from_static("call crossfade_commit()"),
            Self::Pinned => {
                let unpin = crate::session::unpin();
                AssertSqlSafe(format!("call crossfade_commit(); {RESTORE}{unpin}")).into_sql_str()
            }
        }
    }

    /// Rolls back.
    pub(crate) fn rollback(self) -> SqlStr {
        match self {
            Self::InFull => AssertSqlSafe(format!("rollback; {RESTORE}")).into_sql_str(),
            Self::ByCall => {
                SqlStr::from_static("rollback; set autocommit = 1, @crossfade_fence = null")
            }
            Self::Pinned => {
                let unpin = crate::session::unpin();
                AssertSqlSafe(format!("rollback; {RESTORE}{unpin}")).into_sql_str()
            }
        }
    }
}

/// Gives the session its own settings back.
const RESTORE: &str = "set autocommit = 1, innodb_lock_wait_timeout = @crossfade_rows, \
    lock_wait_timeout = @crossfade_tables, max_statement_time = @crossfade_time, \
    @crossfade_fence = null, @crossfade_mark = if(release_lock(@crossfade_mark), null, null)";

/// The assignment by which a transaction says that it passed a migration's fence, as the triggers of
/// a capture ask. It ends with the transaction: both of its ends take it back in their own text, and
/// a connection that saw neither is closed.
pub(crate) fn passed_fence(migration: &MigrationName) -> String {
    // A migration name holds lower-case letters, digits and underscores.
    format!(", @crossfade_fence = '{migration}'")
}

/// Assignments that bound each wait for a lock, on rows and on tables, in whole seconds as MariaDB
/// counts them.
pub(crate) fn lock_bounds(timeout: std::time::Duration) -> String {
    let seconds = seconds(timeout);
    format!(", innodb_lock_wait_timeout = {seconds}, lock_wait_timeout = {seconds}")
}

/// Says within a transaction that is under way which fence a write passes, and bounds its waits for
/// locks, until [`LEFT_WITHIN`]; in front of another statement. `marking` are more assignments.
pub(crate) fn passed_within(
    migration: &MigrationName,
    lock_timeout: Option<std::time::Duration>,
    marking: &str,
) -> String {
    let bounds = lock_timeout.map_or_else(String::new, lock_bounds);
    format!(
        "set @crossfade_outer_rows = @@innodb_lock_wait_timeout, \
         @crossfade_outer_tables = @@lock_wait_timeout{bounds}{marking}{}; ",
        passed_fence(migration)
    )
}

/// Takes back what [`passed_within`] said; behind another statement.
pub(crate) const LEFT_WITHIN: &str = "; set innodb_lock_wait_timeout = @crossfade_outer_rows, \
    lock_wait_timeout = @crossfade_outer_tables, @crossfade_fence = null";

/// Whole seconds, rounded up; at least 1, since 0 would not wait at all.
pub(crate) fn seconds(timeout: std::time::Duration) -> u128 {
    timeout.as_millis().div_ceil(1000).clamp(1, 31_536_000)
}

/// Takes a lock of the session's, which outlives the commits of statements that change tables, and
/// is waited for at most `patience`; whether it was had. It ends with [`let_go`], or with the
/// connection, which closes with a session that is dropped in its transaction.
pub(crate) async fn take(
    session: &mut Session,
    lock: &str,
    patience: std::time::Duration,
) -> Result<bool, sqlx::Error> {
    let sql = format!("select get_lock('{lock}', {})", seconds(patience));
    Ok(session.fetch_one(&sql, Vec::new()).await?.is_some_and(|row| row.int(0) == 1))
}

/// Gives a lock of the session's back, and the session; what is not committed is lost.
pub(crate) async fn let_go(mut session: Session, lock: &str) {
    if session.execute(&format!("do release_lock('{lock}')"), Vec::new()).await.is_ok() {
        session.rollback().await;
    }
}

/// The first two numbers of a version.
pub(crate) fn release(version: &str) -> Option<(u32, u32)> {
    // Replication made old servers begin with `5.5.5-`.
    let mut parts = version.trim_start_matches("5.5.5-").split(['.', '-']);
    let mut number = || parts.next()?.parse().ok();
    Some((number()?, number()?))
}

/// The schema of a server that can be worked with.
pub(crate) fn accepted(version: &str, schema: Option<String>) -> Result<String, StoreError> {
    let invalid = |message: String| StoreError::new(StoreErrorKind::Invalid, message);
    if !version.contains("MariaDB") || release(version) < Some((10, 6)) {
        let error = invalid(format!("the server has version {version}"));
        return Err(error.with_hint("MariaDB 10.6 or later is needed; MySQL is not supported"));
    }
    schema.ok_or_else(|| {
        invalid("the connection has no database".to_owned())
            .with_hint("name one at the end of the URL: mysql://host/database")
    })
}

/// Turns `$1` into `?`, and repeats and orders the arguments as the text asks for them. What stands
/// in quotes and comments is left alone.
pub(crate) fn translate<T: Clone>(sql: &str, args: &[T]) -> (String, Vec<T>) {
    let (mut text, mut bound) = (String::with_capacity(sql.len()), Vec::with_capacity(args.len()));
    let (mut at, mut in_name) = (0, false);
    while let Some(c) = sql[at..].chars().next() {
        if let Some(end) = skip(sql, at, Engine::Mysql) {
            let end = end.unwrap_or(sql.len());
            text.push_str(&sql[at..end]);
            (at, in_name) = (end, false);
            continue;
        }
        let digits = sql[at + c.len_utf8()..].bytes().take_while(u8::is_ascii_digit).count();
        if c == '$' && digits > 0 && !in_name {
            let number = &sql[at + 1..=at + digits];
            let arg = number.parse::<usize>().ok().and_then(|number| args.get(number - 1));
            bound.extend(arg.cloned());
            text.push('?');
            at += 1 + digits;
            continue;
        }
        in_name = c.is_alphanumeric() || c == '_' || c == '$';
        text.push(c);
        at += c.len_utf8();
    }
    (text, bound)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::value::Value;

    #[track_caller]
    fn check(sql: &str, expected: &str, order: &[i64]) {
        let args = [10i64, 20, 30].map(Value::from);
        let (text, bound) = translate(sql, &args);
        assert_eq!(text, expected);
        let order: Vec<Value> = order.iter().map(|number| Value::from(*number)).collect();
        assert_eq!(bound, order, "{sql}");
    }

    #[test]
    fn parameters_are_ordered_and_repeated() {
        check("select 1", "select 1", &[]);
        check("a = $1 and b = $2", "a = ? and b = ?", &[10, 20]);
        check("a = $3 and b = $1 or c = $3", "a = ? and b = ? or c = ?", &[30, 10, 30]);
        check("f($1,$2)+$1", "f(?,?)+?", &[10, 20, 10]);
    }

    #[test]
    fn quotes_comments_and_names_are_left_alone() {
        check("'$1' \"$2\" `$3` $2", "'$1' \"$2\" `$3` ?", &[20]);
        check(r"'it\'s $1' $1", r"'it\'s $1' ?", &[10]);
        check("'it''s $1' $1", "'it''s $1' ?", &[10]);
        check("/* $1 */ $1 -- $2\n$2 # $3\n", "/* $1 */ ? -- $2\n? # $3\n", &[10, 20]);
        check("json_extract(a$1, '$[0]') = $1", "json_extract(a$1, '$[0]') = ?", &[10]);
        check("é$1 ü = $1", "é$1 ü = ?", &[10]);
    }

    #[test]
    fn servers_are_told_apart() {
        let schema = || Some("app".to_owned());
        for version in ["10.11.14-MariaDB-0+deb12u2", "5.5.5-10.6.1-MariaDB", "11.4.2-MariaDB-log"]
        {
            assert_eq!(accepted(version, schema()).ok(), schema(), "{version}");
        }
        for version in ["8.0.36", "10.5.9-MariaDB", "5.5.68-MariaDB"] {
            let error = accepted(version, schema()).expect_err(version);
            assert_eq!(error.kind, StoreErrorKind::Invalid);
        }
        assert!(accepted("10.11.14-MariaDB", None).is_err());
    }

    #[test]
    fn bounds_are_whole_seconds() {
        for (ms, expected) in [(0, 1), (1, 1), (500, 1), (1000, 1), (1001, 2), (2000, 2)] {
            assert_eq!(seconds(std::time::Duration::from_millis(ms)), expected, "{ms}");
        }
    }
}
