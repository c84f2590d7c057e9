//! Which reads use a replica.

use std::collections::BTreeMap;
use std::error::Error;
use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicUsize, Ordering};
use std::time::Instant;

use crossfade_core::{
    MigrationName, Observation, ReplicaFacts, ReplicaRefusal, Side, Stage, replica_refusal,
};
use crossfade_store::{Failure, Route, current_route, routed};
use metrics::counter;
use tokio::time::timeout;

use crate::current::Snapshot;
use crate::pins::{Pin, Pins};
use crate::reader::Routed;
use crate::replica::{Follower, ReplicaStatus};
use crate::tally::Tally;
use crate::{Migration, Options, ReadError, RequestStore, clock};

/// Where the reads of a migration went in this process so far.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RouteStats {
    /// Reads that a replica answered.
    pub on_replica: u64,
    /// Reads that a replica failed, upon which the primary was asked in the same call.
    pub failed_over: u64,
    /// Reads that no replica was to be used for, by the reason of the one that came closest to it.
    /// A database without replicas counts none.
    pub refused: BTreeMap<ReplicaRefusal, u64>,
    /// The replicas, in the order in which the database was given them.
    pub replicas: Vec<ReplicaStatus>,
}

/// The routes of one migration's reads.
#[derive(Debug)]
pub(crate) struct Routes {
    pins: Pins,
    allowed: AtomicBool,
    /// When the current state had been loaded. Never earlier than a reader's snapshot.
    known_ms: AtomicI64,
    /// Which replica is looked at first; they take turns.
    turn: AtomicUsize,
    on_replica: Tally,
    failed_over: Tally,
    refused: [Tally; ReplicaRefusal::ALL.len()],
}

impl Routes {
    pub(crate) fn new(options: &Options, replicas: usize, migration: &MigrationName) -> Self {
        let pins = match replicas {
            0 => Pins::none(),
            _ => Pins::new(options.replica_reads.margin),
        };
        let count = |route: &'static str| {
            let text = "Reads of a database with replicas, by where they went and why.";
            let (what, name) = ("crossfade_read_routes_total", migration.as_str().to_owned());
            Tally::new(counter!(description: text, what, "migration" => name, "route" => route))
        };
        Self {
            pins,
            allowed: AtomicBool::new(options.replicas_allowed),
            known_ms: AtomicI64::new(clock::now_ms()),
            turn: AtomicUsize::new(0),
            on_replica: count("replica"),
            failed_over: count("failed_over"),
            refused: ReplicaRefusal::ALL.map(|refusal| count(refusal.as_str())),
        }
    }

    /// To be held until a write of the key has ended.
    pub(crate) fn write(&self, key: &str) -> Pin<'_> {
        self.pins.write(key)
    }

    /// A state was loaded, and is swapped in only behind this.
    pub(crate) fn loaded(&self) {
        self.known_ms.fetch_max(clock::now_ms(), Ordering::AcqRel);
    }

    pub(crate) fn allowed(&self) -> bool {
        self.allowed.load(Ordering::Acquire)
    }
}

/// Runs a future whose reads, of any migration, all use the primary: for a caller that must see
/// what another process has written. It holds for the task that runs the future, not for tasks that
/// are spawned in it.
pub fn on_primary<F: Future>(future: F) -> impl Future<Output = F::Output> + use<F> {
    routed(Route::PrimaryAsked, future)
}

impl<S: RequestStore> Migration<S> {
    /// Lets reads of this migration use replicas, in this process. What
    /// `Options::replica_reads` says holds until then.
    pub fn allow_replicas(&self) {
        self.shared.routes.allowed.store(true, Ordering::Release);
    }

    /// Sends every read of this migration to the primary, in this process, from the next one on.
    pub fn forbid_replicas(&self) {
        self.shared.routes.allowed.store(false, Ordering::Release);
    }

    /// Where the reads of this migration went in this process, and how the replicas are.
    #[must_use]
    pub fn routes(&self) -> RouteStats {
        let routes = &self.shared.routes;
        let refused = ReplicaRefusal::ALL.into_iter().zip(&routes.refused);
        let refused = refused.map(|(reason, count)| (reason, count.get()));
        RouteStats {
            on_replica: routes.on_replica.get(),
            failed_over: routes.failed_over.get(),
            refused: refused.filter(|(_, count)| *count > 0).collect(),
            replicas: self.core.followers.iter().map(|follower| follower.status()).collect(),
        }
    }

    /// Asks a replica where that is permitted, and else, or where it fails, the primary.
    pub(crate) async fn answer_routed<T, E, LF, NF>(
        &self,
        snapshot: &Snapshot,
        routed_by: &Routed,
        key: &str,
        legacy: &impl Fn() -> LF,
        new: &impl Fn() -> NF,
    ) -> Result<T, ReadError<E>>
    where
        E: Error + 'static,
        LF: Future<Output = Result<T, E>>,
        NF: Future<Output = Result<T, E>>,
    {
        let asked = matches!(current_route(), Route::PrimaryAsked);
        // What a probe is to find out is how New does on the primary.
        let follower = match routed_by.probe {
            None => self.follower_for(key, asked),
            Some(_) => None,
        };
        if let Some(follower) = follower {
            let plan = routed_by.plan;
            let begun = Instant::now();
            let reading = async {
                match plan.answer {
                    Side::New => self.read_side(snapshot, Side::New, Box::pin(new())).await,
                    Side::Legacy => {
                        self.shared.note_legacy_read(snapshot.epoch);
                        self.read_side(snapshot, Side::Legacy, Box::pin(legacy())).await
                    }
                }
            };
            let route = Route::Replica(Arc::clone(&follower.replica));
            let patience = self.core.options.replica_reads.patience;
            match timeout(patience, routed(route, reading)).await {
                Ok(Ok(answer)) => {
                    self.shared.routes.on_replica.one();
                    if plan.answer == Side::Legacy && routed_by.stage == Stage::Live {
                        self.shared.breaker.legacy_answered(begun.elapsed());
                    } else if plan.fallback.is_some() {
                        let answered = Observation::NewAnswered(begun.elapsed());
                        self.shared.breaker.observe(None, answered);
                    }
                    return Ok(answer);
                }
                // Whatever it is, the primary's answer counts.
                Ok(Err(error)) => {
                    if self.core.store.classify(&error) == Failure::ConnectionLost {
                        follower.rest();
                    }
                }
                Err(_) => follower.rest(),
            }
            self.shared.routes.failed_over.one();
        }
        // A read inside another one's closure does not inherit its replica.
        let route = if asked { Route::PrimaryAsked } else { Route::Primary };
        routed(route, self.answer(snapshot, routed_by, legacy, new)).await
    }

    /// The replica that a read of the key may use. The snapshot was loaded before.
    fn follower_for(&self, key: &str, primary_asked: bool) -> Option<&Follower> {
        let followers = &self.core.followers;
        if followers.is_empty() {
            return None;
        }
        let routes = &self.shared.routes;
        let facts = ReplicaFacts {
            allowed: routes.allowed(),
            primary_asked,
            now_ms: clock::now_ms(),
            rests_until_ms: i64::MIN,
            covered_ms: None,
            limit_ms: clock::ms(self.core.options.replica_reads.limit),
            known_ms: routes.known_ms.load(Ordering::Acquire),
            written_ms: routes.pins.written_ms(key),
        };
        let first = routes.turn.fetch_add(1, Ordering::Relaxed) % followers.len();
        let mut closest = ReplicaRefusal::Off;
        for follower in followers[first..].iter().chain(&followers[..first]) {
            let refusal = replica_refusal(ReplicaFacts {
                rests_until_ms: follower.rests_until_ms(),
                covered_ms: follower.covered_ms(),
                ..facts
            });
            match refusal {
                None => return Some(follower),
                Some(refusal) => closest = closest.max(refusal),
            }
        }
        routes.refused[closest as usize].one();
        None
    }
}
