//! Quarantine entries: keys whose rows New or the mapping refuses, with the reason.

use crossfade_core::{Epoch, Key, MigrationName};
use crossfade_store::{Entry, StoreError};

use crate::Database;
use crate::error::Doing;
use crate::fence::announce;
use crate::mechanism::Mechanism;
use crate::session::Session;
use crate::shape::Args;

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
