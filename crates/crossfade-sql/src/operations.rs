//! Writes that are carried out at most once: the record of an operation is a row in the write's own
//! transaction.

use std::time::Duration;

use crossfade_store::{Admission, EnterError, Entry, Operation, StoreError, StoreErrorKind};

use crate::error::Doing;
#[cfg(feature = "postgres")]
use crate::error::code;
#[cfg(feature = "mysql")]
use crate::error::{DUPLICATE, mysql_number};
#[cfg(feature = "sqlite")]
use crate::fence::ENTERING;
#[cfg(any(feature = "mysql", feature = "postgres"))]
use crate::fence::turned_away;
use crate::session::Connections;
use crate::value::args;
use crate::{Database, Engine, Tx};

/// SQLSTATE that `crossfade_enter_once` raises for an operation that has committed.
#[cfg(feature = "postgres")]
const REPEATED: &str = "CFF03";

/// Begins a write transaction and records its operation in it. See the port.
pub(crate) async fn enter(
    database: &Database,
    entry: Entry<'_>,
    operation: Operation<'_>,
    lock_timeout: Option<Duration>,
) -> Result<Admission<Tx>, EnterError> {
    let Entry { migration, epoch, key } = entry;
    match database.engine() {
        #[cfg(feature = "mysql")]
        Engine::Mysql => {
            let record = format!(
                "; insert into crossfade_operations \
                 (migration, operation, `key`, attempt, created_ms) values ('{migration}', \
                 convert(x'{}' using utf8mb4), convert(x'{}' using utf8mb4), {}, {})",
                hex(operation.id),
                hex(&key.text()),
                operation.attempt,
                Engine::Mysql.now_ms(),
            );
            let begun = database.begin_mariadb(migration, epoch, Some(key), lock_timeout, &record);
            match begun.await {
                Ok(session) => Ok(Admission::First(Tx { session })),
                Err(error) if mysql_number(&error) == Some(DUPLICATE) => {
                    earlier(database, entry, operation).await
                }
                Err(error) => Err(turned_away(error)),
            }
        }
        #[cfg(feature = "postgres")]
        Engine::Postgres => {
            let enter = format!(
                "select crossfade_enter_once({}, '{migration}', '{}', '{}', {})",
                database.enter_arguments(migration, epoch, Some(key), lock_timeout),
                hex(operation.id),
                hex(&key.text()),
                operation.attempt,
            );
            match database.begin_postgres(&enter, lock_timeout.is_some()).await {
                Ok(session) => Ok(Admission::First(Tx { session })),
                Err(error) if code(&error).as_deref() == Some(REPEATED) => {
                    earlier(database, entry, operation).await
                }
                Err(error) => Err(turned_away(error)),
            }
        }
        #[cfg(feature = "sqlite")]
        Engine::Sqlite => {
            let _ = lock_timeout;
            let mut session = database.begin().await.doing(ENTERING)?;
            let looked = database.look_sqlite(&mut session, migration, epoch).await;
            if let Err(closed) = looked {
                session.rollback().await;
                return Err(closed);
            }
            let insert = format!(
                "insert into crossfade_operations \
                 (migration, operation, key, attempt, created_ms) values ($1, $2, $3, $4, {})",
                Engine::Sqlite.now_ms()
            );
            let args =
                args![migration.as_str(), operation.id, key.text().as_ref(), operation.attempt];
            let inserted = session.insert_new(&insert, "(migration, operation)", args).await;
            if inserted.doing(ENTERING)? > 0 {
                return Ok(Admission::First(Tx { session }));
            }
            session.rollback().await;
            earlier(database, entry, operation).await
        }
    }
}

/// What the operation's committed transaction has left.
async fn earlier(
    database: &Database,
    entry: Entry<'_>,
    operation: Operation<'_>,
) -> Result<Admission<Tx>, EnterError> {
    // MariaDB has a keyword `key`, which needs no quotes behind a dot.
    let sql = "select o.key, o.attempt from crossfade_operations as o \
               where o.migration = $1 and o.operation = $2";
    let args = args![entry.migration.as_str(), operation.id];
    let rows = database.read(Connections::Shared, sql, args).await;
    let rows = rows.doing("failed to look an operation up")?;
    rows.first()
        .map(|row| Admission::Repeated { key: row.text(0), attempt: row.int(1) })
        .ok_or_else(|| {
            let text = "the operation's record was deleted at this moment";
            EnterError::Store(StoreError::new(StoreErrorKind::Conflict, text))
        })
}

/// Deletes records that are old. See the port.
pub(crate) async fn forget(
    database: &Database,
    older_than: Duration,
    at_most: u32,
) -> Result<u64, StoreError> {
    let doing = "failed to delete the records of old operations";
    let engine = database.engine();
    let older_than = i64::try_from(older_than.as_millis()).unwrap_or(i64::MAX);
    let old = |created: &str, lock: &str| {
        format!(
            "select migration, operation{created} from crossfade_operations \
             where created_ms < {} - $1 order by created_ms limit $2{lock}",
            engine.now_ms()
        )
    };
    match engine {
        // A range that is deleted would wait for the write beside it. So the records are read
        // without a lock, and each is deleted by its whole key. Another instance may delete one
        // meanwhile, and its operation be repeated: the record that this leaves is a new one.
        #[cfg(feature = "mysql")]
        Engine::Mysql => {
            let args = args![older_than, at_most];
            let rows = database
                .read(Connections::Shared, &old(", created_ms", ""), args)
                .await
                .doing(doing)?;
            if rows.is_empty() {
                return Ok(0);
            }
            let script: Vec<String> = rows
                .iter()
                .map(|row| {
                    format!(
                        "delete from crossfade_operations where migration = '{}' \
                         and operation = convert(x'{}' using utf8mb4) and created_ms = {}",
                        row.text(0),
                        hex(&row.text(1)),
                        row.int(2)
                    )
                })
                .collect();
            let mut session = database.begin().await.doing(doing)?;
            session.run_script(&script.join("; ")).await.doing(doing)?;
            session.commit_or(doing).await?;
            Ok(rows.len() as u64)
        }
        #[cfg(any(feature = "postgres", feature = "sqlite"))]
        _ => {
            let lock = if engine.for_update().is_empty() { "" } else { " for update skip locked" };
            // The rows that are found old stay locked, or nobody else can write.
            let sql = format!(
                "delete from crossfade_operations where (migration, operation) in ({})",
                old("", lock)
            );
            // SQLite has nothing to wait for when there is nothing to do.
            if lock.is_empty() {
                let args = args![older_than, 1u32];
                let rows =
                    database.read(Connections::Shared, &old("", ""), args).await.doing(doing)?;
                if rows.is_empty() {
                    return Ok(0);
                }
            }
            let mut session = database.begin().await.doing(doing)?;
            let gone = session.execute(&sql, args![older_than, at_most]).await.doing(doing)?;
            session.commit_or(doing).await?;
            Ok(gone)
        }
    }
}

/// Hexadecimal digits of a text, which may hold anything, for a place in a statement.
#[cfg(any(feature = "mysql", feature = "postgres"))]
fn hex(text: &str) -> String {
    use std::fmt::Write;

    text.bytes().fold(String::with_capacity(text.len() * 2), |mut digits, byte| {
        let _ = write!(digits, "{byte:02x}");
        digits
    })
}
