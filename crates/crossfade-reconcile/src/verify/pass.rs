//! One pass over the key range.

use std::time::Duration;

use crossfade_core::{BatchSize, Key, MigrationState};
use crossfade_store::{Chunk, ControlStore, EnterError, ReconcileStore, StoreError};
use tokio::time::Instant;

use super::{
    Differences, Samples, VerifyError, VerifyHooks, VerifyMode, VerifyProgress, VerifySettings,
};
use crate::{
    backfill::{REENTRIES, REENTRY_PAUSE},
    retry::{TRIES, may_pass, retrying},
};

/// The time a chunk may take; comparing blocks nobody.
const CHUNK_TARGET: Duration = Duration::from_millis(250);

pub(super) struct Pass<'a> {
    store: &'a dyn ReconcileStore,
    control: &'a dyn ControlStore,
    mode: VerifyMode,
    hooks: VerifyHooks<'a>,
    state: MigrationState,
    size: BatchSize,
    estimated_rows: Option<u64>,
    pub(super) compared: u64,
    pub(super) found: Differences,
    pub(super) samples: Samples,
    /// Keys made equal, whether they were found or in quarantine.
    pub(super) repaired: u64,
    /// Keys made equal that this pass found.
    pub(super) repaired_differences: u64,
    /// Keys that this pass found and New refused.
    pub(super) newly_quarantined: u64,
    pub(super) interrupted: bool,
}

/// What became of a repair.
#[derive(PartialEq)]
enum Repaired {
    Equal,
    Quarantined,
}

impl<'a> Pass<'a> {
    pub(super) fn new(
        store: &'a dyn ReconcileStore,
        control: &'a dyn ControlStore,
        settings: VerifySettings,
        hooks: VerifyHooks<'a>,
        state: MigrationState,
        estimated_rows: Option<u64>,
    ) -> Self {
        let size = settings.chunk_rows;
        Self {
            store,
            control,
            mode: settings.mode,
            hooks,
            state,
            size: size.map_or(BatchSize::adaptive(CHUNK_TARGET), BatchSize::fixed),
            estimated_rows,
            compared: 0,
            found: Differences::default(),
            samples: Samples::default(),
            repaired: 0,
            repaired_differences: 0,
            newly_quarantined: 0,
            interrupted: false,
        }
    }

    /// Compares every chunk and, in repair mode, repairs its keys before the next.
    pub(super) async fn compare(&mut self) -> Result<(), VerifyError> {
        let mut after = None;
        loop {
            if self.stopped() {
                return Ok(());
            }
            let chunk = self.chunk(after.as_ref()).await?;
            self.compared += chunk.compared;
            self.found.differing += chunk.differing.len() as u64;
            self.found.missing += chunk.missing.len() as u64;
            self.found.orphaned += chunk.orphaned.len() as u64;
            keep(&mut self.samples.differing, &chunk.differing);
            keep(&mut self.samples.missing, &chunk.missing);
            keep(&mut self.samples.orphaned, &chunk.orphaned);
            if self.mode == VerifyMode::Repair {
                self.repair_chunk(&chunk).await?;
            }
            self.tell();
            match chunk.next {
                Some(next) => after = Some(next),
                None => return Ok(()),
            }
        }
    }

    /// Repairs the keys that were in quarantine when the pass began.
    pub(super) async fn repair_quarantined(&mut self) -> Result<(), VerifyError> {
        let columns = self.state.definition.legacy.key.len();
        for text in std::mem::take(&mut self.state.quarantined) {
            if self.stopped() {
                return Ok(());
            }
            let Some(key) = Key::from_text(&text, columns) else {
                return Err(VerifyError::BadKey { text, columns });
            };
            if self.repair(&key).await? == Repaired::Equal {
                self.repaired += 1;
            }
            self.tell();
        }
        Ok(())
    }

    fn stopped(&mut self) -> bool {
        self.interrupted |= self.hooks.cancel.is_cancelled();
        self.interrupted
    }

    async fn chunk(&mut self, after: Option<&Key>) -> Result<Chunk, StoreError> {
        let mut tries = 0;
        loop {
            let started = Instant::now();
            match self.store.verify_chunk(&self.state, after, self.size.rows()).await {
                Ok(chunk) => {
                    self.size = self.size.after_success(started.elapsed());
                    return Ok(chunk);
                }
                Err(error) => {
                    tries += 1;
                    match TRIES.wait(tries, rand::random()) {
                        Some(wait) if may_pass(&error) => {
                            tracing::warn!(%error, tries, "a smaller chunk is tried");
                            self.size = self.size.split();
                            tokio::time::sleep(wait).await;
                        }
                        _ => return Err(error),
                    }
                }
            }
        }
    }

    async fn repair_chunk(&mut self, chunk: &Chunk) -> Result<(), VerifyError> {
        for key in [&chunk.differing, &chunk.missing, &chunk.orphaned].into_iter().flatten() {
            if self.stopped() {
                return Ok(());
            }
            match self.repair(key).await? {
                Repaired::Equal => {
                    self.repaired += 1;
                    self.repaired_differences += 1;
                }
                Repaired::Quarantined => self.newly_quarantined += 1,
            }
        }
        Ok(())
    }

    async fn repair(&mut self, key: &Key) -> Result<Repaired, VerifyError> {
        let (mut tries, mut reentries) = (0, 0);
        loop {
            match self.store.repair(&self.state, key).await {
                Ok(None) => return Ok(Repaired::Equal),
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
        // The keys that are left to repair are those from the beginning of the pass.
        let quarantined = std::mem::take(&mut self.state.quarantined);
        self.state = MigrationState { quarantined, ..state };
        Ok(())
    }

    fn tell(&self) {
        (self.hooks.progress)(VerifyProgress {
            compared: self.compared,
            found: self.found,
            repaired: self.repaired,
            estimated_rows: self.estimated_rows,
        });
    }
}

fn keep(samples: &mut Vec<Key>, keys: &[Key]) {
    let room = Samples::LIMIT.saturating_sub(samples.len());
    samples.extend(keys.iter().take(room).cloned());
}
