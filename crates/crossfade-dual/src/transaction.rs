//! Writes that take part in a transaction of the caller's.

use std::error::Error;
use std::fmt;
use std::future::Future;
use std::marker::PhantomData;
use std::pin::pin;
use std::sync::{Arc, Mutex};

use crossfade_core::{Key, MigrationState, NewWrite, Side, ToKey, write_plan};
use crossfade_store::{Entry, Lent, StoreError, StoreErrorKind};
use tokio::time::timeout;

use crate::bounded::GRACE;
use crate::current::Snapshot;
use crate::instance::Core;
use crate::shared::Shared;
use crate::work::{Modify, Pair, Work};
use crate::writer::{MAX_EPOCHS, New, NewRefusal, Stop, Stopped, not_entered, transient_or_final};
use crate::{Migration, RequestStore, TransactionError, WriteError, spans};

/// A transaction of the caller's, for statements of its own and for writes of any migrations of
/// this instance ([`Migration::write_in`]): all of it is committed, or nothing.
///
/// It is READ COMMITTED on PostgreSQL and MariaDB, and SQLite's one write transaction. Dropping it
/// undoes it. An error of a write that says so, or a write that is dropped midway, ends it; every
/// later use fails.
///
/// While it is open, no epoch that one of its writes has entered can be closed, so it holds up
/// changes of the stage, and with them the operator: keep it short. Several keys are locked in the
/// order in which they are written; transactions that take them in different orders may meet in a
/// deadlock, which ends one of them.
#[must_use = "dropping a transaction undoes it"]
pub struct Transaction<S: RequestStore> {
    core: Arc<Core<S>>,
    /// `None` while a write has it, and for ever once that write was dropped or it has ended.
    tx: Option<S::Tx>,
    /// What its writes were decided by; an operation in flight keeps the epoch from being
    /// acknowledged.
    decided_by: Vec<Snapshot>,
    /// Its writes' keys, which are pinned to the primary once it has ended.
    written: Vec<Written>,
}

/// A key that was written. Dropped when the transaction has ended, whichever way.
struct Written {
    shared: Arc<Shared>,
    key: Key,
}

impl Drop for Written {
    fn drop(&mut self) {
        drop(self.shared.routes.write(&self.key.text()));
    }
}

impl<S: RequestStore> fmt::Debug for Transaction<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Transaction").field("over", &self.tx.is_none()).finish_non_exhaustive()
    }
}

impl<S: RequestStore> Transaction<S> {
    pub(crate) async fn begin(core: Arc<Core<S>>) -> Result<Self, StoreError> {
        let tx = core.store.begin_unfenced().await?;
        Ok(Self { core, tx: Some(tx), decided_by: Vec::new(), written: Vec::new() })
    }

    /// The open transaction, for statements of the caller's own. They are not fenced, so they must
    /// leave the rows of running migrations alone.
    ///
    /// # Errors
    ///
    /// [`TransactionError::Over`].
    pub fn connection(&mut self) -> Result<&mut S::Tx, TransactionError> {
        self.tx.as_mut().ok_or(TransactionError::Over)
    }

    /// Commits.
    ///
    /// # Errors
    ///
    /// See [`TransactionError`]; each variant says what is known of the data.
    ///
    /// # Cancel safety
    ///
    /// When dropped, everything in it is committed or nothing is, and it is unknown which.
    pub async fn commit(mut self) -> Result<(), TransactionError> {
        let tx = self.tx.take().ok_or(TransactionError::Over)?;
        Ok(self.core.store.commit(tx).await?)
    }

    /// Undoes everything in it and gives the connection back.
    ///
    /// # Cancel safety
    ///
    /// As dropping the transaction: it is undone, and the connection closed.
    pub async fn rollback(mut self) {
        if let Some(tx) = self.tx.take() {
            self.core.store.rollback(tx).await;
        }
    }
}

impl<S: RequestStore> Migration<S> {
    /// [`write`](Self::write) in a transaction of the caller's, which commits or undoes it with
    /// whatever else is in it.
    ///
    /// The write lies behind a savepoint. So an error of a side undoes the write and leaves the
    /// transaction as it was before it, and in `dual_write` New's refusal leaves Legacy written
    /// alone, with the key in quarantine. A closed epoch is looked up and entered anew within the
    /// transaction. A deadlock or a lost connection is not tried again, since it takes the whole
    /// transaction with it: the caller begins that anew after [`WriteError::Aborted`].
    ///
    /// In `dual_write` New's refusals are those of `write`. A deadlock or serialization failure of
    /// New's is one at once where the transaction outlives it. On MariaDB a true deadlock ends the
    /// whole transaction, by `Aborted`; so does there a closure of New's that had to be dropped in
    /// the middle of a statement.
    ///
    /// On PostgreSQL New's own deferred constraints are checked with the write in `dual_write`, so a
    /// row that only a later statement of the transaction would make good is New's refusal. From
    /// `live` on, and on SQLite in every stage, a constraint of New's that only the commit checks
    /// fails the caller's commit.
    ///
    /// It costs two round trips beside those of its closures: savepoint and fence travel as one
    /// before them, and what ends the write as one behind them.
    ///
    /// # Errors
    ///
    /// See [`WriteError`]; [`WriteError::known`] tells whether the transaction goes on.
    ///
    /// # Cancel safety
    ///
    /// Dropping it, a timeout or a panic in a closure ends the whole transaction: nothing in it is
    /// kept, and committing it fails.
    pub async fn write_in<K, T, E, L, LF, N, NF>(
        &self,
        transaction: &mut Transaction<S>,
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
        self.carry_out_in(transaction, key.to_key(), &Pair { legacy, new }).await
    }

    /// [`modify`](Self::modify) in a transaction of the caller's, as [`write_in`](Self::write_in).
    ///
    /// # Errors
    ///
    /// As `write_in`. An error of `load` or `change` counts as one of the base side.
    ///
    /// # Cancel safety
    ///
    /// As `write_in`.
    pub async fn modify_in<K, V, T, E, Load, LF, Change, Store, SF>(
        &self,
        transaction: &mut Transaction<S>,
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
        let (changed, error) = (Mutex::new(None), PhantomData::<fn() -> E>);
        let work = Modify { load, change, store, changed, error };
        self.carry_out_in(transaction, key.to_key(), &work).await
    }

    pub(crate) async fn carry_out_in<'w, T: Send, E: Error + Send + Sync + 'static>(
        &self,
        transaction: &mut Transaction<S>,
        key: Key,
        work: &'w dyn Work<'w, S::Tx, T, E>,
    ) -> Result<T, WriteError<E>> {
        let mut call = self.shared.meter.call();
        let answer = self.try_in(transaction, key, work).await;
        call.ended(&answer);
        answer
    }

    async fn try_in<'w, T: Send, E: Error + Send + Sync + 'static>(
        &self,
        transaction: &mut Transaction<S>,
        key: Key,
        work: &'w dyn Work<'w, S::Tx, T, E>,
    ) -> Result<T, WriteError<E>> {
        let key = &self.spelled(key).await?;
        if !Arc::ptr_eq(&self.core, &transaction.core) {
            let text = "the transaction was begun by another instance";
            return Err(StoreError::new(StoreErrorKind::Invalid, text).into());
        }
        let store = &self.core.store;
        // Held here, so that it is lost with this future: nobody can commit what it left midway.
        let mut tx = transaction.tx.take().ok_or(WriteError::TransactionOver)?;
        let mut snapshot = self.shared.snapshot();
        let mut refusal: Option<NewRefusal> = None;
        for _ in 0..MAX_EPOCHS {
            let new = refusal.as_ref().map_or(New::AsPlanned, New::Quarantine);
            let tried = {
                let attempt = pin!(self.attempt_in(&snapshot, key, new, tx, work));
                spans::within(|| spans::write(&snapshot), attempt).await
            };
            let stop = match tried {
                Ok((answer, back)) => {
                    transaction.tx = Some(back);
                    transaction.decided_by.push(snapshot);
                    let shared = Arc::clone(&self.shared);
                    transaction.written.push(Written { shared, key: key.clone() });
                    return Ok(answer);
                }
                Err((stop @ Stop::NewRefused(_), None)) => {
                    return Err(WriteError::Aborted(Box::new(stopped(stop, &snapshot))));
                }
                Err((stop, None)) => return Err(stopped(stop, &snapshot)),
                Err((stop, Some(back))) => {
                    tx = back;
                    stop
                }
            };
            let lost = match &stop {
                Stop::Transient(_) => true,
                // New may have left its statement behind, which holds up whatever follows.
                Stop::NewRefused(_) => match timeout(GRACE, store.step_back(&mut tx)).await {
                    Ok(stepped) => stepped.is_err(),
                    Err(_) => {
                        return Err(WriteError::Aborted(Box::new(stopped(stop, &snapshot))));
                    }
                },
                _ => store.step_back(&mut tx).await.is_err(),
            };
            if lost {
                store.rollback(tx).await;
                return Err(WriteError::Aborted(Box::new(stopped(stop, &snapshot))));
            }
            match stop {
                Stop::NewRefused(refused) => refusal = Some(refused),
                // Waiting and trying again would hold the caller's locks all the while.
                Stop::NewTransient(error) => refusal = Some(self.trouble(&error)),
                Stop::Closed => {
                    self.shared.meter.fence_refusals.increment(1);
                    // The next epoch decides anew whether New may be left out.
                    refusal = None;
                    let before = snapshot.epoch;
                    match store.state_within(&mut tx, &snapshot.definition.name).await {
                        Ok(state) => snapshot = Snapshot::of(state),
                        Err(error) => {
                            store.rollback(tx).await;
                            return Err(WriteError::Aborted(Box::new(error.into())));
                        }
                    }
                    if snapshot.epoch <= before {
                        break;
                    }
                }
                stop => {
                    transaction.tx = Some(tx);
                    return Err(stopped(stop, &snapshot));
                }
            }
        }
        transaction.tx = Some(tx);
        Err(WriteError::Fenced { epoch: snapshot.epoch })
    }

    /// One try behind a savepoint, released where it succeeds.
    async fn attempt_in<'w, T: Send, E: Error + Send + Sync + 'static>(
        &self,
        snapshot: &MigrationState,
        key: &Key,
        new: New<'_>,
        mut tx: S::Tx,
        work: &'w dyn Work<'w, S::Tx, T, E>,
    ) -> Result<(T, S::Tx), Stopped<E, S::Tx>> {
        let store = &self.core.store;
        let entry = Entry { migration: &snapshot.definition.name, epoch: snapshot.epoch, key };
        if let Err(error) = store.join(&mut tx, entry, self.lock_timeout(snapshot)).await {
            return Err((not_entered(error), Some(tx)));
        }
        let (answer, mut tx) = self.both_sides(snapshot, entry, new, tx, work).await?;
        let whole = matches!(new, New::AsPlanned)
            && write_plan(snapshot.stage).new == NewWrite::OrQuarantine;
        match store.settle(&mut tx, whole.then_some(&snapshot.definition)).await {
            Ok(()) => Ok((answer, tx)),
            Err(error) => {
                let stop = match error.kind {
                    StoreErrorKind::Conflict => transient_or_final(error),
                    _ => self.refused_at_the_end(snapshot, new, error),
                };
                Err((stop, Some(tx)))
            }
        }
    }
}

/// The error behind a try that is not repeated.
fn stopped<E: Error + 'static>(stop: Stop<E>, snapshot: &MigrationState) -> WriteError<E> {
    match stop {
        Stop::Transient(error)
        | Stop::NewTransient(error)
        | Stop::Waited(error)
        | Stop::Final(error) => error,
        // The commit is the caller's, so its outcome is never unknown here.
        Stop::Closed | Stop::Unknown => WriteError::Fenced { epoch: snapshot.epoch },
        Stop::NewRefused(refused) => {
            WriteError::Store(StoreError::new(StoreErrorKind::Database, refused.reason))
        }
    }
}
