//! Reads that are compared with the other side, for a sample of calls.

use std::error::Error;
use std::future::Future;
use std::sync::Arc;

use crossfade_core::{Comparison, Side, Stage, ToKey, by_equality};
use crossfade_store::Loan;
use tracing::Instrument;

use crate::instance::Core;
use crate::reader::{Comparing, Routed, Subject};
use crate::shadow::{About, Finding, one_after_the_other};
use crate::{Migration, ReadError, RequestStore, spans};

impl<S: RequestStore> Migration<S> {
    /// [`read`](Self::read), and for a sample of calls a comparison with the other side by `==`,
    /// off the caller's path. A mismatch is told by `key`.
    ///
    /// # Errors
    ///
    /// As [`read`](Self::read); a comparison never changes a result.
    ///
    /// # Cancel safety
    ///
    /// Reads only; dropping it at any point has no effect.
    pub async fn read_compared<K, U, T, E, L, LF, N, NF>(
        &self,
        key: &K,
        user: &U,
        legacy: L,
        new: N,
    ) -> Result<T, ReadError<E>>
    where
        K: ToKey + ?Sized,
        U: ToKey + ?Sized,
        T: PartialEq + Send + 'static,
        E: Error + Send + 'static,
        L: Fn() -> LF + Send + Sync + 'static,
        LF: Future<Output = Result<T, E>> + Send + 'static,
        N: Fn() -> NF + Send + Sync + 'static,
        NF: Future<Output = Result<T, E>> + Send + 'static,
    {
        self.read_compared_by(key, user, legacy, new, by_equality).await
    }

    /// [`read_compared`](Self::read_compared) by the application's own measure, such as
    /// [`Fields`](crate::Fields), which names the fields that differ.
    ///
    /// `compare` is given Legacy's answer and New's. It is also given two answers of Legacy's, to
    /// see if a write came between, so it must find an answer equal to itself.
    ///
    /// # Errors
    ///
    /// As [`read`](Self::read); a comparison never changes a result, and a panic in one is contained
    /// and counted.
    ///
    /// # Cancel safety
    ///
    /// Reads only; dropping it at any point has no effect.
    pub async fn read_compared_by<K, U, T, E, L, LF, N, NF>(
        &self,
        key: &K,
        user: &U,
        legacy: L,
        new: N,
        compare: impl Fn(&T, &T) -> Comparison + Send + Sync + 'static,
    ) -> Result<T, ReadError<E>>
    where
        K: ToKey + ?Sized,
        U: ToKey + ?Sized,
        T: Send + 'static,
        E: Error + Send + 'static,
        L: Fn() -> LF + Send + Sync + 'static,
        LF: Future<Output = Result<T, E>> + Send + 'static,
        N: Fn() -> NF + Send + Sync + 'static,
        NF: Future<Output = Result<T, E>> + Send + 'static,
    {
        let (text, user) = (key.key_text(), user.key_text());
        let subject = Subject { key: &text, user: &user };
        let comparing = self.sample();
        let (answer, routed) = self.route(subject, comparing, &legacy, &new).await?;
        if routed.plan.shadow.is_some() {
            let about = self.about(key.to_key(), &routed);
            let breaker = about.breaker.clone();
            let comparison = one_after_the_other(breaker, legacy, new, compare);
            self.shared.shadows.run(about, comparison);
        }
        Ok(answer)
    }

    /// [`read_compared_by`](Self::read_compared_by), with both sides compared in one snapshot of the
    /// database, so that no write can come between.
    ///
    /// Each closure is given a reader: for the caller's own answer one outside any transaction, and
    /// for the comparison one in a transaction that only reads, which both sides share. A closure
    /// lets go of its reader when its future ends, else the comparison comes to nothing.
    ///
    /// No more snapshots are open at once than a quarter of the pool has connections, at least one.
    /// On an SQLite database that is not in WAL mode a snapshot holds up the commit of writers, as
    /// every reader does there.
    ///
    /// # Errors
    ///
    /// As [`read`](Self::read); a comparison never changes a result, and a panic in one is contained
    /// and counted.
    ///
    /// # Cancel safety
    ///
    /// Reads only; dropping it at any point has no effect.
    pub async fn read_compared_in<K, U, T, E, L, LF, N, NF>(
        &self,
        key: &K,
        user: &U,
        legacy: L,
        new: N,
        compare: impl Fn(&T, &T) -> Comparison + Send + Sync + 'static,
    ) -> Result<T, ReadError<E>>
    where
        K: ToKey + ?Sized,
        U: ToKey + ?Sized,
        T: Send + 'static,
        E: Error + Send + 'static,
        L: Fn(S::Reader) -> LF + Send + Sync + 'static,
        LF: Future<Output = Result<T, E>> + Send + 'static,
        N: Fn(S::Reader) -> NF + Send + Sync + 'static,
        NF: Future<Output = Result<T, E>> + Send + 'static,
    {
        let (text, user) = (key.key_text(), user.key_text());
        let subject = Subject { key: &text, user: &user };
        let comparing = self.sample();
        let reader = || self.core.store.reader();
        let (answer, routed) =
            self.route(subject, comparing, &|| legacy(reader()), &|| new(reader())).await?;
        if routed.plan.shadow.is_some() {
            let about = self.about(key.to_key(), &routed);
            let core = Arc::clone(&self.core);
            let comparison = async move { in_one_snapshot(&core, legacy, new, compare).await };
            self.shared.shadows.run(about, comparison);
        }
        Ok(answer)
    }

    fn sample(&self) -> Comparing {
        match rand::random::<f64>() < self.core.options.shadow_sample {
            true => Comparing::Sampled,
            false => Comparing::Unsampled,
        }
    }

    fn about(&self, key: crossfade_core::Key, routed: &Routed) -> About {
        // Before `live` nobody reads New, so there is nothing to break off.
        let watched = routed.stage == Stage::Live;
        let breaker = watched.then(|| Arc::clone(&self.shared.breaker));
        let state = self.shared.snapshot();
        let span = spans::shadow(&state.definition.name, routed.stage, routed.epoch);
        About { key, probe: routed.probe, breaker, span }
    }
}

/// Compares what both sides answer in one snapshot.
async fn in_one_snapshot<S, T, E, LF, NF>(
    core: &Core<S>,
    legacy: impl Fn(S::Reader) -> LF,
    new: impl Fn(S::Reader) -> NF,
    compare: impl Fn(&T, &T) -> Comparison,
) -> Finding
where
    S: RequestStore,
    LF: Future<Output = Result<T, E>>,
    NF: Future<Output = Result<T, E>>,
{
    let tx = core.store.snapshot().await.ok()?;
    let (legacy, tx) = lend(core, tx, legacy).instrument(spans::shadow_side(Side::Legacy)).await?;
    let (new, tx) = lend(core, tx, new).instrument(spans::shadow_side(Side::New)).await?;
    core.store.rollback(tx).await;
    Some(compare(&legacy, &new))
}

/// Reads one side in a transaction, and takes that back.
async fn lend<S, T, E, F>(
    core: &Core<S>,
    tx: S::Tx,
    read: impl Fn(S::Reader) -> F,
) -> Option<(T, S::Tx)>
where
    S: RequestStore,
    F: Future<Output = Result<T, E>>,
{
    let loan = Loan::default();
    let answer = read(core.store.reader_in(loan.lend(tx))).await;
    let tx = loan.take_back()?;
    match answer {
        Ok(answer) => Some((answer, tx)),
        Err(_) => {
            core.store.rollback(tx).await;
            None
        }
    }
}
