//! Everything known of one migration, for an operator.

use crossfade_core::{
    Approval, Facts, MigrationName, MigrationState, Refusal, Stage, Warning, refusals, warnings,
};
use crossfade_store::{InstanceRecord, ReconcileStore, RunProgress, StoreError};

use crate::{Stores, facts};

/// Keys in quarantine that are listed.
const LISTED: u32 = 20;

/// Where a migration stands.
#[derive(Clone, Debug)]
pub struct Status {
    /// Its definition, stage and epochs.
    pub state: MigrationState,
    /// What its next gate looks at: read flag, last verification, quarantine and more.
    pub facts: Facts,
    /// How far the newest backfill run is.
    pub run: Option<RunProgress>,
    /// The first twenty keys in quarantine, with their reasons.
    pub quarantine: Vec<(String, String)>,
    /// The instances that served it within the last day.
    pub instances: Vec<InstanceRecord>,
    /// The stage after this one and every reason against going there; `None` after the last.
    pub next: Option<(Stage, Vec<Refusal>)>,
    /// What the gate to that stage cannot know.
    pub warnings: Vec<Warning>,
}

/// Gathers where a migration stands. Changes nothing.
///
/// # Errors
///
/// Whatever the ports answer; kind `NotFound` for an unknown migration.
pub async fn status(
    stores: Stores<'_>,
    reconcile: &dyn ReconcileStore,
    migration: &MigrationName,
) -> Result<Status, StoreError> {
    let state = stores.control.migration(migration).await?;
    let next = state.stage.next();
    let facts =
        facts::gather(stores, &state, next.unwrap_or(state.stage), &Approval::default()).await?;
    Ok(Status {
        run: reconcile.run_progress(&state).await?,
        quarantine: stores.control.quarantine(migration, LISTED).await?,
        instances: stores.control.instances(migration).await?,
        next: next.map(|next| (next, refusals(&state.definition, next, &facts))),
        warnings: next.map_or_else(Vec::new, |next| warnings(&state.definition, next, &facts)),
        facts,
        state,
    })
}
