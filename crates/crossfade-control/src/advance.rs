//! Moving a migration one stage onward or back.

use std::time::Instant;

use crossfade_core::{
    Approval, Direction, Epoch, IllegalTransition, MigrationName, MigrationState, Refusal, Stage,
    Warning, direction, refusals, warnings,
};
use crossfade_store::{AuditEntry, StageChange, StoreError, StoreErrorKind, Timeouts};
use tokio::time::{Duration, sleep};

use crate::{CloseError, Patience, Stores, close::close_previous, facts};

/// Pause between two looks at what instances have acknowledged.
const POLL: Duration = Duration::from_millis(200);

/// Bounds on emptying New.
const TRUNCATE: Timeouts =
    Timeouts { lock: Duration::from_millis(500), statement: Duration::from_secs(300) };

/// What becomes of rows that an earlier try left on New, on the way to `delete_only`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum NewRows {
    /// They stay, and the gate refuses.
    #[default]
    Keep,
    /// They are deleted before the gate is asked.
    Truncate,
}

/// A stage change that an operator asks for.
#[derive(Clone, Debug)]
pub struct Advance<'a> {
    /// The migration.
    pub migration: &'a MigrationName,
    /// The stage to go to: the next one, or the one before where that is safe.
    pub to: Stage,
    /// Who asks.
    pub actor: &'a str,
    /// Why.
    pub reason: &'a str,
    /// What the operator says beside the facts.
    pub approval: Approval,
    /// What becomes of rows on New when `delete_only` is entered.
    pub new_rows: NewRows,
    /// How long to wait for others.
    pub patience: Patience,
}

/// What a stage change did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Advanced {
    /// The stage was changed, and the epoch before is closed.
    Changed {
        /// The stage it left.
        from: Stage,
        /// The stage it is in.
        to: Stage,
        /// The epoch that began.
        epoch: Epoch,
        /// What the gate could not know.
        warnings: Vec<Warning>,
    },
    /// The stage was that one already; the epoch before, left open by a change that was cut
    /// short, is closed now.
    Resumed {
        /// The stage it is in.
        stage: Stage,
        /// The newest epoch.
        epoch: Epoch,
    },
    /// Nothing was left to do.
    AlreadyThere {
        /// The stage it is in.
        stage: Stage,
        /// The newest epoch.
        epoch: Epoch,
    },
}

/// Why a stage was not changed, or not to the end.
#[derive(Debug, thiserror::Error)]
pub enum AdvanceError {
    /// The change is never allowed.
    #[error(transparent)]
    Illegal(#[from] IllegalTransition),
    /// The gate refuses. Nothing was changed.
    #[error("the gate to `{to}` refuses for {} reason(s)", refusals.len())]
    Refused {
        /// The stage that was asked for.
        to: Stage,
        /// Every reason.
        refusals: Vec<Refusal>,
    },
    /// Another operator changed the stage in the same moment. This change did nothing.
    #[error("somebody else changed the stage first; it is `{stage}` now, in epoch {epoch}")]
    Overtaken {
        /// The stage it is in.
        stage: Stage,
        /// The newest epoch.
        epoch: Epoch,
    },
    /// Another operator registered another definition while the gate was asked about the one
    /// before. Nothing was changed.
    #[error("the definition of {migration} was replaced while its gate was asked")]
    Redefined {
        /// The migration.
        migration: MigrationName,
    },
    /// The migration is in `stage`, but the epoch before is still open; asking again goes on.
    #[error("the stage is `{stage}`, but the epoch before is still open")]
    Close {
        /// The stage it is in.
        stage: Stage,
        /// What keeps the epoch open.
        #[source]
        error: CloseError,
    },
    /// The database failed, or the migration is unknown.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl AdvanceError {
    /// What to do about it, where something can be said. Refusals carry their own.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Illegal(_) | Self::Refused { .. } => None,
            Self::Overtaken { .. } => {
                Some("look at `crossfade status` and decide again from there".into())
            }
            Self::Redefined { .. } => {
                Some("run the same command again; its gate looks at the new definition".into())
            }
            Self::Close { error, .. } => error.hint(),
            Self::Store(error) => error.hint.clone(),
        }
    }
}

/// Moves a migration one stage onward, through its gate, or one stage back where that is safe.
///
/// An epoch before the newest one that is still open is closed first: that is what a change which
/// was cut short left to do. A gate that only waits for acknowledgements is asked again until
/// [`Patience::acknowledgements`] has passed; refusals end up in the audit trail.
///
/// # Errors
///
/// See [`AdvanceError`]. Of two operators who ask at once, one gets `Overtaken`.
///
/// # Cancel safety
///
/// Dropped midway, the stage is the old one, or the new one with the epoch before still open.
/// Asking again goes on from there.
pub async fn advance(stores: Stores<'_>, request: &Advance<'_>) -> Result<Advanced, AdvanceError> {
    let state = stores.control.migration(request.migration).await?;
    if state.stage == request.to && !state.previous_open {
        return Ok(Advanced::AlreadyThere { stage: state.stage, epoch: state.epoch });
    }
    // Asked before anything is waited for.
    let way = match request.to {
        to if to == state.stage => None,
        to => Some(direction(state.stage, to)?),
    };
    if state.previous_open {
        close(stores, &state, request).await?;
    }
    let Some(way) = way else {
        return Ok(Advanced::Resumed { stage: state.stage, epoch: state.epoch });
    };
    let mut warnings = Vec::new();
    if way == Direction::Forward {
        if request.new_rows == NewRows::Truncate && request.to == Stage::DeleteOnly {
            truncate_new(stores, &state, request).await?;
        }
        warnings = wait_for_gate(stores, &state, request).await?;
    }
    let from = state.stage;
    let epoch = append(stores, &state, request).await?;
    let state = MigrationState { stage: request.to, epoch, previous_open: true, ..state };
    close(stores, &state, request).await?;
    Ok(Advanced::Changed { from, to: request.to, epoch, warnings })
}

async fn close(
    stores: Stores<'_>,
    state: &MigrationState,
    request: &Advance<'_>,
) -> Result<(), AdvanceError> {
    close_previous(stores.control, state, request.patience, request.actor)
        .await
        .map_err(|error| AdvanceError::Close { stage: state.stage, error })
}

async fn truncate_new(
    stores: Stores<'_>,
    state: &MigrationState,
    request: &Advance<'_>,
) -> Result<(), StoreError> {
    if stores.schema.new_has_rows(&state.definition).await? != Some(true) {
        return Ok(());
    }
    stores.schema.truncate_new(&state.definition, TRUNCATE).await?;
    tracing::info!(migration = %request.migration, "New was emptied");
    let entry = AuditEntry {
        action: "new.truncated",
        subject: request.migration.as_str(),
        from: "",
        to: "",
        actor: request.actor,
        reason: request.reason,
    };
    stores.control.audit(entry).await
}

/// Returns once the way to `request.to` is free: the epoch before is closed and the gate is open,
/// or the migration is there already. Changes no stage; for work that must not begin before its
/// gate opens and ends with [`advance`].
///
/// # Errors
///
/// As [`advance`]. Refusals end up in the audit trail.
///
/// # Cancel safety
///
/// As [`advance`].
pub async fn pass_gate(
    stores: Stores<'_>,
    request: &Advance<'_>,
) -> Result<MigrationState, AdvanceError> {
    let mut state = stores.control.migration(request.migration).await?;
    if state.stage == request.to {
        return Ok(state);
    }
    let way = direction(state.stage, request.to)?;
    if state.previous_open {
        close(stores, &state, request).await?;
        state.previous_open = false;
    }
    if way == Direction::Forward {
        wait_for_gate(stores, &state, request).await?;
    }
    Ok(state)
}

/// Returns once the gate is open, with what it could not know, or with every reason why it is not.
async fn wait_for_gate(
    stores: Stores<'_>,
    state: &MigrationState,
    request: &Advance<'_>,
) -> Result<Vec<Warning>, AdvanceError> {
    let started = Instant::now();
    loop {
        let mut facts = facts::gather(stores, state, request.to, &request.approval).await?;
        // It was closed before the gate was asked.
        facts.previous_open = false;
        let refusals = refusals(&state.definition, request.to, &facts);
        if refusals.is_empty() {
            return Ok(warnings(&state.definition, request.to, &facts));
        }
        for instance in &mut facts.instances {
            instance.acknowledged = facts.epoch;
        }
        let only_acknowledgements =
            crossfade_core::refusals(&state.definition, request.to, &facts).is_empty();
        if !only_acknowledgements || started.elapsed() >= request.patience.acknowledgements {
            record_refusal(stores, state, request, &refusals).await?;
            return Err(AdvanceError::Refused { to: request.to, refusals });
        }
        sleep(POLL).await;
    }
}

async fn record_refusal(
    stores: Stores<'_>,
    state: &MigrationState,
    request: &Advance<'_>,
    refusals: &[Refusal],
) -> Result<(), StoreError> {
    let reasons: Vec<&str> = refusals.iter().map(|refusal| refusal.reason.as_str()).collect();
    let entry = AuditEntry {
        action: "gate.refused",
        subject: request.migration.as_str(),
        from: state.stage.as_str(),
        to: request.to.as_str(),
        actor: request.actor,
        reason: &reasons.join("; "),
    };
    stores.control.audit(entry).await
}

async fn append(
    stores: Stores<'_>,
    state: &MigrationState,
    request: &Advance<'_>,
) -> Result<Epoch, AdvanceError> {
    let change = StageChange {
        migration: request.migration,
        definition: &state.definition,
        from_epoch: state.epoch,
        from: state.stage,
        to: request.to,
        actor: request.actor,
        reason: request.reason,
    };
    match stores.control.append_epoch(change).await {
        Ok(epoch) => {
            let (from, to) = (state.stage, request.to);
            tracing::info!(migration = %request.migration, %from, %to, %epoch, "stage changed");
            Ok(epoch)
        }
        Err(error) if error.kind == StoreErrorKind::Conflict => {
            let now = stores.control.migration(request.migration).await?;
            if now.epoch == state.epoch && !now.definition.moves_like(&state.definition) {
                return Err(AdvanceError::Redefined { migration: request.migration.clone() });
            }
            Err(AdvanceError::Overtaken { stage: now.stage, epoch: now.epoch })
        }
        Err(error) => Err(error.into()),
    }
}
