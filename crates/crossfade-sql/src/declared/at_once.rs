//! Fence, Legacy and New as one statement of PostgreSQL's.
//!
//! Data-modifying common table expressions run when they are read, and those that nobody reads run
//! last. So the fence stands in the row that the outer query is made of, in front of a count of
//! Legacy's rows, and New's are counted once that row is there. The fence fails rather than answers
//! no, since what is not read by then would still be run.

use std::sync::{Arc, OnceLock};

use crossfade_core::{AtOnce, Side, epoch_lock_id, key_lock_id};
use crossfade_store::{AtOnceError, Entry, Travels};
use sqlx::{Arguments, Error, Row};

use super::Bound;
use super::fit::name;
use super::plan::Judged;
use super::text::Text;
use crate::Database;
use crate::error::{code, store_error, words_in_chain};
use crate::fence::CLOSED;
use crate::mechanism::Mechanism;
use crate::session::Failed;

/// The statements that do without a transaction, or why there are none.
#[derive(Debug)]
pub(super) struct AtOnceTexts {
    legacy: Result<Arc<str>, String>,
    new: Result<Arc<str>, String>,
    both: Result<Arc<str>, String>,
    /// What PostgreSQL had against one of them when it was to be carried out.
    given_up: OnceLock<String>,
}

impl AtOnceTexts {
    /// `judged` is `None` for a side that could not be looked at.
    pub(super) fn new(
        fence: &str,
        [legacy, new]: [&Text; 2],
        values: usize,
        judged: &[Option<Judged>],
    ) -> Self {
        let entered = entered(fence, values);
        let alone = |text: &Text| {
            Arc::from(format!(
                "with crossfade_side as (\n{}\nreturning 1) \
                 select case when {entered} then (select count(*) from crossfade_side) end",
                text.sql
            ))
        };
        let both = || {
            Arc::from(format!(
                "with crossfade_legacy as (\n{}\nreturning 1), \
                 crossfade_new as (\n{}\nreturning 1) \
                 select l.rows, case when l.rows is null then null \
                 else (select count(*) from crossfade_new) end \
                 from (select case when {entered} \
                 then (select count(*) from crossfade_legacy) end as rows offset 0) as l",
                legacy.sql, new.sql
            ))
        };
        let by = |side: Side| {
            let judged = match (side, judged) {
                (Side::Legacy, [legacy, _]) => legacy.as_ref(),
                (Side::New, [_, new]) => new.as_ref(),
                _ => None,
            };
            judged.ok_or_else(|| "it was not looked at".to_owned())
        };
        let because = |side: Side, reason: String| format!("{}'s statement: {reason}", name(side));
        let travels = |side: Side| by(side).and_then(|judged| judged.alone.clone());
        let shares = |side: Side| {
            let shares = || travels(side).and_then(|()| by(side)?.shares.clone());
            shares().map_err(|reason| because(side, reason))
        };
        Self {
            legacy: travels(Side::Legacy).map(|()| alone(legacy)),
            new: travels(Side::New).map(|()| alone(new)),
            both: shares(Side::Legacy).and_then(|()| shares(Side::New)).map(|()| both()),
            given_up: OnceLock::new(),
        }
    }

    pub(super) fn travels(&self) -> Travels {
        match (self.given_up.get(), &self.both) {
            (Some(because), _) | (None, Err(because)) => {
                Travels::Transaction { because: because.clone() }
            }
            (None, Ok(_)) => Travels::OneStatement,
        }
    }

    fn text(&self, sides: AtOnce) -> Option<&Arc<str>> {
        let text = match sides {
            AtOnce::Legacy => &self.legacy,
            AtOnce::New => &self.new,
            AtOnce::Both => &self.both,
        };
        text.as_ref().ok().filter(|_| self.given_up.get().is_none())
    }
}

/// A condition that is true once the statement is inside the epoch and has its key's lock, and that
/// fails otherwise. Epoch, epoch's lock and key's lock are the parameters behind the pair's own.
///
/// It is `crossfade_enter` in place, in that function's order, since an expression costs a fraction
/// of a call. Whatever is not plainly good goes to the function: another isolation, an epoch that is
/// closed or being closed, and a value far above every epoch, by which a capture asks for the
/// fence's name. The function looks at all of it again, and may, since one transaction can have a
/// lock twice. A `case` looks at its conditions in their order.
fn entered(fence: &str, values: usize) -> String {
    let [epoch, epoch_lock, key_lock] =
        [1, 2, 3].map(|after| format!("${}::bigint", values + after));
    // Without a key there is no lock to take, and the strict function takes none.
    format!(
        "case when case \
             when current_setting('transaction_isolation') <> 'read committed' then null \
             when not pg_try_advisory_xact_lock_shared({epoch_lock}) then null \
             else abs(2 * {epoch} - pg_sequence_last_value({fence})) \
         end <= 1 \
         then pg_advisory_xact_lock({key_lock}) is not null or {key_lock} is null \
         else crossfade_enter({fence}, {epoch}, {epoch_lock}, {key_lock}, null) is not null end"
    )
}

pub(super) async fn run(
    database: &Database,
    bound: &Bound<'_>,
    entry: Entry<'_>,
    sides: AtOnce,
    answer: Side,
) -> Result<u64, AtOnceError> {
    let texts = &bound.declared.0.at_once;
    let text = texts.text(sides).ok_or(AtOnceError::NeedsTransaction)?;
    // Where another isolation is the default, a transaction has to name the fence's.
    if database.names_isolation()
        || !(database.keeps(Mechanism::FenceCheck) && database.keeps(Mechanism::FreshCheck))
    {
        return Err(AtOnceError::NeedsTransaction);
    }
    let doing = "failed to write in one statement";
    let mut tries = 0;
    loop {
        tries += 1;
        let Entry { migration, epoch, key } = entry;
        let namespace = &database.inner.namespace;
        let key_lock = key_lock_id(namespace, migration, key);
        let key_lock = database.keeps(Mechanism::KeyLock).then_some(key_lock);
        // A value that cannot be encoded fails in a transaction as one of a side's.
        let mut args = bound.postgres().map_err(|_| AtOnceError::NeedsTransaction)?;
        let added = args
            .add(epoch.get())
            .and_then(|()| args.add(epoch_lock_id(namespace, migration, epoch)))
            .and_then(|()| args.add(key_lock));
        added.map_err(|error| store_error(doing, Error::Encode(error)))?;
        let session =
            database.untested_session().await.map_err(|error| store_error(doing, error))?;
        match session.autocommit(Arc::clone(text), args).await {
            Ok(row) => {
                let column = usize::from(sides == AtOnce::Both && answer == Side::New);
                let rows = row.try_get::<Option<i64>, _>(column).ok().flatten();
                return Ok(rows.unwrap_or_default().unsigned_abs());
            }
            Err(Failed::Unknown(error)) => {
                return Err(AtOnceError::Unknown(store_error(doing, error)));
            }
            // Nothing was done, so a connection that the server ended in the pool costs a try.
            Err(Failed::Ended(error)) if tries > database.inner.pool.most_connections() => {
                return Err(AtOnceError::Store(store_error(doing, error)));
            }
            Err(Failed::Ended(_)) => {}
            Err(Failed::Refused(error)) => {
                let code = code(&error).unwrap_or_default();
                if code == CLOSED {
                    return Err(AtOnceError::Closed);
                }
                // Syntax, types and features: what one statement cannot be made of.
                if code.starts_with("42") || code.starts_with("0A") {
                    let because = format!("PostgreSQL refuses it: {}", words_in_chain(&error));
                    tracing::warn!(
                        migration = %entry.migration, because,
                        "a declared pair of statements does not travel as one; using transactions"
                    );
                    let _ = texts.given_up.set(because);
                }
                return Err(AtOnceError::NeedsTransaction);
            }
        }
    }
}
