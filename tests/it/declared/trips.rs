//! One statement is one round trip, and a lost one is told as what it is.

use std::str::FromStr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crossfade::{Crossfade, Database, Engine, Flags, Options, Stage, WriteError};
use crossfade_core::ToKey;
use crossfade_store::{ControlStore, Entry, FencedStore};
use crossfade_testkit::{Fault, Proxy};
use sqlx::AssertSqlSafe;
use sqlx::postgres::{PgConnectOptions, PgSslMode};

use super::{declared, one_statement, put};
use crate::lost::fill_and_kill;
use crate::round_trips::counting_proxy;
use crate::support::{Bench, TestDatabase, WAIT, definition, eventually};

#[tokio::test(flavor = "multi_thread")]
async fn fence_and_both_sides_are_one_round_trip() {
    let test = TestDatabase::create(Engine::Postgres, "declared_trips").await;
    let bench = Bench::new(test.open().await).await;
    bench.go(Stage::Live).await;
    let direct = PgConnectOptions::from_str(&test.url).expect("a URL");
    let trips = Arc::new(AtomicU64::new(0));
    let server = format!("{}:{}", direct.get_host(), direct.get_port());
    let port = counting_proxy(server, Arc::clone(&trips)).await;
    let options = direct.host("127.0.0.1").port(port).ssl_mode(PgSslMode::Disable);
    let pool = Database::postgres_pool_options()
        .max_connections(1)
        .connect_with(options)
        .await
        .expect("the proxy answers");
    // So long a lease and so still a state that the instance's own tasks rest while it counts.
    let app = Crossfade::builder_on(Database::open(pool.clone()).await.expect("opens"))
        .flags(Flags::forced::<&str, bool>([]))
        .options(Options::default().lease(Duration::from_secs(3600)))
        .build()
        .await
        .expect("starts");
    let migration = app.migration("people").expect("registered");
    eventually("the lease is taken", async || {
        !bench.db.instances(&definition().name).await.expect("instances").is_empty()
    })
    .await;
    let statement = declared(&migration, Engine::Postgres).await;
    one_statement(&statement);

    let [legacy, _] = super::upserts(Engine::Postgres);
    let alone = async |name: &str| {
        let query = sqlx::query(AssertSqlSafe(legacy.clone())).bind(1i64).bind(name.to_owned());
        query.execute(&pool).await.expect("written");
    };
    alone("prepares its statement").await;
    put(&statement, 1, "prepares its statement").await.expect("written");
    let turns = 50;
    let before = trips.load(Ordering::SeqCst);
    for turn in 0..turns {
        alone(&format!("alone {turn}")).await;
    }
    let between = trips.load(Ordering::SeqCst);
    for turn in 0..turns {
        put(&statement, 1, &format!("declared {turn}")).await.expect("written");
    }
    let after = trips.load(Ordering::SeqCst);
    // The statement, and the ping by which the pool takes the connection back. A look of the
    // instance at the control tables may come in between; one more a write would be 50.
    let (single, both) = (between - before, after - between);
    assert!(single.abs_diff(turns * 2) <= 10, "{single} round trips for Legacy alone");
    assert!(both.abs_diff(turns * 2) <= 10, "{both} round trips, for Legacy alone {single}");
    test.drop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_lost_behind_the_statement_leaves_the_outcome_open() {
    let test = TestDatabase::create(Engine::Postgres, "declared_lost").await;
    let bench = Bench::new(test.open().await).await;
    bench.go(Stage::Live).await;
    let direct = PgConnectOptions::from_str(&test.url).expect("a URL");
    let server = (direct.get_host().to_owned(), direct.get_port());
    let proxy = Proxy::start(server).await.expect("a free port");
    let through = PgConnectOptions::from_str(&proxy.url(&test.url)).expect("a URL");
    let pool = Database::postgres_pool_options()
        .max_connections(4)
        .connect_with(through.ssl_mode(PgSslMode::Disable))
        .await
        .expect("the proxy answers");
    let narrow = Bench { db: Database::open(pool).await.expect("opens") };
    let app = narrow.app(&Flags::forced::<&str, bool>([])).await;
    let migration = app.migration("people").expect("registered");
    let statement = declared(&migration, Engine::Postgres).await;
    one_statement(&statement);
    for (id, fault, arrives) in [(1, Fault::LoseReply, true), (2, Fault::LoseRequest, false)] {
        let name = format!("never heard of {id}");
        let armed = proxy.arm(&name, fault);
        let lost = put(&statement, id, &name).await.expect_err("the connection is cut");
        assert!(matches!(lost, WriteError::CommitUnknown(_)), "{lost:?}");
        assert!(armed.has_struck());
        let found = arrives.then_some(name.as_str());
        eventually("the server is through", async || {
            bench.new_side().get(id).await.expect("New answers").as_deref() == found
        })
        .await;
        bench.expect(id, found, found).await;
        put(&statement, id, "again").await.expect("the pool has other connections");
        bench.expect(id, Some("again"), Some("again")).await;
    }
    test.drop().await;
}

/// A server that ends a connection says so, and has undone what was under way on it.
#[tokio::test(flavor = "multi_thread")]
async fn a_connection_that_the_server_ends_costs_a_try() {
    let test = TestDatabase::create(Engine::Postgres, "declared_ended").await;
    let admin = Bench::new(test.open().await).await;
    admin.go(Stage::Live).await;
    let options = PgConnectOptions::from_str(&test.url).expect("a PostgreSQL URL");
    let pool = Database::postgres_pool_options().max_connections(8);
    let pool = pool.connect_with(options.application_name("dead pool")).await.expect("connects");
    let bench = Bench { db: Database::open(pool.clone()).await.expect("opens") };
    let app = bench.app(&Flags::forced::<&str, bool>([])).await;
    let migration = app.migration("people").expect("registered");
    let statement = declared(&migration, Engine::Postgres).await;
    one_statement(&statement);
    put(&statement, 1, "before").await.expect("written");

    fill_and_kill(&pool, &admin).await;
    put(&statement, 1, "after").await.expect("written on a connection that lives");
    admin.expect(1, Some("after"), Some("after")).await;

    let (name, key) = (definition().name, 1i64.to_key());
    let epoch = admin.state().await.epoch;
    let entry = Entry { migration: &name, epoch, key: &key };
    let holder = admin.db.enter(entry, None).await.expect("the epoch is open");
    let waiting = tokio::spawn({
        let statement = statement.clone();
        async move { put(&statement, 1, "waited").await }
    });
    let waits = async || admin.sessions_waiting().await == 1;
    eventually("it waits for its key", waits).await;
    admin
        .sql(
            "select pg_terminate_backend(pid) from pg_stat_activity \
             where datname = current_database() and wait_event_type = 'Lock'",
        )
        .await;
    eventually("it waits again", waits).await;
    admin.db.commit(holder).await.expect("the holder commits");
    let written = tokio::time::timeout(WAIT, waiting).await.expect("it ends").expect("no panic");
    written.expect("written");
    admin.expect(1, Some("waited"), Some("waited")).await;
    drop(app);
    test.drop().await;
}
