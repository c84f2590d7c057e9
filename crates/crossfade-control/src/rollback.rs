//! Putting every read back on Legacy.

use crossfade_core::{
    Approval, FlagKey, IllegalTransition, MigrationName, MigrationState, Stage, rollback_stage,
};
use crossfade_rules::RuleSet;
use crossfade_store::StoreError;

use crate::{
    Advance, AdvanceError, Advanced, FlagChange, FlagEdit, FlagError, NewRows, Patience, Stores,
    advance, change_flag,
};

/// What a rollback did to the read flag.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FlagRollback {
    /// It was turned off by this version of the rule set.
    TurnedOff {
        /// The version.
        version: i64,
    },
    /// It was off for everybody, or not in the rule set, which reads Legacy as well.
    WasOff,
}

/// What a rollback did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RolledBack {
    /// What became of the read flag.
    pub flag: FlagRollback,
    /// The stage it left, when one had to be left for reads to come back.
    pub left: Option<Stage>,
    /// The stage it is in now. Reads use Legacy alone.
    pub stage: Stage,
}

/// Why reads are not, or not all, back on Legacy.
#[derive(Debug, thiserror::Error)]
pub enum RollbackError {
    /// Legacy is behind or gone. Nothing was changed.
    #[error(transparent)]
    TooLate(IllegalTransition),
    /// The read flag could not be turned off.
    #[error("the read flag could not be turned off")]
    Flag(#[source] FlagError),
    /// The read flag is off, but the stage, in which it has no say, could not be left.
    #[error("the read flag is off, but stage `{stage}` could not be left")]
    Stage {
        /// The stage.
        stage: Stage,
        /// Why.
        #[source]
        error: Box<AdvanceError>,
    },
    /// The database failed, or the migration is unknown.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl RollbackError {
    /// What to do about it, where something can be said.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::TooLate(_) => None,
            Self::Flag(error) => error.hint(),
            Self::Stage { error, .. } => error.hint(),
            Self::Store(error) => error.hint.clone(),
        }
    }
}

/// Puts every read of a migration back on Legacy: turns its read flag off and, from `ramp_down`,
/// goes back to `live`, where the flag has its say again.
///
/// In `off`, `delete_only` and `dual_write` reads use Legacy whatever the flag says; it is turned
/// off all the same, so that a later `live` does not begin with it on.
///
/// # Errors
///
/// See [`RollbackError`].
///
/// # Cancel safety
///
/// The flag goes off first. Dropped midway, a second call does the rest.
pub async fn rollback(
    stores: Stores<'_>,
    migration: &MigrationName,
    actor: &str,
    reason: &str,
    patience: Patience,
) -> Result<RolledBack, RollbackError> {
    let state = stores.control.migration(migration).await?;
    let to = rollback_stage(state.stage, state.previous_open).map_err(RollbackError::TooLate)?;
    let flag = turn_off(stores, &state, actor, reason).await?;
    let Some(to) = to else {
        return Ok(RolledBack { flag, left: None, stage: state.stage });
    };
    let request = Advance {
        migration,
        to,
        actor,
        reason,
        approval: Approval::default(),
        new_rows: NewRows::Keep,
        patience,
    };
    let advanced = match advance(stores, &request).await {
        // Somebody else rolls back in the same moment; what they may leave open is closed here.
        Err(AdvanceError::Overtaken { stage, .. }) if stage == to => {
            advance(stores, &request).await
        }
        done => done,
    }
    .map_err(|error| RollbackError::Stage { stage: state.stage, error: Box::new(error) })?;
    let left = match advanced {
        Advanced::Changed { from, .. } => Some(from),
        Advanced::Resumed { .. } | Advanced::AlreadyThere { .. } => None,
    };
    Ok(RolledBack { flag, left, stage: to })
}

/// Turns a migration's read flag off for everybody, whatever the stage, and leaves the stage alone.
///
/// # Errors
///
/// [`RollbackError::Flag`] and [`RollbackError::Store`].
///
/// # Cancel safety
///
/// The flag goes off at once or not at all.
pub async fn turn_read_flag_off(
    stores: Stores<'_>,
    migration: &MigrationName,
    actor: &str,
    reason: &str,
) -> Result<FlagRollback, RollbackError> {
    let state = stores.control.migration(migration).await?;
    turn_off(stores, &state, actor, reason).await
}

async fn turn_off(
    stores: Stores<'_>,
    state: &MigrationState,
    actor: &str,
    reason: &str,
) -> Result<FlagRollback, RollbackError> {
    let flag = &state.definition.read_flag;
    let latest = stores.rules.latest_rule_set().await?;
    if latest.is_none_or(|stored| is_off(&stored.document, flag)) {
        return Ok(FlagRollback::WasOff);
    }
    let change = FlagChange { flag, edit: FlagEdit::Off, actor, reason };
    let changed = change_flag(stores, change).await.map_err(RollbackError::Flag)?;
    if changed.changed {
        return Ok(FlagRollback::TurnedOff { version: changed.version });
    }
    Ok(FlagRollback::WasOff)
}

/// Whether nobody gets `true` under a readable document.
fn is_off(document: &str, flag: &FlagKey) -> bool {
    RuleSet::parse(document).is_ok_and(|set| match set.flag(flag.as_str()) {
        Some(flag) => flag.true_percent() == Some(0.0),
        None => true,
    })
}
