//! Writing both sides in one transaction, through the fence.

use std::error::Error;
use std::future::Future;
use std::marker::PhantomData;
use std::pin::pin;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use crossfade_core::{Key, MigrationState, NewWrite, Side, ToKey, write_plan};
use crossfade_store::{
    Admission, CommitError, EnterError, Entry, Failure, Lent, Loan, Operation, StoreError,
    StoreErrorKind,
};
use tokio::time::timeout;

use crate::bounded::{Cut, GRACE, bounded, interrupt};
use crate::declared::at_once;
use crate::once::{Course, Doubt, Once};
use crate::work::{Modify, Pair, Work};
use crate::{Migration, OperationId, RequestStore, WriteError, spans};

/// How many newer epochs one write follows without a pause.
pub(crate) const MAX_EPOCHS: u32 = 100;

/// Why one try did not succeed.
pub(crate) enum Stop<E: Error + 'static> {
    /// The epoch is closed; look up the newest and try again.
    Closed,
    /// The database rolled the transaction back; the same may succeed when tried again.
    Transient(WriteError<E>),
    /// The same by New, perhaps, where it must not fail the call. When the tries have run out it has
    /// refused.
    NewTransient(WriteError<E>),
    /// A lock or a statement took too long; the same may succeed when tried again.
    Waited(WriteError<E>),
    /// Nobody knows whether the commit has come through; the operation's id will tell.
    Unknown,
    /// New refused the row where it must not fail the call; write Legacy alone and say why.
    NewRefused(NewRefusal),
    /// Trying again changes nothing.
    Final(WriteError<E>),
}

/// Why New did not take a row.
pub(crate) struct NewRefusal {
    /// What the quarantine entry says.
    pub(crate) reason: String,
    /// Whether it is the row that New refuses. A New that is locked, slow or away is left alone by
    /// the next try.
    pub(crate) of_the_row: bool,
}

/// A try that did not succeed, with its transaction where that was given back.
pub(crate) type Stopped<E, Tx> = (Stop<E>, Option<Tx>);

/// Whether New takes part in a try.
#[derive(Clone, Copy)]
pub(crate) enum New<'a> {
    AsPlanned,
    /// Legacy alone, and the key goes into quarantine for this reason.
    Quarantine(&'a NewRefusal),
}

impl<S: RequestStore> Migration<S> {
    /// Writes the row of `key` on the sides that the stage asks for, in one transaction, Legacy
    /// first, and returns the authoritative side's result.
    ///
    /// Each closure writes the full row (or deletes it) on its side, in the transaction that it is
    /// lent, and must be done with the transaction when its future ends. A closure is called again
    /// when the transaction is tried again: after a closed epoch, a serialization failure or a
    /// deadlock. A closure must not swallow an error of the database: PostgreSQL then aborts the
    /// transaction, and the write fails at its commit. Transient errors are told by the database's
    /// error in the chain of `E`'s sources, so `E` must name it as a source and not hide it behind
    /// `#[error(transparent)]`.
    ///
    /// In `dual_write` a refusal by New never fails the call: Legacy is written alone and the key is
    /// put into quarantine. An error is a refusal, a deadlock once it has come in every try, and so
    /// are a panic in New's closure, which is contained there, and a part that takes longer than
    /// [`Options::new_timeout`](crate::Options::new_timeout). A time that New takes at the commit, by
    /// a deferred trigger, is not bounded.
    ///
    /// # Errors
    ///
    /// See [`WriteError`]; each variant says what is known of the data.
    ///
    /// # Cancel safety
    ///
    /// Dropping it, a timeout or a panic in a closure leaves both sides written or neither. Only
    /// when dropped while COMMIT is under way is it unknown which.
    pub async fn write<K, T, E, L, LF, N, NF>(
        &self,
        key: &K,
        legacy: L,
        new: N,
    ) -> Result<T, WriteError<E>>
    where
        K: ToKey + ?Sized,
        T: Send,
        E: Error + Send + Sync + 'static,
        L: Fn(Lent<S::Tx>) -> LF + Send + Sync,
        LF: Future<Output = Result<T, E>> + Send,
        N: Fn(Lent<S::Tx>) -> NF + Send + Sync,
        NF: Future<Output = Result<T, E>> + Send,
    {
        let done = self.carry_out(key.to_key(), None, &Pair { legacy, new }).await?;
        Ok(done.applied().expect("only an operation can be found carried out"))
    }

    /// Loads the row of `key` on the side that the stage makes the base, changes it once, and
    /// stores the outcome on the sides that the stage asks for, in one transaction.
    ///
    /// `load` and `store` are told the side. `load` should lock the row (`for update`) where the
    /// database has row locks and writers that do not use Crossfade.
    ///
    /// # Errors
    ///
    /// See [`WriteError`]. An error of `load` or `change` counts as one of the base side.
    ///
    /// # Cancel safety
    ///
    /// As [`write`](Self::write).
    pub async fn modify<K, V, T, E, Load, LF, Change, Store, SF>(
        &self,
        key: &K,
        load: Load,
        change: Change,
        store: Store,
    ) -> Result<T, WriteError<E>>
    where
        K: ToKey + ?Sized,
        V: Clone + Send,
        T: Send,
        E: Error + Send + Sync + 'static,
        Load: Fn(Side, Lent<S::Tx>) -> LF + Send + Sync,
        LF: Future<Output = Result<V, E>> + Send,
        Change: Fn(V) -> Result<V, E> + Send + Sync,
        Store: Fn(Side, Lent<S::Tx>, V) -> SF + Send + Sync,
        SF: Future<Output = Result<T, E>> + Send,
    {
        let work = Modify {
            load,
            change,
            store,
            changed: Mutex::new(None),
            error: PhantomData::<fn() -> E>,
        };
        let done = self.carry_out(key.to_key(), None, &work).await?;
        Ok(done.applied().expect("only an operation can be found carried out"))
    }

    pub(crate) async fn carry_out<'w, T: Send, E: Error + Send + Sync + 'static>(
        &self,
        key: Key,
        operation: Option<&OperationId>,
        work: &'w dyn Work<'w, S::Tx, T, E>,
    ) -> Result<Once<T>, WriteError<E>> {
        let mut call = self.shared.meter.call();
        let mut course = Course::new(operation);
        let done = self.try_until_done(key, &mut course, work).await;
        let done = done.map_err(|error| course.outcome(error));
        call.ended(&done);
        done
    }

    async fn try_until_done<'w, T: Send, E: Error + Send + Sync + 'static>(
        &self,
        key: Key,
        course: &mut Course<'_, T>,
        work: &'w dyn Work<'w, S::Tx, T, E>,
    ) -> Result<Once<T>, WriteError<E>> {
        let key = &self.spelled(key).await?;
        let _pin = self.shared.routes.write(&key.text());
        let mut refusal: Option<NewRefusal> = None;
        let mut tries = 0;
        loop {
            tries += 1;
            let snapshot = self.shared.snapshot();
            let new = refusal.as_ref().map_or(New::AsPlanned, New::Quarantine);
            let tried = {
                let attempt = pin!(self.attempt(&snapshot, key, new, course, work));
                spans::within(|| spans::write(&snapshot), attempt).await
            };
            let stop = match tried {
                Ok(done) => return Ok(done),
                Err(stop) => stop,
            };
            let epoch = snapshot.epoch;
            drop(snapshot);
            let failed = match stop {
                Stop::Final(error) if course.doubt.is_none() => return Err(error),
                Stop::NewRefused(refused) => {
                    refusal = Some(refused);
                    continue;
                }
                Stop::Closed => {
                    self.shared.meter.fence_refusals.increment(1);
                    // The next epoch decides anew whether New may be left out.
                    refusal = None;
                    self.core.look_up_past(&self.shared, epoch).await?;
                    // A newer epoch lets the write go on at once. There are few of them, so this
                    // ends; the bound is for a caller that would otherwise never hear of trouble.
                    if self.shared.snapshot().epoch > epoch && tries < MAX_EPOCHS {
                        continue;
                    }
                    WriteError::Fenced { epoch }
                }
                Stop::NewTransient(error) => {
                    self.shared.meter.retries.increment(1);
                    match self.core.options.tries.wait(tries, rand::random()) {
                        Some(wait) => tokio::time::sleep(wait).await,
                        // Legacy alone has tries of its own.
                        None => (refusal, tries) = (Some(self.trouble(&error)), 0),
                    }
                    continue;
                }
                // While it is not known what became of the try before, the database is asked as long
                // as it may be: this one did not even begin.
                Stop::Transient(error) | Stop::Waited(error) | Stop::Final(error) => {
                    self.shared.meter.retries.increment(1);
                    error
                }
                // Whatever is said here, `Course::outcome` says that the commit is in doubt.
                Stop::Unknown => WriteError::Fenced { epoch },
            };
            match self.core.options.tries.wait(tries, rand::random()) {
                Some(wait) => tokio::time::sleep(wait).await,
                None => return Err(failed),
            }
        }
    }

    /// One try, in one transaction.
    async fn attempt<'w, T: Send, E: Error + Send + Sync + 'static>(
        &self,
        snapshot: &MigrationState,
        key: &Key,
        new: New<'_>,
        course: &mut Course<'_, T>,
        work: &'w dyn Work<'w, S::Tx, T, E>,
    ) -> Result<Once<T>, Stop<E>> {
        let store = &self.core.store;
        let entry = Entry { migration: &snapshot.definition.name, epoch: snapshot.epoch, key };
        if course.operation.is_none() {
            let plan = write_plan(snapshot.stage);
            let marked = snapshot.quarantined.contains(key.text().as_ref());
            if let Some(outcome) = at_once(entry, plan, marked, new, work).await {
                return outcome.map(Once::Applied);
            }
        }
        let lock_timeout = self.lock_timeout(snapshot);
        // Told apart from others of the same operation.
        let mut attempt = 0;
        let tx = match course.operation {
            None => store.enter(entry, lock_timeout).await.map_err(not_entered)?,
            Some(id) => {
                attempt = rand::random();
                let operation = Operation { id: id.as_str(), attempt };
                let admission = store.enter_once(entry, operation, lock_timeout).await;
                match admission.map_err(not_entered)? {
                    Admission::First(tx) => tx,
                    Admission::Repeated { key: of, attempt } => {
                        return course.repeated(&key.text(), &of, attempt).map_err(Stop::Final);
                    }
                }
            }
        };
        // The transaction of the try before has not committed, and never will.
        course.doubt = None;
        let (answer, tx) = match self.both_sides(snapshot, entry, new, tx, work).await {
            Ok(written) => written,
            Err((stop, tx)) => {
                match (&stop, tx) {
                    (_, None) => {}
                    // New may have left its statement behind, which holds the rollback up.
                    (Stop::NewRefused(_), Some(tx)) => {
                        drop(timeout(GRACE, store.rollback(tx)).await);
                    }
                    (_, Some(tx)) => store.rollback(tx).await,
                }
                return Err(stop);
            }
        };
        match store.commit(tx).await {
            Ok(()) => Ok(Once::Applied(answer)),
            Err(CommitError::Unknown(error)) if course.operation.is_some() => {
                course.doubt = Some(Doubt { attempt, answer, error });
                Err(Stop::Unknown)
            }
            Err(CommitError::Unknown(error)) => Err(Stop::Final(WriteError::CommitUnknown(error))),
            Err(CommitError::Transient(error)) => Err(match self.may_refuse(snapshot, new) {
                // A wait as long as New may make it was waited once.
                true if error.kind == StoreErrorKind::LockTimeout => {
                    Stop::NewRefused(self.trouble_of_store(&error))
                }
                true => Stop::NewTransient(WriteError::Store(error)),
                false => Stop::Transient(WriteError::Store(error)),
            }),
            Err(CommitError::Refused(error)) => Err(self.refused_at_the_end(snapshot, new, error)),
        }
    }

    /// Before `live`, trouble on New is nobody's outage: no wait for a lock of its may be long.
    pub(crate) fn lock_timeout(&self, snapshot: &MigrationState) -> Option<Duration> {
        let bounded = write_plan(snapshot.stage).new.tolerates_refusal();
        bounded.then_some(self.core.options.new_lock_timeout)
    }

    /// The database did not take the pair though every statement went well: a constraint of New's
    /// that is checked at the end only. Where Legacy was to blame, the next try, without New, fails
    /// as it should.
    pub(crate) fn refused_at_the_end<E: Error + 'static>(
        &self,
        snapshot: &MigrationState,
        new: New<'_>,
        error: StoreError,
    ) -> Stop<E> {
        match self.may_refuse(snapshot, new) {
            true => Stop::NewRefused(NewRefusal {
                reason: self.core.store.words(&error),
                of_the_row: true,
            }),
            false => Stop::Final(WriteError::Store(error)),
        }
    }

    /// Whether New takes part in a try that goes on without it.
    fn may_refuse(&self, snapshot: &MigrationState, new: New<'_>) -> bool {
        matches!(new, New::AsPlanned) && write_plan(snapshot.stage).new.tolerates_refusal()
    }

    /// Writes the sides that the stage asks for, in a transaction that has entered the epoch.
    pub(crate) async fn both_sides<'w, T: Send, E: Error + Send + Sync + 'static>(
        &self,
        snapshot: &MigrationState,
        entry: Entry<'_>,
        new: New<'_>,
        mut tx: S::Tx,
        work: &'w dyn Work<'w, S::Tx, T, E>,
    ) -> Result<(T, S::Tx), Stopped<E, S::Tx>> {
        let store = &self.core.store;
        let (definition, key) = (&snapshot.definition, entry.key);
        let plan = write_plan(snapshot.stage);
        let tolerant = plan.new.tolerates_refusal();

        let loan = Loan::default();
        if let Some(before) = work.before() {
            let done = before.run(plan.base, loan.lend(tx)).await;
            ((), tx) = self.given_back(done, &loan, plan.base)?;
        }

        let mut answer = None;
        if plan.legacy {
            let result = self.part(Side::Legacy, work, loan.lend(tx)).await;
            let (result, back) = self.given_back(result, &loan, Side::Legacy)?;
            tx = back;
            answer = Some(result);
        }

        match (new, plan.new) {
            (_, NewWrite::None) => {}
            (New::Quarantine(refused), NewWrite::Remove | NewWrite::OrQuarantine) => {
                if refused.of_the_row && plan.new == NewWrite::OrQuarantine {
                    let (number, limit) = (store.found_by(&tx), self.core.options.new_timeout);
                    let stale = store.delete_stale(&mut tx, definition, key);
                    match Box::pin(bounded(store, number, limit, stale)).await {
                        Ok(Ok(())) => {}
                        Ok(Err(error)) => return Err((self.new_trouble(error), Some(tx))),
                        Err(cut) => return Err(Box::pin(self.cut(cut, number, Some(tx))).await),
                    }
                }
                tracing::warn!(
                    migration = %definition.name, %key,
                    "New refused a row; Legacy was written alone and the key is in quarantine"
                );
                let marked = store.put_into_quarantine(&mut tx, entry, &refused.reason).await;
                if let Err(error) = marked {
                    return Err((transient_or_final(error), Some(tx)));
                }
                self.shared.meter.quarantined.increment(1);
            }
            (New::AsPlanned, NewWrite::Remove) => {
                let (number, limit) = (store.found_by(&tx), self.core.options.new_timeout);
                let removal = store.remove_new(&mut tx, definition, key);
                match Box::pin(bounded(store, number, limit, removal)).await {
                    Ok(Ok(())) => {}
                    Ok(Err(error)) => return Err((self.new_trouble(error), Some(tx))),
                    Err(cut) => return Err(Box::pin(self.cut(cut, number, Some(tx))).await),
                }
            }
            (_, NewWrite::OrQuarantine | NewWrite::Required) => {
                let number = store.found_by(&tx);
                // The closure itself is called only as the part begins, and so within its bounds.
                let part = self.part(Side::New, work, loan.lend(tx));
                let result = match tolerant {
                    false => part.await,
                    true => {
                        let limit = self.core.options.new_timeout;
                        match Box::pin(bounded(store, number, limit, part)).await {
                            Ok(result) => result,
                            Err(cut) => {
                                let cut = self.cut(cut, number, loan.take_back());
                                return Err(Box::pin(cut).await);
                            }
                        }
                    }
                };
                let result = self.given_back(result, &loan, Side::New);
                let (result, back) = match result {
                    Err((Stop::Final(WriteError::New(error)), tx)) if tolerant => {
                        let of_the_row = store.classify(&error) == Failure::Refused;
                        let refused = NewRefusal { reason: store.words(&error), of_the_row };
                        return Err((Stop::NewRefused(refused), tx));
                    }
                    Err((Stop::Transient(error), tx)) if tolerant => {
                        return Err((Stop::NewTransient(error), tx));
                    }
                    result => result?,
                };
                tx = back;
                if snapshot.quarantined.contains(key.text().as_ref()) {
                    let released = store.release_from_quarantine(&mut tx, entry).await;
                    if let Err(error) = released {
                        return Err((transient_or_final(error), Some(tx)));
                    }
                }
                if plan.answer == Side::New || answer.is_none() {
                    answer = Some(result);
                }
            }
        }

        Ok((answer.expect("every plan writes the side that answers"), tx))
    }

    /// A side's part of a write, its time taken and in a span of its own.
    async fn part<'w, T, E>(
        &self,
        side: Side,
        work: &'w dyn Work<'w, S::Tx, T, E>,
        tx: Lent<S::Tx>,
    ) -> Result<T, E> {
        let begun = Instant::now();
        let part = work.run(side, tx);
        let result = spans::within(|| spans::write_side(side), part).await;
        self.shared.meter.part_ended(side, begun);
        result
    }

    /// Takes the transaction back from a closure whose future has ended.
    fn given_back<R, E: Error + Send + Sync + 'static>(
        &self,
        result: Result<R, E>,
        loan: &Loan<S::Tx>,
        side: Side,
    ) -> Result<(R, S::Tx), Stopped<E, S::Tx>> {
        let tx = loan.take_back();
        match (result, tx) {
            (Ok(result), Some(tx)) => Ok((result, tx)),
            (Ok(_), None) => Err((Stop::Final(WriteError::TransactionKept), None)),
            (Err(error), tx) => {
                let failure = self.core.store.classify(&error);
                let error = match side {
                    Side::Legacy => WriteError::Legacy(error),
                    Side::New => WriteError::New(error),
                };
                let stop = match (failure, side) {
                    (Failure::Transient | Failure::ConnectionLost, _) => Stop::Transient(error),
                    (Failure::LockTimeout, Side::Legacy) => Stop::Waited(error),
                    (Failure::LockTimeout, Side::New) | (Failure::Refused, _) => Stop::Final(error),
                };
                Err((stop, tx))
            }
        }
    }

    /// New's part was cut. A connection that it may have left midway is closed, and what the server
    /// still carries out on it ended, since that holds the locks which the next try needs.
    async fn cut<E: Error + 'static>(
        &self,
        cut: Cut,
        number: Option<u64>,
        tx: Option<S::Tx>,
    ) -> Stopped<E, S::Tx> {
        let Some(tx) = tx else {
            return (Stop::Final(WriteError::TransactionKept), None);
        };
        let stop = Stop::NewRefused(NewRefusal { reason: cut.reason, of_the_row: false });
        if cut.ended {
            return (stop, Some(tx));
        }
        let tx = self.core.store.intact(&tx).then_some(tx);
        if let Some(number) = number {
            interrupt(&self.core.store, number).await;
        }
        (stop, tx)
    }

    /// New could not be touched where it must not fail the call.
    fn new_trouble<E: Error + 'static>(&self, error: StoreError) -> Stop<E> {
        match error.kind {
            StoreErrorKind::Conflict | StoreErrorKind::Unavailable => {
                Stop::NewTransient(WriteError::Store(error))
            }
            _ => Stop::NewRefused(self.trouble_of_store(&error)),
        }
    }

    /// Trouble on New that says nothing of the row.
    pub(crate) fn trouble<E: Error + 'static>(&self, error: &WriteError<E>) -> NewRefusal {
        let reason = self.core.store.words(error.source().unwrap_or(error));
        NewRefusal { reason, of_the_row: false }
    }

    fn trouble_of_store(&self, error: &StoreError) -> NewRefusal {
        NewRefusal { reason: self.core.store.words(error), of_the_row: false }
    }
}

pub(crate) fn not_entered<E: Error + 'static>(error: EnterError) -> Stop<E> {
    match error {
        EnterError::Closed => Stop::Closed,
        EnterError::Store(error) => transient_or_final(error),
    }
}

pub(crate) fn transient_or_final<E: Error + 'static>(error: StoreError) -> Stop<E> {
    match error.kind {
        StoreErrorKind::Conflict => Stop::Transient(WriteError::Store(error)),
        StoreErrorKind::LockTimeout | StoreErrorKind::StatementTimeout => {
            Stop::Waited(WriteError::Store(error))
        }
        _ => Stop::Final(WriteError::Store(error)),
    }
}
