//! Appending and closing epochs.

use std::time::Duration;

#[cfg(feature = "postgres")]
use crossfade_core::epoch_lock_id;
use crossfade_core::{Epoch, MigrationName, stage_effects};
use crossfade_store::{AuditEntry, EpochHolder, StageChange, StoreError, StoreErrorKind};

use super::append_audit;
use crate::capture::journal;
use crate::definition_json::from_json;
use crate::error::Doing;
#[cfg(feature = "mysql")]
use crate::fence::row_of;
#[cfg(feature = "postgres")]
use crate::fence::{HOLDS, halves};
use crate::fence::{announce, close_fence, open_fence};
use crate::mechanism::Mechanism;
use crate::value::args;
use crate::{Database, Engine};

/// Appends an epoch. The row of the migration is locked first, so of two operators exactly one
/// still finds the epoch that its decision was made in.
pub(super) async fn append(
    database: &Database,
    change: StageChange<'_>,
) -> Result<Epoch, StoreError> {
    let doing = "failed to change the stage";
    let engine = database.engine();
    let name = change.migration.as_str();
    let mut session = database.begin().await.doing(doing)?;
    let lock =
        format!("select name from crossfade_migrations where name = $1{}", engine.for_update());
    session.execute(&lock, args![name]).await.doing(doing)?;
    let rows = session
        .fetch(
            "select epoch, stage from crossfade_epochs \
             where migration = $1 and closed_ms is null order by epoch desc",
            args![name],
        )
        .await
        .doing(doing)?;
    let newest = rows.first().map(|row| (row.int(0), row.text(1))).unwrap_or_default();
    // A second statement, so that it sees what the lock has waited for.
    let definition = "select definition from crossfade_migrations where name = $1";
    let stored = session.fetch_one(definition, args![name]).await.doing(doing)?;
    let stored = stored.map(|row| from_json(&row.text(0))).transpose()?;
    let conflict = if newest != (change.from_epoch.get(), change.from.as_str().to_owned()) {
        Some(format!("migration `{name}` went to `{}` in the meantime", newest.1))
    } else if rows.len() > 1 && database.keeps(Mechanism::AdjacentEpochs) {
        Some(format!("the epoch before {} is still open", newest.0))
    } else if !stored.is_some_and(|stored| stored.moves_like(change.definition)) {
        Some(format!("the definition of migration `{name}` was replaced in the meantime"))
    } else {
        None
    };
    if let Some(message) = conflict {
        session.rollback().await;
        let error = StoreError::new(StoreErrorKind::Conflict, message);
        return Err(error.with_hint(format!("look at `crossfade status {name}` and decide anew")));
    }
    let epoch = change.from_epoch.next();
    let sql = format!(
        "insert into crossfade_epochs (migration, epoch, stage, opened_ms) \
         values ($1, $2, $3, {})",
        engine.now_ms()
    );
    session.execute(&sql, args![name, epoch.get(), change.to.as_str()]).await.doing(doing)?;
    open_fence(database, &mut session, change.migration, epoch, change.from_epoch).await?;
    let effects = stage_effects(change.from, change.to);
    if effects.voids_run && database.keeps(Mechanism::VoidedRun) {
        session
            .execute(
                "update crossfade_runs set state = 'void' \
                 where migration = $1 and state <> 'void'",
                args![name],
            )
            .await
            .doing(doing)?;
    }
    if effects.clears_marks || !database.keeps(Mechanism::MarksKept) {
        let sql = "delete from crossfade_quarantine where migration = $1";
        session.execute(sql, args![name]).await.doing(doing)?;
    }
    if effects.clears_marks {
        journal::clear(&mut session, change.migration).await.doing(doing)?;
    }
    let entry = AuditEntry {
        action: "stage",
        subject: name,
        from: change.from.as_str(),
        to: change.to.as_str(),
        actor: change.actor,
        reason: change.reason,
    };
    append_audit(engine, &mut session, entry).await.doing(doing)?;
    announce(engine, &mut session).await?;
    session.commit_or(doing).await?;
    Ok(epoch)
}

/// Closes an epoch under its exclusive lock, which is had only once every writer has left.
pub(super) async fn close(
    database: &Database,
    migration: &MigrationName,
    epoch: Epoch,
    lock_timeout: Duration,
) -> Result<(), StoreError> {
    let doing = "failed to close the epoch before";
    let engine = database.engine();
    let mut session = database.begin().await.doing(doing)?;
    match engine {
        #[cfg(feature = "mysql")]
        Engine::Mysql => {
            let lock = format!(
                "select id from crossfade_open_epochs where id = $1 for update wait {}",
                crate::mariadb::seconds(lock_timeout)
            );
            session.fetch(&lock, args![row_of(migration, epoch)]).await.doing(doing)?;
        }
        #[cfg(feature = "postgres")]
        Engine::Postgres if !database.keeps(Mechanism::CloserLock) => {}
        #[cfg(feature = "postgres")]
        Engine::Postgres => {
            let limit = format!("set local lock_timeout = {}", lock_timeout.as_millis().max(1));
            session.execute(&limit, args![]).await.doing(doing)?;
            let lock = epoch_lock_id(&database.inner.namespace, migration, epoch);
            session
                .fetch("select pg_advisory_xact_lock($1)::text", args![lock])
                .await
                .doing(doing)?;
        }
        // `begin immediate` has waited for the writer that was in flight.
        #[cfg(feature = "sqlite")]
        Engine::Sqlite => {
            let _ = lock_timeout;
        }
    }
    let sql = format!(
        "update crossfade_epochs set closed_ms = {} \
         where migration = $1 and epoch = $2 and closed_ms is null and exists \
         (select 1 from crossfade_epochs as later where later.migration = $1 and later.epoch > $2)",
        engine.now_ms()
    );
    let closed =
        session.execute(&sql, args![migration.as_str(), epoch.get()]).await.doing(doing)?;
    // Whoever comes late to an epoch that is closed already must not move the fence back.
    if closed > 0 || !database.keeps(Mechanism::LateCloser) {
        close_fence(database, &mut session, migration, epoch).await?;
    }
    announce(engine, &mut session).await?;
    session.commit_or(doing).await
}

/// The sessions that share the epoch's lock, where the database tells.
pub(super) async fn holders(
    database: &Database,
    migration: &MigrationName,
    epoch: Epoch,
) -> Result<Vec<EpochHolder>, StoreError> {
    match database.engine() {
        #[cfg(feature = "postgres")]
        Engine::Postgres => {
            let doing = "failed to look up who holds the epoch";
            let (class, object) =
                halves(epoch_lock_id(&database.inner.namespace, migration, epoch));
            let mut session = database.session().await.doing(doing)?;
            let rows = session
                .fetch(
                    &format!(
                        "select l.pid::bigint, concat_ws(', ', nullif(a.application_name, ''), \
                       'user ' || a.usename, 'from ' || coalesce(host(a.client_addr), 'socket'), \
                       a.state, 'transaction open for ' || \
                       round(extract(epoch from clock_timestamp() - a.xact_start), 1) || ' s') \
                     from pg_locks l join pg_stat_activity a on a.pid = l.pid \
                     where {HOLDS} order by a.xact_start"
                    ),
                    args![class, object],
                )
                .await
                .doing(doing)?;
            Ok(rows
                .iter()
                .map(|row| EpochHolder { pid: row.int(0), description: row.text(1) })
                .collect())
        }
        #[cfg(feature = "mysql")]
        Engine::Mysql => super::mariadb::holders(database, migration, epoch).await,
        #[cfg(feature = "sqlite")]
        Engine::Sqlite => {
            let _ = (migration, epoch);
            Ok(Vec::new())
        }
    }
}

/// Ends a session if it still holds the epoch; whether it did.
pub(super) async fn terminate(
    database: &Database,
    migration: &MigrationName,
    epoch: Epoch,
    holder: &EpochHolder,
) -> Result<bool, StoreError> {
    match database.engine() {
        #[cfg(feature = "postgres")]
        Engine::Postgres => {
            let doing = "failed to end the session that holds the epoch";
            let mut session = database.session().await.doing(doing)?;
            let (class, object) =
                halves(epoch_lock_id(&database.inner.namespace, migration, epoch));
            // In one statement: the number of a process that has ended is given to another.
            let sql = format!(
                "select pg_terminate_backend(l.pid) from pg_locks l where {HOLDS} and l.pid = $3"
            );
            let args = args![class, object, holder.pid];
            let row = session.fetch_one(&sql, args).await.doing(doing)?;
            Ok(row.is_some_and(|row| row.int(0) != 0))
        }
        #[cfg(feature = "mysql")]
        Engine::Mysql => super::mariadb::terminate(database, migration, epoch, holder).await,
        #[cfg(feature = "sqlite")]
        Engine::Sqlite => {
            let _ = (migration, epoch, holder);
            let message = "sessions that hold an epoch are not known on SQLite";
            Err(StoreError::new(StoreErrorKind::Invalid, message))
        }
    }
}
