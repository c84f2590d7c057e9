//! An application behind a proxy that loses what it is told to.

use std::time::Duration;

use crossfade::{Backoff, Crossfade, Database, Engine, Flags, Options, Stage};
use crossfade_sql::Mechanism;
use crossfade_store::ControlStore;
use crossfade_testkit::Proxy;

use super::{Bench, TestDatabase, definition, eventually};

/// A server with a proxy before it, and an application behind that whose pool has one connection.
pub(crate) struct Far {
    pub(crate) test: TestDatabase,
    pub(crate) bench: Bench,
    pub(crate) proxy: Proxy,
    pub(crate) app: Crossfade,
}

impl Far {
    pub(crate) async fn new(engine: Engine, stage: Stage) -> Self {
        let test = TestDatabase::create(engine, "far").await;
        let bench = Bench::new(test.open().await).await;
        bench.go(stage).await;
        let (proxy, db) = test.open_behind_proxy().await;
        // Once it has its lease, the instance itself rests, and the pool is the writes' alone.
        let pause = Duration::from_millis(1);
        let options = Options::default().lease(Duration::from_secs(3600));
        let app = Crossfade::builder_on(db.without(Mechanism::Changes))
            .flags(Flags::forced::<&str, bool>([]))
            .options(options.tries(Backoff::new(pause, pause, 4)))
            .build()
            .await
            .expect("starts");
        app.migration("people").expect("registered");
        eventually("it has its lease", async || {
            let leases = bench.db.instances(&definition().name).await;
            !leases.expect("instances").is_empty()
        })
        .await;
        Self { test, bench, proxy, app }
    }

    /// The connection that was lost leaves the pool of one: there is none, or a later one, which a
    /// background task opens; the pool counts that before the proxy, with its `before` of them, does.
    pub(crate) async fn expect_closed(&self, before: u64) {
        eventually("the connection is closed, not given back", async || {
            pool_size(self.app.database()) == 0 || self.proxy.connections() > before
        })
        .await;
    }
}

fn pool_size(db: &Database) -> u32 {
    match db.postgres() {
        Some(pool) => pool.size(),
        None => db.mysql().expect("MariaDB").size(),
    }
}
