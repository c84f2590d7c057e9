//! A backfill while it works: its workers and its counts.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crossfade_core::{MigrationName, MigrationState, refusal_limit};
use crossfade_store::{ControlStore, ReconcileStore, Run, StoreError};
use futures_util::future::try_join_all;

use super::{
    BackfillError, BackfillHooks, BackfillOutcome, BackfillProgress, BackfillReport,
    BackfillSettings, is_done,
};
use crate::{retry::retrying, worker::Worker};

/// A backfill while it works.
pub(crate) struct Job<'a> {
    pub(crate) store: &'a dyn ReconcileStore,
    pub(crate) control: &'a dyn ControlStore,
    pub(crate) settings: BackfillSettings,
    pub(crate) hooks: BackfillHooks<'a>,
    pub(crate) run: Run,
    tally: Tally,
}

#[derive(Default)]
struct Tally {
    earlier_read: AtomicU64,
    earlier_inserted: AtomicU64,
    /// Zero means unknown.
    estimated_rows: AtomicU64,
    read: AtomicU64,
    inserted: AtomicU64,
    quarantined: AtomicU64,
    /// Keys in quarantine that were put there since the run began, by all its workers.
    refusals: AtomicU64,
}

impl<'a> Job<'a> {
    pub(super) fn new(
        store: &'a dyn ReconcileStore,
        control: &'a dyn ControlStore,
        settings: BackfillSettings,
        hooks: BackfillHooks<'a>,
        run: Run,
    ) -> Self {
        Self { store, control, settings, hooks, run, tally: Tally::default() }
    }

    /// Lets the workers work until nothing is left, for this process or for others.
    pub(super) async fn drive(
        &self,
        migration: &MigrationName,
        ids: &[String],
    ) -> Result<BackfillOutcome, BackfillError> {
        let mut told = false;
        loop {
            let state = self.control.migration(migration).await?;
            let workers = ids.iter().map(|id| Worker::new(self, id, state.clone()).work());
            try_join_all(workers).await?;
            if self.hooks.cancel.is_cancelled() {
                return Ok(BackfillOutcome::Interrupted);
            }
            let state = self.control.migration(migration).await?;
            if retrying(|| self.store.finish_run(&state, &self.run)).await? {
                return Ok(BackfillOutcome::Done);
            }
            // Other processes hold what is left, or the run has ended without this one.
            match retrying(|| self.store.run_progress(&state)).await? {
                Some(now) if now.run.id == self.run.id && is_done(&now.run) => {
                    return Ok(BackfillOutcome::Done);
                }
                Some(now) if now.run.id == self.run.id => {}
                _ => return Err(BackfillError::RunVoid { run: self.run.id }),
            }
            if !std::mem::replace(&mut told, true) {
                tracing::warn!("other workers hold what is left; waiting for them or their leases");
            }
            let pause = (self.settings.lease / 4).min(Duration::from_secs(1));
            self.hooks.cancel.sleep(pause).await;
        }
    }

    /// Begins the count with what earlier processes did.
    pub(super) async fn count_earlier(&self, state: &MigrationState) -> Result<(), StoreError> {
        if let Some(now) = retrying(|| self.store.run_progress(state)).await? {
            self.tally.earlier_read.store(now.read, Ordering::Relaxed);
            self.tally.earlier_inserted.store(now.inserted, Ordering::Relaxed);
            let estimate = now.estimated_rows.unwrap_or(0);
            self.tally.estimated_rows.store(estimate, Ordering::Relaxed);
        }
        self.tell();
        Ok(())
    }

    pub(crate) fn count(&self, read: u64, inserted: u64, quarantined: u64) {
        self.tally.read.fetch_add(read, Ordering::Relaxed);
        self.tally.inserted.fetch_add(inserted, Ordering::Relaxed);
        self.tally.quarantined.fetch_add(quarantined, Ordering::Relaxed);
        self.tell();
    }

    /// The number of refused rows at which the run stops; `None` where it never does.
    fn limit(&self) -> Option<u64> {
        let rows = self.tally.estimated_rows.load(Ordering::Relaxed);
        let rows = Some(rows).filter(|rows| *rows > 0);
        self.settings.max_refusals.map(|max| refusal_limit(max, rows))
    }

    /// How many rows a batch may put into quarantine before the run stops.
    pub(crate) fn refusals_left(&self) -> u64 {
        let refused = self.tally.refusals.load(Ordering::Relaxed);
        self.limit().map_or(u64::MAX, |limit| limit.saturating_sub(refused))
    }

    /// Looks how many rows were refused in the whole run, and stops it where they are too many.
    pub(crate) async fn refused(&self, state: &MigrationState) -> Result<(), BackfillError> {
        let Some(limit) = self.limit() else { return Ok(()) };
        let refused = retrying(|| self.store.refusals(state, self.run.id)).await?;
        self.tally.refusals.store(refused, Ordering::Relaxed);
        if refused < limit {
            return Ok(());
        }
        let migration = state.definition.name.clone();
        Err(BackfillError::TooManyRefused { migration, refused, limit })
    }

    fn tell(&self) {
        let get = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        (self.hooks.progress)(BackfillProgress {
            read: get(&self.tally.earlier_read) + get(&self.tally.read),
            inserted: get(&self.tally.earlier_inserted) + get(&self.tally.inserted),
            quarantined: get(&self.tally.quarantined),
            estimated_rows: Some(get(&self.tally.estimated_rows)).filter(|rows| *rows > 0),
        });
    }

    pub(super) fn report(&self, outcome: BackfillOutcome, elapsed: Duration) -> BackfillReport {
        let get = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        BackfillReport {
            run: self.run.id,
            outcome,
            read: get(&self.tally.read),
            inserted: get(&self.tally.inserted),
            quarantined: get(&self.tally.quarantined),
            elapsed,
        }
    }
}
