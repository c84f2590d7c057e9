//! Measuring how far the replicas are behind.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use crossfade_core::{Continuity, PrimaryLog, PrimaryMoment};
use crossfade_store::{PrimaryStanding, Replica, StoreError, StoreErrorKind};
use metrics::{Gauge, Unit, gauge};
use tokio::time::{MissedTickBehavior, interval, timeout};

use crate::instance::Core;
use crate::seldom::Seldom;
use crate::{RequestStore, clock};

/// How long a replica that failed a read is left alone.
const REST: Duration = Duration::from_secs(1);

/// A replica and what this instance knows of it.
pub(crate) struct Follower {
    pub(crate) replica: Arc<dyn Replica>,
    /// The moment up to which it covers the primary; the least number when that is not known.
    covered_ms: AtomicI64,
    rests_until_ms: AtomicI64,
    trouble: Seldom,
    told_behind: Gauge,
}

impl fmt::Debug for Follower {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Follower").field(&self.status()).finish()
    }
}

/// A replica as an instance knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReplicaStatus {
    /// Where it is, without user name and password.
    pub name: String,
    /// How far it may be behind the primary by now; `None` when that is not known.
    pub behind: Option<Duration>,
    /// Whether it is left alone for a while, because it failed a read.
    pub resting: bool,
}

impl Follower {
    pub(crate) fn new(replica: Arc<dyn Replica>) -> Self {
        let text = "How far a replica may be behind the primary.";
        let what = "crossfade_replica_behind_seconds";
        let name = replica.name().to_owned();
        let told_behind = gauge!(description: text, unit: Unit::Seconds, what, "replica" => name);
        Self {
            told_behind,
            replica,
            covered_ms: AtomicI64::new(i64::MIN),
            rests_until_ms: AtomicI64::new(i64::MIN),
            trouble: Seldom::new(),
        }
    }

    pub(crate) fn covered_ms(&self) -> Option<i64> {
        let covered_ms = self.covered_ms.load(Ordering::Acquire);
        (covered_ms > i64::MIN).then_some(covered_ms)
    }

    pub(crate) fn rests_until_ms(&self) -> i64 {
        self.rests_until_ms.load(Ordering::Acquire)
    }

    pub(crate) fn rest(&self) {
        self.rests_until_ms.fetch_max(clock::now_ms() + clock::ms(REST), Ordering::AcqRel);
    }

    pub(crate) fn status(&self) -> ReplicaStatus {
        let now_ms = clock::now_ms();
        let behind = |covered_ms| u64::try_from(now_ms - covered_ms).unwrap_or_default();
        ReplicaStatus {
            name: self.replica.name().to_owned(),
            behind: self.covered_ms().map(|covered_ms| Duration::from_millis(behind(covered_ms))),
            resting: now_ms < self.rests_until_ms(),
        }
    }

    fn found(&self, covered_ms: Option<i64>) {
        self.covered_ms.store(covered_ms.unwrap_or(i64::MIN), Ordering::Release);
        let behind = self.status().behind.map_or(f64::INFINITY, |behind| behind.as_secs_f64());
        self.told_behind.set(behind);
    }
}

/// Measures a replica again and again, while reads of any migration may use it.
pub(crate) async fn measure<S: RequestStore>(core: Arc<Core<S>>, follower: Arc<Follower>) {
    let options = core.options.replica_reads;
    let mut log = PrimaryLog::default();
    let mut turns = interval(options.measured_every);
    turns.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        turns.tick().await;
        if !core.replicas_in_use() {
            continue;
        }
        let error = match timeout(options.patience, measured(&core, &follower, &mut log)).await {
            Ok(Ok(covered_ms)) => {
                follower.found(covered_ms);
                continue;
            }
            Ok(Err(error)) => error,
            Err(_) => StoreError::new(StoreErrorKind::Unavailable, "no answer in time"),
        };
        follower.found(None);
        if let Some(times) = follower.trouble.count() {
            tracing::warn!(
                replica = follower.replica.name(),
                error = %error,
                times,
                "could not measure a replica; reads stay on the primary"
            );
        }
    }
}

/// The moment up to which the replica covers the primary.
async fn measured<S: RequestStore>(
    core: &Core<S>,
    follower: &Follower,
    log: &mut PrimaryLog,
) -> Result<Option<i64>, StoreError> {
    // Before the question, since what is committed after the answer may not be in it.
    let asked_ms = clock::now_ms();
    let primary = core.store.primary_standing(&core.id).await?;
    let PrimaryStanding { position, now_ms, log: of, lease_ms } = primary;
    let moment = PrimaryMoment { asked_ms, log: of, position, lease_ms };
    if log.note(moment) == Continuity::Another {
        // The replicas show by it which log they follow.
        core.renew.notify_one();
    }
    let standing = follower.replica.standing(&core.id).await?;
    if standing.lease_ms.is_none_or(|lease_ms| lease_ms < now_ms) {
        return Err(StoreError::new(
            StoreErrorKind::Invalid,
            "it shows no lease of this instance, as if it followed another database",
        ));
    }
    Ok(log.covered_ms(&standing.position, standing.lease_ms))
}
