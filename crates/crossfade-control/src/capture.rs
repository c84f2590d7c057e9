//! Capturing writers that go around the SDK.

use std::time::Instant;

use crossfade_core::{
    Backoff, CaptureMode, MigrationName, MigrationState, Refusal, capture_refusal,
};
use crossfade_store::{
    Bypass, Capture, CaptureChange, CaptureStore, ControlStore, Journal, StoreError,
    StoreErrorKind, Timeouts,
};
use tokio::time::{Duration, sleep};

/// Tries for the lock on Legacy, as a script's statement has them.
const TRIES: Backoff = Backoff::new(Duration::from_millis(200), Duration::from_secs(20), 30);

/// How long it may be tried in all.
const OVERALL: Duration = Duration::from_secs(10 * 60);

/// A change that an operator asks for.
#[derive(Clone, Copy, Debug)]
pub struct CaptureRequest<'a> {
    /// The migration.
    pub migration: &'a MigrationName,
    /// What the capture is to do; `None` takes it away.
    pub mode: Option<CaptureMode>,
    /// Who asks.
    pub actor: &'a str,
    /// Why.
    pub reason: &'a str,
    /// Bounds on each try. Writers wait behind a try that waits for Legacy.
    pub timeouts: Timeouts,
}

/// What became of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CaptureChanged {
    /// The capture does now what was asked.
    Changed {
        /// What it did before; `None` where there was none.
        from: Option<CaptureMode>,
    },
    /// It did so already, and its triggers are in place.
    Unchanged,
}

/// Why a capture was not changed.
#[derive(Debug, thiserror::Error)]
pub enum CaptureError {
    /// The mode makes no sense in this stage.
    #[error("a capture in mode `{mode}` is refused: {}", refusal.reason)]
    Refused {
        /// The mode.
        mode: CaptureMode,
        /// Why, and what to do.
        refusal: Refusal,
    },
    /// Legacy was not had for a moment, however often it was tried. Nothing was changed.
    #[error("no lock on Legacy was had in {tries} tries over {waited:.0?}")]
    LockTimeout {
        /// How often it was tried.
        tries: u32,
        /// For how long.
        waited: Duration,
        /// What the database said.
        #[source]
        error: StoreError,
    },
    /// The database failed, the migration is unknown, or its engine cannot capture.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl CaptureError {
    /// What to do about it, where something can be said.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Refused { refusal, .. } => Some(refusal.hint.clone()),
            Self::LockTimeout { .. } => Some(
                "a long transaction holds the table; end it or wait, then run the command again"
                    .into(),
            ),
            Self::Store(error) => error.hint.clone(),
        }
    }
}

/// What is known of a capture.
#[derive(Clone, Debug)]
pub struct CaptureStatus {
    /// The migration's state.
    pub state: MigrationState,
    /// The capture; `None` when there is none.
    pub capture: Option<Capture>,
    /// The writers that it has seen.
    pub bypasses: Vec<Bypass>,
    /// How much waits in the journal.
    pub journal: Journal,
}

/// The statements that a change would run. Changes nothing.
///
/// # Errors
///
/// As [`change_capture`], except for locks, of which it takes none.
pub async fn plan_capture(
    control: &dyn ControlStore,
    store: &dyn CaptureStore,
    migration: &MigrationName,
    mode: Option<CaptureMode>,
) -> Result<Vec<String>, CaptureError> {
    let state = control.migration(migration).await?;
    allowed(&state, mode)?;
    Ok(store.capture_plan(&state, mode).await?)
}

/// Installs a capture, changes its mode, or takes it away. Running it again changes nothing.
///
/// # Errors
///
/// See [`CaptureError`].
///
/// # Cancel safety
///
/// As [`CaptureStore::change_capture`]; running it again finishes.
pub async fn change_capture(
    control: &dyn ControlStore,
    store: &dyn CaptureStore,
    request: CaptureRequest<'_>,
) -> Result<CaptureChanged, CaptureError> {
    let started = Instant::now();
    let mut tries = 0;
    loop {
        let state = control.migration(request.migration).await?;
        allowed(&state, request.mode)?;
        let there = store.capture(&state).await?;
        let unchanged = match &there {
            Some(there) => there.in_place && request.mode == Some(there.mode),
            None => request.mode.is_none(),
        };
        if unchanged {
            // An engine that cannot capture says so, also where there is nothing to do.
            store.capture_plan(&state, request.mode).await?;
            return Ok(CaptureChanged::Unchanged);
        }
        let from = there.map(|there| there.mode);
        let CaptureRequest { mode: to, actor, reason, timeouts, .. } = request;
        let change = CaptureChange { state: &state, from, to, actor, reason };
        let error = match store.change_capture(change, timeouts).await {
            Ok(()) => return Ok(CaptureChanged::Changed { from }),
            Err(error) => error,
        };
        if !matches!(error.kind, StoreErrorKind::LockTimeout | StoreErrorKind::Conflict) {
            return Err(error.into());
        }
        tries += 1;
        let waited = started.elapsed();
        match TRIES.wait(tries, rand::random()) {
            Some(wait) if waited + wait < OVERALL => {
                tracing::warn!(migration = %request.migration, tries, "no lock yet; trying again");
                sleep(wait).await;
            }
            _ => return Err(CaptureError::LockTimeout { tries, waited, error }),
        }
    }
}

/// Gathers what is known of a capture. Changes nothing.
///
/// # Errors
///
/// Whatever the ports answer; kind `NotFound` for an unknown migration.
pub async fn capture_status(
    control: &dyn ControlStore,
    store: &dyn CaptureStore,
    migration: &MigrationName,
) -> Result<CaptureStatus, StoreError> {
    let state = control.migration(migration).await?;
    Ok(CaptureStatus {
        capture: store.capture(&state).await?,
        bypasses: store.bypasses(&state).await?,
        journal: store.journal(&state).await?,
        state,
    })
}

fn allowed(state: &MigrationState, mode: Option<CaptureMode>) -> Result<(), CaptureError> {
    let Some(mode) = mode else { return Ok(()) };
    match capture_refusal(&state.definition.name, mode, state.stage) {
        Some(refusal) => Err(CaptureError::Refused { mode, refusal }),
        None => Ok(()),
    }
}
