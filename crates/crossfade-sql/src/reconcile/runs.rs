//! Backfill runs: opening, finishing, progress.

use crossfade_core::{
    Epoch, MigrationState, Opening, OpeningFacts, RunId, RunState, Stage, after_segments, opening,
};
use crossfade_store::{EnterError, Run, RunProgress, StoreError};

use super::{invalid, stored_keys};
use crate::error::Doing;
use crate::fence::announce;
use crate::mechanism::Mechanism;
use crate::session::Session;
use crate::value::{Row, args};
use crate::{Database, Engine};

/// The newest run that counts; there is at most one.
const COUNTING: &str = "\
select id, state, upper_key from crossfade_runs where migration = $1 and state <> 'void'";

pub(super) async fn open(database: &Database, state: &MigrationState) -> Result<Run, EnterError> {
    let doing = "failed to open a backfill run";
    let name = state.definition.name.as_str();
    let mut session = database.enter_epoch(&state.definition.name, state.epoch, None).await?;
    session.pin(database, &state.definition.pinned).await.doing(doing)?;
    // Stage changes lock this row too: none may void runs between the look at the epochs and the
    // insert, which would leave a run of a stage that was left.
    let lock = format!(
        "select name from crossfade_migrations where name = $1{}",
        database.engine().for_update()
    );
    session.fetch(&lock, args![name]).await.doing(doing)?;
    let epochs = "select epoch from crossfade_epochs \
                  where migration = $1 and closed_ms is null order by epoch";
    let open = session.fetch(epochs, args![name]).await.doing(doing)?;
    let open: Vec<i64> = open.iter().map(|row| row.int(0)).collect();
    let existing = session.fetch_one(COUNTING, args![name]).await.doing(doing)?;
    let facts = OpeningFacts {
        believed: state.epoch,
        stage: match database.keeps(Mechanism::BackfillStage) {
            true => state.stage,
            false => Stage::DualWrite,
        },
        newest: open.last().map_or(state.epoch, |epoch| Epoch::new(*epoch)),
        previous_open: open.len() > 1 && database.keeps(Mechanism::Barrier),
        run_exists: existing.is_some(),
    };
    match opening(facts) {
        Opening::Begin => {}
        Opening::Existing => {
            session.rollback().await;
            let row = existing.ok_or(EnterError::Closed)?;
            return Ok(run_of(state, &row)?);
        }
        Opening::Outdated => return Err(EnterError::Closed),
        Opening::PreviousOpen => {
            let error = invalid(format!("epoch {} of `{name}` is still open", open[0]));
            return Err(error.with_hint("backfill begins once its writers have left").into());
        }
        Opening::WrongStage => {
            return Err(invalid(format!(
                "a backfill run begins in stage dual_write, and `{name}` is in {}",
                state.stage
            ))
            .into());
        }
    }
    let shape = database.shape(&mut session, &state.definition).await?;
    let greatest = shape.greatest_key();
    let upper = session.fetch_one(&greatest.text, greatest.args).await.doing(doing)?;
    let upper = upper.and_then(|row| shape.legacy.key_of(&row, 0));
    let sql = format!(
        "insert into crossfade_runs (migration, epoch, state, upper_key, started_ms) \
         values ($1, $2, 'running', $3, {})",
        database.engine().now_ms()
    );
    let counts = "(migration) where state <> 'void'";
    let upper = upper.map(|key| key.text().into_owned());
    let args = args![name, state.epoch.get(), upper];
    session.insert_new(&sql, counts, args).await.doing(doing)?;
    // Of two that open at once one inserts; both read what it inserted.
    let row = session.fetch_one(COUNTING, args![name]).await.doing(doing)?;
    let row = row.ok_or_else(|| invalid(format!("the run of `{name}` was voided meanwhile")))?;
    let run = run_of(state, &row)?;
    session.commit_or(doing).await?;
    Ok(run)
}

pub(super) async fn finish(
    database: &Database,
    state: &MigrationState,
    run: &Run,
) -> Result<bool, StoreError> {
    let doing = "failed to finish a backfill run";
    let engine = database.engine();
    let mut session = database.begin().await.doing(doing)?;
    let Some(locked) = lock(&mut session, engine, run.id).await? else { return Ok(false) };
    let unfinished = "select count(*) from crossfade_segments where run_id = $1 and done = 0";
    let unfinished = session.fetch_one(unfinished, args![run.id.get()]).await.doing(doing)?;
    let unfinished = unfinished.map_or(0, |row| row.int(0).unsigned_abs());
    let after = if database.keeps(Mechanism::LastSegment) {
        after_segments(locked.state, locked.is_cut(), unfinished)
    } else {
        RunState::Done
    };
    if after == locked.state {
        session.rollback().await;
        return Ok(after == RunState::Done);
    }
    let sql = format!(
        "update crossfade_runs set state = 'done', finished_ms = {} where id = $1",
        engine.now_ms()
    );
    session.execute(&sql, args![run.id.get()]).await.doing(doing)?;
    announce(engine, &mut session).await?;
    session.commit_or(doing).await?;
    tracing::info!(migration = %state.definition.name, run = %run.id, "backfill is done");
    Ok(true)
}

pub(super) async fn progress(
    database: &Database,
    state: &MigrationState,
) -> Result<Option<RunProgress>, StoreError> {
    let doing = "failed to read a run's progress";
    let mut session = database.read_pinned(&state.definition.pinned).await.doing(doing)?;
    let progress = progress_on(database, &mut session, state).await;
    session.rollback().await;
    progress
}

async fn progress_on(
    database: &Database,
    session: &mut Session,
    state: &MigrationState,
) -> Result<Option<RunProgress>, StoreError> {
    let doing = "failed to read a run's progress";
    let sql = format!(
        "select r.id, r.state, r.upper_key, coalesce(r.finished_ms, {}) - r.started_ms, \
         cast(coalesce(sum(s.read_rows), 0) as {integer}), \
         cast(coalesce(sum(s.inserted_rows), 0) as {integer}) \
         from crossfade_runs r left join crossfade_segments s on s.run_id = r.id \
         where r.migration = $1 and r.state <> 'void' \
         group by r.id, r.state, r.upper_key, r.finished_ms, r.started_ms",
        database.engine().now_ms(),
        integer = database.engine().integer_type(),
    );
    let row = session.fetch_one(&sql, args![state.definition.name.as_str()]).await.doing(doing)?;
    let Some(row) = row else { return Ok(None) };
    let run = run_of(state, &row)?;
    Ok(Some(RunProgress {
        read: row.int(4).unsigned_abs(),
        inserted: row.int(5).unsigned_abs(),
        estimated_rows: match run.state {
            // A count would show up as a use of Legacy in the statistics that the gate to
            // `contracted` looks at, and a run that is done needs no estimate.
            RunState::Running if state.stage < Stage::Complete => {
                estimate(database, session, state).await
            }
            _ => None,
        },
        run,
        elapsed_ms: row.int(3).max(0),
    }))
}

/// Keys in quarantine that were put there since the run began.
pub(super) async fn refusals(
    database: &Database,
    state: &MigrationState,
    run: RunId,
) -> Result<u64, StoreError> {
    let doing = "failed to count the rows that New refuses";
    let mut session = database.session().await.doing(doing)?;
    let sql = "select count(*) from crossfade_quarantine q where q.migration = $1 and \
               q.marked_ms >= (select r.started_ms from crossfade_runs r where r.id = $2)";
    let args = args![state.definition.name.as_str(), run.get()];
    let row = session.fetch_one(sql, args).await.doing(doing)?;
    Ok(row.map_or(0, |row| row.int(0).unsigned_abs()))
}

/// See the port's `estimated_rows`.
pub(super) async fn estimated(
    database: &Database,
    state: &MigrationState,
) -> Result<Option<u64>, StoreError> {
    let doing = "failed to estimate Legacy's rows";
    let mut session = database.read_pinned(&state.definition.pinned).await.doing(doing)?;
    let rows = estimate(database, &mut session, state).await;
    session.rollback().await;
    Ok(rows)
}

/// The statistics of PostgreSQL and MariaDB; before there are any, and on MariaDB always, a count
/// where the table is below 32 MB. SQLite counts.
async fn estimate(
    database: &Database,
    session: &mut Session,
    state: &MigrationState,
) -> Option<u64> {
    // A migration past its end has no Legacy any more.
    let shape = database.shape(session, &state.definition).await.ok()?;
    let sql = match database.engine() {
        #[cfg(feature = "mysql")]
        Engine::Mysql => format!(
            "select cast(case when t.data_length < 33554432 then (select count(*) from {0}) \
             else t.table_rows end as signed) from information_schema.tables as t \
             where concat('`', replace(t.table_schema, '`', '``'), '`.`', \
             replace(t.table_name, '`', '``'), '`') = '{1}'",
            shape.legacy.qualified,
            shape.legacy.qualified.replace('\\', "\\\\").replace('\'', "''")
        ),
        #[cfg(feature = "postgres")]
        Engine::Postgres => format!(
            "select case when s.rows > 0 then s.rows \
             when s.bytes < 33554432 then (select count(*) from {0}) end \
             from (select sum(greatest(c.reltuples, 0))::bigint as rows, \
             sum(pg_relation_size(c.oid)) as bytes from pg_class c where c.oid in \
             (select relid from pg_partition_tree('{1}') union select '{1}'::regclass)) as s",
            shape.legacy.qualified,
            shape.legacy.qualified.replace('\'', "''")
        ),
        #[cfg(feature = "sqlite")]
        Engine::Sqlite => format!("select count(*) from {}", shape.legacy.qualified),
    };
    // A role that may not count, as under a policy, has no estimate.
    let row = session.fetch_one(&sql, args![]).await.ok()?;
    row.and_then(|row| row.opt_int(0)).map(i64::unsigned_abs)
}

/// A run under its row's lock.
pub(super) struct LockedRun {
    pub(super) state: RunState,
    pub(super) upper: Option<String>,
    pub(super) frontier: Option<String>,
}

impl LockedRun {
    /// Whether every key up to the upper bound belongs to a segment.
    pub(super) fn is_cut(&self) -> bool {
        self.upper.is_none() || self.frontier == self.upper
    }
}

pub(super) async fn lock(
    session: &mut Session,
    engine: Engine,
    run: RunId,
) -> Result<Option<LockedRun>, StoreError> {
    read(session, run, engine.for_update()).await
}

/// [`lock`] without a lock, which only a test asks for.
pub(super) async fn look(
    session: &mut Session,
    run: RunId,
) -> Result<Option<LockedRun>, StoreError> {
    read(session, run, "").await
}

async fn read(
    session: &mut Session,
    run: RunId,
    suffix: &str,
) -> Result<Option<LockedRun>, StoreError> {
    let doing = "failed to lock a backfill run";
    let sql =
        format!("select state, upper_key, frontier from crossfade_runs where id = $1{suffix}");
    let row = session.fetch_one(&sql, args![run.get()]).await.doing(doing)?;
    row.map(|row| {
        Ok(LockedRun {
            state: run_state(&row.text(0))?,
            upper: row.opt_text(1),
            frontier: row.opt_text(2),
        })
    })
    .transpose()
}

pub(super) fn run_state(name: &str) -> Result<RunState, StoreError> {
    RunState::from_name(name)
        .ok_or_else(|| invalid(format!("a run has the unknown state `{name}`")))
}

fn run_of(state: &MigrationState, row: &Row) -> Result<Run, StoreError> {
    Ok(Run {
        id: RunId::new(row.int(0)),
        state: run_state(&row.text(1))?,
        upper: stored_keys(state, row.opt_text(2))?,
    })
}
