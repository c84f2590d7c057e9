//! Comparing the sides chunk by chunk.

use std::collections::HashSet;

use crossfade_core::{Key, MigrationState};
use crossfade_store::{Chunk, StoreError, Verification};

use super::compare::{DIFFERING, MISSING, ORPHANED};
use super::refusal::refusal;
use crate::Database;
use crate::error::{Doing, store_error};
use crate::fence::announce;
use crate::session::Session;
use crate::shape::{Rows, Shape};
use crate::value::{Row, args};

const DOING: &str = "failed to compare the sides";

/// The chunk after `after`. It ends before `rows` keys of either side are exceeded; the last one
/// has no end, so that it sees the keys on New behind the last of Legacy.
///
/// Rows that the mapping fails on make a chunk smaller until it holds one of them alone, which
/// then counts as a difference.
pub(super) async fn chunk(
    database: &Database,
    state: &MigrationState,
    after: Option<&Key>,
    rows: u32,
) -> Result<Chunk, StoreError> {
    let pinned = &state.definition.pinned;
    let mut rows = rows.max(1);
    loop {
        // A statement that failed ends a transaction of PostgreSQL's, so each try has its own.
        let mut session = database.read_pinned(pinned).await.doing(DOING)?;
        let shape = database.shape(&mut session, &state.definition).await?;
        let end = shape.chunk_end(Rows::Between { after, upto: None }, rows);
        let end = session.fetch_one(&end.text, end.args).await.doing(DOING)?;
        let end = end.and_then(|row| shape.new.key_of(&row, 0));
        let range = Rows::Between { after, upto: end.as_ref() };
        let compare = shape.compare(&state.definition.name, range);
        let compared = session.fetch(&compare.text, compare.args).await;
        session.rollback().await;
        match (compared, &end) {
            (Ok(found), _) => return Ok(chunk_of(&found, &shape, end)),
            (Err(error), _) if refusal(&error).is_none() => return Err(store_error(DOING, error)),
            (Err(_), Some(key)) if rows == 1 => {
                let mut session = database.read_pinned(pinned).await.doing(DOING)?;
                let chunk = unmapped(&mut session, &shape, range, key).await;
                session.rollback().await;
                return chunk;
            }
            // One row left and no end: a smaller chunk finds one.
            (Err(error), None) if rows == 1 => return Err(store_error(DOING, error)),
            (Err(_), _) => rows = rows.div_ceil(4),
        }
    }
}

fn chunk_of(found: &[Row], shape: &Shape, next: Option<Key>) -> Chunk {
    let mut chunk = Chunk { next, ..Chunk::default() };
    for row in found {
        chunk.compared = row.int(0).unsigned_abs();
        let Some(key) = shape.new.key_of(row, 2) else { continue };
        match row.int(1) {
            DIFFERING => chunk.differing.push(key),
            MISSING => chunk.missing.push(key),
            ORPHANED => chunk.orphaned.push(key),
            _ => {}
        }
    }
    chunk
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
    let mut chunk = Chunk { next: Some(failing.clone()), ..Chunk::default() };
    if on_new.contains(failing) {
        chunk.differing.push(failing.clone());
    } else {
        chunk.missing.push(failing.clone());
    }
    chunk.orphaned = on_new.into_iter().filter(|key| key != failing).collect();
    chunk.compared = 1 + chunk.orphaned.len() as u64;
    Ok(chunk)
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
         (migration, run_id, epoch, started_ms, finished_ms, compared, differences, repaired) \
         values ($1, $2, $3, $4, {}, $5, $6, $7)",
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
    ];
    session.execute(&sql, args).await.doing(doing)?;
    announce(engine, &mut session).await?;
    session.commit_or(doing).await
}
