//! The handle that an application's wrapper holds.

use std::sync::Arc;

use crossfade_core::{MigrationState, Stage};

use crate::RequestStore;
use crate::breaker::BreakerStatus;
use crate::instance::{Core, Tasks};
use crate::mismatches::Mismatch;
use crate::shadow::ShadowStats;
use crate::shared::Shared;

/// A handle on one migration: cheap to clone, shared by all tasks of a server.
///
/// Reads are in `read`, `read_compared`, `read_compared_by` and `read_compared_in`, writes in `write` and `modify`.
#[derive(Debug)]
pub struct Migration<S: RequestStore> {
    pub(crate) core: Arc<Core<S>>,
    pub(crate) shared: Arc<Shared>,
    /// Keeps the background tasks going.
    tasks: Arc<Tasks>,
}

impl<S: RequestStore> Clone for Migration<S> {
    fn clone(&self) -> Self {
        Self {
            core: Arc::clone(&self.core),
            shared: Arc::clone(&self.shared),
            tasks: Arc::clone(&self.tasks),
        }
    }
}

impl<S: RequestStore> Migration<S> {
    pub(crate) fn new(core: Arc<Core<S>>, shared: Arc<Shared>, tasks: Arc<Tasks>) -> Self {
        Self { core, shared, tasks }
    }

    /// The stage as this instance knows it.
    #[must_use]
    pub fn stage(&self) -> Stage {
        self.shared.snapshot().stage
    }

    /// The whole state as this instance knows it.
    #[must_use]
    pub fn state(&self) -> Arc<MigrationState> {
        self.shared.snapshot().state()
    }

    /// What shadow comparisons found so far in this process.
    #[must_use]
    pub fn shadow_stats(&self) -> ShadowStats {
        self.shared.shadows.stats()
    }

    /// The latest mismatches that shadow comparisons found in this process, oldest first; 64 of
    /// them by default.
    #[must_use]
    pub fn mismatches(&self) -> Vec<Mismatch> {
        self.shared.shadows.mismatches()
    }

    /// What this process's breaker does with reads, since when and why; `None` where it is switched
    /// off. It has a say in `live` alone.
    #[must_use]
    pub fn breaker(&self) -> Option<BreakerStatus> {
        self.shared.breaker.status()
    }
}
