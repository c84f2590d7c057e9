//! Segments: ranges of Legacy keys that workers hold for the length of a lease.

use std::time::Duration;

use crossfade_core::{
    BatchFacts, BatchPermit, Key, MigrationState, RunId, RunState, Stage, batch_permit,
};
use crossfade_store::{Batch, BatchRequest, Run, Segment, StoreError};

use super::runs::{lock, look, run_state};
use super::{invalid, millis, stored_key, stored_keys};
use crate::error::Doing;
use crate::mechanism::Mechanism;
use crate::session::Session;
use crate::shape::Rows;
use crate::value::args;
use crate::{Database, Engine};

pub(super) async fn claim(
    database: &Database,
    state: &MigrationState,
    run: &Run,
    worker: &str,
    rows: u32,
    lease: Duration,
) -> Result<Option<Segment>, StoreError> {
    let doing = "failed to claim a segment";
    let mut session = database.begin_pinned(&state.definition.pinned).await.doing(doing)?;
    // The run's row orders those who claim.
    let locked = match database.keeps(Mechanism::RunLock) {
        true => lock(&mut session, database.engine(), run.id).await?,
        false => look(&mut session, run.id).await?,
    };
    let Some(locked) = locked.filter(|run| run.state == RunState::Running) else {
        session.rollback().await;
        return Ok(None);
    };
    if let Some(segment) =
        reclaim(&mut session, database.engine(), state, run, worker, lease).await?
    {
        session.commit_or(doing).await?;
        return Ok(Some(segment));
    }
    let Some(upper) = locked.upper.clone().filter(|_| !locked.is_cut()) else {
        session.rollback().await;
        return Ok(None);
    };
    let upper = stored_key(state, &upper)?;
    let cursor = stored_keys(state, locked.frontier)?;
    let shape = database.shape(&mut session, &state.definition).await?;
    let range = Rows::Between { after: cursor.as_ref(), upto: Some(&upper) };
    let boundary = shape.boundary(range, rows);
    let boundary = session.fetch_one(&boundary.text, boundary.args).await.doing(doing)?;
    let boundary = boundary.and_then(|row| shape.legacy.key_of(&row, 0));
    let end = boundary.unwrap_or(upper);
    let number =
        insert(&mut session, database.engine(), run.id, cursor.as_ref(), &end, worker, lease);
    let number = number.await.doing(doing)?;
    session
        .execute(
            "update crossfade_runs set frontier = $1 where id = $2",
            args![end.text().as_ref(), run.id.get()],
        )
        .await
        .doing(doing)?;
    session.commit_or(doing).await?;
    Ok(Some(Segment { number, cursor, upper: end }))
}

/// An unfinished segment that nobody holds.
async fn reclaim(
    session: &mut Session,
    engine: Engine,
    state: &MigrationState,
    run: &Run,
    worker: &str,
    lease: Duration,
) -> Result<Option<Segment>, StoreError> {
    let doing = "failed to take a segment over";
    let now = engine.now_ms();
    let columns = "number, cursor_key, upper_key";
    let free = format!(
        "from crossfade_segments \
         where run_id = $1 and done = 0 and (worker is null or lease_ms < {now})"
    );
    let sql = format!("select {columns} {free} order by number limit 1");
    // MariaDB locks every row that it looks at, and so would wait for the batches of all others:
    // the row is found first, and looked at once more under its lock.
    #[cfg(feature = "mysql")]
    let sql = if engine == Engine::Mysql {
        let found = session.fetch_one(&sql, args![run.id.get()]).await.doing(doing)?;
        let Some(found) = found else { return Ok(None) };
        format!("select {columns} {free} and number = {}", found.int(0))
    } else {
        sql
    };
    let sql = format!("{sql}{}", engine.for_update());
    let row = session.fetch_one(&sql, args![run.id.get()]).await.doing(doing)?;
    let Some(row) = row else { return Ok(None) };
    let number = row.int(0);
    let sql = format!(
        "update crossfade_segments set worker = $1, lease_ms = {now} + $2 \
         where run_id = $3 and number = $4"
    );
    let args = args![worker, millis(lease), run.id.get(), number];
    session.execute(&sql, args).await.doing(doing)?;
    Ok(Some(Segment {
        number,
        cursor: stored_keys(state, row.opt_text(1))?,
        upper: stored_key(state, &row.text(2))?,
    }))
}

async fn insert(
    session: &mut Session,
    engine: Engine,
    run: RunId,
    cursor: Option<&Key>,
    upper: &Key,
    worker: &str,
    lease: Duration,
) -> Result<i64, sqlx::Error> {
    let sql = "select coalesce(max(number), 0) + 1 from crossfade_segments where run_id = $1";
    let number = session.fetch_one(sql, args![run.get()]).await?.map_or(1, |row| row.int(0));
    let sql = format!(
        "insert into crossfade_segments (run_id, number, cursor_key, upper_key, worker, lease_ms) \
         values ($1, $2, $3, $4, $5, {} + $6)",
        engine.now_ms()
    );
    let cursor = cursor.map(|key| key.text().into_owned());
    let args = args![run.get(), number, cursor, upper.text().as_ref(), worker, millis(lease)];
    session.execute(&sql, args).await?;
    Ok(number)
}

pub(super) async fn release(
    database: &Database,
    run: RunId,
    worker: &str,
) -> Result<(), StoreError> {
    let doing = "failed to release segments";
    let mut session = database.begin().await.doing(doing)?;
    let sql = "update crossfade_segments set worker = null, lease_ms = 0 \
               where run_id = $1 and worker = $2 and done = 0";
    session.execute(sql, args![run.get(), worker]).await.doing(doing)?;
    session.commit_or(doing).await
}

/// Locks the worker's segment and looks whether it may go on; otherwise what the batch came to.
///
/// The run is read after the lock is held and is not locked itself: a stage change that voids it
/// closes the epoch afterwards, and that waits for this transaction.
pub(super) async fn hold(
    session: &mut Session,
    database: &Database,
    request: &BatchRequest<'_>,
) -> Result<Option<Batch>, StoreError> {
    let doing = "failed to lock a segment";
    let sql = format!(
        "select worker, cursor_key, done from crossfade_segments \
         where run_id = $1 and number = $2{}",
        database.engine().for_update()
    );
    let args = args![request.run.get(), request.segment.number];
    let segment = session.fetch_one(&sql, args).await.doing(doing)?;
    let sql = "select state from crossfade_runs where id = $1";
    let run = session.fetch_one(sql, args![request.run.get()]).await.doing(doing)?;
    let mut run = run.map(|row| run_state(&row.text(0))).transpose()?;
    if !database.keeps(Mechanism::RunCheck) {
        run = Some(RunState::Running);
    }
    let cursor = request.segment.cursor.as_ref().map(|key| key.text().into_owned());
    let held = segment.is_some_and(|row| {
        row.opt_text(0).as_deref() == Some(request.worker)
            && row.opt_text(1) == cursor
            && row.int(2) == 0
    });
    let segment_held = held || !database.keeps(Mechanism::SegmentCheck);
    let mut stage = request.state.stage;
    if !database.keeps(Mechanism::BackfillStage) {
        stage = Stage::DualWrite;
    }
    match batch_permit(BatchFacts { stage, run, segment_held }) {
        BatchPermit::Write => Ok(None),
        BatchPermit::RunOver => Ok(Some(Batch::RunOver)),
        BatchPermit::SegmentLost => Ok(Some(Batch::LeaseLost)),
        BatchPermit::WrongStage => {
            let name = &request.state.definition.name;
            Err(invalid(format!("backfill does not write in stage {stage}, and `{name}` is in it")))
        }
    }
}

/// What a batch adds to its segment.
#[derive(Clone, Copy, Debug)]
pub(super) struct Step<'a> {
    pub(super) cursor: &'a Key,
    pub(super) read: u64,
    pub(super) inserted: u64,
    pub(super) done: bool,
}

/// Saves cursor and counters and renews the lease.
pub(super) async fn save(
    session: &mut Session,
    engine: Engine,
    request: &BatchRequest<'_>,
    step: Step<'_>,
) -> Result<(), StoreError> {
    let sql = format!(
        "update crossfade_segments set cursor_key = $1, read_rows = read_rows + $2, \
         inserted_rows = inserted_rows + $3, done = $4, lease_ms = {} + $5 \
         where run_id = $6 and number = $7",
        engine.now_ms()
    );
    let args = args![
        step.cursor.text().as_ref(),
        step.read.cast_signed(),
        step.inserted.cast_signed(),
        i64::from(step.done),
        millis(request.lease),
        request.run.get(),
        request.segment.number,
    ];
    session.execute(&sql, args).await.doing("failed to save a segment's cursor")?;
    Ok(())
}
