//! What an opening breaker does beyond its own process, where it is asked to.

use std::sync::Arc;

use crossfade_core::{BreakerTrip, MigrationName};
use crossfade_store::{AuditEntry, FlagOff, ReadFlagSwitch, StoreError, SwitchedOff};
use tokio::sync::mpsc;

use crate::RequestStore;
use crate::instance::Core;

/// How many openings may wait to be acted on.
pub(crate) const WAITING: usize = 16;

/// A breaker that opened.
#[derive(Debug)]
pub(crate) struct Opened {
    pub(crate) migration: MigrationName,
    pub(crate) why: BreakerTrip,
}

/// Turns the read flag off behind each opening, and says so in the audit trail.
pub(crate) async fn follow<S: RequestStore>(
    core: Arc<Core<S>>,
    switch: Arc<dyn ReadFlagSwitch>,
    mut openings: mpsc::Receiver<Opened>,
) {
    while let Some(Opened { migration, why }) = openings.recv().await {
        let reason = format!("the breaker opened: {why}");
        let mut tries = 0;
        loop {
            tries += 1;
            let error = match roll_back(&core, switch.as_ref(), &migration, &reason).await {
                Ok(SwitchedOff::Now) => {
                    tracing::warn!(%migration, reason, "the read flag was turned off for everybody");
                    break;
                }
                Ok(SwitchedOff::Already) => {
                    tracing::info!(%migration, reason, "the read flag is off already, or unknown");
                    break;
                }
                Err(error) => error,
            };
            match core.options.tries.wait(tries, rand::random()) {
                Some(wait) => tokio::time::sleep(wait).await,
                None => {
                    tracing::error!(
                        %migration, reason, error = %error,
                        "the read flag could not be turned off; other processes may still read New"
                    );
                    break;
                }
            }
        }
    }
}

async fn roll_back<S: RequestStore>(
    core: &Core<S>,
    switch: &dyn ReadFlagSwitch,
    migration: &MigrationName,
    reason: &str,
) -> Result<SwitchedOff, StoreError> {
    let state = core.store.migration(migration).await?;
    let flag = &state.definition.read_flag;
    let done = switch.turn_off(FlagOff { migration, flag, actor: &core.id, reason }).await?;
    if done == SwitchedOff::Now {
        // The flag's own record, where its system keeps one, tells of the flag; this one of why.
        let entry = AuditEntry {
            action: "breaker.rollback",
            subject: migration.as_str(),
            from: "New",
            to: "Legacy",
            actor: &core.id,
            reason,
        };
        if let Err(error) = core.store.audit(entry).await {
            tracing::warn!(%migration, error = %error, "the rollback is not in the audit trail");
        }
    }
    Ok(done)
}
