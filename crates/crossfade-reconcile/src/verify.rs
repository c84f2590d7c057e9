//! Verification: comparing both sides over the whole key range, and repairing what differs.

mod pass;

use std::time::Duration;

use crossfade_core::{Key, MigrationName, RunId, Stage};
use crossfade_store::{ControlStore, ReconcileStore, StoreError, Verification};
use tokio::time::Instant;

use crate::{Cancel, retry::retrying};
use pass::Pass;

/// Whether a verification changes anything.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum VerifyMode {
    /// It compares.
    #[default]
    Compare,
    /// It compares and makes New equal to the mapped Legacy row of every key that differs or is in
    /// quarantine. Such a pass opens no gate; the next one may.
    Repair,
}

/// How a verification works.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct VerifySettings {
    /// Fixed number of Legacy rows in a chunk. Default: `None`, which starts at 1000 and aims at
    /// 250 ms.
    pub chunk_rows: Option<u32>,
    /// Whether it repairs. Default: it compares.
    pub mode: VerifyMode,
}

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

/// Numbers of keys, by what is wrong with them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Differences {
    /// The New row is not the mapped Legacy row.
    pub differing: u64,
    /// The mapping yields a row that New lacks.
    pub missing: u64,
    /// New has a row that the mapping does not yield.
    pub orphaned: u64,
}

impl Differences {
    /// All of them.
    #[must_use]
    pub const fn total(self) -> u64 {
        self.differing + self.missing + self.orphaned
    }
}

/// The first keys of each kind, at most [`Samples::LIMIT`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Samples {
    /// Keys that differ.
    pub differing: Vec<Key>,
    /// Keys that New lacks.
    pub missing: Vec<Key>,
    /// Keys that only New has.
    pub orphaned: Vec<Key>,
}

impl Samples {
    /// How many keys of each kind are kept.
    pub const LIMIT: usize = 20;
}

/// What a verification found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VerifyReport {
    /// Keys compared.
    pub compared: u64,
    /// What differed when it was compared.
    pub found: Differences,
    /// Keys made equal by this pass, those that were in quarantine included.
    pub repaired: u64,
    /// Keys in quarantine at its end.
    pub quarantined: u64,
    /// Keys that are known to differ at its end: found and not repaired, or in quarantine.
    pub remaining: u64,
    /// Some of the keys that differed.
    pub samples: Samples,
    /// Whether it was cancelled before its end; nothing was recorded then.
    pub interrupted: bool,
    /// How long it took.
    pub elapsed: Duration,
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
    store: &dyn ReconcileStore,
    control: &dyn ControlStore,
    migration: &MigrationName,
    settings: VerifySettings,
    hooks: VerifyHooks<'_>,
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
    let started_ms = control.now_ms().await?;
    let progress = store.run_progress(&state).await?;
    let estimated_rows = progress.as_ref().and_then(|progress| progress.estimated_rows);
    let run = progress.map(|progress| progress.run.id);
    let epoch = state.epoch;

    let mut pass = Pass::new(store, control, settings, hooks, state, estimated_rows);
    pass.compare().await?;
    if settings.mode == VerifyMode::Repair {
        pass.repair_quarantined().await?;
    }

    let now = retrying(|| control.migration(migration)).await?;
    let found = pass.found;
    let quarantined = now.quarantined.len() as u64;
    let report = VerifyReport {
        compared: pass.compared,
        found,
        repaired: pass.repaired,
        quarantined,
        remaining: found.total() - pass.repaired_differences - pass.newly_quarantined + quarantined,
        samples: std::mem::take(&mut pass.samples),
        interrupted: pass.interrupted,
        elapsed: started.elapsed(),
    };
    if report.interrupted {
        return Ok(report);
    }
    let same_run = run.is_none() || newest_run(store, &now).await? == run;
    if !now.stage.compares() || !same_run {
        return Err(VerifyError::StageLeft { stage: now.stage });
    }
    let verification = Verification {
        run,
        epoch,
        started_ms,
        compared: report.compared,
        differences: found.total(),
        repaired: report.repaired,
    };
    retrying(|| store.record_verification(&now, verification)).await?;
    Ok(report)
}

async fn newest_run(
    store: &dyn ReconcileStore,
    state: &crossfade_core::MigrationState,
) -> Result<Option<RunId>, StoreError> {
    Ok(retrying(|| store.run_progress(state)).await?.map(|progress| progress.run.id))
}
