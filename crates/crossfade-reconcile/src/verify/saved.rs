//! Saving how far a pass is.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use crossfade_core::MigrationState;
use crossfade_store::{PassProgress, VerifyStore};
use tokio::time::Instant;

use super::pass::Pass;

/// The least time between two saves.
const EVERY: Duration = Duration::from_secs(2);

/// What a pass saves.
#[derive(Debug)]
pub(super) struct Saved {
    /// As it was at the beginning of this pass.
    base: PassProgress,
    last: Mutex<Instant>,
}

impl Saved {
    pub(super) fn new(base: PassProgress) -> Self {
        Self { base, last: Mutex::new(Instant::now()) }
    }
}

/// When to save.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum SaveWhen {
    /// If the last save is some time ago.
    Due,
    /// At once.
    Now,
}

impl Pass<'_> {
    /// Saves up to where all is compared. A pass that has found a difference is not gone on with:
    /// the difference has to be repaired, and what came before it may be compared again.
    pub(super) async fn save(&self, when: SaveWhen) {
        let Some(saved) = &self.saved else { return };
        let Some((upto, compared)) = self.cut.compared_upto() else { return };
        if self.totals().found.total() > 0 || !saved.is_due(when) {
            return;
        }
        let compared = saved.base.compared + compared;
        let progress = PassProgress { compared, upto, ..saved.base.clone() };
        // The next pass begins earlier then.
        if let Err(error) = self.store.save_pass(&self.state, Some(&progress)).await {
            tracing::warn!(%error, "how far the verification is was not saved");
        }
    }
}

impl Saved {
    fn is_due(&self, when: SaveWhen) -> bool {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        let due = when == SaveWhen::Now || last.elapsed() >= EVERY;
        if due {
            *last = Instant::now();
        }
        due
    }
}

/// Forgets how far an earlier pass was.
pub(super) async fn forget(store: &dyn VerifyStore, state: &MigrationState) {
    if let Err(error) = store.save_pass(state, None).await {
        tracing::warn!(%error, "how far an earlier verification was is not forgotten");
    }
}
