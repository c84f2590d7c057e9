//! Repair of one key: New becomes equal to the mapped Legacy row.
//!
//! A key of the journal loses its mark in the same transaction, at its end: a writer holds the Legacy
//! row when it comes to the mark, so the mark is the last thing that is waited for on either side.

use crossfade_core::{Key, MigrationState, Stage};
use crossfade_store::{Cleaned, DirtyKey, EnterError, Entry, StoreError};

use super::backfill::undoable;
use super::refusal::refusal;
use super::{enter, invalid};
use crate::capture::journal;
use crate::error::{Doing, store_error};
use crate::fence::announce;
use crate::mechanism::Mechanism;
use crate::quarantine::{delete_stale, mark};
use crate::session::Session;
use crate::shape::Shape;
use crate::value::args;
use crate::{Database, children};

const DOING: &str = "failed to repair a key";

/// See the port's `repair`.
pub(super) async fn repair(
    database: &Database,
    state: &MigrationState,
    key: &Key,
) -> Result<Option<String>, EnterError> {
    Ok(match reconcile(database, state, key, None).await? {
        Cleaned::Quarantined { reason } => Some(reason),
        Cleaned::Equal | Cleaned::Gone => None,
    })
}

/// Repairs a key and takes the mark that led to it out of the journal, if it is there still.
pub(crate) async fn reconcile(
    database: &Database,
    state: &MigrationState,
    key: &Key,
    dirty: Option<&DirtyKey>,
) -> Result<Cleaned, EnterError> {
    let definition = &state.definition;
    let name = &definition.name;
    if !state.stage.reconciles() && database.keeps(Mechanism::RepairStage) {
        return Err(invalid(format!(
            "repair does not write in stage {}, and `{name}` is in it",
            state.stage
        ))
        .with_hint("repair works in dual_write and live, where Legacy is authoritative")
        .into());
    }
    if key.parts().len() != definition.legacy.key.len() {
        return Err(invalid(format!("`{key}` is not a key of `{name}`")).into());
    }
    // A key of the journal, or of an operator, may be spelled as the row is.
    let key = &*database.canonical_key(definition, key).await?;
    let entry = Entry { migration: name, epoch: state.epoch, key };
    let mut reason = None;
    // A constraint that is checked at the commit refuses there; the second round then only marks.
    loop {
        let mut session = enter(database, state, Some(key)).await?;
        if let Some(dirty) = dirty
            && !journal::is_marked(&mut session, name, dirty).await.doing(DOING)?
        {
            session.rollback().await;
            return Ok(Cleaned::Gone);
        }
        let marks_only = reason.is_some();
        let shape = database.shape(&mut session, definition).await?;
        if !marks_only && dirty.is_none() {
            reason = owned_by_children(&mut session, &shape, key).await?;
        }
        if !marks_only && reason.is_none() {
            // The upsert locks the Legacy row first and the New row after it, as writers do.
            let statements = shape.make_equal(key);
            reason = undoable(&mut session, &shape, statements).await?.err();
        }
        match &reason {
            Some(reason) => {
                if state.stage == Stage::DualWrite {
                    delete_stale(&mut session, &shape, key).await?;
                }
                mark(database, &mut session, entry, reason).await?;
            }
            None => release(database, &mut session, entry).await?,
        }
        if let Some(dirty) = dirty {
            journal::acknowledge(&mut session, name, dirty).await.doing(DOING)?;
        }
        match session.commit().await {
            Ok(()) => {
                return Ok(match reason {
                    Some(reason) => Cleaned::Quarantined { reason },
                    None => Cleaned::Equal,
                });
            }
            Err(error) => match refusal(&error) {
                Some(refused) if !marks_only && reason.is_none() => reason = Some(refused),
                _ => return Err(store_error(DOING, error).into()),
            },
        }
    }
}

/// Why New's row of a key that Legacy lacks is not deleted: tables with rows of their own would lose
/// some along with it. A key of the journal was deleted on Legacy by a writer, whose delete on New
/// would have acted on the children too.
async fn owned_by_children(
    session: &mut Session,
    shape: &Shape,
    key: &Key,
) -> Result<Option<String>, StoreError> {
    session.execute("savepoint crossfade_orphan", args![]).await.doing(DOING)?;
    let orphan = shape.orphan(key);
    let found = session.fetch_one(&orphan.text, orphan.args).await;
    let end = match &found {
        Ok(_) => "release savepoint crossfade_orphan",
        // The mapping fails on the row, which the repair itself finds next.
        Err(error) if refusal(error).is_some() => "rollback to savepoint crossfade_orphan",
        Err(_) => return found.map(|_| None).doing(DOING),
    };
    session.execute(end, args![]).await.doing(DOING)?;
    if !found.is_ok_and(|row| row.is_some()) {
        return Ok(None);
    }
    let (new, engine) = (&shape.new, shape.engine);
    let children =
        children::with_rows(session, engine, &new.qualified, &new.bare).await.doing(DOING)?;
    Ok((!children.is_empty()).then(|| {
        format!(
            "the row is on New alone, and its delete would act on rows of {} by a foreign key",
            children.join(", ")
        )
    }))
}

/// Takes the key out of quarantine and, where it was in, tells every instance.
async fn release(
    database: &Database,
    session: &mut Session,
    entry: Entry<'_>,
) -> Result<(), StoreError> {
    let sql = "delete from crossfade_quarantine \
               where migration = $1 and crossfade_quarantine.key = $2";
    let args = args![entry.migration.as_str(), entry.key.text().as_ref()];
    let released = session.execute(sql, args).await.doing(DOING)?;
    if released > 0 {
        announce(database.engine(), session).await?;
    }
    Ok(())
}
