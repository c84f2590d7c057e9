//! Carrying journaled keys to New.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crossfade_core::{MigrationName, MigrationState, Stage};
use crossfade_store::{
    CaptureStore, Cleaned, ControlStore, DirtyKey, EnterError, StoreError, StoreErrorKind,
};
use futures_util::future::try_join_all;
use tokio::time::Instant;

use crate::{
    Cancel,
    backfill::{REENTRIES, REENTRY_PAUSE},
    retry::{may_pass, retrying},
};

/// Keys that are read from the journal at once.
const BATCH: u32 = 200;

/// Pause after a pass that found nothing to do.
const POLL: Duration = Duration::from_millis(250);

/// Pause after the database could not be asked, where it is asked again until stopped.
const OUTAGE: Duration = Duration::from_secs(2);

/// When the work ends.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum JournalMode {
    /// After one pass over the journal.
    #[default]
    Once,
    /// When it is asked to stop. It looks past outages.
    Follow,
}

/// How the journal is worked off.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct JournalSettings {
    /// When it ends. Default: after one pass.
    pub mode: JournalMode,
    /// Workers of this call. Other processes may have more. Default: 1.
    pub workers: u32,
}

impl Default for JournalSettings {
    fn default() -> Self {
        Self { mode: JournalMode::Once, workers: 1 }
    }
}

/// How far it is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct JournalProgress {
    /// Keys that were carried to New.
    pub repaired: u64,
    /// Keys that New refused.
    pub quarantined: u64,
}

/// What the caller hears and says.
#[derive(Clone)]
pub struct JournalHooks<'a> {
    /// Called after each batch.
    pub progress: &'a (dyn Fn(JournalProgress) + Send + Sync),
    /// Stops the work after the current key.
    pub cancel: Cancel,
}

impl std::fmt::Debug for JournalHooks<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("JournalHooks").field("cancel", &self.cancel).finish_non_exhaustive()
    }
}

/// What became of the journal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct JournalReport {
    /// Keys that were carried to New.
    pub repaired: u64,
    /// Keys that New refused; they are in quarantine.
    pub quarantined: u64,
    /// Keys in the journal at the end: marked meanwhile, or held by writers.
    pub left: u64,
    /// Whether it was asked to stop.
    pub interrupted: bool,
    /// How long it took.
    pub elapsed: Duration,
}

/// Why the journal was not worked off. Keys that were carried to New stay so.
#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    /// Legacy may not overwrite New in this stage.
    #[error("journaled keys of {migration} are not carried to New in `{stage}`")]
    WrongStage {
        /// The migration.
        migration: MigrationName,
        /// Its stage.
        stage: Stage,
    },
    /// The database failed, or the migration is unknown.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl JournalError {
    /// What to do about it, where something can be said.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::WrongStage { migration, stage } if *stage < Stage::DualWrite => Some(format!(
                "they wait for `dual_write`; `crossfade stage {migration} {}` is the next step \
                 towards it",
                stage.next().unwrap_or(Stage::DualWrite)
            )),
            Self::WrongStage { .. } => Some("New is the base of changes there".into()),
            Self::Store(error) => error.hint.clone(),
        }
    }
}

/// Makes New equal to the mapped Legacy row of each key in the journal, and takes its mark away.
///
/// Several calls and several processes may work at once: each looks behind the key's lock whether
/// its mark is still there. A key whose row a writer holds is passed over and stays.
///
/// # Errors
///
/// See [`JournalError`].
///
/// # Cancel safety
///
/// A key and its mark are one transaction. Dropped midway, whatever was not committed waits in the
/// journal for the next call.
pub async fn repair_journal(
    store: &dyn CaptureStore,
    control: &dyn ControlStore,
    migration: &MigrationName,
    settings: JournalSettings,
    hooks: JournalHooks<'_>,
) -> Result<JournalReport, JournalError> {
    let started = Instant::now();
    let state = control.migration(migration).await?;
    may_repair(&state)?;
    let job = Job {
        store,
        control,
        mode: settings.mode,
        hooks: &hooks,
        repaired: AtomicU64::new(0),
        quarantined: AtomicU64::new(0),
    };
    let workers = (0..settings.workers.max(1)).map(|_| job.work(state.clone()));
    try_join_all(workers).await?;
    let progress = job.progress();
    Ok(JournalReport {
        repaired: progress.repaired,
        quarantined: progress.quarantined,
        left: retrying(|| store.journal(&state)).await?.keys,
        interrupted: hooks.cancel.is_cancelled(),
        elapsed: started.elapsed(),
    })
}

struct Job<'a> {
    store: &'a dyn CaptureStore,
    control: &'a dyn ControlStore,
    mode: JournalMode,
    hooks: &'a JournalHooks<'a>,
    repaired: AtomicU64,
    quarantined: AtomicU64,
}

/// What a pass came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Pass {
    Busy,
    Idle,
}

impl Job<'_> {
    fn progress(&self) -> JournalProgress {
        JournalProgress {
            repaired: self.repaired.load(Ordering::Relaxed),
            quarantined: self.quarantined.load(Ordering::Relaxed),
        }
    }

    fn cancelled(&self) -> bool {
        self.hooks.cancel.is_cancelled()
    }

    async fn work(&self, mut state: MigrationState) -> Result<(), JournalError> {
        while !self.cancelled() {
            let rest = match self.pass(&mut state).await {
                Ok(_) if self.mode == JournalMode::Once => return Ok(()),
                Ok(Pass::Busy) => continue,
                Ok(Pass::Idle) => POLL,
                Err(JournalError::Store(error))
                    if self.mode == JournalMode::Follow && may_pass(&error) =>
                {
                    tracing::warn!(%error, "the journal is asked again");
                    OUTAGE
                }
                Err(error) => return Err(error),
            };
            self.hooks.cancel.sleep(rest).await;
        }
        Ok(())
    }

    /// One pass over the journal. The keys of a batch are taken in no order, so that several
    /// workers rarely meet at one.
    async fn pass(&self, state: &mut MigrationState) -> Result<Pass, JournalError> {
        let mut after: Option<String> = None;
        let mut pass = Pass::Idle;
        loop {
            let keys = retrying(|| self.store.dirty_keys(state, after.as_deref(), BATCH)).await?;
            let Some(last) = keys.last() else { return Ok(pass) };
            after = Some(last.text.clone());
            let is_last = keys.len() < BATCH as usize;
            for dirty in shuffled(keys) {
                if self.cancelled() {
                    return Ok(pass);
                }
                if self.clean(state, &dirty).await? {
                    pass = Pass::Busy;
                }
            }
            (self.hooks.progress)(self.progress());
            if is_last {
                return Ok(pass);
            }
        }
    }

    /// Cleans one key; whether that changed anything. A key that a writer holds is passed over: its
    /// writer may take its time, and the others wait.
    async fn clean(
        &self,
        state: &mut MigrationState,
        dirty: &DirtyKey,
    ) -> Result<bool, JournalError> {
        let mut reentries = 0;
        loop {
            may_repair(state)?;
            match self.store.clean(state, dirty).await {
                Ok(Cleaned::Equal) => {
                    self.repaired.fetch_add(1, Ordering::Relaxed);
                    return Ok(true);
                }
                Ok(Cleaned::Quarantined { .. }) => {
                    tracing::info!(key = %dirty.key, "New refuses a row; its key is in quarantine");
                    self.quarantined.fetch_add(1, Ordering::Relaxed);
                    return Ok(true);
                }
                Ok(Cleaned::Gone) => return Ok(false),
                Err(EnterError::Closed) => {
                    let (control, name) = (self.control, &state.definition.name);
                    let now = retrying(|| control.migration(name)).await?;
                    reentries += 1;
                    if now.epoch == state.epoch || reentries > REENTRIES {
                        self.hooks.cancel.sleep(REENTRY_PAUSE).await;
                    }
                    *state = now;
                    if self.cancelled() || reentries > REENTRIES {
                        return Ok(false);
                    }
                }
                Err(EnterError::Store(error))
                    if matches!(
                        error.kind,
                        StoreErrorKind::LockTimeout | StoreErrorKind::Conflict
                    ) =>
                {
                    tracing::debug!(key = %dirty.key, %error, "a key is left for the next pass");
                    return Ok(false);
                }
                Err(EnterError::Store(error)) => return Err(error.into()),
            }
        }
    }
}

fn may_repair(state: &MigrationState) -> Result<(), JournalError> {
    if state.stage.reconciles() {
        return Ok(());
    }
    Err(JournalError::WrongStage { migration: state.definition.name.clone(), stage: state.stage })
}

fn shuffled(keys: Vec<DirtyKey>) -> impl Iterator<Item = DirtyKey> {
    let mut keys: Vec<(u32, DirtyKey)> =
        keys.into_iter().map(|dirty| (rand::random(), dirty)).collect();
    keys.sort_by_key(|(place, _)| *place);
    keys.into_iter().map(|(_, dirty)| dirty)
}
