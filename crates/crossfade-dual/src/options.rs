//! What can be set on the request path.

use std::sync::Arc;
use std::time::Duration;

use crossfade_core::{Backoff, BreakerOptions};
use crossfade_store::ReadFlagSwitch;
use tokio::sync::Semaphore;

use crate::ReplicaReads;

/// Something that an instance does for the protocol's sake.
///
/// Only the feature `mutants`, which this project's own tests ask for, can have it omitted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(not(feature = "mutants"), allow(unreachable_pub))]
pub enum Omission {
    /// A read looks, after its answer, if the lease held all along.
    LeaseCheck,
    /// A lapsed lease counts again only once the stage was looked up.
    LookUp,
    /// That look-up comes after the heartbeat that renews the lease.
    LookUpLast,
    /// An epoch is acknowledged once no operation holds an earlier one.
    Drain,
}

/// Options of an instance.
#[derive(Clone, Debug)]
pub struct Options {
    pub(crate) version: String,
    pub(crate) lease: Duration,
    pub(crate) tries: Backoff,
    pub(crate) new_lock_timeout: Duration,
    pub(crate) new_timeout: Duration,
    pub(crate) operation_retention: Duration,
    pub(crate) shadow_sample: f64,
    pub(crate) shadow_in_flight: usize,
    pub(crate) shadow_timeout: Duration,
    pub(crate) mismatches_kept: usize,
    pub(crate) breaker: Option<BreakerOptions>,
    pub(crate) auto_rollback: Option<Arc<dyn ReadFlagSwitch>>,
    pub(crate) replica_reads: ReplicaReads,
    pub(crate) replicas_allowed: bool,
    #[cfg(feature = "mutants")]
    pub(crate) omission: Option<Omission>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            lease: Duration::from_secs(15),
            tries: Backoff::new(Duration::from_millis(10), Duration::from_millis(500), 10),
            new_lock_timeout: Duration::from_secs(2),
            new_timeout: Duration::from_secs(5),
            operation_retention: Duration::from_secs(24 * 60 * 60),
            shadow_sample: 0.01,
            shadow_in_flight: 64,
            shadow_timeout: Duration::from_secs(1),
            mismatches_kept: 64,
            breaker: Some(BreakerOptions::default()),
            auto_rollback: None,
            replica_reads: ReplicaReads::default(),
            replicas_allowed: false,
            #[cfg(feature = "mutants")]
            omission: None,
        }
    }
}

impl Options {
    /// The application's version, shown by `crossfade status`. Default: the SDK's.
    #[must_use]
    pub fn version(self, version: impl Into<String>) -> Self {
        Self { version: version.into(), ..self }
    }

    /// How long the lease of an instance lasts; it is renewed three times as often.
    /// Default: 15 s; at least 100 ms and at most a day.
    #[must_use]
    pub fn lease(self, lease: Duration) -> Self {
        let lease = lease.clamp(Duration::from_millis(100), Duration::from_secs(24 * 60 * 60));
        Self { lease, ..self }
    }

    /// How often, and after which waits, a write is tried again after a closed epoch, a
    /// serialization failure or a deadlock. Default: 10 tries, from 10 ms to 500 ms apart.
    #[must_use]
    pub fn tries(self, tries: Backoff) -> Self {
        Self { tries, ..self }
    }

    /// The longest wait for a lock in a write before `live`. When it is New that is locked, Legacy
    /// is then written alone and the key is put into quarantine; when it is Legacy, the write is
    /// tried again. Databases without such a bound ignore it. Default: 2 s.
    #[must_use]
    pub fn new_lock_timeout(self, timeout: Duration) -> Self {
        Self { new_lock_timeout: timeout, ..self }
    }

    /// The longest that New's part of a write may take before `live`, from the call of its closure
    /// to its end; Legacy's part is never cut. After that its statement is interrupted on the
    /// server, from a connection beside the pool, and Legacy is written alone as after any refusal
    /// by New. A closure that does not end then within 2 s is dropped. Should be longer than
    /// [`new_lock_timeout`](Self::new_lock_timeout), which ends in better order. SQLite carries a
    /// statement to its end before it hears of anything. `Duration::MAX` is no bound. Default: 5 s.
    #[must_use]
    pub fn new_timeout(self, timeout: Duration) -> Self {
        Self { new_timeout: timeout, ..self }
    }

    /// How long an operation id is remembered from its commit on; a write that is repeated later
    /// is carried out again. Any instance deletes older ids, in small batches. Default: 24 h.
    #[must_use]
    pub fn operation_retention(self, retention: Duration) -> Self {
        Self { operation_retention: retention, ..self }
    }

    /// The share of compared reads that also reads the other side, 0.0 to 1.0. Default: 0.01.
    #[must_use]
    pub fn shadow_sample(self, share: f64) -> Self {
        Self { shadow_sample: share.clamp(0.0, 1.0), ..self }
    }

    /// How many shadow comparisons may run at once; one more is dropped. Default: 64;
    /// at most some quintillions, as many as a semaphore counts.
    #[must_use]
    pub fn shadow_in_flight(self, count: usize) -> Self {
        Self { shadow_in_flight: count.min(Semaphore::MAX_PERMITS), ..self }
    }

    /// Lets reads use the replicas that the database was given. Default: they do not, until
    /// `allow_replicas` on a migration's handle.
    #[must_use]
    pub fn replica_reads(self, reads: ReplicaReads) -> Self {
        Self { replica_reads: reads, replicas_allowed: true, ..self }
    }

    /// An instance that omits something; for the tests that show what it is for.
    #[cfg(feature = "mutants")]
    #[must_use]
    pub fn omitting(self, omission: Omission) -> Self {
        Self { omission: Some(omission), ..self }
    }

    #[cfg(feature = "mutants")]
    pub(crate) fn keeps(&self, omission: Omission) -> bool {
        self.omission != Some(omission)
    }

    #[cfg(not(feature = "mutants"))]
    #[expect(clippy::unused_self, reason = "with the feature it asks the options")]
    pub(crate) const fn keeps(&self, _: Omission) -> bool {
        true
    }

    /// How long a shadow comparison may take. Default: 1 s.
    #[must_use]
    pub fn shadow_timeout(self, timeout: Duration) -> Self {
        Self { shadow_timeout: timeout, ..self }
    }

    /// How many of the latest mismatches a migration remembers. Default: 64.
    #[must_use]
    pub fn mismatches_kept(self, count: usize) -> Self {
        Self { mismatches_kept: count, ..self }
    }

    /// When the breaker of each migration opens and closes. Default: [`BreakerOptions::default`].
    #[must_use]
    pub fn breaker(self, breaker: BreakerOptions) -> Self {
        Self { breaker: Some(breaker), ..self }
    }

    /// Without a breaker: reads go as stage and flag say, however New does.
    #[must_use]
    pub fn without_breaker(self) -> Self {
        Self { breaker: None, ..self }
    }

    /// An opening breaker also turns the read flag off for everybody, through this port. Default:
    /// it keeps the reads of its own process on Legacy, and nothing else.
    #[must_use]
    pub fn auto_rollback(self, switch: Arc<dyn ReadFlagSwitch>) -> Self {
        Self { auto_rollback: Some(switch), ..self }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;
    use crate::shadow::Shadows;

    /// Whoever means "without bound" says so.
    #[tokio::test]
    async fn the_greatest_values_are_no_harm() {
        let longest = Duration::MAX;
        let reads = ReplicaReads::default()
            .limit(longest)
            .measured_every(longest)
            .pin_margin(longest)
            .patience(longest);
        let options = Options::default()
            .lease(longest)
            .tries(Backoff::new(longest, longest, u32::MAX))
            .new_lock_timeout(longest)
            .operation_retention(longest)
            .shadow_in_flight(usize::MAX)
            .shadow_timeout(longest)
            .mismatches_kept(usize::MAX)
            .replica_reads(reads);
        let shadows = Shadows::new(&options, &"m".parse().unwrap());
        assert_eq!(shadows.stats(), Default::default());
        let wait = options.tries.wait(1, 1.0).unwrap();
        for duration in [wait, options.replica_reads.measured_every] {
            assert!(Instant::now().checked_add(duration).is_some(), "{duration:?}");
        }
    }
}
