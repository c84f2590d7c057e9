//! Quarantine entries: keys whose rows New or the mapping refuses, with the reason.

use async_trait::async_trait;
use crossfade_core::{Epoch, Key, MigrationName};
use crossfade_store::{Entry, Failure, QuarantineStore, Quarantined, StoreError};

use crate::error::{Doing, failure, store_error};
use crate::fence::announce;
use crate::mechanism::Mechanism;
use crate::session::{Connections, Session};
use crate::shape::{Args, Rows, Shape};
use crate::value::Row;
use crate::{Database, children};

/// Entries that one statement writes.
const AT_ONCE: usize = 200;

/// Puts a key into quarantine; a later reason replaces an earlier one. Announces it, so that
/// instances read the key from Legacy.
pub(crate) async fn mark(
    database: &Database,
    session: &mut Session,
    entry: Entry<'_>,
    reason: &str,
) -> Result<(), StoreError> {
    let refused = [(entry.key.clone(), reason.to_owned())];
    mark_all(database, session, entry.migration, entry.epoch, &refused).await
}

/// [`mark`] for many keys, each of them once.
pub(crate) async fn mark_all(
    database: &Database,
    session: &mut Session,
    migration: &MigrationName,
    epoch: Epoch,
    refused: &[(Key, String)],
) -> Result<(), StoreError> {
    if !database.keeps(Mechanism::Mark) || refused.is_empty() {
        return Ok(());
    }
    let engine = database.engine();
    let doing = "failed to put keys into quarantine";
    let sets = ["reason", "epoch", "marked_ms"]
        .map(|column| format!("{column} = {}", engine.proposed(column)));
    // MariaDB has a keyword `key`, which needs no quotes behind a dot.
    let column = engine.quote("key");
    for some in refused.chunks(AT_ONCE) {
        let mut args = Args::default();
        let (name, epoch) = (args.add(migration.as_str()), args.add(epoch.get()));
        let rows = some.iter().map(|(key, reason)| {
            let (key, reason) = (args.add(key.text().as_ref()), args.add(reason.as_str()));
            format!("(${name}, ${key}, ${reason}, ${epoch}, {})", engine.now_ms())
        });
        let rows = rows.collect::<Vec<_>>().join(", ");
        let sql = format!(
            "insert into crossfade_quarantine (migration, {column}, reason, epoch, marked_ms) \
             values {rows} {} {}",
            engine.or_update(&format!("migration, {column}")),
            sets.join(", ")
        );
        session.execute(&sql, args.0).await.doing(doing)?;
    }
    announce(engine, session).await
}

/// Deletes New's row of a key that goes into quarantine in `dual_write`: it is behind Legacy, and
/// the unique values that it holds may be those that another row is refused for.
///
/// Where the delete is refused, or waits too long, the row stays: the entry hides it from readers
/// as it is. It stays too where deleting it would take rows of other tables along.
pub(crate) async fn delete_stale(
    session: &mut Session,
    shape: &Shape,
    key: &Key,
) -> Result<(), StoreError> {
    let doing = "failed to delete a stale row on New";
    let mut args = Args::default();
    let within = shape.new.within(Rows::One(key), &mut args);
    let sql = format!(
        "delete from {} where {within} and not exists ({})",
        shape.new.qualified,
        children::query(shape.engine, &shape.new.qualified, &shape.new.bare)
    );
    session.execute("savepoint crossfade_stale", Vec::new()).await.doing(doing)?;
    let end = match session.execute(&sql, args.0).await {
        Ok(_) => "release savepoint crossfade_stale",
        Err(error) => match failure(&error) {
            Failure::Refused | Failure::LockTimeout => {
                let error = store_error(doing, error);
                tracing::debug!(%key, %error, "New's row of a key in quarantine stays");
                "rollback to savepoint crossfade_stale"
            }
            Failure::Transient | Failure::ConnectionLost => return Err(error).doing(doing),
        },
    };
    session.execute(end, Vec::new()).await.doing(doing)?;
    Ok(())
}

#[async_trait]
impl QuarantineStore for Database {
    async fn quarantine_page(
        &self,
        name: &MigrationName,
        after: Option<&str>,
        limit: u32,
    ) -> Result<Vec<Quarantined>, StoreError> {
        let mut args = Args::default();
        let name = args.add(name.as_str());
        let after = match after {
            Some(key) => format!(" and q.key > ${}", args.add(key)),
            None => String::new(),
        };
        let limit = args.add(limit);
        let sql = format!(
            "select q.key, q.reason, q.marked_ms from crossfade_quarantine as q \
             where q.migration = ${name}{after} order by q.key limit ${limit}"
        );
        let rows = self.read(Connections::Shared, &sql, args.0).await;
        let rows = rows.doing("failed to read the quarantine")?;
        let entry = |row: &Row| Quarantined {
            key: row.text(0),
            reason: row.text(1),
            marked_ms: row.int(2),
        };
        Ok(rows.iter().map(entry).collect())
    }
}
