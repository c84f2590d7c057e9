//! Closing the epoch before the newest one.

use std::time::{Duration, Instant};

use crossfade_core::{Epoch, MigrationState};
use crossfade_store::{AuditEntry, ControlStore, EpochHolder, StoreError, StoreErrorKind};
use tokio::time::sleep;

/// One wait for the epoch's lock. Writers of that epoch queue behind it for no longer than this.
const LOCK_TIMEOUT: Duration = Duration::from_millis(500);

/// What to do with writers that keep an epoch open beyond the time given.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Stragglers {
    /// Name them in the error.
    #[default]
    Name,
    /// End their sessions, which rolls their transactions back, and try again.
    Terminate,
}

/// How long a stage change waits for others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Patience {
    /// For the acknowledgements of live instances. Default: 20 s, which outlasts the lease of an
    /// instance that died.
    pub acknowledgements: Duration,
    /// For the writers of the epoch that is to be closed. Default: 30 s.
    pub writers: Duration,
    /// What to do with writers that stay longer.
    pub stragglers: Stragglers,
}

impl Default for Patience {
    fn default() -> Self {
        Self {
            acknowledgements: Duration::from_secs(20),
            writers: Duration::from_secs(30),
            stragglers: Stragglers::Name,
        }
    }
}

/// Why the epoch before the newest one is still open.
#[derive(Debug, thiserror::Error)]
pub enum CloseError {
    /// Writers stayed longer than [`Patience::writers`].
    #[error("epoch {epoch} still has writers after {waited:.0?}{}", named(holders))]
    Held {
        /// The epoch.
        epoch: Epoch,
        /// How long they were waited for.
        waited: Duration,
        /// Who they are, as far as the database can tell.
        holders: Vec<EpochHolder>,
    },
    /// A holder could not be ended.
    #[error("session {pid}, which keeps epoch {epoch} open, could not be ended")]
    Terminate {
        /// The epoch.
        epoch: Epoch,
        /// The session.
        pid: i64,
        /// Why.
        #[source]
        error: StoreError,
    },
    /// The database failed.
    #[error("epoch {epoch} could not be closed")]
    Store {
        /// The epoch.
        epoch: Epoch,
        /// Why.
        #[source]
        error: StoreError,
    },
}

impl CloseError {
    /// What to do about it, where something can be said.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Held { holders, .. } if holders.is_empty() => Some(
                "the database does not tell this user who they are; wait, then run the same \
                 command again"
                    .into(),
            ),
            Self::Held { .. } => Some(
                "end them or wait, then run the same command again; with `--terminate-stragglers` \
                 it ends them itself"
                    .into(),
            ),
            Self::Terminate { error, .. } | Self::Store { error, .. } => error
                .hint
                .clone()
                .or_else(|| Some("run the same command again; it goes on from here".into())),
        }
    }
}

fn named(holders: &[EpochHolder]) -> String {
    let list: Vec<String> = holders
        .iter()
        .map(|holder| format!("session {} ({})", holder.pid, holder.description))
        .collect();
    if list.is_empty() { String::new() } else { format!(": {}", list.join(", ")) }
}

/// Closes the epoch before the newest one.
///
/// # Cancel safety
///
/// Dropped midway, the epoch is closed or it is not; closing it again does no harm.
pub(crate) async fn close_previous(
    control: &dyn ControlStore,
    state: &MigrationState,
    patience: Patience,
    actor: &str,
) -> Result<(), CloseError> {
    let epoch = Epoch::new(state.epoch.get() - 1);
    let failed = |error| CloseError::Store { epoch, error };
    if close_within(control, state, epoch, patience.writers).await.map_err(failed)? {
        return Ok(());
    }
    let name = &state.definition.name;
    let holders = control.epoch_holders(name, epoch).await.map_err(failed)?;
    if patience.stragglers == Stragglers::Name || holders.is_empty() {
        return Err(CloseError::Held { epoch, waited: patience.writers, holders });
    }
    for holder in &holders {
        let pid = holder.pid;
        tracing::warn!(migration = %name, %epoch, pid, "ending a session that keeps an epoch open");
        let ended = control
            .terminate(name, epoch, holder)
            .await
            .map_err(|error| CloseError::Terminate { epoch, pid, error })?;
        // It has left by itself.
        if !ended {
            continue;
        }
        let entry = AuditEntry {
            action: "straggler.terminated",
            subject: name.as_str(),
            from: "",
            to: "",
            actor,
            reason: &holder.description,
        };
        control.audit(entry).await.map_err(failed)?;
    }
    if close_within(control, state, epoch, patience.writers).await.map_err(failed)? {
        return Ok(());
    }
    let holders = control.epoch_holders(name, epoch).await.map_err(failed)?;
    Err(CloseError::Held { epoch, waited: patience.writers, holders })
}

/// Tries until `limit` has passed; whether it was closed.
async fn close_within(
    control: &dyn ControlStore,
    state: &MigrationState,
    epoch: Epoch,
    limit: Duration,
) -> Result<bool, StoreError> {
    let started = Instant::now();
    loop {
        match control.close_epoch(&state.definition.name, epoch, LOCK_TIMEOUT).await {
            Ok(()) => return Ok(true),
            Err(error) if error.kind == StoreErrorKind::LockTimeout => {
                if started.elapsed() >= limit {
                    return Ok(false);
                }
                // Lets the writers that queued behind the last try go on.
                sleep(Duration::from_millis(rand::random_range(50..150))).await;
            }
            Err(error) => return Err(error),
        }
    }
}
