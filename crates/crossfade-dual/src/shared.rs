//! What all handles on one migration of this process share.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};

use crossfade_core::{Epoch, MigrationState};

use crate::breaker::Guard;
use crate::clock;
use crate::current::{Current, Snapshot};
use crate::meter::Meter;
use crate::routes::Routes;
use crate::seldom::Seldom;
use crate::shadow::Shadows;
use crate::spelling::{Spelling, same_keys};

/// A lease as an operation saw it when it began.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct LeaseMark(u64);

/// Whether a renewal came in time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Gap {
    None,
    Lapsed,
}

#[derive(Debug)]
pub(crate) struct Shared {
    state: Current,
    /// When the lease lapses, by the clock that counts suspension.
    lease_ends_ms: AtomicI64,
    /// How often the lease has lapsed before it was renewed.
    lapses: AtomicU64,
    legacy_read_epoch: AtomicI64,
    /// The newest epoch whose acknowledgement was stored.
    pub(crate) told: AtomicI64,
    /// Whether the application asked for this migration; others hold no lease.
    pub(crate) in_use: AtomicBool,
    pub(crate) flag_warned: AtomicI64,
    /// Reads that fell back to Legacy.
    pub(crate) fell_back: Seldom,
    pub(crate) shadows: Shadows,
    pub(crate) meter: Meter,
    pub(crate) breaker: Arc<Guard>,
    pub(crate) routes: Routes,
    pub(crate) spelling: Spelling,
}

impl Shared {
    pub(crate) fn new(
        state: MigrationState,
        shadows: Shadows,
        breaker: Guard,
        routes: Routes,
    ) -> Self {
        let meter = Meter::new(&state.definition.name);
        meter.state(&state);
        Self {
            state: Current::new(state),
            lease_ends_ms: AtomicI64::new(i64::MIN),
            lapses: AtomicU64::new(0),
            legacy_read_epoch: AtomicI64::new(0),
            told: AtomicI64::new(0),
            in_use: AtomicBool::new(false),
            flag_warned: AtomicI64::new(0),
            fell_back: Seldom::new(),
            shadows,
            meter,
            breaker: Arc::new(breaker),
            routes,
            spelling: Spelling::default(),
        }
    }

    pub(crate) fn snapshot(&self) -> Snapshot {
        self.state.snapshot()
    }

    /// Replaces the state; returns whether it differs.
    pub(crate) fn replace(&self, state: MigrationState) -> bool {
        let state = Arc::new(state);
        let replaced = self.state.replace(&state, || {
            self.meter.state(&state);
            self.routes.loaded();
        });
        let Some(replaced) = replaced else { return false };
        if !same_keys(&state.definition, &replaced.definition) {
            self.spelling.forget();
        }
        true
    }

    /// The newest epoch that no operation in flight is behind.
    pub(crate) fn acknowledged(&self) -> Epoch {
        self.state.epochs().acknowledged
    }

    /// Whether operations in flight keep the newest epoch from being acknowledged.
    pub(crate) fn draining(&self) -> bool {
        let epochs = self.state.epochs();
        epochs.acknowledged < epochs.current
    }

    /// Extends the lease, after a gap where it had lapsed.
    pub(crate) fn lease_until(&self, ends_ms: i64, after: Gap) {
        if after == Gap::Lapsed {
            // Counted before the lease is good again, so that no operation misses the gap.
            self.lapses.fetch_add(1, Ordering::AcqRel);
        }
        self.lease_ends_ms.fetch_max(ends_ms, Ordering::AcqRel);
    }

    /// Ends the lease at once; whoever read under it reads again.
    pub(crate) fn end_lease(&self) {
        self.lapses.fetch_add(1, Ordering::AcqRel);
        self.lease_ends_ms.store(i64::MIN, Ordering::Release);
    }

    /// Whether there is an acknowledgement that was not stored yet.
    pub(crate) fn has_news(&self) -> bool {
        self.acknowledged().get() > self.told.load(Ordering::Acquire)
    }

    /// The lease at the beginning of an operation; `None` when it has lapsed.
    pub(crate) fn lease(&self) -> Option<LeaseMark> {
        self.lease_by(clock::now_ms)
    }

    /// The end of the lease is loaded first, then the clock, then the count of lapses.
    ///
    /// A lease that the clock is still within held without a gap up to this look at the clock. If
    /// its end is one that a renewal behind a gap has stored, then that gap was counted before, and
    /// the load that acquires the end makes the count visible to the one that follows. The other
    /// way round, a count from before a gap could meet an end from behind it.
    fn lease_by(&self, now_ms: impl FnOnce() -> i64) -> Option<LeaseMark> {
        let ends_ms = self.lease_ends_ms.load(Ordering::Acquire);
        if now_ms() > ends_ms {
            return None;
        }
        Some(LeaseMark(self.lapses.load(Ordering::Acquire)))
    }

    /// Whether there ever was a lease, good or lapsed.
    pub(crate) fn had_lease(&self) -> bool {
        self.lease_ends_ms.load(Ordering::Acquire) > i64::MIN
    }

    /// Records a read of Legacy under `epoch`.
    pub(crate) fn note_legacy_read(&self, epoch: Epoch) {
        if self.legacy_read_epoch.load(Ordering::Relaxed) < epoch.get() {
            self.legacy_read_epoch.fetch_max(epoch.get(), Ordering::Relaxed);
        }
    }

    /// The newest epoch in which Legacy was read.
    pub(crate) fn legacy_read_in(&self) -> Option<Epoch> {
        let epoch = self.legacy_read_epoch.load(Ordering::Relaxed);
        (epoch > 0).then(|| Epoch::new(epoch))
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use std::collections::BTreeSet;

    use crossfade_core::{BackfillOptions, Definition, GateOptions, SideTable, Stage};

    use super::*;
    use crate::Options;

    pub(crate) fn state(epoch: i64) -> MigrationState {
        let side = |table: &str| SideTable {
            table: table.parse().unwrap(),
            key: vec!["id".parse().unwrap()],
        };
        MigrationState {
            definition: Definition {
                name: "m".parse().unwrap(),
                read_flag: "f".parse().unwrap(),
                legacy: side("a"),
                legacy_columns: Vec::new(),
                new: side("b"),
                mapping: "select id from a".to_owned(),
                backfill: BackfillOptions::default(),
                gates: GateOptions::default(),
                accepted: Vec::new(),
                pinned: crossfade_core::Pinned::default(),
            },
            stage: Stage::Live,
            epoch: Epoch::new(epoch),
            previous_open: false,
            quarantined: BTreeSet::new(),
        }
    }

    fn shared() -> Shared {
        let options = Options::default();
        let name = state(3).definition.name;
        let breaker = Guard::new(&options, name.clone(), None);
        let routes = Routes::new(&options, 0, &name);
        Shared::new(state(3), Shadows::new(&options, &name), breaker, routes)
    }

    #[test]
    fn an_epoch_is_acknowledged_once_nothing_holds_the_one_before() {
        let shared = shared();
        assert_eq!(shared.acknowledged(), Epoch::new(3));
        let in_flight = shared.snapshot();
        assert!(shared.replace(state(4)));
        assert!(!shared.replace(state(4)), "the same state again");
        assert!(!shared.replace(state(3)), "a state never goes back");
        assert_eq!(shared.acknowledged(), Epoch::new(3));
        assert!(shared.draining());
        drop(in_flight);
        assert_eq!(shared.acknowledged(), Epoch::new(4));
        assert!(!shared.draining());
    }

    #[test]
    fn a_gap_during_the_look_at_the_lease_is_seen() {
        let shared = shared();
        shared.lease_until(100, Gap::Lapsed);
        let before = shared.lease_by(|| 50);
        assert!(before.is_some());
        // The lease lapses at 100 and is regained at 150, while an operation looks at it.
        let during = shared.lease_by(|| {
            shared.lease_until(1_000, Gap::Lapsed);
            150
        });
        assert_ne!(during, before);
        // The same where the operation saw the clock before the lease lapsed.
        let before = shared.lease_by(|| 200);
        let during = shared.lease_by(|| {
            shared.lease_until(2_000, Gap::Lapsed);
            201
        });
        assert!(before.is_some() && during.is_some());
        assert_ne!(during, before);
    }

    #[test]
    fn a_gap_in_the_lease_is_seen_by_those_it_passed_over() {
        let shared = shared();
        assert_eq!(shared.lease(), None);
        let far = clock::now_ms() + 60_000;
        shared.lease_until(far, Gap::Lapsed);
        let before = shared.lease();
        assert!(before.is_some());
        shared.lease_until(far + 1, Gap::None);
        assert_eq!(shared.lease(), before, "renewed in time");
        shared.lease_ends_ms.store(clock::now_ms() - 1, Ordering::Release);
        assert_eq!(shared.lease(), None);
        shared.lease_until(far, Gap::Lapsed);
        assert!(shared.lease().is_some());
        assert_ne!(shared.lease(), before, "renewed too late");
    }
}
