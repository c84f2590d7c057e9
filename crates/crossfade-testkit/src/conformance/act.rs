//! One thing that the application asks of a row, with whatever befalls it.

use std::future::Future;
use std::panic::{AssertUnwindSafe, resume_unwind};
use std::pin::Pin;
use std::sync::{Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use crossfade::{Db, Side, Tx, WriteError};
use crossfade_store::{Failure, FencedStore};
use futures_util::FutureExt;

use super::error::{Told, chain};
use super::ground::Ground;
use super::pair::{Pair, Patching};
use super::story::{Mishap, Verb};

/// How often a side may say that it waited in vain before the write is ended.
const WAITS: usize = 2;

/// How a call of one side ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Called {
    Done,
    /// The repository failed: what it said, and whether it had waited for somebody else.
    Failed {
        words: String,
        waited: bool,
    },
    /// The suite made it fail.
    Told,
}

/// How the act ended.
#[derive(Clone, Debug)]
pub(super) enum Ending<V> {
    Written,
    Answered(Option<V>),
    Failed(String),
    Kept,
    Panicked,
    Dropped,
    NeverEnds,
}

/// An act under way.
pub(super) struct Act<'a, P: Pair> {
    pub(super) ground: &'a Ground<'a, P>,
    pub(super) verb: Verb,
    pub(super) key: usize,
    pub(super) mishap: Mishap,
    pub(super) calls: Mutex<Vec<(Side, Called)>>,
}

/// What a planned panic carries, so that nobody takes it for one of the repository's.
struct Planned;

impl<'a, P: Pair> Act<'a, P> {
    pub(super) fn new(ground: &'a Ground<'a, P>, verb: Verb, key: usize, mishap: Mishap) -> Self {
        Self { ground, verb, key, mishap, calls: Mutex::default() }
    }

    /// Carries it out to its end, or to the mishap's; what takes longer than `patience` is dropped.
    pub(super) async fn carry_out(&self, patience: Duration) -> Ending<P::Value> {
        let polls = match self.mishap {
            Mishap::DroppedAfter(polls) => polls,
            _ => u32::MAX,
        };
        let whole = DropAfter { inner: Box::pin(self.ask()), polls };
        match tokio::time::timeout(patience, AssertUnwindSafe(whole).catch_unwind()).await {
            Err(_) => Ending::NeverEnds,
            Ok(Ok(Some(ending))) => ending,
            Ok(Ok(None)) => Ending::Dropped,
            Ok(Err(payload)) if payload.is::<Planned>() => Ending::Panicked,
            Ok(Err(payload)) => resume_unwind(payload),
        }
    }

    /// The calls of each side, in order.
    pub(super) fn calls(&self) -> Vec<(Side, Called)> {
        self.calls.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    async fn ask(&self) -> Ending<P::Value> {
        let pair = self.ground.pair;
        let written = match self.verb {
            Verb::Read => return self.read().await,
            Verb::Put(n) => self.write(Wanted::Row(pair.value(n))).await,
            Verb::PutRefused => {
                let refused = pair.refused().expect("asked for where there is one");
                self.write(Wanted::Row(refused)).await
            }
            Verb::Delete => self.write(Wanted::Nothing).await,
            Verb::Patch(n) if P::PATCHING == Patching::EachSide => {
                self.write(Wanted::Patch(n)).await
            }
            Verb::Patch(n) => self.modify(n).await,
        };
        match written {
            Ok(()) => Ending::Written,
            Err(WriteError::TransactionKept) => Ending::Kept,
            Err(error) => Ending::Failed(chain(&error)),
        }
    }

    async fn read(&self) -> Ending<P::Value> {
        let (pair, key) = (self.ground.pair, &self.ground.keys[self.key]);
        let get = |side| pair.get(side, Db::from(self.ground.database), key);
        let read = self.ground.migration.read(key, key, || get(Side::Legacy), || get(Side::New));
        match read.await {
            Ok(row) => Ending::Answered(row),
            Err(error) => Ending::Failed(chain(&error)),
        }
    }

    async fn write(&self, wanted: Wanted<P::Value>) -> Result<(), WriteError<Told<P::Error>>> {
        let wanted = &wanted;
        let key = &self.ground.keys[self.key];
        let side = |side, tx| self.call(side, tx, wanted.clone());
        let write =
            self.ground.migration.write(key, |tx| side(Side::Legacy, tx), |tx| side(Side::New, tx));
        Box::pin(write).await
    }

    async fn modify(&self, n: u32) -> Result<(), WriteError<Told<P::Error>>> {
        let (pair, key) = (self.ground.pair, &self.ground.keys[self.key]);
        let load = |side, tx: Tx| async move {
            let got = pair.get(side, tx.into(), key).await;
            got.map_err(|error| self.failed(side, error))
        };
        let change = |row: Option<P::Value>| Ok(row.map(|row| pair.patched(row, n)));
        let store = |side, tx, row: Option<P::Value>| {
            self.call(side, tx, row.map_or(Wanted::Nothing, Wanted::Row))
        };
        Box::pin(self.ground.migration.modify(key, load, change, store)).await
    }

    async fn call(
        &self,
        side: Side,
        tx: Tx,
        wanted: Wanted<P::Value>,
    ) -> Result<(), Told<P::Error>> {
        if self.mishap == Mishap::FailsBefore(side) {
            self.note(side, Called::Told);
            return Err(Told::Fail);
        }
        let (pair, key, db) = (self.ground.pair, &self.ground.keys[self.key], Db::from(tx));
        let done = match &wanted {
            Wanted::Row(row) => pair.put(side, db, key, row).await,
            Wanted::Nothing => pair.delete(side, db, key).await,
            Wanted::Patch(n) => pair.patch(side, db, key, *n).await,
        };
        done.map_err(|error| self.failed(side, error))?;
        if self.mishap == Mishap::FailsAfter(side) {
            self.note(side, Called::Told);
            return Err(Told::Fail);
        }
        if self.mishap == Mishap::PanicsAfter(side) {
            // Before `live`, a panic of New's is contained, and counts as a refusal.
            self.note(side, Called::Told);
            // Past the panic hook, which would print it.
            resume_unwind(Box::new(Planned));
        }
        self.note(side, Called::Done);
        Ok(())
    }

    /// Notes what a repository failed with. A write whose side only ever waits is ended.
    fn failed(&self, side: Side, error: P::Error) -> Told<P::Error> {
        let failure = self.ground.database.classify(&error);
        let waited = matches!(failure, Failure::LockTimeout | Failure::Transient);
        self.note(side, Called::Failed { words: chain(&error), waited });
        let in_vain =
            |(_, called): &&(Side, Called)| matches!(called, Called::Failed { waited: true, .. });
        match self.calls().iter().filter(in_vain).count() {
            waits if waited && waits >= WAITS => Told::Fail,
            _ => Told::Side(error),
        }
    }

    fn note(&self, side: Side, called: Called) {
        self.calls.lock().unwrap_or_else(PoisonError::into_inner).push((side, called));
    }
}

/// What a side is to do.
#[derive(Clone, Debug)]
enum Wanted<V> {
    Row(V),
    Nothing,
    Patch(u32),
}

/// Polls the inner future at most `polls` times, then ends and drops it.
struct DropAfter<'a, T> {
    inner: Pin<Box<dyn Future<Output = T> + 'a>>,
    polls: u32,
}

impl<T> Future for DropAfter<'_, T> {
    type Output = Option<T>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        self.polls = self.polls.saturating_sub(1);
        match self.inner.as_mut().poll(context) {
            Poll::Ready(output) => Poll::Ready(Some(output)),
            Poll::Pending if self.polls == 0 => Poll::Ready(None),
            Poll::Pending => Poll::Pending,
        }
    }
}
