//! Writes that are carried out once, however often they are tried.

use std::error::Error;
use std::future::Future;
use std::marker::PhantomData;
use std::sync::Mutex;

use crossfade_core::{Side, ToKey};
use crossfade_store::{Lent, StoreError};

use crate::work::{Modify, Pair};
use crate::{Migration, OperationId, RequestStore, WriteError};

/// What became of a write with an operation id.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use = "the operation may have been carried out before"]
pub enum Once<T> {
    /// This call has carried it out; the authoritative side's result.
    Applied(T),
    /// An earlier call has, perhaps of another process. Its result is not known any more.
    AlreadyApplied,
}

impl<T> Once<T> {
    /// The result, where this call has carried the operation out.
    #[must_use]
    pub fn applied(self) -> Option<T> {
        match self {
            Self::Applied(answer) => Some(answer),
            Self::AlreadyApplied => None,
        }
    }
}

/// The tries of one write, as far as they bear on each other.
#[derive(Debug)]
pub(crate) struct Course<'a, T> {
    pub(crate) operation: Option<&'a OperationId>,
    /// The last try, while it is not known whether its commit has come through.
    pub(crate) doubt: Option<Doubt<T>>,
}

/// A try whose commit was not answered.
#[derive(Debug)]
pub(crate) struct Doubt<T> {
    pub(crate) attempt: i64,
    pub(crate) answer: T,
    pub(crate) error: StoreError,
}

impl<'a, T> Course<'a, T> {
    pub(crate) fn new(operation: Option<&'a OperationId>) -> Self {
        Self { operation, doubt: None }
    }

    /// The database has found the operation carried out, by that attempt on that key.
    pub(crate) fn repeated<E: Error + 'static>(
        &mut self,
        key: &str,
        of: &str,
        attempt: i64,
    ) -> Result<Once<T>, WriteError<E>> {
        // Whoever it was, it is known now what became of this call's last try.
        let own = self.doubt.take().filter(|doubt| doubt.attempt == attempt);
        match own {
            Some(doubt) => Ok(Once::Applied(doubt.answer)),
            None if of == key => Ok(Once::AlreadyApplied),
            None => Err(WriteError::OtherKey),
        }
    }

    /// What the caller is told: while in doubt, an error says nothing about the data.
    pub(crate) fn outcome<E: Error + 'static>(self, error: WriteError<E>) -> WriteError<E> {
        self.doubt.map_or(error, |doubt| WriteError::CommitUnknown(doubt.error))
    }
}

impl<S: RequestStore> Migration<S> {
    /// [`write`](Self::write), carried out at most once for each `operation`.
    ///
    /// The id is stored with the rows, in the same transaction and without another round trip.
    /// Where the answer to a commit is lost, this call asks by beginning again with the same id: if
    /// the first transaction has committed, its result is returned; if not, the write is tried
    /// again. A caller that was itself interrupted calls again with the same id, in any process and
    /// any stage, and is told [`Once::AlreadyApplied`] where there is nothing left to do.
    ///
    /// Ids are remembered for [`Options::operation_retention`](crate::Options::operation_retention).
    ///
    /// # Errors
    ///
    /// See [`WriteError`]. [`OtherKey`](WriteError::OtherKey) when the id was used for another key;
    /// [`CommitUnknown`](WriteError::CommitUnknown) only when the database could not be reached any
    /// more; calling again with the same id is then safe.
    ///
    /// # Cancel safety
    ///
    /// As `write`. What is unknown when it was dropped during COMMIT, a call with the same id finds
    /// out.
    pub async fn write_once<K, T, E, L, LF, N, NF>(
        &self,
        operation: &OperationId,
        key: &K,
        legacy: L,
        new: N,
    ) -> Result<Once<T>, WriteError<E>>
    where
        K: ToKey + ?Sized,
        T: Send,
        E: Error + Send + Sync + 'static,
        L: Fn(Lent<S::Tx>) -> LF + Send + Sync,
        LF: Future<Output = Result<T, E>> + Send,
        N: Fn(Lent<S::Tx>) -> NF + Send + Sync,
        NF: Future<Output = Result<T, E>> + Send,
    {
        self.carry_out(key.to_key(), Some(operation), &Pair { legacy, new }).await
    }

    /// [`modify`](Self::modify), carried out at most once for each `operation`, as
    /// [`write_once`](Self::write_once) is.
    ///
    /// # Errors
    ///
    /// As `write_once`. An error of `load` or `change` counts as one of the base side.
    ///
    /// # Cancel safety
    ///
    /// As `write_once`.
    pub async fn modify_once<K, V, T, E, Load, LF, Change, Store, SF>(
        &self,
        operation: &OperationId,
        key: &K,
        load: Load,
        change: Change,
        store: Store,
    ) -> Result<Once<T>, WriteError<E>>
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
        self.carry_out(key.to_key(), Some(operation), &work).await
    }
}

#[cfg(test)]
mod tests {
    use crossfade_store::StoreErrorKind;

    use super::*;

    type Told = Result<Once<u8>, WriteError<std::fmt::Error>>;

    fn in_doubt(attempt: i64) -> Course<'static, u8> {
        let error = StoreError::new(StoreErrorKind::Unavailable, "failed to commit");
        Course { operation: None, doubt: Some(Doubt { attempt, answer: 7, error }) }
    }

    /// The answer that was kept belongs to the try that was in doubt. Where another call has carried
    /// the operation out meanwhile, that one's answer may be another.
    #[test]
    fn a_kept_answer_is_given_for_its_own_try_only() {
        let told: Told = in_doubt(1).repeated("k", "k", 1);
        assert_eq!(told.ok(), Some(Once::Applied(7)));
        let told: Told = in_doubt(1).repeated("k", "k", 2);
        assert_eq!(told.ok(), Some(Once::AlreadyApplied));
        let told: Told = in_doubt(1).repeated("k", "other", 2);
        assert!(matches!(told, Err(WriteError::OtherKey)), "{told:?}");
    }

    #[test]
    fn an_error_in_doubt_says_that_the_outcome_is_unknown() {
        let told = in_doubt(1).outcome::<std::fmt::Error>(WriteError::TransactionKept);
        assert!(matches!(told, WriteError::CommitUnknown(_)), "{told:?}");
        let mut course = in_doubt(1);
        course.doubt = None;
        let told = course.outcome::<std::fmt::Error>(WriteError::TransactionKept);
        assert!(matches!(told, WriteError::TransactionKept), "{told:?}");
    }
}
