//! Writing both sides in one transaction, through the fence.

use std::error::Error;
use std::future::Future;
use std::marker::PhantomData;
use std::sync::Mutex;

use crossfade_core::{Key, MigrationState, NewWrite, Side, ToKey, write_plan};
use crossfade_store::{
    CommitError, EnterError, Entry, Failure, Lent, Loan, StoreError, StoreErrorKind,
};

use tracing::Instrument;

use crate::work::{Modify, Pair, Work};
use crate::{Migration, RequestStore, WriteError};

/// How many newer epochs one write follows without a pause.
const MAX_EPOCHS: u32 = 100;

/// Why one try did not succeed.
enum Stop<E: Error + 'static> {
    /// The epoch is closed; look up the newest and try again.
    Closed,
    /// The database rolled back; the same may succeed when tried again.
    Transient(WriteError<E>),
    /// New refused the row where it must not fail the call; write Legacy alone and say why.
    NewRefused(String),
    /// Trying again changes nothing.
    Final(WriteError<E>),
}

/// Whether New takes part in a try.
#[derive(Clone, Copy)]
enum New<'a> {
    AsPlanned,
    /// Legacy alone, and the key goes into quarantine for this reason.
    Quarantine(&'a str),
}

impl<S: RequestStore> Migration<S> {
    /// Writes the row of `key` on the sides that the stage asks for, in one transaction, Legacy
    /// first, and returns the authoritative side's result.
    ///
    /// Each closure writes the full row (or deletes it) on its side, in the transaction that it is
    /// lent, and must be done with the transaction when its future ends. A closure is called again
    /// when the transaction is tried again: after a closed epoch, a serialization failure or a
    /// deadlock. A closure must not swallow an error of the database: PostgreSQL then aborts the
    /// transaction, and the write fails at its commit. Transient errors are told by the database's error in the chain of `E`'s sources, so `E` must
    /// name it as a source and not hide it behind `#[error(transparent)]`. In `dual_write` a refusal by New never fails the call: Legacy is written alone
    /// and the key is put into quarantine.
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
        self.metered(key.to_key(), &Pair { legacy, new }).await
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
        self.metered(key.to_key(), &work).await
    }

    async fn metered<'w, T: Send, E: Error + Send + Sync + 'static>(
        &self,
        key: Key,
        work: &'w dyn Work<'w, S::Tx, T, E>,
    ) -> Result<T, WriteError<E>> {
        self.shared.meter.call(self.carry_out(key, work)).await
    }

    async fn carry_out<'w, T: Send, E: Error + Send + Sync + 'static>(
        &self,
        key: Key,
        work: &'w dyn Work<'w, S::Tx, T, E>,
    ) -> Result<T, WriteError<E>> {
        self.check_key(&key)?;
        let _pin = self.shared.routes.write(&key.text());
        let mut refusal: Option<String> = None;
        let mut tries = 0;
        loop {
            tries += 1;
            let snapshot = self.shared.snapshot();
            let new = refusal.as_deref().map_or(New::AsPlanned, New::Quarantine);
            let span = tracing::debug_span!(
                "crossfade.write",
                migration = %snapshot.definition.name,
                stage = %snapshot.stage,
                epoch = snapshot.epoch.get()
            );
            let stop = match self.attempt(&snapshot, &key, new, work).instrument(span).await {
                Ok(answer) => return Ok(answer),
                Err(stop) => stop,
            };
            let epoch = snapshot.epoch;
            drop(snapshot);
            let failed = match stop {
                Stop::Final(error) => return Err(error),
                Stop::NewRefused(reason) => {
                    refusal = Some(reason);
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
                Stop::Transient(error) => {
                    self.shared.meter.retries.increment(1);
                    error
                }
            };
            match self.core.options.tries.wait(tries, rand::random()) {
                Some(wait) => tokio::time::sleep(wait).await,
                None => return Err(failed),
            }
        }
    }

    /// A key of another width would reach other rows on New than on Legacy, or none.
    fn check_key(&self, key: &Key) -> Result<(), StoreError> {
        let columns = self.shared.snapshot().definition.legacy.key.len();
        if key.parts().len() == columns {
            return Ok(());
        }
        let message = format!("the key has {} parts, not {columns}", key.parts().len());
        let error = StoreError::new(StoreErrorKind::Invalid, message);
        Err(error.with_hint("name each column of `[legacy] key`, in its order, as in (tenant, id)"))
    }

    /// One try, in one transaction.
    async fn attempt<'w, T: Send, E: Error + Send + Sync + 'static>(
        &self,
        snapshot: &MigrationState,
        key: &Key,
        new: New<'_>,
        work: &'w dyn Work<'w, S::Tx, T, E>,
    ) -> Result<T, Stop<E>> {
        let store = &self.core.store;
        let definition = &snapshot.definition;
        let entry = Entry { migration: &definition.name, epoch: snapshot.epoch, key };
        let plan = write_plan(snapshot.stage);
        // Before `live`, trouble on New is nobody's outage: no wait for a lock of its may be long.
        let bounded = plan.new.tolerates_refusal();
        let lock_timeout = bounded.then_some(self.core.options.new_lock_timeout);
        let mut tx = store.enter(entry, lock_timeout).await.map_err(|error| match error {
            EnterError::Closed => Stop::Closed,
            EnterError::Store(error) => transient_or_final(error),
        })?;

        let (loan, lent) = Loan::lend(tx);
        if let Some(prepare) = work.prepare(plan.base, lent) {
            let ((), back) = self.borrowed(prepare, loan, plan.base).await?;
            tx = back;
        } else {
            tx = loan.take_back().ok_or(Stop::Final(WriteError::TransactionKept))?;
        }

        let mut answer = None;
        if plan.legacy {
            let (loan, lent) = Loan::lend(tx);
            let (result, back) = self
                .borrowed(self.write_side(Side::Legacy, work, lent), loan, Side::Legacy)
                .await?;
            tx = back;
            answer = Some(result);
        }

        match (new, plan.new) {
            (_, NewWrite::None) => {}
            (New::Quarantine(reason), NewWrite::Remove | NewWrite::OrQuarantine) => {
                tracing::warn!(
                    migration = %definition.name, %key,
                    "New refused a row; Legacy was written alone and the key is in quarantine"
                );
                self.own(store.put_into_quarantine(&mut tx, entry, reason).await)?;
                self.shared.meter.quarantined.increment(1);
            }
            (New::AsPlanned, NewWrite::Remove) => {
                match store.remove_new(&mut tx, definition, key).await {
                    Ok(()) => {}
                    Err(error) => {
                        store.rollback(tx).await;
                        return Err(self.new_trouble(error));
                    }
                }
            }
            (_, NewWrite::OrQuarantine | NewWrite::Required) => {
                let (loan, lent) = Loan::lend(tx);
                let result =
                    self.borrowed(self.write_side(Side::New, work, lent), loan, Side::New).await;
                let (result, back) = match result {
                    Err(Stop::Final(WriteError::New(error))) if bounded => {
                        return Err(Stop::NewRefused(store.words(&error)));
                    }
                    result => result?,
                };
                tx = back;
                if snapshot.quarantined.contains(key.text().as_ref()) {
                    self.own(store.release_from_quarantine(&mut tx, entry).await)?;
                }
                if plan.answer == Side::New || answer.is_none() {
                    answer = Some(result);
                }
            }
        }

        let answer = answer.expect("every plan writes the side that answers");
        match store.commit(tx).await {
            Ok(()) => Ok(answer),
            Err(CommitError::Unknown(error)) => Err(Stop::Final(WriteError::CommitUnknown(error))),
            Err(CommitError::Transient(error)) => Err(Stop::Transient(WriteError::Store(error))),
            // A constraint of New's that is checked at the commit only. Where Legacy was to blame,
            // the next try, without New, fails as it should.
            Err(CommitError::Refused(error)) => match (new, plan.new) {
                (New::AsPlanned, NewWrite::OrQuarantine) => {
                    Err(Stop::NewRefused(store.words(&error)))
                }
                _ => Err(Stop::Final(WriteError::Store(error))),
            },
        }
    }

    /// A side's part of a write, its time taken and in a span of its own.
    async fn write_side<'w, T, E>(
        &self,
        side: Side,
        work: &'w dyn Work<'w, S::Tx, T, E>,
        lent: Lent<S::Tx>,
    ) -> Result<T, E> {
        let span = tracing::debug_span!("crossfade.write.side", %side);
        self.shared.meter.part(side, work.run(side, lent).instrument(span)).await
    }

    /// Awaits a closure's future and takes the transaction back. An error rolls back.
    async fn borrowed<R, E: Error + Send + Sync + 'static>(
        &self,
        future: impl Future<Output = Result<R, E>>,
        loan: Loan<S::Tx>,
        side: Side,
    ) -> Result<(R, S::Tx), Stop<E>> {
        let result = future.await;
        let tx = loan.take_back();
        match (result, tx) {
            (Ok(result), Some(tx)) => Ok((result, tx)),
            (Ok(_), None) => Err(Stop::Final(WriteError::TransactionKept)),
            (Err(error), tx) => {
                let failure = self.core.store.classify(&error);
                if let Some(tx) = tx {
                    self.core.store.rollback(tx).await;
                }
                let error = match side {
                    Side::Legacy => WriteError::Legacy(error),
                    Side::New => WriteError::New(error),
                };
                Err(match (failure, side) {
                    (Failure::Transient | Failure::ConnectionLost, _)
                    | (Failure::LockTimeout, Side::Legacy) => Stop::Transient(error),
                    (Failure::LockTimeout, Side::New) | (Failure::Refused, _) => Stop::Final(error),
                })
            }
        }
    }

    /// The outcome of one of Crossfade's own statements. The transaction is dropped on an error.
    fn own<R, E: Error + 'static>(&self, result: Result<R, StoreError>) -> Result<R, Stop<E>> {
        result.map_err(transient_or_final)
    }

    /// New could not be touched where it must not fail the call.
    fn new_trouble<E: Error + 'static>(&self, error: StoreError) -> Stop<E> {
        match error.kind {
            StoreErrorKind::Conflict | StoreErrorKind::Unavailable => {
                Stop::Transient(WriteError::Store(error))
            }
            _ => Stop::NewRefused(self.core.store.words(&error)),
        }
    }
}

fn transient_or_final<E: Error + 'static>(error: StoreError) -> Stop<E> {
    match error.kind {
        StoreErrorKind::Conflict
        | StoreErrorKind::LockTimeout
        | StoreErrorKind::StatementTimeout => Stop::Transient(WriteError::Store(error)),
        _ => Stop::Final(WriteError::Store(error)),
    }
}
