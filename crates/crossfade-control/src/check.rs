//! Asking a gate without changing anything.

use crossfade_core::{
    Approval, Direction, Epoch, MigrationName, Refusal, Stage, Warning, direction, refusals,
    warnings,
};

use crate::{AdvanceError, Stores, facts};

/// What a stage change would do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Check {
    /// The stage of the newest epoch.
    pub from: Stage,
    /// The newest epoch.
    pub epoch: Epoch,
    /// The stage that was asked about.
    pub to: Stage,
    /// Whether the epoch before is open, so that the change would close it first.
    pub previous_open: bool,
    /// Which way it leads; `None` when the migration is there already.
    pub direction: Option<Direction>,
    /// Every reason against it; empty when nothing stands in its way.
    pub refusals: Vec<Refusal>,
    /// What the gate cannot know.
    pub warnings: Vec<Warning>,
}

/// What going to `to` would do, and every reason against it. Changes nothing.
///
/// # Errors
///
/// [`AdvanceError::Illegal`] for a change that is never allowed, and [`AdvanceError::Store`] for an
/// unknown migration or a failing database.
pub async fn check(
    stores: Stores<'_>,
    migration: &MigrationName,
    to: Stage,
    approval: &Approval,
) -> Result<Check, AdvanceError> {
    let state = stores.control.migration(migration).await?;
    let mut check = Check {
        from: state.stage,
        epoch: state.epoch,
        to,
        previous_open: state.previous_open,
        direction: None,
        refusals: Vec::new(),
        warnings: Vec::new(),
    };
    if state.stage != to {
        let direction = direction(state.stage, to)?;
        check.direction = Some(direction);
        if direction == Direction::Forward {
            let mut facts = facts::gather(stores, &state, to, approval).await?;
            // The change closes it before its gate is asked.
            facts.previous_open = false;
            check.refusals = refusals(&state.definition, to, &facts);
            check.warnings = warnings(&state.definition, to, &facts);
        }
    }
    Ok(check)
}
