//! What one write does on each side, behind one object-safe trait.

use std::error::Error;
use std::future::Future;
use std::marker::PhantomData;
use std::pin::Pin;
use std::sync::{Mutex, PoisonError};

use crossfade_core::{AtOnce, Side};
use crossfade_store::{AtOnceError, Entry, Lent};

pub(crate) type Boxed<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// The application's part of a write. Called again for each try.
pub(crate) trait Work<'w, Tx, T, E>: Send + Sync {
    /// What comes before both sides; `None` when nothing does.
    fn before(&'w self) -> Option<&'w dyn Before<'w, Tx, E>> {
        None
    }

    /// The write of one side.
    fn run(&'w self, side: Side, tx: Lent<Tx>) -> Boxed<'w, Result<T, E>>;

    /// The whole write in one statement; `None` where it is none of the store's.
    fn at_once<'a>(
        &'a self,
        _entry: Entry<'a>,
        _sides: AtOnce,
        _answer: Side,
    ) -> Option<Boxed<'a, Result<T, AtOnceError>>> {
        None
    }
}

/// What comes before both sides of a write.
pub(crate) trait Before<'w, Tx, E>: Send + Sync {
    /// Runs it, on the base side.
    fn run(&'w self, base: Side, tx: Lent<Tx>) -> Boxed<'w, Result<(), E>>;
}

/// A write of two closures.
pub(crate) struct Pair<L, N> {
    pub(crate) legacy: L,
    pub(crate) new: N,
}

impl<'w, Tx, T, E, L, LF, N, NF> Work<'w, Tx, T, E> for Pair<L, N>
where
    L: Fn(Lent<Tx>) -> LF + Send + Sync,
    LF: Future<Output = Result<T, E>> + Send + 'w,
    N: Fn(Lent<Tx>) -> NF + Send + Sync,
    NF: Future<Output = Result<T, E>> + Send + 'w,
{
    fn run(&'w self, side: Side, tx: Lent<Tx>) -> Boxed<'w, Result<T, E>> {
        match side {
            Side::Legacy => Box::pin((self.legacy)(tx)),
            Side::New => Box::pin((self.new)(tx)),
        }
    }
}

/// A read-modify-write: load on the base side, change once, store on both.
pub(crate) struct Modify<V, Load, Change, Store, E> {
    pub(crate) load: Load,
    pub(crate) change: Change,
    pub(crate) store: Store,
    pub(crate) changed: Mutex<Option<V>>,
    pub(crate) error: PhantomData<fn() -> E>,
}

impl<'w, Tx, T, E, V, Load, LF, Change, Store, SF> Work<'w, Tx, T, E>
    for Modify<V, Load, Change, Store, E>
where
    E: Error + Send + 'w,
    V: Clone + Send + 'w,
    Load: Fn(Side, Lent<Tx>) -> LF + Send + Sync,
    LF: Future<Output = Result<V, E>> + Send + 'w,
    Change: Fn(V) -> Result<V, E> + Send + Sync,
    Store: Fn(Side, Lent<Tx>, V) -> SF + Send + Sync,
    SF: Future<Output = Result<T, E>> + Send + 'w,
{
    fn before(&'w self) -> Option<&'w dyn Before<'w, Tx, E>> {
        Some(self)
    }

    fn run(&'w self, side: Side, tx: Lent<Tx>) -> Boxed<'w, Result<T, E>> {
        let changed = self.changed.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let value = changed.expect("a side is stored only after the base was loaded and changed");
        Box::pin((self.store)(side, tx, value))
    }
}

impl<'w, Tx, E, V, Load, LF, Change, Store> Before<'w, Tx, E> for Modify<V, Load, Change, Store, E>
where
    E: Error + Send + 'w,
    V: Clone + Send + 'w,
    Load: Fn(Side, Lent<Tx>) -> LF + Send + Sync,
    LF: Future<Output = Result<V, E>> + Send + 'w,
    Change: Fn(V) -> Result<V, E> + Send + Sync,
    Store: Send + Sync,
{
    fn run(&'w self, base: Side, tx: Lent<Tx>) -> Boxed<'w, Result<(), E>> {
        let load = (self.load)(base, tx);
        Box::pin(async move {
            let changed = (self.change)(load.await?)?;
            *self.changed.lock().unwrap_or_else(PoisonError::into_inner) = Some(changed);
            Ok(())
        })
    }
}
