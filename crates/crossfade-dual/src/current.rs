//! The state that operations begin with, in several copies.
//!
//! Each operation counts itself on the state that it holds, up and down. A single count would be a
//! cache line that all cores write to for every read, however little that costs otherwise. So there
//! are about as many as cores, and each thread keeps to one.

use std::cell::Cell;
use std::ops::Deref;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::thread::available_parallelism;

use arc_swap::ArcSwap;
use crossfade_core::{Epoch, MigrationState};

/// A change of the state stores into each copy.
const MOST: usize = 64;

/// One moment's state. Each operation holds one from its beginning to its end.
#[derive(Debug)]
pub(crate) struct Snapshot(Arc<Copied>);

/// What the operations of some threads hold. Their count stands in front of it, and shares no cache
/// line with that of another copy; processors fetch these two at a time.
#[derive(Debug)]
#[repr(align(128))]
struct Copied {
    /// The same for all copies, and there as long as anybody holds one of them.
    state: Arc<MigrationState>,
    /// How many states came before.
    number: u64,
}

impl Snapshot {
    /// A state of the caller's own.
    pub(crate) fn of(state: MigrationState) -> Self {
        Self(Arc::new(Copied { state: Arc::new(state), number: 0 }))
    }

    /// The state, held as by this snapshot.
    pub(crate) fn state(&self) -> Arc<MigrationState> {
        Arc::clone(&self.0.state)
    }
}

impl Deref for Snapshot {
    type Target = MigrationState;

    fn deref(&self) -> &MigrationState {
        &self.0.state
    }
}

#[derive(Debug)]
pub(crate) struct Current {
    /// As many as a power of two.
    copies: Box<[ArcSwap<Copied>]>,
    /// The number of the newest state, there before any copy of it.
    newest: AtomicU64,
    /// Held from before the first copy is replaced until the last one is.
    known: Mutex<Known>,
}

#[derive(Debug)]
struct Known {
    state: Arc<MigrationState>,
    /// Earlier states that operations in flight may still hold, by whichever copy.
    earlier: Vec<(Epoch, Weak<MigrationState>)>,
}

/// What a process can say of the epochs that its operations are in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Epochs {
    /// The newest that no operation in flight is behind.
    pub(crate) acknowledged: Epoch,
    pub(crate) current: Epoch,
}

impl Current {
    pub(crate) fn new(state: MigrationState) -> Self {
        let cores = available_parallelism().map_or(1, usize::from);
        Self::in_copies(cores.next_power_of_two().min(MOST), state)
    }

    /// `copies` is a power of two.
    fn in_copies(copies: usize, state: MigrationState) -> Self {
        let state = Arc::new(state);
        let copy = |_| ArcSwap::from_pointee(Copied { state: Arc::clone(&state), number: 0 });
        Self {
            copies: (0..copies).map(copy).collect(),
            newest: AtomicU64::new(0),
            known: Mutex::new(Known { state: Arc::clone(&state), earlier: Vec::new() }),
        }
    }

    /// The state, never an earlier one than somebody in this process has had before.
    pub(crate) fn snapshot(&self) -> Snapshot {
        self.snapshot_of(place())
    }

    fn snapshot_of(&self, place: usize) -> Snapshot {
        let copy = &self.copies[place & (self.copies.len() - 1)];
        let copied = copy.load_full();
        if copied.number >= self.newest.load(Ordering::Acquire) {
            return Snapshot(copied);
        }
        // The copies are just being replaced, and another thread may hold the new state already.
        let replaced = self.known();
        let copied = copy.load_full();
        drop(replaced);
        Snapshot(copied)
    }

    /// Replaces the state and returns it, unless the new one is the same or of an earlier epoch.
    /// `before` is called before anybody has the new one.
    pub(crate) fn replace(
        &self,
        state: &Arc<MigrationState>,
        before: impl FnOnce(),
    ) -> Option<Arc<MigrationState>> {
        let mut known = self.known();
        if known.state == *state || state.epoch < known.state.epoch {
            return None;
        }
        before();
        let replaced = std::mem::replace(&mut known.state, Arc::clone(state));
        known.earlier.push((replaced.epoch, Arc::downgrade(&replaced)));
        let number = self.newest.fetch_add(1, Ordering::AcqRel) + 1;
        for copy in &self.copies {
            copy.store(Arc::new(Copied { state: Arc::clone(state), number }));
        }
        Some(replaced)
    }

    /// The state that a copy still has is held by that copy, so nothing is acknowledged too early
    /// even while the copies are being replaced.
    pub(crate) fn epochs(&self) -> Epochs {
        let mut known = self.known();
        known.earlier.retain(|(_, state)| state.strong_count() > 0);
        let current = known.state.epoch;
        let oldest = known.earlier.iter().map(|(epoch, _)| *epoch).min();
        Epochs { acknowledged: oldest.map_or(current, |oldest| oldest.min(current)), current }
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A number that this thread has drawn, which picks its copies.
fn place() -> usize {
    static DRAWN: AtomicUsize = AtomicUsize::new(0);
    thread_local! {
        static PLACE: Cell<Option<usize>> = const { Cell::new(None) };
    }
    PLACE.with(|place| {
        place.get().unwrap_or_else(|| {
            let drawn = DRAWN.fetch_add(1, Ordering::Relaxed);
            place.set(Some(drawn));
            drawn
        })
    })
}

#[cfg(test)]
mod tests {
    use std::thread;

    use super::*;
    use crate::shared::tests::state;

    fn current(copies: usize) -> Current {
        Current::in_copies(copies, state(3))
    }

    fn replace(current: &Current, epoch: i64) -> bool {
        current.replace(&Arc::new(state(epoch)), || ()).is_some()
    }

    /// A snapshot that another thread took, from another copy than this thread's.
    fn elsewhere(current: &Current) -> Snapshot {
        let here = current.snapshot();
        let other = || thread::scope(|scope| scope.spawn(|| current.snapshot()).join());
        (0..10_000)
            .map(|_| other().unwrap())
            .find(|there| !Arc::ptr_eq(&there.0, &here.0))
            .expect("threads draw numbers of their own")
    }

    #[test]
    fn an_epoch_is_acknowledged_once_no_copy_of_the_one_before_is_held() {
        for last_is_elsewhere in [false, true] {
            let current = current(4);
            let mut in_flight = [elsewhere(&current), current.snapshot()];
            assert!(replace(&current, 4));
            assert_eq!(current.epochs().current, Epoch::new(4));
            for now in [current.snapshot(), elsewhere(&current)] {
                assert_eq!(now.epoch, Epoch::new(4));
            }
            if last_is_elsewhere {
                in_flight.reverse();
            }
            for held in in_flight {
                assert_eq!(held.epoch, Epoch::new(3));
                assert_eq!(current.epochs().acknowledged, Epoch::new(3), "{last_is_elsewhere}");
                drop(held);
            }
            // The copies that nobody holds cost nothing.
            assert_eq!(current.epochs().acknowledged, Epoch::new(4), "{last_is_elsewhere}");
        }
    }

    #[test]
    fn what_the_application_holds_counts_as_well() {
        let current = current(2);
        let held = current.snapshot().state();
        assert!(replace(&current, 4));
        assert_eq!(current.epochs().acknowledged, Epoch::new(3));
        drop(held);
        assert_eq!(current.epochs().acknowledged, Epoch::new(4));
    }

    #[test]
    fn a_state_never_goes_back() {
        let current = current(4);
        assert!(replace(&current, 5));
        assert!(!replace(&current, 5), "the same state again");
        assert!(!replace(&current, 4), "a state of an earlier epoch");
        assert_eq!(current.snapshot().epoch, Epoch::new(5));
    }

    /// Looks at one copy after the other on two threads, against the order in which they are
    /// replaced, many times. `look` is also told the epoch that the thread has had before.
    fn meanwhile(current: &Current, look: impl Fn(Snapshot, Epoch) + Sync) {
        const LAST: i64 = 5_000;
        let looks = || {
            let mut before = Epoch::new(0);
            for place in (0..MOST).rev().cycle() {
                let held = current.snapshot_of(place);
                let epoch = held.epoch;
                look(held, before);
                before = epoch;
                if epoch.get() >= LAST {
                    break;
                }
            }
        };
        thread::scope(|scope| {
            for _ in 0..2 {
                scope.spawn(looks);
            }
            for epoch in 4..=LAST {
                assert!(replace(current, epoch));
            }
        });
        assert_eq!(current.epochs().acknowledged, Epoch::new(LAST));
    }

    #[test]
    fn what_one_copy_has_shown_no_other_takes_back() {
        meanwhile(&current(MOST), |held, before| {
            assert!(held.epoch >= before, "{} after {before}", held.epoch);
        });
    }

    #[test]
    fn what_is_held_is_not_acknowledged_away() {
        let current = current(MOST);
        meanwhile(&current, |held, _| assert!(current.epochs().acknowledged <= held.epoch));
    }
}
