//! Trying the keys of the quarantine again.

use std::time::Duration;

use crossfade_core::{Key, MigrationName, MigrationState};
use crossfade_store::{
    ControlStore, EnterError, QuarantineStore, Quarantined, ReconcileStore, StoreError,
    StoreErrorKind,
};
use tokio::time::Instant;

use crate::Cancel;
use crate::backfill::{REENTRIES, REENTRY_PAUSE};
use crate::retry::{TRIES, may_pass, retrying};

/// Entries that are read at a time.
const PAGE: u32 = 500;

/// The caller's part in a retry.
pub struct RetryHooks<'a> {
    /// Which entries are tried.
    pub picks: &'a (dyn Fn(&Quarantined) -> bool + Send + Sync),
    /// Called after each key.
    pub progress: &'a (dyn Fn(RetryReport) + Send + Sync),
    /// Stops the work after the current key.
    pub cancel: Cancel,
}

impl std::fmt::Debug for RetryHooks<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RetryHooks").field("cancel", &self.cancel).finish_non_exhaustive()
    }
}

/// What a retry did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RetryReport {
    /// Keys that New takes now; they left the quarantine.
    pub mended: u64,
    /// Keys that are refused still.
    pub refused: u64,
    /// Whether it was cancelled.
    pub interrupted: bool,
    /// How long it worked.
    pub elapsed: Duration,
}

/// Repairs the keys in quarantine that `hooks` picks, and takes those that New accepts out of it.
///
/// As long as a pass mends a key, the others are tried once more: a row may be refused for what
/// another holds.
///
/// # Errors
///
/// Whatever the ports answer; kind `Invalid` outside of `dual_write` and `live`.
///
/// # Cancel safety
///
/// Each key is repaired as a whole or not at all.
pub async fn retry_quarantine<S>(
    store: &S,
    control: &dyn ControlStore,
    migration: &MigrationName,
    hooks: RetryHooks<'_>,
) -> Result<RetryReport, StoreError>
where
    S: ReconcileStore + QuarantineStore,
{
    let started = Instant::now();
    let mut state = control.migration(migration).await?;
    let mut report = RetryReport::default();
    loop {
        let before = report.mended;
        report.refused = 0;
        let mut after: Option<String> = None;
        loop {
            let page = || store.quarantine_page(migration, after.as_deref(), PAGE);
            let page = retrying(page).await?;
            let Some(last) = page.last() else { break };
            let next = last.key.clone();
            for entry in page.iter().filter(|entry| (hooks.picks)(entry)) {
                if hooks.cancel.is_cancelled() {
                    return Ok(RetryReport {
                        interrupted: true,
                        elapsed: started.elapsed(),
                        ..report
                    });
                }
                match repair(store, control, &mut state, entry).await? {
                    None => report.mended += 1,
                    Some(_) => report.refused += 1,
                }
                report.elapsed = started.elapsed();
                (hooks.progress)(report);
            }
            after = Some(next);
        }
        if report.mended == before || report.refused == 0 {
            return Ok(RetryReport { elapsed: started.elapsed(), ..report });
        }
    }
}

/// Repairs one key, in the newest epoch. Returns why it is refused, if it is.
async fn repair(
    store: &dyn ReconcileStore,
    control: &dyn ControlStore,
    state: &mut MigrationState,
    entry: &Quarantined,
) -> Result<Option<String>, StoreError> {
    let columns = state.definition.legacy.key.len();
    let key = Key::from_text(&entry.key, columns).ok_or_else(|| {
        let text = format!("`{}` in the quarantine is not a key of {columns} columns", entry.key);
        StoreError::new(StoreErrorKind::Invalid, text)
    })?;
    let (mut tries, mut reentries) = (0, 0);
    loop {
        match store.repair(state, &key).await {
            Ok(reason) => return Ok(reason),
            Err(EnterError::Closed) => {
                reentries += 1;
                let name = &state.definition.name;
                let newest = retrying(|| control.migration(name)).await?;
                if reentries > REENTRIES {
                    let text = format!("the stage `{}` does not settle", newest.stage);
                    return Err(StoreError::new(StoreErrorKind::Conflict, text));
                }
                if newest.epoch == state.epoch {
                    tokio::time::sleep(REENTRY_PAUSE).await;
                }
                *state = newest;
            }
            Err(EnterError::Store(error)) => {
                tries += 1;
                match TRIES.wait(tries, rand::random()) {
                    Some(wait) if may_pass(&error) => tokio::time::sleep(wait).await,
                    _ => return Err(error),
                }
            }
        }
    }
}
