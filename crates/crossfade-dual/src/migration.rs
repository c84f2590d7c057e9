//! The handle that an application's wrapper holds.

use std::sync::Arc;

use crossfade_core::{MigrationState, Stage};

use crate::RequestStore;
use crate::instance::{Core, Tasks};
use crate::shadow::ShadowStats;
use crate::shared::Shared;

/// A handle on one migration: cheap to clone, shared by all tasks of a server.
///
/// Reads are in `read` and `read_compared`, writes in `write` and `modify`.
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
        self.shared.snapshot()
    }

    /// What shadow comparisons found so far in this process.
    #[must_use]
    pub fn shadow_stats(&self) -> ShadowStats {
        self.shared.shadows.stats()
    }
}
