//! Routing reads.

use std::error::Error;
use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use crossfade_core::{
    Admission, Epoch, Observation, Offer, Probe, ReadFacts, ReadPlan, Side, Stage, ToKey,
    answer_counts, past_breaker, read_plan,
};
use crossfade_store::Failure;
use tracing::Instrument;

use crate::breaker::Watch;
use crate::current::Snapshot;
use crate::options::Omission;
use crate::{Migration, ReadError, RequestStore};

/// How often a read is repeated after the lease lapsed under it.
const LEASE_TRIES: u32 = 4;

/// How often, and for how long, a read is repeated whose connection was lost. One that died in the
/// pool fails at once, and the pool may hold many; whatever takes longer is no such thing.
const LOST_TRIES: u32 = 64;
const LOST_WITHIN: Duration = Duration::from_secs(1);

/// Whether a read can be compared with the other side, and is to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Comparing {
    Never,
    Unsampled,
    Sampled,
}

/// The row that a read is of, and whom it is for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Subject<'a> {
    /// What marks, pins and mismatches know the row by.
    pub(crate) key: &'a str,
    /// What the flag is asked about, and nothing else.
    pub(crate) user: &'a str,
}

/// How a read went.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Routed {
    pub(crate) plan: ReadPlan,
    pub(crate) stage: Stage,
    pub(crate) epoch: Epoch,
    /// The probe that it was for the breaker, if it was one.
    pub(crate) probe: Option<Probe>,
}

impl<S: RequestStore> Migration<S> {
    /// Reads the row of `key` on the side that the stage and `user`'s read flag pick; in `live`, an
    /// error on New falls back to Legacy within the call.
    ///
    /// `key` names the row, as in [`write`](Self::write): a key in quarantine is read from Legacy
    /// whatever the flag says, and one that this process has just written from the primary. `user`
    /// is what the flag is evaluated for, and decides nothing else: all rows of one user change
    /// sides together. Where each row is a user's own, both are the same value.
    ///
    /// ```
    /// # use crossfade_dual::{Migration, ReadError, RequestStore};
    /// # async fn example<S: RequestStore>(
    /// #     payments: Migration<S>,
    /// #     on_legacy: impl AsyncFn(i64) -> Result<u8, std::fmt::Error>,
    /// #     on_new: impl AsyncFn(i64) -> Result<u8, std::fmt::Error>,
    /// # ) -> Result<u8, ReadError<std::fmt::Error>> {
    /// let (id, customer) = (17i64, "ada");
    /// payments.read(&id, customer, || on_legacy(id), || on_new(id)).await
    /// # }
    /// ```
    ///
    /// `user` may be of any type that a key may have; its text is the flag's targeting key. Each
    /// closure is called when its
    /// side is read, and again when the lease of this instance lapsed meanwhile or, within the first
    /// second, when the connection was lost.
    ///
    /// # Errors
    ///
    /// The side's own error, or [`ReadError::Unleased`] when this instance cannot tell which stage
    /// the fleet is in.
    ///
    /// # Cancel safety
    ///
    /// Reads only; dropping it at any point has no effect.
    pub async fn read<K, U, T, E, L, LF, N, NF>(
        &self,
        key: &K,
        user: &U,
        legacy: L,
        new: N,
    ) -> Result<T, ReadError<E>>
    where
        K: ToKey + ?Sized,
        U: ToKey + ?Sized,
        E: Error + 'static,
        L: Fn() -> LF,
        LF: Future<Output = Result<T, E>>,
        N: Fn() -> NF,
        NF: Future<Output = Result<T, E>>,
    {
        let (key, user) = (key.key_text(), user.key_text());
        let subject = Subject { key: &key, user: &user };
        self.route(subject, Comparing::Never, &legacy, &new).await.map(|(answer, _)| answer)
    }

    pub(crate) async fn route<T, E, LF, NF>(
        &self,
        subject: Subject<'_>,
        comparing: Comparing,
        legacy: &impl Fn() -> LF,
        new: &impl Fn() -> NF,
    ) -> Result<(T, Routed), ReadError<E>>
    where
        E: Error + 'static,
        LF: Future<Output = Result<T, E>>,
        NF: Future<Output = Result<T, E>>,
    {
        let begun = Instant::now();
        let (mut tries, mut lost) = (0, 0);
        loop {
            let lease = self.shared.lease();
            // An instance without a lease would only find out after the read; ask at once.
            if lease.is_some() || tries >= LEASE_TRIES {
                let snapshot = self.shared.snapshot();
                // A lease is only taken once the spelling is known.
                let spelled = self.shared.spelling.of_read(subject.key);
                let subject = Subject { key: &spelled, ..subject };
                let plan = self.plan(&snapshot, subject, comparing == Comparing::Sampled).await;
                let routed = self.past_breaker(&snapshot, plan, comparing);
                let answer = self.answer_routed(&snapshot, &routed, subject.key, legacy, new).await;
                let counts = answer_counts(lease, self.shared.lease());
                if counts || !self.core.options.keeps(Omission::LeaseCheck) {
                    let again = lost < LOST_TRIES && begun.elapsed() < LOST_WITHIN;
                    if again && self.lost_its_connection(&answer) {
                        lost += 1;
                        continue;
                    }
                    return answer.map(|answer| (answer, routed));
                }
            }
            if tries >= LEASE_TRIES {
                let error = crossfade_store::StoreError::new(
                    crossfade_store::StoreErrorKind::Unavailable,
                    "the lease lapsed again before the read ended",
                );
                return Err(ReadError::Unleased(error));
            }
            tries += 1;
            self.core.regain_lease(&self.shared).await.map_err(ReadError::Unleased)?;
        }
    }

    /// Whether a side failed because its connection did, as one does that died in the pool.
    fn lost_its_connection<T, E: Error + 'static>(&self, answer: &Result<T, ReadError<E>>) -> bool {
        match answer {
            Err(ReadError::Legacy(error) | ReadError::New(error)) => {
                self.core.store.classify(error) == Failure::ConnectionLost
            }
            _ => false,
        }
    }

    /// A flag that has to be asked elsewhere is waited for only where it decides; elsewhere nobody
    /// is warned of it.
    async fn plan(&self, snapshot: &Snapshot, subject: Subject<'_>, sampled: bool) -> ReadPlan {
        let flag = snapshot.definition.read_flag.as_str();
        let facts = ReadFacts {
            stage: snapshot.stage,
            previous_open: snapshot.previous_open,
            flag: None,
            quarantined: !snapshot.quarantined.is_empty()
                && snapshot.quarantined.contains(subject.key),
            sampled,
        };
        let answer = self.core.flags.reads_new(flag, subject.user);
        let flag_answer = if facts.flag_decides() { answer.wait().await } else { answer.at_once() };
        let plan = read_plan(ReadFacts { flag: flag_answer, ..facts });
        if plan.flag_ignored {
            // Once for each epoch, not once for each read.
            let epoch = snapshot.epoch.get();
            if self.shared.flag_warned.swap(epoch, Ordering::Relaxed) != epoch {
                tracing::warn!(
                    migration = %snapshot.definition.name,
                    stage = %snapshot.stage,
                    flag,
                    "the read flag is on before the stage permits it; reads stay on Legacy"
                );
            }
        }
        plan
    }

    /// In `live` the breaker may keep a read from New.
    fn past_breaker(&self, snapshot: &Snapshot, plan: ReadPlan, comparing: Comparing) -> Routed {
        let (stage, epoch) = (snapshot.stage, snapshot.epoch);
        let touches_new = plan.fallback.is_some() || plan.shadow.is_some();
        if stage != Stage::Live || !touches_new {
            return Routed { plan, stage, epoch, probe: None };
        }
        let offer =
            Offer { reads_new: plan.answer == Side::New, compares: comparing != Comparing::Never };
        let admission = self.shared.breaker.admit(offer);
        let probe = match admission {
            Admission::Probe(probe) => Some(probe),
            Admission::AsPlanned | Admission::Legacy => None,
        };
        Routed { plan: past_breaker(plan, admission), stage, epoch, probe }
    }

    pub(crate) async fn answer<T, E, LF, NF>(
        &self,
        snapshot: &Snapshot,
        Routed { plan, stage, probe, .. }: &Routed,
        legacy: &impl Fn() -> LF,
        new: &impl Fn() -> NF,
    ) -> Result<T, ReadError<E>>
    where
        E: Error + 'static,
        LF: Future<Output = Result<T, E>>,
        NF: Future<Output = Result<T, E>>,
    {
        let breaker = &self.shared.breaker;
        let mut new_failed = false;
        if plan.answer == Side::New {
            let watch = plan.fallback.map(|_| breaker.watch(*probe));
            match (self.read_side(snapshot, Side::New, Box::pin(new())).await, watch) {
                (Ok(answer), watch) => {
                    watch.into_iter().for_each(Watch::answered);
                    return Ok(answer);
                }
                (Err(error), None) => return Err(ReadError::New(error)),
                (Err(error), Some(watch)) => {
                    watch.failed();
                    // A lost connection is as much one to Legacy.
                    new_failed = self.core.store.classify(&error) != Failure::ConnectionLost;
                    self.shared.meter.fallbacks.increment(1);
                    if let Some(times) = self.shared.fell_back.count() {
                        tracing::warn!(
                            migration = %snapshot.definition.name,
                            error = %error,
                            times,
                            "reading New failed; falling back to Legacy"
                        );
                    }
                }
            }
        }
        self.shared.note_legacy_read(snapshot.epoch);
        let begun = Instant::now();
        let answer = self.read_side(snapshot, Side::Legacy, Box::pin(legacy())).await;
        let answer = answer.map_err(ReadError::Legacy)?;
        if *stage == Stage::Live {
            breaker.legacy_answered(begun.elapsed());
            if new_failed {
                breaker.observe(*probe, Observation::NewFailed);
            }
        }
        Ok(answer)
    }

    /// A side's read for a caller, counted and in a span of its own. It comes boxed: each function
    /// that it is handed to would otherwise make the caller's future larger by its size.
    pub(crate) async fn read_side<T, E>(
        &self,
        snapshot: &Snapshot,
        side: Side,
        read: Pin<Box<impl Future<Output = Result<T, E>>>>,
    ) -> Result<T, E> {
        let span = tracing::debug_span!(
            "crossfade.read",
            migration = %snapshot.definition.name,
            stage = %snapshot.stage,
            epoch = snapshot.epoch.get(),
            side = %side
        );
        self.shared.meter.read(side, read.instrument(span)).await
    }
}
