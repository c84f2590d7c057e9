//! Writes of statements that were declared beforehand.

use std::error::Error;
use std::fmt;

use crossfade_core::{AtOnce, Side, ToKey, WritePlan};
use crossfade_store::{AtOnceError, Bind, DeclaredStore, Entry, Lent, StoreError, Travels};

use crate::work::{Boxed, Work};
use crate::writer::{New, Stop, transient_or_final};
use crate::{Migration, Once, OperationId, RequestStore, Transaction, WriteError};

/// A pair of statements, one for each side, that was found to fit its migration. Cheap to clone,
/// and shared by all tasks of a server.
#[derive(Debug)]
pub struct Statement<S: RequestStore + DeclaredStore> {
    migration: Migration<S>,
    declared: S::Declared,
}

impl<S: RequestStore + DeclaredStore> Clone for Statement<S> {
    fn clone(&self) -> Self {
        Self { migration: self.migration.clone(), declared: self.declared.clone() }
    }
}

/// One write of a [`Statement`], with the values bound so far.
#[must_use = "a write is carried out by `execute`, `execute_once` or `execute_in`"]
pub struct Bound<'q, S: RequestStore + DeclaredStore> {
    migration: Migration<S>,
    values: S::Bound<'q>,
}

impl<S: RequestStore + DeclaredStore> fmt::Debug for Bound<'_, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Bound").field("values", &self.values).finish_non_exhaustive()
    }
}

impl<S: RequestStore + DeclaredStore> Migration<S> {
    /// Declares a write of plain SQL: the statement that writes a key's row on Legacy, and the one
    /// that writes it on New. Do so once, when the application starts.
    ///
    /// Both are given the same values, as `$1`, `$2` and so on, on every database. Either may leave
    /// out what it has no column for.
    ///
    /// On PostgreSQL, fence, Legacy and New travel as one statement in one round trip where that is
    /// as safe as a transaction:
    ///
    /// - Both statements insert given values, and either leave a row that is there alone by failing
    ///   or change it in any case, found by the key (`insert … values (…)`, with `on conflict (key)
    ///   do update set …` or without). An `update` or a `delete` does not see what was committed
    ///   while it waited. The tables have no rules and no row security, and Legacy no trigger that
    ///   runs behind the statement, save those of the migration's own capture.
    ///   [`Statement::travels`] tells, and why not.
    /// - The stage is `live` or `ramp_down`, and the key is not in quarantine. In `off`, and from
    ///   `complete` on, a statement is written alone, so it may be any. In `delete_only` and
    ///   `dual_write` no lock on New may hold Legacy up for long, and a single statement waits for
    ///   its tables before it can set a bound.
    /// - It is [`execute`](Bound::execute), with no operation id, and no transaction of the caller's.
    ///
    /// Everywhere else the write is the transaction that [`write`](Self::write) is.
    ///
    /// # Errors
    ///
    /// Kind `Invalid`, with a hint, when a statement is refused by the database, writes another
    /// table than the manifest's, or when the two disagree on the values. In `contracted` Legacy's is
    /// not looked at. MariaDB and SQLite know no types of parameters, and their tables are taken from
    /// the text.
    ///
    /// # Cancel safety
    ///
    /// Changes nothing; dropping it at any point has no effect.
    pub async fn statement(&self, legacy: &str, new: &str) -> Result<Statement<S>, StoreError> {
        let state = self.state();
        let declared = self.core.store.declare(&state, legacy, new).await?;
        Ok(Statement { migration: self.clone(), declared })
    }
}

impl<S: RequestStore + DeclaredStore> Statement<S> {
    /// How its writes travel where both sides are written or neither.
    #[must_use]
    pub fn travels(&self) -> Travels {
        self.migration.core.store.travels(&self.declared)
    }

    /// Binds the value of `$1`. The text of a bound value is the database's own: whatever sqlx can
    /// encode for every engine of this build.
    pub fn bind<'q, T>(&self, value: T) -> Bound<'q, S>
    where
        S::Bound<'q>: Bind<T>,
    {
        let values = self.migration.core.store.bound(&self.declared);
        Bound { migration: self.migration.clone(), values }.bind(value)
    }
}

impl<'q, S: RequestStore + DeclaredStore> Bound<'q, S> {
    /// Binds the value of the next parameter.
    pub fn bind<T>(mut self, value: T) -> Self
    where
        S::Bound<'q>: Bind<T>,
    {
        self.values.bind(value);
        self
    }

    /// Carries the write out for `key`, which must be the key of the row that the statements write,
    /// and returns how many rows the authoritative side's statement touched, as its database counts.
    ///
    /// # Errors
    ///
    /// See [`WriteError`]; each variant says what is known of the data. A connection that is lost
    /// while the one statement is under way ends in [`WriteError::CommitUnknown`];
    /// [`execute_once`](Self::execute_once) finds out.
    ///
    /// # Cancel safety
    ///
    /// Dropping it leaves both sides written or neither. Where the write travels as one statement it
    /// is unknown which, once it is sent: as with any statement outside a transaction, a database
    /// that has it may carry it out even after a write of the same key that was begun later.
    pub async fn execute<K>(&self, key: &K) -> Result<u64, WriteError<S::RunError>>
    where
        K: ToKey + ?Sized,
    {
        let store = &self.migration.core.store;
        store.check_bound(&self.values)?;
        let work = Declared { store, values: &self.values };
        let done = self.migration.carry_out(key.to_key(), None, &work).await?;
        Ok(done.applied().expect("only an operation can be found carried out"))
    }

    /// [`execute`](Self::execute), carried out at most once for each `operation`, as
    /// [`write_once`](Migration::write_once) is.
    ///
    /// It is a transaction on every database and in every stage: where the answer to a single
    /// statement is lost, the number of rows is lost with it.
    ///
    /// # Errors
    ///
    /// As `write_once`.
    ///
    /// # Cancel safety
    ///
    /// As `write_once`: dropping it leaves both sides written or neither, and what is unknown when it
    /// was dropped during COMMIT, a call with the same id finds out.
    pub async fn execute_once<K>(
        &self,
        operation: &OperationId,
        key: &K,
    ) -> Result<Once<u64>, WriteError<S::RunError>>
    where
        K: ToKey + ?Sized,
    {
        let store = &self.migration.core.store;
        store.check_bound(&self.values)?;
        let work = Declared { store, values: &self.values };
        self.migration.carry_out(key.to_key(), Some(operation), &work).await
    }

    /// [`execute`](Self::execute) in a transaction of the caller's, which commits or undoes it with
    /// whatever else is in it, as [`write_in`](Migration::write_in) does.
    ///
    /// # Errors
    ///
    /// As `write_in`. Where too few values are bound, or too many, the transaction is as it was.
    ///
    /// # Cancel safety
    ///
    /// As `write_in`: dropping it ends the whole transaction.
    pub async fn execute_in<K>(
        &self,
        transaction: &mut Transaction<S>,
        key: &K,
    ) -> Result<u64, WriteError<S::RunError>>
    where
        K: ToKey + ?Sized,
    {
        let store = &self.migration.core.store;
        store.check_bound(&self.values)?;
        let work = Declared { store, values: &self.values };
        self.migration.carry_out_in(transaction, key.to_key(), &work).await
    }
}

/// The work of a declared write.
struct Declared<'a, 'q, S: DeclaredStore> {
    store: &'a S,
    values: &'a S::Bound<'q>,
}

impl<'w, S: DeclaredStore> Work<'w, S::Tx, u64, S::RunError> for Declared<'_, '_, S> {
    fn run(&'w self, side: Side, mut tx: Lent<S::Tx>) -> Boxed<'w, Result<u64, S::RunError>> {
        Box::pin(async move { self.store.run_side(self.values, side, &mut tx).await })
    }

    fn at_once<'a>(
        &'a self,
        entry: Entry<'a>,
        sides: AtOnce,
        answer: Side,
    ) -> Option<Boxed<'a, Result<u64, AtOnceError>>> {
        Some(self.store.at_once(self.values, entry, sides, answer))
    }
}

/// One try in one statement; `None` where the write takes a transaction, which then tells a failure
/// of Legacy from one of New.
pub(crate) async fn at_once<'w, Tx, T: Send, E: Error + Send + Sync + 'static>(
    entry: Entry<'_>,
    plan: WritePlan,
    marked: bool,
    new: New<'_>,
    work: &dyn Work<'w, Tx, T, E>,
) -> Option<Result<T, Stop<E>>> {
    let New::AsPlanned = new else { return None };
    let outcome = work.at_once(entry, plan.at_once(marked)?, plan.answer)?.await;
    Some(Err(match outcome {
        Ok(answer) => return Some(Ok(answer)),
        Err(AtOnceError::NeedsTransaction) => return None,
        Err(AtOnceError::Closed) => Stop::Closed,
        Err(AtOnceError::Unknown(error)) => Stop::Final(WriteError::CommitUnknown(error)),
        Err(AtOnceError::Store(error)) => transient_or_final(error),
    }))
}
