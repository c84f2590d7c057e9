//! Comparing the sides chunk by chunk.

use std::collections::HashSet;
use std::sync::Arc;

use crossfade_core::{Key, MigrationState};
use crossfade_store::{
    Chunk, ChunkRequest, Difference, DifferenceKind, KeyRange, StoreError, ValuePair, Verification,
};

use super::compare::{DIFFERING, Entries, MISSING, ORPHANED};
use super::invalid;
use super::refusal::refusal;
use crate::Database;
use crate::error::{Doing, store_error};
use crate::fence::announce;
use crate::session::Session;
use crate::shape::{Rows, Shape};
use crate::value::{Row, args};

const DOING: &str = "failed to compare the sides";

/// See the port's `chunk_end`.
pub(super) async fn chunk_end(
    database: &Database,
    request: ChunkRequest<'_>,
) -> Result<Option<Key>, StoreError> {
    let definition = &request.state.definition;
    let mut session = database.read_pinned(&definition.pinned).await.doing(DOING)?;
    let shape = database.shape(&mut session, definition).await?;
    let end = end_of(&mut session, &shape, rows_of(request.range), request.rows).await;
    session.rollback().await;
    end
}

/// See the port's `verify_chunk`. Rows that the mapping fails on make a chunk smaller until it
/// holds one of them alone, which then counts as a difference.
pub(super) async fn chunk(
    database: &Database,
    request: ChunkRequest<'_>,
) -> Result<Chunk, StoreError> {
    let definition = &request.state.definition;
    let mut rows = request.rows.max(1);
    let mut part = None;
    loop {
        // A statement that failed ends a transaction of PostgreSQL's, so each attempt has its own.
        let mut session = database.read_pinned(&definition.pinned).await.doing(DOING)?;
        let shape = database.shape(&mut session, definition).await?;
        let (range, next) = within(request.range, part.as_ref());
        let error = match compare(&mut session, &shape, request, range).await? {
            Ok(found) => {
                session.rollback().await;
                return Ok(Chunk { next, ..found });
            }
            Err(error) => error,
        };
        session.rollback().await;
        if refusal(&error).is_none() {
            return Err(store_error(DOING, error));
        }
        let mut session = database.read_pinned(&definition.pinned).await.doing(DOING)?;
        if let (1, Some(key)) = (rows, &part) {
            let unmapped = unmapped(&mut session, &shape, range, key).await;
            session.rollback().await;
            return unmapped;
        }
        if let KeyRange::One(key) = request.range {
            let unmapped = unmapped(&mut session, &shape, range, key).await;
            session.rollback().await;
            return Ok(Chunk { next: None, ..unmapped? });
        }
        loop {
            rows = rows.div_ceil(4);
            part = end_of(&mut session, &shape, rows_of(request.range), rows).await?;
            if part.is_some() || rows == 1 {
                break;
            }
        }
        session.rollback().await;
        if part.is_none() {
            return Err(store_error(DOING, error));
        }
    }
}

fn rows_of(range: KeyRange<'_>) -> Rows<'_> {
    match range {
        KeyRange::One(key) => Rows::One(key),
        KeyRange::Between { after, upto } => Rows::Between { after, upto },
    }
}

/// The range up to the end of its part, and where the rest begins.
fn within<'a>(range: KeyRange<'a>, part: Option<&'a Key>) -> (Rows<'a>, Option<Key>) {
    match (range, part) {
        (KeyRange::Between { after, .. }, Some(end)) => {
            (Rows::Between { after, upto: Some(end) }, Some(end.clone()))
        }
        (range, _) => (rows_of(range), None),
    }
}

async fn end_of(
    session: &mut Session,
    shape: &Shape,
    range: Rows<'_>,
    rows: u32,
) -> Result<Option<Key>, StoreError> {
    let end = shape.chunk_end(range, rows);
    let end = session.fetch_one(&end.text, end.args).await.doing(DOING)?;
    Ok(end.and_then(|row| shape.new.key_of(&row, 0)))
}

/// Compares a range in the session's snapshot. The inner error is that of the comparison.
async fn compare(
    session: &mut Session,
    shape: &Shape,
    request: ChunkRequest<'_>,
    range: Rows<'_>,
) -> Result<Result<Chunk, sqlx::Error>, StoreError> {
    let name = &request.state.definition.name;
    let tally = shape.tally(name, range);
    let tally = session.fetch_one(&tally.text, tally.args).await.doing(DOING)?;
    let (on_new, entries) = tally.map_or((0, 0), |row| (row.int(0), row.int(1)));
    let entries = if entries > 0 { Entries::Some } else { Entries::None };
    let compare = shape.compare(name, range, entries);
    let found = match session.fetch(&compare.text, compare.args).await {
        Ok(found) => found,
        Err(error) => return Ok(Err(error)),
    };
    let names: Vec<Arc<str>> =
        shape.compared().map(|column| Arc::from(column.bare_name())).collect();
    let mut chunk = Chunk { compared: on_new.unsigned_abs(), ..Chunk::default() };
    for row in &found {
        let difference = difference(row, shape, &names)?;
        chunk.compared += u64::from(difference.kind == DifferenceKind::Missing);
        chunk.differences.push(difference);
    }
    if entries == Entries::Some {
        let held = shape.held_back(name, range);
        let held = session.fetch_one(&held.text, held.args).await.doing(DOING)?;
        chunk.compared += held.map_or(0, |row| row.int(0).unsigned_abs());
    }
    if matches!(range, Rows::Between { upto: None, .. })
        && let Some(null) = shape.null_key()
        && session.fetch_one(&null.text, null.args).await.doing(DOING)?.is_some()
    {
        return Err(no_key("New holds a row"));
    }
    let differing = |found: &&mut Difference| found.kind == DifferenceKind::Differing;
    for found in chunk.differences.iter_mut().filter(differing).take(request.values) {
        found.values = values(session, shape, found, &names).await?;
    }
    Ok(Ok(chunk))
}

fn difference(row: &Row, shape: &Shape, names: &[Arc<str>]) -> Result<Difference, StoreError> {
    let kind = match row.int(0) {
        DIFFERING => DifferenceKind::Differing,
        MISSING => DifferenceKind::Missing,
        ORPHANED => DifferenceKind::Orphaned,
        _ => return Err(invalid("a comparison has an unknown outcome".to_owned())),
    };
    let key = shape.new.key_of(row, 1).ok_or_else(|| no_key("the mapping yields a row"))?;
    let digits = row.text(1 + shape.new.key.len());
    let differing = names.iter().zip(digits.chars()).filter(|(_, digit)| *digit == '1');
    let columns = differing.map(|(name, _)| Arc::clone(name)).collect();
    Ok(Difference { key, kind, columns, values: Vec::new() })
}

fn no_key(what: &str) -> StoreError {
    invalid(format!("{what} whose key is NULL, which cannot be compared"))
        .with_hint("make the key columns NOT NULL, and leave such rows out of the mapping")
}

/// The values of the columns that differ.
async fn values(
    session: &mut Session,
    shape: &Shape,
    found: &Difference,
    names: &[Arc<str>],
) -> Result<Vec<ValuePair>, StoreError> {
    let sql = shape.compared_values(&found.key);
    let Some(row) = session.fetch_one(&sql.text, sql.args).await.doing(DOING)? else {
        return Ok(Vec::new());
    };
    let all = names.iter().enumerate().filter(|(_, name)| found.columns.contains(name));
    Ok(all
        .map(|(index, _)| ValuePair {
            mapped: row.opt_text(2 * index),
            new: row.opt_text(2 * index + 1),
        })
        .collect())
}

/// A chunk whose last key is the one Legacy row that the mapping fails on.
async fn unmapped(
    session: &mut Session,
    shape: &Shape,
    range: Rows<'_>,
    failing: &Key,
) -> Result<Chunk, StoreError> {
    let sql = shape.new_keys(range);
    let rows = session.fetch(&sql.text, sql.args).await.doing(DOING)?;
    let on_new: HashSet<Key> = rows.iter().filter_map(|row| shape.new.key_of(row, 0)).collect();
    let found = |key: Key, kind| Difference { key, kind, columns: Vec::new(), values: Vec::new() };
    let kind = match on_new.contains(failing) {
        true => DifferenceKind::Differing,
        false => DifferenceKind::Missing,
    };
    let mut differences = vec![found(failing.clone(), kind)];
    let orphaned = on_new.into_iter().filter(|key| key != failing);
    differences.extend(orphaned.map(|key| found(key, DifferenceKind::Orphaned)));
    let compared = differences.len() as u64;
    Ok(Chunk { next: Some(failing.clone()), compared, differences })
}

pub(super) async fn record(
    database: &Database,
    state: &MigrationState,
    verification: Verification,
) -> Result<(), StoreError> {
    let doing = "failed to record a verification";
    let engine = database.engine();
    let mut session = database.begin().await.doing(doing)?;
    let sql = format!(
        "insert into crossfade_verifications \
         (migration, run_id, epoch, started_ms, finished_ms, compared, differences, repaired, \
          bypassed, capture) \
         values ($1, $2, $3, $4, {}, $5, $6, $7, $8, $9)",
        engine.now_ms()
    );
    let args = args![
        state.definition.name.as_str(),
        verification.run.map(|run| run.get()),
        verification.epoch.get(),
        verification.started_ms,
        verification.compared.cast_signed(),
        verification.differences.cast_signed(),
        verification.repaired.cast_signed(),
        verification.witness.bypassed.cast_signed(),
        verification.witness.capture,
    ];
    session.execute(&sql, args).await.doing(doing)?;
    announce(engine, &mut session).await?;
    session.commit_or(doing).await
}
