//! Backfill, verification and repair, pushed down into the database.

mod backfill;
mod compare;
#[cfg(feature = "mysql")]
mod mariadb;
mod progress;
mod refusal;
mod repair;
mod runs;
mod segments;
mod sift;
mod statements;
mod verify;

use std::time::Duration;

use async_trait::async_trait;
use crossfade_core::{Key, MigrationState, RunId, Witness};
use crossfade_store::{
    Batch, BatchRequest, Chunk, ChunkRequest, EnterError, PassProgress, ReconcileStore, Run,
    RunProgress, Segment, StoreError, StoreErrorKind, Timeouts, Verification, VerifyStore,
};

use crate::error::Doing;
use crate::mechanism::Mechanism;
use crate::schema::bound;
use crate::session::Session;
use crate::{Database, capture};

pub(crate) use refusal::refusal;
pub(crate) use repair::reconcile;
pub(crate) use sift::{Sifting, groups};
pub(crate) use statements::Sql;

/// How long a statement that holds locks on Legacy rows waits for another one. The application's
/// writers wait behind it meanwhile.
pub(crate) const LOCKS: Timeouts =
    Timeouts { lock: Duration::from_millis(500), statement: Duration::from_secs(60) };

/// Begins a transaction of a batch or a repair, in the epoch that its worker believes in, under
/// the pinned settings and with its waits bounded.
async fn enter(
    database: &Database,
    state: &MigrationState,
    key: Option<&Key>,
) -> Result<Session, EnterError> {
    let doing = "failed to begin";
    let mut session = if database.keeps(Mechanism::ReconcileFence) {
        database.enter_epoch(&state.definition.name, state.epoch, key).await?
    } else {
        database.begin().await.doing(doing)?
    };
    session.pin(database, &state.definition.pinned).await.doing(doing)?;
    bound(&mut session, database.engine(), LOCKS).await.doing(doing)?;
    Ok(session)
}

#[async_trait]
impl ReconcileStore for Database {
    async fn open_run(&self, state: &MigrationState) -> Result<Run, EnterError> {
        runs::open(self, state).await
    }

    async fn claim_segment(
        &self,
        state: &MigrationState,
        run: &Run,
        worker: &str,
        rows: u32,
        lease: Duration,
    ) -> Result<Option<Segment>, StoreError> {
        segments::claim(self, state, run, worker, rows, lease).await
    }

    async fn release_segments(&self, run: RunId, worker: &str) -> Result<(), StoreError> {
        segments::release(self, run, worker).await
    }

    async fn backfill_batch(&self, request: BatchRequest<'_>) -> Result<Batch, EnterError> {
        looked_up_again(self, backfill::batch(self, request).await)
    }

    async fn finish_run(&self, state: &MigrationState, run: &Run) -> Result<bool, StoreError> {
        runs::finish(self, state, run).await
    }

    async fn run_progress(
        &self,
        state: &MigrationState,
    ) -> Result<Option<RunProgress>, StoreError> {
        runs::progress(self, state).await
    }

    async fn refusals(&self, state: &MigrationState, run: RunId) -> Result<u64, StoreError> {
        runs::refusals(self, state, run).await
    }

    async fn repair(
        &self,
        state: &MigrationState,
        key: &Key,
    ) -> Result<Option<String>, EnterError> {
        looked_up_again(self, repair::repair(self, state, key).await)
    }
}

#[async_trait]
impl VerifyStore for Database {
    async fn chunk_end(&self, request: ChunkRequest<'_>) -> Result<Option<Key>, StoreError> {
        looked_up_again(self, verify::chunk_end(self, request).await)
    }

    async fn verify_chunk(&self, request: ChunkRequest<'_>) -> Result<Chunk, StoreError> {
        looked_up_again(self, verify::chunk(self, request).await)
    }

    async fn estimated_rows(&self, state: &MigrationState) -> Result<Option<u64>, StoreError> {
        runs::estimated(self, state).await
    }

    async fn only_looks(&self, state: &MigrationState) -> Result<Option<String>, StoreError> {
        progress::only_looks(self, state).await
    }

    async fn pass_progress(
        &self,
        state: &MigrationState,
    ) -> Result<Option<PassProgress>, StoreError> {
        progress::load(self, state).await
    }

    async fn save_pass(
        &self,
        state: &MigrationState,
        progress: Option<&PassProgress>,
    ) -> Result<(), StoreError> {
        progress::save(self, state, progress).await
    }

    async fn witness(&self, state: &MigrationState) -> Result<Witness, StoreError> {
        let mut session = self.session().await.doing("failed to ask the capture")?;
        Ok(capture::look(self, &mut session, state).await?.witness)
    }

    async fn record_verification(
        &self,
        state: &MigrationState,
        verification: Verification,
    ) -> Result<(), StoreError> {
        verify::record(self, state, verification).await
    }
}

/// Forgets the tables after an error, so that the next call looks them up: statements name every
/// column of Legacy, and one of them may be gone.
fn looked_up_again<T, E>(database: &Database, outcome: Result<T, E>) -> Result<T, E> {
    if outcome.is_err() {
        database.forget_shapes();
    }
    outcome
}

fn invalid(message: String) -> StoreError {
    StoreError::new(StoreErrorKind::Invalid, message)
}

/// The key that a control table holds.
pub(crate) fn stored_key(state: &MigrationState, text: &str) -> Result<Key, StoreError> {
    Key::from_text(text, state.definition.legacy.key.len()).ok_or_else(|| {
        invalid(format!("a stored key of `{}` cannot be read", state.definition.name))
    })
}

fn stored_keys(state: &MigrationState, text: Option<String>) -> Result<Option<Key>, StoreError> {
    text.map(|text| stored_key(state, &text)).transpose()
}

fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}
