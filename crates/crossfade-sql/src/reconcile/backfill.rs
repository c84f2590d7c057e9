//! One batch of backfill.

use std::sync::Arc;

use crossfade_core::Key;
use crossfade_store::{Batch, BatchRequest, EnterError, StoreError};

use super::enter;
use super::refusal::refusal;
use super::segments::{Step, hold, save};
use super::sift::sift;
use super::statements::Sql;
use crate::Database;
use crate::error::{Doing, store_error};
use crate::mechanism::Mechanism;
use crate::session::Session;
use crate::shape::{Rows, Shape};

const DOING: &str = "failed to backfill a batch";

pub(super) async fn batch(
    database: &Database,
    request: BatchRequest<'_>,
) -> Result<Batch, EnterError> {
    match attempt(database, &request).await? {
        Attempt::Settled(batch) => Ok(batch),
        Attempt::Refused => sift(database, &request).await,
    }
}

/// The rows that a batch is about.
#[derive(Clone, Debug)]
struct Found {
    /// How many.
    rows: u64,
    /// The last key of them.
    last: Key,
    /// Where the segment stands after them.
    cursor: Key,
    /// Whether that is its end.
    done: bool,
}

enum Attempt {
    Settled(Batch),
    Refused,
}

async fn attempt(database: &Database, request: &BatchRequest<'_>) -> Result<Attempt, EnterError> {
    let (mut session, shape) = match begin(database, request).await? {
        Begun::Open(session, shape) => (session, shape),
        Begun::Over(batch) => return Ok(Attempt::Settled(batch)),
    };
    let found = find(&mut session, &shape, request).await?;
    let mut inserted = 0;
    if !database.keeps(Mechanism::CursorWithRows) {
        let step = Step { cursor: &found.cursor, read: found.rows, inserted, done: found.done };
        save(&mut session, database.engine(), request, step).await?;
        session.commit_or(DOING).await?;
        session = database.begin_pinned(&request.state.definition.pinned).await.doing(DOING)?;
    }
    if found.rows > 0 {
        let rows = match found.rows {
            // Named by its key, so that what New says is about no other row.
            1 => Rows::One(&found.last),
            _ => {
                Rows::Between { after: request.segment.cursor.as_ref(), upto: Some(&found.cursor) }
            }
        };
        let mut insert = shape.insert_absent(rows);
        if !database.keeps(Mechanism::SourceLock) {
            insert.text = insert.text.replace(database.engine().for_share(), "");
        }
        match session.execute(&insert.text, insert.args).await {
            Ok(count) => inserted = count,
            Err(error) => {
                let Some(reason) = refusal(&error) else { return Err(failed(error)) };
                tracing::debug!(rows = found.rows, reason, "New refuses a row of a batch");
                session.rollback().await;
                return Ok(Attempt::Refused);
            }
        }
    }
    let step = Step { cursor: &found.cursor, read: found.rows, inserted, done: found.done };
    save(&mut session, database.engine(), request, step).await?;
    match session.commit().await {
        Ok(()) => Ok(Attempt::Settled(written(&found, inserted))),
        Err(error) if found.rows > 0 && refusal(&error).is_some() => Ok(Attempt::Refused),
        Err(error) => Err(failed(error)),
    }
}

/// Runs the statements and the checks that wait for the commit, and returns the number of rows of
/// the last; or leaves the transaction as it was and returns why a row was refused.
pub(super) async fn undoable(
    session: &mut Session,
    shape: &Shape,
    statements: Vec<Sql>,
) -> Result<Result<u64, String>, StoreError> {
    session.execute("savepoint crossfade_row", Vec::new()).await.doing(DOING)?;
    let mut rows = Ok(0);
    for statement in statements {
        rows = session.execute(&statement.text, statement.args).await;
        if rows.is_err() {
            break;
        }
    }
    if let (Ok(_), Some(check)) = (&rows, shape.check_constraints())
        && let Err(error) = session.execute(check, Vec::new()).await
    {
        rows = Err(error);
    }
    let end = match &rows {
        Ok(_) => "release savepoint crossfade_row",
        Err(error) if refusal(error).is_some() => "rollback to savepoint crossfade_row",
        Err(_) => return rows.doing(DOING).map(Ok),
    };
    session.execute(end, Vec::new()).await.doing(DOING)?;
    Ok(rows.map_err(|error| refusal(&error).unwrap_or_default()))
}

pub(super) enum Begun {
    Open(Session, Arc<Shape>),
    Over(Batch),
}

/// Begins inside the epoch, with the segment held; or says what the batch came to.
pub(super) async fn begin(
    database: &Database,
    request: &BatchRequest<'_>,
) -> Result<Begun, EnterError> {
    let definition = &request.state.definition;
    let mut session = enter(database, request.state, None).await?;
    let shape = database.shape(&mut session, definition).await?;
    if let Some(batch) = hold(&mut session, database, request).await? {
        session.rollback().await;
        return Ok(Begun::Over(batch));
    }
    Ok(Begun::Open(session, shape))
}

/// The rows that come next in the segment. One that has no more is done: the cursor moves to its
/// end, whatever was deleted in between.
async fn find(
    session: &mut Session,
    shape: &Shape,
    request: &BatchRequest<'_>,
) -> Result<Found, StoreError> {
    let segment = request.segment;
    let rows = request.rows.max(1);
    let range = Rows::Between { after: segment.cursor.as_ref(), upto: Some(&segment.upper) };
    let end = shape.batch_end(range, rows);
    let row = session.fetch_one(&end.text, end.args).await.doing(DOING)?;
    let last = row.as_ref().and_then(|row| shape.legacy.key_of(row, 1));
    let (Some(row), Some(last)) = (row, last) else {
        let end = segment.upper.clone();
        return Ok(Found { rows: 0, last: end.clone(), cursor: end, done: true });
    };
    let found = row.int(0).unsigned_abs();
    let done = found < u64::from(rows) || last == segment.upper;
    let cursor = if done { segment.upper.clone() } else { last.clone() };
    Ok(Found { rows: found, last, cursor, done })
}

fn written(found: &Found, inserted: u64) -> Batch {
    let cursor = found.cursor.clone();
    Batch::Written { read: found.rows, inserted, quarantined: 0, cursor, done: found.done }
}

pub(super) fn failed(error: sqlx::Error) -> EnterError {
    store_error(DOING, error).into()
}
