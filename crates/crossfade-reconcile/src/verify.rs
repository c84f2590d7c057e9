//! Verification: comparing both sides over the whole key range, and repairing what differs.

mod options;
mod report;

mod cut;
mod pass;
mod repairs;
mod saved;

use std::sync::Mutex;

use crossfade_core::{Key, MigrationName, MigrationState, RunId, Stage};
use crossfade_store::{
    ControlStore, Difference, PassProgress, StoreError, Verification, VerifyStore,
};
use tokio::time::Instant;

use crate::{Cancel, retry::retrying};
use cut::{Cut, stride};
pub use options::{Reach, Sample, Start, VerifyMode, VerifySettings};
use pass::{Pass, Totals};
pub use report::{Differences, Recorded, Resumed, Samples, VerifyReport};
use saved::{SaveWhen, Saved};

/// How far a verification is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct VerifyProgress {
    /// Keys compared.
    pub compared: u64,
    /// What was found so far.
    pub found: Differences,
    /// Keys repaired so far.
    pub repaired: u64,
    /// The database's estimate of Legacy's rows; `None` when it has none.
    pub estimated_rows: Option<u64>,
}

/// What the caller of a verification hears and says.
#[derive(Clone)]
pub struct VerifyHooks<'a> {
    /// Called after each chunk.
    pub progress: &'a (dyn Fn(VerifyProgress) + Send + Sync),
    /// Stops the work after the current chunk.
    pub cancel: Cancel,
}

impl std::fmt::Debug for VerifyHooks<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("VerifyHooks").field("cancel", &self.cancel).finish_non_exhaustive()
    }
}

/// Why a verification did not take place, or not to its end. Repairs that were made stay.
#[derive(Debug, thiserror::Error)]
pub enum VerifyError {
    /// The sides are not meant to be equal in this stage.
    #[error("the sides of {migration} are not meant to be equal in `{stage}`")]
    WrongStage {
        /// The migration.
        migration: MigrationName,
        /// Its stage.
        stage: Stage,
    },
    /// Legacy may not overwrite New in this stage.
    #[error("New is not repaired from Legacy in `{stage}`")]
    NoRepair {
        /// The stage.
        stage: Stage,
    },
    /// The stage was changed in between, so that the comparison says nothing.
    #[error("the stage was changed to `{stage}` in the middle of the verification")]
    StageLeft {
        /// The stage it was changed to.
        stage: Stage,
    },
    /// A key in quarantine is no key of this migration.
    #[error("`{text}` in quarantine is no key of {columns} columns")]
    BadKey {
        /// The text.
        text: String,
        /// Columns of a key.
        columns: usize,
    },
    /// The database has no estimate of Legacy's rows, by which a sample of so many is spread.
    #[error("the number of rows is unknown, so a sample of {rows} cannot be spread over them")]
    NoEstimate {
        /// The keys that were asked for.
        rows: u64,
    },
    /// The database failed, or the migration is unknown.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl VerifyError {
    /// What to do about it, where something can be said.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::WrongStage { stage, .. } if *stage > Stage::RampDown => {
                Some("writes go to New alone there, so Legacy is behind by design".into())
            }
            Self::WrongStage { .. } => Some("verify from `dual_write` to `ramp_down`".into()),
            Self::NoRepair { .. } => Some(
                "New is the base of changes there; `crossfade rollback` goes back to `live`, where \
                 it can be repaired"
                    .into(),
            ),
            Self::StageLeft { .. } => Some("verify again".into()),
            Self::NoEstimate { .. } => Some(
                "name a share, such as `--sample 1%`, or have the database analyze Legacy".into(),
            ),
            Self::BadKey { .. } => None,
            Self::Store(error) => error.hint.clone(),
        }
    }
}

/// Compares the mapped Legacy rows with New, chunk by chunk over the whole key range, and records
/// what it found unless it was cancelled.
///
/// # Errors
///
/// See [`VerifyError`].
///
/// # Cancel safety
///
/// Dropped midway, nothing is recorded. Each repair is a transaction of its own and stays.
pub async fn verify(
    store: &dyn VerifyStore,
    control: &dyn ControlStore,
    migration: &MigrationName,
    settings: VerifySettings,
    hooks: VerifyHooks<'_>,
) -> Result<VerifyReport, VerifyError> {
    verify_with(store, control, migration, settings, hooks, &|_| {}).await
}

/// [`verify`], and calls `on_difference` for each key that differs as soon as its chunk was compared.
///
/// # Errors
///
/// See [`VerifyError`].
///
/// # Cancel safety
///
/// Like [`verify`].
pub async fn verify_with(
    store: &dyn VerifyStore,
    control: &dyn ControlStore,
    migration: &MigrationName,
    settings: VerifySettings,
    hooks: VerifyHooks<'_>,
    on_difference: &(dyn Fn(&Difference) + Send + Sync),
) -> Result<VerifyReport, VerifyError> {
    let started = Instant::now();
    let state = control.migration(migration).await?;
    let stage = state.stage;
    if !stage.compares() {
        return Err(VerifyError::WrongStage { migration: migration.clone(), stage });
    }
    if settings.mode == VerifyMode::Repair && !stage.reconciles() {
        return Err(VerifyError::NoRepair { stage });
    }
    let mut witness = retrying(|| store.witness(&state)).await?;
    let started_ms = control.now_ms().await?;
    let progress = store.run_progress(&state).await?;
    let estimated_rows = progress.as_ref().and_then(|progress| progress.estimated_rows);
    let run = progress.map(|progress| progress.run.id);
    let epoch = state.epoch;
    let whole = settings.reach.is_whole();
    // A repair fails by itself where nothing can be written.
    let look = match settings.mode {
        VerifyMode::Compare if whole => retrying(|| store.only_looks(&state)).await?,
        _ => None,
    };
    let mut saved = None;
    let mut earlier = None;
    if whole && settings.mode == VerifyMode::Compare && look.is_none() {
        earlier = resumable(store, &state, settings.start, run).await?;
        // What the capture had seen counts from where the pass really began.
        if let Some(earlier) = &earlier {
            witness = earlier.witness.clone();
        }
        let (started_ms, compared) =
            earlier.as_ref().map_or((started_ms, 0), |it| (it.started_ms, it.compared));
        let (witness, upto) = (witness.clone(), Key::new(Vec::new()));
        let base = PassProgress { run, epoch, started_ms, compared, upto, witness };
        saved = Some(Saved::new(base));
    }
    let resumed =
        earlier.as_ref().map(|it| Resumed { compared: it.compared, started_ms: it.started_ms });
    let stride = stride(store, &state, &settings).await?;

    let Reach { from, to, .. } = settings.reach.clone();
    let compared = resumed.map_or(0, |resumed| resumed.compared);
    let pass = Pass {
        store,
        control,
        settings: &settings,
        hooks,
        on_difference,
        state,
        estimated_rows,
        cut: Cut::new(from, earlier.map(|it| it.upto), to, stride),
        totals: Mutex::new(Totals { compared, ..Totals::default() }),
        saved,
    };
    pass.compare().await?;
    if settings.mode == VerifyMode::Repair && whole {
        pass.repair_quarantined().await?;
    }

    if pass.totals().interrupted {
        pass.save(SaveWhen::Now).await;
    }
    let now = retrying(|| control.migration(migration)).await?;
    let totals = std::mem::take(&mut *pass.totals());
    let quarantined = now.quarantined.len() as u64;
    let known = totals.repaired_differences + totals.newly_quarantined;
    let mut report = VerifyReport {
        compared: totals.compared,
        found: totals.found,
        columns: totals.columns,
        repaired: totals.repaired,
        quarantined,
        remaining: totals.found.total() - known + quarantined,
        samples: totals.samples,
        stuck: totals.stuck,
        stuck_samples: totals.stuck_samples,
        resumed,
        recorded: Recorded::Yes,
        interrupted: totals.interrupted,
        elapsed: started.elapsed(),
    };
    if report.interrupted {
        report.recorded = Recorded::Interrupted;
        return Ok(report);
    }
    let same_run = run.is_none() || newest_run(store, &now).await? == run;
    if !now.stage.compares() || !same_run {
        return Err(VerifyError::StageLeft { stage: now.stage });
    }
    if !whole || look.is_some() {
        report.recorded = look.map_or(Recorded::Partial, Recorded::Look);
        return Ok(report);
    }
    let verification = Verification {
        run,
        epoch,
        started_ms: resumed.map_or(started_ms, |resumed| resumed.started_ms),
        compared: report.compared,
        differences: report.found.total(),
        repaired: report.repaired,
        witness,
    };
    retrying(|| store.record_verification(&now, verification.clone())).await?;
    if pass.saved.is_some() {
        saved::forget(store, &now).await;
    }
    Ok(report)
}

/// Where an interrupted pass stopped, if this one may go on there.
async fn resumable(
    store: &dyn VerifyStore,
    state: &MigrationState,
    start: Start,
    run: Option<RunId>,
) -> Result<Option<PassProgress>, StoreError> {
    if start == Start::Fresh {
        saved::forget(store, state).await;
        return Ok(None);
    }
    let earlier = retrying(|| store.pass_progress(state)).await?;
    Ok(earlier.filter(|earlier| earlier.run == run && earlier.epoch == state.epoch))
}

async fn newest_run(
    store: &dyn VerifyStore,
    state: &MigrationState,
) -> Result<Option<RunId>, StoreError> {
    Ok(retrying(|| store.run_progress(state)).await?.map(|progress| progress.run.id))
}
