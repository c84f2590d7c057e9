//! Backfill: inserting on New what Legacy already holds.

mod job;

use std::time::Duration;

use crossfade_core::{MaxRefusals, MigrationName, MigrationState, RunId, RunState, Stage};
use crossfade_store::{ControlStore, EnterError, ReconcileStore, Run, StoreError};
use tokio::time::Instant;

use crate::Cancel;
pub(crate) use job::Job;

/// How often a closed epoch is looked up again before it counts as left.
pub(crate) const REENTRIES: u32 = 20;

/// Pause between two of those looks.
pub(crate) const REENTRY_PAUSE: Duration = Duration::from_millis(100);

/// How a backfill works.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BackfillSettings {
    /// Fixed number of rows in a batch. Default: `None`, which starts at 1000 and aims at 100 ms.
    pub batch_size: Option<u32>,
    /// Fixed pause after a batch. Default: `None`, which is max(20 ms, half the batch's time).
    pub delay: Option<Duration>,
    /// Workers of this process; 0 counts as 1. Other processes may work on the same run beside
    /// it. Default: 1.
    pub workers: u32,
    /// How long a worker that died keeps its segment from the others. Default: 15 s.
    pub lease: Duration,
    /// How many rows New may refuse before the backfill stops; `None` never stops. All workers and
    /// processes of a run count together, and so do the refused rows of writers since it began. A
    /// row that was mended no longer counts. Default: 1 % of Legacy's rows, at least 50 and at most
    /// 1,000.
    pub max_refusals: Option<MaxRefusals>,
}

impl Default for BackfillSettings {
    fn default() -> Self {
        Self {
            batch_size: None,
            delay: None,
            workers: 1,
            lease: Duration::from_secs(15),
            max_refusals: Some(MaxRefusals::Default),
        }
    }
}

/// How far a backfill is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct BackfillProgress {
    /// Legacy rows looked at by the whole run, earlier processes included.
    pub read: u64,
    /// New rows inserted by the whole run.
    pub inserted: u64,
    /// Keys put into quarantine by this process.
    pub quarantined: u64,
    /// The database's estimate of Legacy's rows; `None` when it has none.
    pub estimated_rows: Option<u64>,
}

/// What the caller of a backfill hears and says.
#[derive(Clone)]
pub struct BackfillHooks<'a> {
    /// Called after each batch.
    pub progress: &'a (dyn Fn(BackfillProgress) + Send + Sync),
    /// Stops the work after the current batch.
    pub cancel: Cancel,
}

impl std::fmt::Debug for BackfillHooks<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("BackfillHooks").field("cancel", &self.cancel).finish_non_exhaustive()
    }
}

/// How a backfill ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BackfillOutcome {
    /// Every source row was handled.
    Done,
    /// The run was done before; nothing was left to do.
    AlreadyDone,
    /// It was cancelled. The next backfill goes on where this one stopped.
    Interrupted,
}

/// What a backfill did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BackfillReport {
    /// The run.
    pub run: RunId,
    /// How it ended.
    pub outcome: BackfillOutcome,
    /// Legacy rows looked at by this process.
    pub read: u64,
    /// New rows inserted by this process.
    pub inserted: u64,
    /// Keys put into quarantine by this process.
    pub quarantined: u64,
    /// How long this process worked.
    pub elapsed: Duration,
}

/// Why a backfill did not run, or not to its end. Batches that were written stay.
#[derive(Debug, thiserror::Error)]
pub enum BackfillError {
    /// Backfill belongs to `dual_write`.
    #[error("backfill runs in `dual_write`, but {migration} is in `{stage}`")]
    WrongStage {
        /// The migration.
        migration: MigrationName,
        /// Its stage.
        stage: Stage,
    },
    /// A writer of the stage before might still be at work.
    #[error("the epoch before `{stage}` is still open")]
    EpochOpen {
        /// The migration.
        migration: MigrationName,
        /// Its stage.
        stage: Stage,
    },
    /// The stage was changed while rows were being moved.
    #[error("the stage was changed to `{stage}` in the middle of the backfill")]
    StageLeft {
        /// The stage it was changed to.
        stage: Stage,
    },
    /// The run no longer counts.
    #[error("backfill run {run} is void: its stage was left")]
    RunVoid {
        /// The run.
        run: RunId,
    },
    /// New or the mapping refuses so many rows that something other than the rows may be wrong.
    #[error("backfill stopped: {refused} keys are in quarantine, and its limit is {limit}")]
    TooManyRefused {
        /// The migration.
        migration: MigrationName,
        /// Keys in quarantine that were put there since the run began.
        refused: u64,
        /// The limit that was reached.
        limit: u64,
    },
    /// New refuses a single row, and the row could not be put into quarantine.
    #[error("New refuses a row that could not be put into quarantine: {reason}")]
    Stuck {
        /// What the database said.
        reason: String,
    },
    /// The database failed, or the migration is unknown.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl BackfillError {
    /// What to do about it, where something can be said.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::WrongStage { migration, stage } if *stage < Stage::DualWrite => Some(format!(
                "`crossfade stage {migration} {}` is the next step towards it",
                stage.next().unwrap_or(Stage::DualWrite)
            )),
            Self::WrongStage { .. } => Some("from `live` on nothing is left to backfill".into()),
            Self::EpochOpen { migration, stage } => {
                Some(format!("`crossfade stage {migration} {stage}` closes it"))
            }
            Self::StageLeft { .. } | Self::RunVoid { .. } => {
                Some("once the stage is `dual_write` again, backfill begins anew".into())
            }
            Self::TooManyRefused { migration, .. } => Some(format!(
                "`crossfade quarantine {migration}` shows why; mend the rows, New or the mapping, \
                 run `crossfade quarantine {migration} retry`, then backfill again; or go on with \
                 `--max-refusals N` or `--max-refusals none`"
            )),
            Self::Stuck { .. } => None,
            Self::Store(error) => error.hint.clone(),
        }
    }
}

/// Moves every existing row: inserts on New what is absent, batch by batch, through the fence.
///
/// Several processes may call it at once; they share the run by leased key ranges. A run that is
/// done is left alone. Rows that New refuses are put into quarantine; the run stops when they are
/// too many.
///
/// # Errors
///
/// See [`BackfillError`].
///
/// # Cancel safety
///
/// Each batch saves its rows and its cursor together. Dropped midway, the next call goes on after
/// the last batch that was written, once the leases of the dropped workers have lapsed.
pub async fn backfill(
    store: &dyn ReconcileStore,
    control: &dyn ControlStore,
    migration: &MigrationName,
    settings: BackfillSettings,
    hooks: BackfillHooks<'_>,
) -> Result<BackfillReport, BackfillError> {
    let started = Instant::now();
    let (state, run) = open(store, control, migration).await?;
    let job = Job::new(store, control, settings, hooks, run);
    if job.run.state == RunState::Done {
        return Ok(job.report(BackfillOutcome::AlreadyDone, started.elapsed()));
    }
    job.count_earlier(&state).await?;
    job.refused(&state).await?;
    let ids: Vec<String> = (0..settings.workers.max(1))
        .map(|number| format!("{:016x}-{number}", rand::random::<u64>()))
        .collect();
    let outcome = job.drive(migration, &ids).await;
    for id in &ids {
        // A segment that is not given back is taken over when its lease lapses.
        if let Err(error) = store.release_segments(job.run.id, id).await {
            tracing::warn!(%error, worker = id, "segments were not given back");
        }
    }
    Ok(job.report(outcome?, started.elapsed()))
}

/// The run to work on, begun now where there is none.
async fn open(
    store: &dyn ReconcileStore,
    control: &dyn ControlStore,
    migration: &MigrationName,
) -> Result<(MigrationState, Run), BackfillError> {
    for _ in 0..REENTRIES {
        let state = control.migration(migration).await?;
        let stage = state.stage;
        if stage != Stage::DualWrite {
            return match store.run_progress(&state).await? {
                Some(progress) if stage > Stage::DualWrite && is_done(&progress.run) => {
                    Ok((state, progress.run))
                }
                _ => Err(BackfillError::WrongStage { migration: migration.clone(), stage }),
            };
        }
        if state.previous_open {
            return Err(BackfillError::EpochOpen { migration: migration.clone(), stage });
        }
        match store.open_run(&state).await {
            Ok(run) => return Ok((state, run)),
            Err(EnterError::Closed) => tokio::time::sleep(REENTRY_PAUSE).await,
            Err(EnterError::Store(error)) => return Err(error.into()),
        }
    }
    let stage = control.migration(migration).await?.stage;
    Err(BackfillError::EpochOpen { migration: migration.clone(), stage })
}

fn is_done(run: &Run) -> bool {
    run.state == RunState::Done
}
