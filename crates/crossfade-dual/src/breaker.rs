//! The breaker of one migration, as the tasks of this process share it.

use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use crossfade_core::{
    Admission, Breaker, BreakerChange, BreakerCounts, BreakerState, BreakerTrip, MigrationName,
    Observation, Offer, Probe,
};
use metrics::{Counter, Gauge, counter, gauge};
use tokio::sync::mpsc;

use crate::rollback::Opened;
use crate::{Options, clock};

/// What a migration's breaker does, and why.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct BreakerStatus {
    /// What it does with reads. An open one turns half open with the first read behind its
    /// cool-off.
    pub state: BreakerState,
    /// Since when.
    pub since: SystemTime,
    /// Why it last opened; `None` when it never did.
    pub why: Option<BreakerTrip>,
    /// What it counted lately.
    pub counts: BreakerCounts,
}

#[derive(Debug)]
pub(crate) struct Guard {
    migration: MigrationName,
    /// Whether the breaker is not closed: all that a read asks while it is.
    engaged: AtomicBool,
    /// Until when reads of Legacy need not be told. Read by each of them, and written seldom.
    legacy_known_until_ms: AtomicI64,
    /// `None` where the breaker is switched off. Held for some additions, never across an await.
    breaker: Option<Mutex<Breaker>>,
    opened: Option<mpsc::Sender<Opened>>,
    told: Told,
}

/// What the recorder of metrics is told.
struct Told {
    state: Gauge,
    openings: Counter,
}

impl fmt::Debug for Told {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Told").finish_non_exhaustive()
    }
}

impl Guard {
    pub(crate) fn new(
        options: &Options,
        migration: MigrationName,
        opened: Option<mpsc::Sender<Opened>>,
    ) -> Self {
        let breaker = options.breaker.map(|it| Mutex::new(Breaker::new(it, clock::now_ms())));
        let name = migration.as_str().to_owned();
        let told = Told {
            state: gauge!(
                description: "The breaker: 0 closed, 1 open, 2 half open.",
                "crossfade_breaker_state",
                "migration" => name.clone()
            ),
            openings: counter!(
                description: "How often the breaker opened.",
                "crossfade_breaker_openings_total",
                "migration" => name
            ),
        };
        Self {
            migration,
            engaged: AtomicBool::new(false),
            legacy_known_until_ms: AtomicI64::new(i64::MIN),
            breaker,
            opened,
            told,
        }
    }

    fn lock(&self) -> Option<MutexGuard<'_, Breaker>> {
        self.breaker.as_ref().map(|it| it.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// What becomes of a call in `live` that has something to do with New.
    pub(crate) fn admit(&self, offer: Offer) -> Admission {
        if !self.engaged.load(Ordering::Relaxed) {
            return Admission::AsPlanned;
        }
        let Some(mut breaker) = self.lock() else { return Admission::AsPlanned };
        let (admission, change) = breaker.admit(offer, clock::now_ms());
        drop(breaker);
        self.tell(change);
        admission
    }

    /// Takes in how a call in `live` went.
    pub(crate) fn observe(&self, probe: Option<Probe>, observation: Observation) {
        let Some(mut breaker) = self.lock() else { return };
        let change = breaker.observe(probe, observation, clock::now_ms());
        if let Some(change) = change {
            // Under the lock, so that the last change is what remains.
            self.engaged.store(change.to != BreakerState::Closed, Ordering::Relaxed);
            self.legacy_known_until_ms.store(i64::MIN, Ordering::Relaxed);
        }
        drop(breaker);
        self.tell(change);
    }

    /// Begins to watch a read of New.
    pub(crate) fn watch(&self, probe: Option<Probe>) -> Watch<'_> {
        Watch { guard: self, probe, begun: self.breaker.as_ref().map(|_| Instant::now()) }
    }

    /// Takes in a read of Legacy that answered, unless enough of them are known. The lock is one
    /// for all cores, and these are most of the reads while New gets few.
    pub(crate) fn legacy_answered(&self, took: Duration) {
        let now_ms = clock::now_ms();
        if now_ms < self.legacy_known_until_ms.load(Ordering::Relaxed) {
            return;
        }
        let Some(mut breaker) = self.lock() else { return };
        // Never a reason to change anything.
        breaker.observe(None, Observation::LegacyAnswered(took), now_ms);
        if let Some(until_ms) = breaker.legacy_known_until_ms(now_ms) {
            self.legacy_known_until_ms.store(until_ms, Ordering::Relaxed);
        }
    }

    pub(crate) fn status(&self) -> Option<BreakerStatus> {
        let breaker = self.lock()?;
        let now_ms = clock::now_ms();
        let age = u64::try_from(now_ms.saturating_sub(breaker.since_ms())).unwrap_or_default();
        let since = SystemTime::now().checked_sub(Duration::from_millis(age));
        Some(BreakerStatus {
            state: breaker.state(),
            since: since.unwrap_or(SystemTime::UNIX_EPOCH),
            why: breaker.why(),
            counts: breaker.counts(now_ms),
        })
    }

    fn tell(&self, change: Option<BreakerChange>) {
        let Some(BreakerChange { from, to, why }) = change else { return };
        let (migration, why_text) = (&self.migration, why.map(|why| why.to_string()));
        let why_text = why_text.as_deref().unwrap_or_default();
        self.told.state.set(f64::from(to as u8));
        match to {
            BreakerState::Open => {
                self.told.openings.increment(1);
                tracing::warn!(%migration, %from, why = why_text, "the breaker opened; reads use Legacy");
                if let (Some(opened), Some(why)) = (&self.opened, why) {
                    // With that many waiting already, this one has been asked for.
                    let _ = opened.try_send(Opened { migration: migration.clone(), why });
                }
            }
            BreakerState::HalfOpen => {
                tracing::info!(%migration, why = why_text, "the breaker is half open and probes New");
            }
            BreakerState::Closed => {
                tracing::info!(%migration, why = why_text, "the breaker closed; reads use New again");
            }
        }
    }
}

/// A read of New under way. One that is dropped was given up by its caller.
#[derive(Debug)]
pub(crate) struct Watch<'a> {
    guard: &'a Guard,
    probe: Option<Probe>,
    /// `None` once it has ended, and without a breaker.
    begun: Option<Instant>,
}

impl Watch<'_> {
    /// New answered.
    pub(crate) fn answered(mut self) {
        if let Some(begun) = self.begun.take() {
            self.guard.observe(self.probe, Observation::NewAnswered(begun.elapsed()));
        }
    }

    /// New failed; whether that tells something about New is known once Legacy has been read.
    pub(crate) fn failed(mut self) {
        self.begun = None;
    }
}

impl Drop for Watch<'_> {
    fn drop(&mut self) {
        if let Some(begun) = self.begun.take() {
            self.guard.observe(self.probe, Observation::NewAbandoned(begun.elapsed()));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;
    use std::thread;

    use crossfade_core::BreakerOptions;

    use super::*;

    /// A read that waited for the lock would hang here.
    #[test]
    fn reads_of_legacy_leave_the_lock_alone_once_enough_are_known() {
        // So long a window that no tenth of it ends meanwhile.
        let breaker = BreakerOptions::default().window(Duration::from_secs(1 << 32));
        let options = Options::default().breaker(breaker);
        let guard = &Guard::new(&options, "m".parse().unwrap(), None);
        for _ in 0..1000 {
            guard.legacy_answered(Duration::from_millis(1));
        }
        thread::scope(|scope| {
            let held = guard.lock();
            let (done, ended) = mpsc::channel();
            scope.spawn(move || {
                guard.legacy_answered(Duration::from_millis(1));
                let _ = done.send(());
            });
            let ended = ended.recv_timeout(Duration::from_secs(10));
            drop(held);
            assert!(ended.is_ok(), "it takes the lock");
        });
        // Behind a change of the state they count again.
        for _ in 0..20 {
            guard.observe(None, Observation::NewFailed);
        }
        assert_eq!(guard.status().unwrap().state, BreakerState::Open);
        assert_eq!(guard.legacy_known_until_ms.load(Ordering::Relaxed), i64::MIN);
    }
}
