//! What can be set for reads that use replicas.

use std::time::Duration;

/// How reads use the replicas of the database. See `Options::replica_reads`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReplicaReads {
    pub(crate) limit: Duration,
    pub(crate) measured_every: Duration,
    pub(crate) margin: Duration,
    pub(crate) patience: Duration,
}

impl Default for ReplicaReads {
    fn default() -> Self {
        Self {
            limit: Duration::from_millis(1500),
            measured_every: Duration::from_millis(375),
            margin: Duration::from_millis(500),
            patience: Duration::from_secs(2),
        }
    }
}

impl ReplicaReads {
    /// How far a replica may be behind the primary and still be used. The age of its last
    /// measurement counts as lag, so keep it above twice the interval. Default: 1.5 s.
    #[must_use]
    pub fn limit(self, limit: Duration) -> Self {
        Self { limit, ..self }
    }

    /// How often each replica is measured: one short query on the primary and one on the replica.
    /// Default: 375 ms; at least 10 ms and at most an hour.
    #[must_use]
    pub fn measured_every(self, interval: Duration) -> Self {
        Self {
            measured_every: interval.clamp(Duration::from_millis(10), Duration::from_secs(60 * 60)),
            ..self
        }
    }

    /// How much later than the end of a write its commit is taken to be, for one whose future is
    /// dropped, or whose connection is lost, while the commit is on its way. Default: 500 ms.
    #[must_use]
    pub fn pin_margin(self, margin: Duration) -> Self {
        Self { margin, ..self }
    }

    /// How long a read waits for a replica's answer before it goes on to the primary. Default: 2 s.
    #[must_use]
    pub fn patience(self, patience: Duration) -> Self {
        Self { patience, ..self }
    }
}
