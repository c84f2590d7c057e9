//! One pass over a range of keys, by one worker or several.
//!
//! The workers cut one chunk after the other off the range; where a chunk ends is looked up under a
//! lock, the chunk itself is compared outside it.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crossfade_core::{BatchSize, Key, MigrationState};
use crossfade_store::{
    Chunk, ChunkRequest, ControlStore, Difference, DifferenceKind, KeyRange, StoreError,
    VerifyStore,
};
use futures_util::future::try_join_all;
use tokio::time::Instant;

use super::cut::Cut;
use super::repairs::{Repaired, Repairs};
use super::saved::{SaveWhen, Saved};
use super::{
    Differences, Samples, VerifyError, VerifyHooks, VerifyMode, VerifyProgress, VerifySettings,
};
use crate::retry::{TRIES, may_pass};

/// The time a chunk may take; comparing blocks nobody.
const CHUNK_TARGET: Duration = Duration::from_millis(250);

pub(super) struct Pass<'a> {
    pub(super) store: &'a dyn VerifyStore,
    pub(super) control: &'a dyn ControlStore,
    pub(super) settings: &'a VerifySettings,
    pub(super) hooks: VerifyHooks<'a>,
    pub(super) on_difference: &'a (dyn Fn(&Difference) + Send + Sync),
    pub(super) state: MigrationState,
    pub(super) estimated_rows: Option<u64>,
    pub(super) cut: Cut,
    pub(super) totals: Mutex<Totals>,
    /// What is saved on the way, where an interrupted pass can be gone on with.
    pub(super) saved: Option<Saved>,
}

/// What all workers found and did.
#[derive(Debug, Default)]
pub(super) struct Totals {
    pub(super) compared: u64,
    pub(super) found: Differences,
    pub(super) columns: BTreeMap<Arc<str>, u64>,
    pub(super) samples: Samples,
    /// Keys made equal, whether they were found or in quarantine.
    pub(super) repaired: u64,
    /// Keys made equal that this pass found.
    pub(super) repaired_differences: u64,
    /// Keys that this pass found and New refused.
    pub(super) newly_quarantined: u64,
    pub(super) stuck: u64,
    pub(super) stuck_samples: Vec<Difference>,
    pub(super) interrupted: bool,
}

impl Pass<'_> {
    /// Compares every chunk and, in repair mode, repairs its keys before the next.
    pub(super) async fn compare(&self) -> Result<(), VerifyError> {
        let workers = (0..self.settings.workers.max(1)).map(|_| self.work());
        try_join_all(workers).await.map(drop)
    }

    /// Repairs the keys that were in quarantine when the pass began.
    pub(super) async fn repair_quarantined(&self) -> Result<(), VerifyError> {
        let columns = self.state.definition.legacy.key.len();
        let mut repairs = self.repairs();
        for text in &self.state.quarantined {
            if self.stopped() {
                return Ok(());
            }
            let Some(key) = Key::from_text(text, columns) else {
                return Err(VerifyError::BadKey { text: text.clone(), columns });
            };
            match repairs.repair(&key).await? {
                Repaired::Equal => self.totals().repaired += 1,
                Repaired::Quarantined => {}
                Repaired::Stuck(difference) => self.totals().stuck(difference),
            }
            self.report();
        }
        Ok(())
    }

    pub(super) fn totals(&self) -> MutexGuard<'_, Totals> {
        self.totals.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn repairs(&self) -> Repairs<'_> {
        Repairs { store: self.store, control: self.control, state: self.state.clone() }
    }

    /// One worker.
    async fn work(&self) -> Result<(), VerifyError> {
        let rows = self.settings.chunk_rows;
        let mut size = rows.map_or(BatchSize::adaptive(CHUNK_TARGET), BatchSize::fixed);
        let mut repairs = self.repairs();
        while !self.stopped() {
            let Some(piece) = self.next_piece(&mut size).await? else { return Ok(()) };
            let mut compared = 0;
            let mut range = piece.range();
            let mut next;
            loop {
                let started = Instant::now();
                let chunk = self.chunk(range, &mut size).await?;
                // A part of a piece, or the last one, says nothing of the time a full one takes.
                if compared == 0 && chunk.next.is_none() && piece.is_full() {
                    size = size.after_success(started.elapsed());
                }
                compared += chunk.compared;
                self.add(&chunk);
                if self.settings.mode == VerifyMode::Repair {
                    self.repair_chunk(&chunk, &mut repairs).await?;
                }
                self.report();
                next = chunk.next;
                match &next {
                    Some(_) if self.stopped() => return Ok(()),
                    Some(after) => range = piece.rest(after),
                    None => break,
                }
            }
            self.cut.finished(&piece, compared);
            self.save(SaveWhen::Due).await;
        }
        Ok(())
    }

    /// Whether the pass is to end. What was found stays.
    fn stopped(&self) -> bool {
        let cancelled = self.hooks.cancel.is_cancelled();
        let mut totals = self.totals();
        totals.interrupted |= cancelled;
        totals.interrupted
    }

    /// Compares a chunk, or the first part of it where it takes too long.
    async fn chunk(&self, range: KeyRange<'_>, size: &mut BatchSize) -> Result<Chunk, StoreError> {
        let mut tries = 0;
        let mut part: Option<Key> = None;
        loop {
            let (range, next) = match (range, &part) {
                (KeyRange::Between { after, .. }, Some(end)) => {
                    (KeyRange::Between { after, upto: Some(end) }, Some(end.clone()))
                }
                (range, _) => (range, None),
            };
            let request = ChunkRequest {
                state: &self.state,
                range,
                rows: size.rows(),
                values: self.totals().samples.wanted(),
            };
            match self.store.verify_chunk(request).await {
                Ok(chunk) => {
                    return Ok(Chunk { next: chunk.next.or(next), ..chunk });
                }
                Err(error) => {
                    tries += 1;
                    match TRIES.wait(tries, rand::random()) {
                        Some(wait) if may_pass(&error) => {
                            tracing::warn!(%error, tries, "a smaller chunk is tried");
                            *size = size.split();
                            tokio::time::sleep(wait).await;
                            let request = ChunkRequest { rows: size.rows(), ..request };
                            part = self.store.chunk_end(request).await?.or(part);
                        }
                        _ => return Err(error),
                    }
                }
            }
        }
    }

    fn add(&self, chunk: &Chunk) {
        for difference in &chunk.differences {
            (self.on_difference)(difference);
        }
        let mut totals = self.totals();
        totals.compared += chunk.compared;
        totals.found.add(chunk);
        totals.samples.add(chunk);
        for difference in &chunk.differences {
            for column in &difference.columns {
                *totals.columns.entry(Arc::clone(column)).or_default() += 1;
            }
        }
    }

    async fn repair_chunk(
        &self,
        chunk: &Chunk,
        repairs: &mut Repairs<'_>,
    ) -> Result<(), VerifyError> {
        let kinds = [DifferenceKind::Differing, DifferenceKind::Missing, DifferenceKind::Orphaned];
        for key in kinds.iter().flat_map(|kind| chunk.keys(*kind)) {
            if self.stopped() {
                return Ok(());
            }
            let repaired = repairs.repair(&key).await?;
            let mut totals = self.totals();
            match repaired {
                Repaired::Equal => {
                    totals.repaired += 1;
                    totals.repaired_differences += 1;
                }
                Repaired::Quarantined => totals.newly_quarantined += 1,
                Repaired::Stuck(difference) => totals.stuck(difference),
            }
        }
        Ok(())
    }

    fn report(&self) {
        let now = {
            let totals = self.totals();
            VerifyProgress {
                compared: totals.compared,
                found: totals.found,
                repaired: totals.repaired,
                estimated_rows: self.estimated_rows,
            }
        };
        (self.hooks.progress)(now);
    }
}

impl Totals {
    fn stuck(&mut self, difference: Difference) {
        self.stuck += 1;
        if self.stuck_samples.len() < Samples::LIMIT {
            self.stuck_samples.push(difference);
        }
    }
}
