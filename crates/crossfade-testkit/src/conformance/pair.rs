//! What the suite has to know of a user's two sides.

use std::error::Error;
use std::fmt::Debug;
use std::future::Future;

use crossfade::{Db, Side, ToKey};

/// How the application's wrapper changes a part of a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Patching {
    /// By `Migration::modify`: it loads the full row, changes it once, and stores it on both sides.
    /// The suite does so with [`Pair::get`], [`Pair::patched`] and [`Pair::put`].
    Modify,
    /// By `Migration::write`, with the partial update of each side's own: [`Pair::patch`].
    EachSide,
}

/// The two repositories of a migration, as the suite drives them.
///
/// Each verb is told the side and where to work: a [`Db`], which is the transaction of a write, or
/// a pool for what the suite reads on its own. Implementations write `async fn`. Numbers `n` pick
/// keys and values, so that a story can be told again.
pub trait Pair: Send + Sync + 'static {
    /// Names a row.
    type Key: ToKey + Clone + Send + Sync;
    /// A whole row, as the application sees it, whichever side it comes from.
    type Value: Clone + PartialEq + Debug + Send + Sync;
    /// What a side answers when it fails.
    type Error: Error + Send + Sync + 'static;

    /// How partial updates are done. Default: by `Migration::modify`.
    const PATCHING: Patching = Patching::Modify;

    /// The `n`-th key, from 0. Different numbers are different keys; a run uses some thousands.
    fn key(&self, n: u32) -> Self::Key;

    /// The `n`-th value, which both sides accept. Different numbers are different values, also in
    /// what a mapping leaves of them.
    fn value(&self, n: u32) -> Self::Value;

    /// `old` after a partial update number `n`: some fields are new, the others those of `old`.
    /// Default: the whole of [`value(n)`](Self::value).
    fn patched(&self, old: Self::Value, n: u32) -> Self::Value {
        let _ = old;
        self.value(n)
    }

    /// A value that Legacy accepts and New refuses, as by a constraint. Default: there is none, and
    /// the suite cannot tell whether New swallows the errors of its database.
    fn refused(&self) -> Option<Self::Value> {
        None
    }

    /// What New is to answer for a row that is `legacy` on Legacy; `None` where the mapping leaves
    /// the row out. Default: the same.
    fn on_new(&self, legacy: Self::Value) -> Option<Self::Value> {
        Some(legacy)
    }

    /// Stores the whole row, whether there is one or not.
    fn put(
        &self,
        side: Side,
        db: Db,
        key: &Self::Key,
        value: &Self::Value,
    ) -> impl Future<Output = Result<(), Self::Error>> + Send;

    /// Deletes the row, if there is one.
    fn delete(
        &self,
        side: Side,
        db: Db,
        key: &Self::Key,
    ) -> impl Future<Output = Result<(), Self::Error>> + Send;

    /// Reads the row.
    fn get(
        &self,
        side: Side,
        db: Db,
        key: &Self::Key,
    ) -> impl Future<Output = Result<Option<Self::Value>, Self::Error>> + Send;

    /// Carries out the partial update number `n` on one side; asked for with
    /// [`Patching::EachSide`] only. Default: nothing.
    fn patch(
        &self,
        side: Side,
        db: Db,
        key: &Self::Key,
        n: u32,
    ) -> impl Future<Output = Result<(), Self::Error>> + Send {
        let _ = (side, db, key, n);
        std::future::ready(Ok(()))
    }
}
