//! Replicas of the database, and which reads may use one.

use std::fmt::Debug;
use std::future::Future;
use std::sync::Arc;

use async_trait::async_trait;
use crossfade_core::LogPosition;

use crate::StoreError;

/// Where the primary stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PrimaryStanding {
    /// Everything that was committed before the question is at or behind this position.
    pub position: LogPosition,
    /// Its clock, in milliseconds since 1970.
    pub now_ms: i64,
    /// Which log it writes: another text whenever another server was promoted. A server that was
    /// only started anew may have another one too.
    pub log: String,
    /// When the lease of the instance that asks ends, by its clock.
    pub lease_ms: Option<i64>,
}

/// Where a replica stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReplicaStanding {
    /// Everything up to this position is seen by whoever reads from now on.
    pub position: LogPosition,
    /// When the lease of the instance that asks ends, by the primary's clock, as the replica shows
    /// it. One that shows none in force copies another database, or none any more; one that shows
    /// none that the primary ever showed may still hold the log of an earlier primary.
    pub lease_ms: Option<i64>,
}

/// One server that follows the primary and answers reads.
#[async_trait]
pub trait Replica: Send + Sync + Debug + 'static {
    /// Where it is, without user name and password.
    fn name(&self) -> &str;

    /// Where it stands, and what it shows of the lease of `instance`.
    ///
    /// # Errors
    ///
    /// Kind `Unavailable` when it does not answer, `Invalid` when it is not, or not any more, a
    /// replica.
    async fn standing(&self, instance: &str) -> Result<ReplicaStanding, StoreError>;
}

/// A database that may have replicas.
#[async_trait]
pub trait ReplicaStore: Send + Sync + Debug {
    /// Its replicas, always in the same order.
    fn replicas(&self) -> Vec<Arc<dyn Replica>>;

    /// Where the primary stands, and what it shows of the lease of `instance`.
    ///
    /// # Errors
    ///
    /// Kind `Invalid` when it keeps no log that a replica could follow.
    async fn primary_standing(&self, instance: &str) -> Result<PrimaryStanding, StoreError>;
}

/// Where the connections of a read come from.
#[derive(Clone, Debug)]
pub enum Route {
    /// The primary.
    Primary,
    /// The primary, and so for every read within this one.
    PrimaryAsked,
    /// This replica, for those who know it.
    Replica(Arc<dyn Replica>),
}

tokio::task_local! {
    static ROUTE: Route;
}

/// Runs a future on a route.
///
/// The route belongs to the future and not to what it spawns: a task, a thread or a callback of
/// another task finds none, which means the primary. So no read uses a replica by accident; one that
/// is moved to another task only loses the replica's help.
pub fn routed<F: Future>(route: Route, future: F) -> impl Future<Output = F::Output> + use<F> {
    ROUTE.scope(route, future)
}

/// The route of the code that runs: the innermost around it, and the primary where there is none.
#[must_use]
pub fn current_route() -> Route {
    ROUTE.try_with(Route::clone).unwrap_or(Route::Primary)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug)]
    struct Anywhere;

    #[async_trait]
    impl Replica for Anywhere {
        fn name(&self) -> &str {
            "anywhere"
        }

        async fn standing(&self, _: &str) -> Result<ReplicaStanding, StoreError> {
            Ok(ReplicaStanding { position: LogPosition::default(), lease_ms: None })
        }
    }

    fn on_replica() -> bool {
        matches!(current_route(), Route::Replica(replica) if replica.name() == "anywhere")
    }

    #[tokio::test]
    async fn a_route_ends_with_its_future_and_at_its_task() {
        assert!(!on_replica());
        let route = Route::Replica(Arc::new(Anywhere));
        routed(route, async {
            assert!(on_replica());
            tokio::task::yield_now().await;
            assert!(on_replica());
            let spawned = tokio::spawn(async { on_replica() });
            assert!(!spawned.await.unwrap(), "a task of its own reads from the primary");
            let thread = std::thread::spawn(on_replica);
            assert!(!thread.join().unwrap(), "so does a thread");
            routed(Route::Primary, async { assert!(!on_replica()) }).await;
            assert!(on_replica());
        })
        .await;
        assert!(!on_replica());
    }
}
