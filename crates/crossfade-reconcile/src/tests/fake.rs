//! A database in memory: two tables with integer keys, and what backfill keeps about its run.
//!
//! Every call yields before and after it takes effect, so that a future dropped at any await
//! leaves either nothing or all of a call behind, as a transaction does.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use crossfade_core::{
    BackfillOptions, Definition, Epoch, GateOptions, Key, MigrationName, MigrationState, RunId,
    RunState, SideTable, Stage, ToKey, Witness,
};
use crossfade_store::{
    Batch, BatchRequest, Chunk, ChunkRequest, Difference, DifferenceKind, EnterError, KeyRange,
    PassProgress, ReconcileStore, Run, RunProgress, Segment, StoreError, StoreErrorKind,
    Verification, VerifyStore,
};
use tokio::{task::yield_now, time::Instant};

/// What happens before the batch of this number.
pub(super) type Event = (u32, fn(&mut Inner));

#[derive(Debug)]
pub(super) struct Held {
    segment: Segment,
    worker: String,
    until: Instant,
    done: bool,
}

#[derive(Debug)]
pub(super) struct Inner {
    pub(super) state: MigrationState,
    pub(super) legacy: BTreeMap<i64, String>,
    pub(super) new: BTreeMap<i64, String>,
    /// Keys that New refuses.
    pub(super) refused: BTreeSet<i64>,
    /// Keys that New stores in its own way, whatever is written.
    pub(super) stuck: BTreeSet<i64>,
    pub(super) run: Option<Run>,
    pub(super) segments: Vec<Held>,
    pub(super) inserted: u64,
    pub(super) batches: u32,
    /// Errors that the next batches meet.
    pub(super) failures: Vec<StoreErrorKind>,
    pub(super) at_batch: Option<Event>,
    pub(super) verifications: Vec<Verification>,
    pub(super) progress: Option<PassProgress>,
    /// Writes that a capture has counted.
    pub(super) bypassed: u64,
    /// Why nothing can be written.
    pub(super) only_looks: Option<String>,
}

#[derive(Debug)]
pub(super) struct Fake(Mutex<Inner>);

pub(super) fn name() -> MigrationName {
    "user_settings".parse().unwrap()
}

fn number(key: &Key) -> i64 {
    key.text().parse().unwrap()
}

impl Fake {
    /// Legacy holds these keys; the stage is `dual_write`.
    pub(super) fn holding(keys: impl IntoIterator<Item = i64>) -> Self {
        let side = |table: &str| SideTable {
            table: table.parse().unwrap(),
            key: vec!["id".parse().unwrap()],
        };
        let definition = Definition {
            name: name(),
            read_flag: "flag".parse().unwrap(),
            legacy: side("users"),
            legacy_columns: Vec::new(),
            new: side("user_settings"),
            mapping: String::new(),
            backfill: BackfillOptions::default(),
            gates: GateOptions::default(),
            accepted: Vec::new(),
            pinned: crossfade_core::Pinned::default(),
        };
        Self(Mutex::new(Inner {
            state: MigrationState {
                definition,
                stage: Stage::DualWrite,
                epoch: Epoch::new(3),
                previous_open: false,
                quarantined: BTreeSet::new(),
            },
            legacy: keys.into_iter().map(|key| (key, format!("row {key}"))).collect(),
            new: BTreeMap::new(),
            refused: BTreeSet::new(),
            stuck: BTreeSet::new(),
            run: None,
            segments: Vec::new(),
            inserted: 0,
            batches: 0,
            failures: Vec::new(),
            at_batch: None,
            verifications: Vec::new(),
            progress: None,
            bypassed: 0,
            only_looks: None,
        }))
    }

    pub(super) fn get(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    #[track_caller]
    pub(super) fn assert_equal(&self) {
        let inner = self.get();
        assert_eq!(inner.new, inner.legacy);
    }

    /// One call: all of `effect`, between two points where it can be dropped.
    async fn call<T>(&self, effect: impl FnOnce(&mut Inner) -> T) -> T {
        yield_now().await;
        let out = effect(&mut self.get());
        yield_now().await;
        out
    }
}

impl Inner {
    fn enter(&self, state: &MigrationState) -> Result<(), EnterError> {
        if state.epoch == self.state.epoch { Ok(()) } else { Err(EnterError::Closed) }
    }

    fn batch(&mut self, request: BatchRequest<'_>) -> Result<Batch, EnterError> {
        self.batches += 1;
        if self.at_batch.is_some_and(|(number, _)| number == self.batches)
            && let Some((_, happens)) = self.at_batch.take()
        {
            happens(self);
        }
        if let Some(kind) = self.failures.pop() {
            return Err(StoreError::new(kind, "the fake says so").into());
        }
        self.enter(request.state)?;
        if self.run.as_ref().is_none_or(|run| run.state != RunState::Running) {
            return Ok(Batch::RunOver);
        }
        let Self { legacy, new, refused, segments, state, inserted, .. } = self;
        let held = segments
            .iter_mut()
            .find(|held| held.segment.number == request.segment.number)
            .filter(|held| held.worker == request.worker);
        let Some(held) = held else { return Ok(Batch::LeaseLost) };
        held.until = Instant::now() + request.lease;
        let after = held.segment.cursor.as_ref().map_or(i64::MIN, number);
        let upper = number(&held.segment.upper);
        let keys: Vec<i64> = legacy
            .keys()
            .copied()
            .filter(|key| (*key > after || held.segment.cursor.is_none()) && *key <= upper)
            .take(request.rows as usize)
            .collect();
        let mut most = request.refusals.max(1);
        let mut handled = Vec::new();
        for key in &keys {
            if most == 0 {
                break;
            }
            most -= u64::from(refused.contains(key));
            handled.push(*key);
        }
        let cursor = match handled.last() {
            Some(last) if handled.len() < keys.len() => *last,
            Some(last) if keys.len() == request.rows as usize => *last,
            _ => upper,
        };
        let (done, read) = (cursor == upper, handled.len() as u64);
        let cursor = cursor.to_key();
        let (mut count, mut quarantined) = (0, 0);
        for key in handled {
            if refused.contains(&key) {
                quarantined += 1;
                state.quarantined.insert(key.to_key().text().into_owned());
                continue;
            }
            count += u64::from(!new.contains_key(&key));
            new.entry(key).or_insert_with(|| legacy[&key].clone());
        }
        *inserted += count;
        held.segment.cursor = Some(cursor.clone());
        held.done = done;
        Ok(Batch::Written { read, inserted: count, quarantined, cursor, done })
    }

    fn claim(&mut self, run: &Run, worker: &str, rows: u32, lease: Duration) -> Option<Segment> {
        let until = Instant::now() + lease;
        let free = |held: &&mut Held| !held.done && held.until <= Instant::now();
        if let Some(held) = self.segments.iter_mut().find(free) {
            held.worker = worker.to_owned();
            held.until = until;
            return Some(held.segment.clone());
        }
        let end = number(run.upper.as_ref()?);
        let cursor = self.segments.last().map(|held| held.segment.upper.clone());
        let after = cursor.as_ref().map(number);
        let left = self.legacy.keys().filter(|key| after.is_none_or(|after| **key > after));
        let upper = match left.filter(|key| **key <= end).nth(rows as usize - 1) {
            Some(upper) => *upper,
            None if after == Some(end) => return None,
            None => end,
        };
        let number = i64::try_from(self.segments.len()).unwrap();
        let segment = Segment { number, cursor, upper: upper.to_key() };
        let worker = worker.to_owned();
        self.segments.push(Held { segment: segment.clone(), worker, until, done: false });
        Some(segment)
    }

    /// Gives every held segment to a worker that is never heard of again.
    pub(super) fn steal(&mut self, lease: Duration) {
        for held in self.segments.iter_mut().filter(|held| !held.done) {
            held.worker = "a worker that died".to_owned();
            held.until = Instant::now() + lease;
        }
    }

    /// The keys of both sides in a range.
    fn keys(&self, range: KeyRange<'_>) -> Vec<i64> {
        let all: BTreeSet<i64> = self.legacy.keys().chain(self.new.keys()).copied().collect();
        let within = |key: &i64| match range {
            KeyRange::One(one) => *key == number(one),
            KeyRange::Between { after, upto } => {
                after.is_none_or(|after| *key > number(after))
                    && upto.is_none_or(|upto| *key <= number(upto))
            }
        };
        all.into_iter().filter(within).collect()
    }

    fn end(&self, request: ChunkRequest<'_>) -> Option<Key> {
        self.keys(request.range).get(request.rows as usize - 1).map(ToKey::to_key)
    }

    fn compare(&self, range: KeyRange<'_>) -> Chunk {
        let mut chunk = Chunk::default();
        for key in self.keys(range) {
            chunk.compared += 1;
            if self.state.quarantined.contains(&key.to_string()) {
                continue;
            }
            let kind = match (self.legacy.get(&key), self.new.get(&key)) {
                (Some(old), Some(new)) if old != new => DifferenceKind::Differing,
                (Some(_), None) => DifferenceKind::Missing,
                (None, Some(_)) => DifferenceKind::Orphaned,
                _ => continue,
            };
            let columns = match kind {
                DifferenceKind::Differing => vec!["row".into()],
                _ => Vec::new(),
            };
            chunk.differences.push(Difference {
                key: key.to_key(),
                kind,
                columns,
                values: Vec::new(),
            });
        }
        chunk
    }

    fn repair(&mut self, key: &Key) -> Option<String> {
        let (text, id) = (key.text().into_owned(), number(key));
        if self.refused.contains(&id) && self.legacy.contains_key(&id) {
            self.state.quarantined.insert(text);
            return Some("a constraint".to_owned());
        }
        match self.legacy.get(&id) {
            Some(_) if self.stuck.contains(&id) => {}
            Some(row) => drop(self.new.insert(id, row.clone())),
            None => drop(self.new.remove(&id)),
        }
        self.state.quarantined.remove(&text);
        None
    }
}

#[async_trait]
impl ReconcileStore for Fake {
    async fn open_run(&self, state: &MigrationState) -> Result<Run, EnterError> {
        self.call(|inner| {
            inner.enter(state)?;
            let upper = inner.legacy.keys().last().map(ToKey::to_key);
            let new = Run { id: RunId::new(1), state: RunState::Running, upper };
            Ok(inner.run.get_or_insert(new).clone())
        })
        .await
    }

    async fn claim_segment(
        &self,
        _: &MigrationState,
        run: &Run,
        worker: &str,
        rows: u32,
        lease: Duration,
    ) -> Result<Option<Segment>, StoreError> {
        Ok(self.call(|inner| inner.claim(run, worker, rows, lease)).await)
    }

    async fn release_segments(&self, _: RunId, worker: &str) -> Result<(), StoreError> {
        self.call(|inner| {
            for held in inner.segments.iter_mut().filter(|held| held.worker == worker) {
                held.until = Instant::now();
            }
        })
        .await;
        Ok(())
    }

    async fn backfill_batch(&self, request: BatchRequest<'_>) -> Result<Batch, EnterError> {
        self.call(|inner| inner.batch(request)).await
    }

    async fn finish_run(&self, _: &MigrationState, run: &Run) -> Result<bool, StoreError> {
        let done = |inner: &mut Inner| {
            let end = inner.segments.last().map(|held| held.segment.upper.clone());
            let done = end == run.upper && inner.segments.iter().all(|held| held.done);
            if let Some(run) = inner.run.as_mut().filter(|_| done) {
                run.state = RunState::Done;
            }
            done
        };
        Ok(self.call(done).await)
    }

    async fn run_progress(&self, _: &MigrationState) -> Result<Option<RunProgress>, StoreError> {
        let progress = |inner: &mut Inner| {
            let run = inner.run.clone().filter(|run| run.state != RunState::Void)?;
            let estimated_rows = Some(inner.legacy.len() as u64);
            Some(RunProgress { run, read: 0, inserted: 0, estimated_rows, elapsed_ms: 0 })
        };
        Ok(self.call(progress).await)
    }

    async fn refusals(&self, _: &MigrationState, _: RunId) -> Result<u64, StoreError> {
        Ok(self.call(|inner| inner.state.quarantined.len() as u64).await)
    }

    async fn repair(
        &self,
        state: &MigrationState,
        key: &Key,
    ) -> Result<Option<String>, EnterError> {
        self.call(|inner| inner.enter(state).map(|()| inner.repair(key))).await
    }
}

#[async_trait]
impl VerifyStore for Fake {
    async fn chunk_end(&self, request: ChunkRequest<'_>) -> Result<Option<Key>, StoreError> {
        Ok(self.call(|inner| inner.end(request)).await)
    }

    async fn verify_chunk(&self, request: ChunkRequest<'_>) -> Result<Chunk, StoreError> {
        Ok(self.call(|inner| inner.compare(request.range)).await)
    }

    async fn estimated_rows(&self, _: &MigrationState) -> Result<Option<u64>, StoreError> {
        Ok(self.call(|inner| Some(inner.legacy.len() as u64)).await)
    }

    async fn only_looks(&self, _: &MigrationState) -> Result<Option<String>, StoreError> {
        Ok(self.call(|inner| inner.only_looks.clone()).await)
    }

    async fn pass_progress(&self, _: &MigrationState) -> Result<Option<PassProgress>, StoreError> {
        Ok(self.call(|inner| inner.progress.clone()).await)
    }

    async fn save_pass(
        &self,
        _: &MigrationState,
        progress: Option<&PassProgress>,
    ) -> Result<(), StoreError> {
        self.call(|inner| inner.progress = progress.cloned()).await;
        Ok(())
    }

    async fn witness(&self, _: &MigrationState) -> Result<Witness, StoreError> {
        Ok(self.call(|inner| Witness { bypassed: inner.bypassed, capture: None }).await)
    }

    async fn record_verification(
        &self,
        _: &MigrationState,
        verification: Verification,
    ) -> Result<(), StoreError> {
        self.call(|inner| inner.verifications.push(verification)).await;
        Ok(())
    }
}
