//! Repairing what a pass found.

use crossfade_core::{Key, MigrationState};
use crossfade_store::{
    Chunk, ChunkRequest, ControlStore, Difference, EnterError, KeyRange, VerifyStore,
};

use super::VerifyError;
use crate::backfill::{REENTRIES, REENTRY_PAUSE};
use crate::retry::{TRIES, may_pass, retrying};

/// One worker's repairs.
pub(super) struct Repairs<'a> {
    pub(super) store: &'a dyn VerifyStore,
    pub(super) control: &'a dyn ControlStore,
    pub(super) state: MigrationState,
}

/// What became of a key.
pub(super) enum Repaired {
    /// It is equal.
    Equal,
    /// New refuses it.
    Quarantined,
    /// It was written and differs again: what New stores is not what the mapping yields.
    Stuck(Difference),
}

impl Repairs<'_> {
    /// Makes New equal for a key and compares it once more.
    pub(super) async fn repair(&mut self, key: &Key) -> Result<Repaired, VerifyError> {
        let (mut tries, mut reentries) = (0, 0);
        loop {
            match self.store.repair(&self.state, key).await {
                Ok(None) => break,
                Ok(Some(_)) => {
                    tracing::info!(%key, "New refuses a row; its key is in quarantine");
                    return Ok(Repaired::Quarantined);
                }
                Err(EnterError::Closed) => {
                    reentries += 1;
                    self.reload(reentries).await?;
                }
                Err(EnterError::Store(error)) => {
                    tries += 1;
                    match TRIES.wait(tries, rand::random()) {
                        Some(wait) if may_pass(&error) => tokio::time::sleep(wait).await,
                        _ => return Err(error.into()),
                    }
                }
            }
        }
        let request =
            ChunkRequest { state: &self.state, range: KeyRange::One(key), rows: 1, values: 1 };
        let store = self.store;
        let Chunk { differences, .. } = retrying(|| store.verify_chunk(request)).await?;
        Ok(differences.into_iter().next().map_or(Repaired::Equal, Repaired::Stuck))
    }

    async fn reload(&mut self, reentries: u32) -> Result<(), VerifyError> {
        let (control, name) = (self.control, &self.state.definition.name);
        let state = retrying(|| control.migration(name)).await?;
        if !state.stage.reconciles() || reentries > REENTRIES {
            return Err(VerifyError::StageLeft { stage: state.stage });
        }
        if state.epoch == self.state.epoch {
            tokio::time::sleep(REENTRY_PAUSE).await;
        }
        self.state = state;
        Ok(())
    }
}
