//! One worker of a backfill: claims segments and writes them batch by batch.

use crossfade_core::{BatchSize, MigrationState, pause_after};
use crossfade_store::{Batch, BatchRequest, EnterError, Segment};
use tokio::time::{Duration, Instant};

use crate::{
    backfill::{BackfillError, Job, REENTRIES, REENTRY_PAUSE},
    pace::Pace,
    retry::{TRIES, may_pass, retrying, timed_out},
};

/// The time a batch may take: its locks keep the rows' writers waiting.
const BATCH_TARGET: Duration = Duration::from_millis(100);

/// Batches in a segment, and its smallest number of rows.
const SEGMENT_BATCHES: u32 = 50;
const SEGMENT_ROWS: u32 = 10_000;

pub(crate) struct Worker<'a> {
    job: &'a Job<'a>,
    id: &'a str,
    state: MigrationState,
    pace: Pace,
}

/// What follows a batch.
enum Next {
    /// The segment has more rows.
    Go(Segment),
    /// The segment is finished, or another worker's.
    Claim,
    /// The run has ended.
    End,
}

impl<'a> Worker<'a> {
    pub(crate) fn new(job: &'a Job<'a>, id: &'a str, state: MigrationState) -> Self {
        let size = job.settings.batch_size;
        let size = size.map_or(BatchSize::adaptive(BATCH_TARGET), BatchSize::fixed);
        Self { job, id, state, pace: Pace::new(size) }
    }

    /// Works until no segment is free, the run has ended, or it is asked to stop.
    pub(crate) async fn work(mut self) -> Result<(), BackfillError> {
        let Job { store, run, settings, .. } = self.job;
        while !self.cancelled() {
            let rows = self.pace.rows().saturating_mul(SEGMENT_BATCHES).max(SEGMENT_ROWS);
            let (state, id) = (&self.state, self.id);
            let claimed =
                retrying(|| store.claim_segment(state, run, id, rows, settings.lease)).await?;
            let Some(mut segment) = claimed else { return Ok(()) };
            while !self.cancelled() {
                segment = match self.batch(segment).await? {
                    Next::Go(segment) => segment,
                    Next::Claim => break,
                    Next::End => return Ok(()),
                };
            }
        }
        Ok(())
    }

    fn cancelled(&self) -> bool {
        self.job.hooks.cancel.is_cancelled()
    }

    /// Writes one batch, however many tries that takes, and rests.
    async fn batch(&mut self, mut segment: Segment) -> Result<Next, BackfillError> {
        let (mut tries, mut reentries) = (0, 0);
        loop {
            let rows = self.pace.rows();
            let request = BatchRequest {
                state: &self.state,
                run: self.job.run.id,
                segment: &segment,
                worker: self.id,
                rows,
                refusals: self.job.refusals_left(),
                lease: self.job.settings.lease,
            };
            let started = Instant::now();
            match self.job.store.backfill_batch(request).await {
                Ok(Batch::Written { read, inserted, quarantined, cursor, done }) => {
                    let elapsed = started.elapsed();
                    self.pace.written(read, elapsed);
                    self.job.count(read, inserted, quarantined);
                    if quarantined > 0 {
                        // The reasons may quote rows, so they stay in the quarantine table.
                        tracing::info!(quarantined, %cursor, "New refuses rows of a batch");
                        self.pace.quarantined();
                        self.job.refused(&self.state).await?;
                    }
                    segment.cursor = Some(cursor);
                    return self.rest(segment, elapsed, done).await;
                }
                Ok(Batch::Refused { reason }) if rows == 1 => {
                    return Err(BackfillError::Stuck { reason });
                }
                Ok(Batch::Refused { .. }) => self.pace.refused(),
                Ok(Batch::LeaseLost) => return Ok(Next::Claim),
                Ok(Batch::RunOver) => return Ok(Next::End),
                Err(EnterError::Closed) => {
                    reentries += 1;
                    self.reload(reentries).await?;
                }
                Err(EnterError::Store(error)) => {
                    tries += 1;
                    match TRIES.wait(tries, rand::random()) {
                        Some(wait) if may_pass(&error) => {
                            tracing::warn!(%error, tries, rows, "a batch is tried again");
                            if timed_out(&error) {
                                self.pace.timed_out();
                            }
                            self.job.hooks.cancel.sleep(wait).await;
                        }
                        _ => return Err(error.into()),
                    }
                }
            }
        }
    }

    async fn rest(
        &self,
        segment: Segment,
        elapsed: Duration,
        done: bool,
    ) -> Result<Next, BackfillError> {
        self.job.hooks.cancel.sleep(pause_after(elapsed, self.job.settings.delay)).await;
        Ok(if done { Next::Claim } else { Next::Go(segment) })
    }

    /// Looks up the state after the epoch was found closed. The run goes on in a later epoch only
    /// while rows may still be moved there.
    async fn reload(&mut self, reentries: u32) -> Result<(), BackfillError> {
        let control = self.job.control;
        let name = &self.state.definition.name;
        let state = retrying(|| control.migration(name)).await?;
        if !state.stage.reconciles() || reentries > REENTRIES {
            return Err(BackfillError::StageLeft { stage: state.stage });
        }
        if state.previous_open || state.epoch == self.state.epoch {
            self.job.hooks.cancel.sleep(REENTRY_PAUSE).await;
        }
        self.state = state;
        Ok(())
    }
}
