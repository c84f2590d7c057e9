//! The rule set in the database: every process follows it, and a flip moves the reads at once.

use std::any::Any;
use std::sync::Arc;
use std::time::Duration;

use crossfade::{Crossfade, Engine, Flags, Side, Stage};
use crossfade_store::{NewRuleSet, RuleSetStore, StoreErrorKind};
use sqlx::pool::PoolConnection;

use crate::support::{Bench, TestDatabase, WAIT, engines, eventually, read_side};

fn document(variant: &str) -> String {
    format!(
        r#"{{"flags":{{"read_people_v2":{{"state":"ENABLED","variants":{{"on":true,"off":false}},
        "defaultVariant":"{variant}"}}}}}}"#
    )
}

async fn store(bench: &Bench, based_on: i64, document: &str) -> Result<i64, StoreErrorKind> {
    let rule_set = NewRuleSet {
        based_on,
        document,
        action: "flag.set",
        flag: "read_people_v2",
        author: "test",
        reason: "",
    };
    bench.db.append_rule_set(rule_set).await.map_err(|error| error.kind)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flip_reaches_every_process() {
    engines("flip", async |db, url| {
        let bench = Bench::new(db).await;
        bench.go(Stage::Live).await;
        assert_eq!(store(&bench, 0, &document("on")).await, Ok(1));
        // Two processes, each with a pool and a flag client of its own.
        let mut apps = Vec::new();
        for _ in 0..2 {
            let db = crossfade::Database::connect(&url).await.expect("opens");
            apps.push(Crossfade::builder_on(db).build().await.expect("starts"));
        }
        let side = async |app: &Crossfade| {
            let migration = app.migration("people").expect("registered");
            read_side(&migration, 1).await.expect("read")
        };
        for app in &apps {
            eventually("it reads New", async || side(app).await == Side::New).await;
        }
        assert_eq!(store(&bench, 1, &document("off")).await, Ok(2));
        for app in &apps {
            eventually("it reads Legacy", async || side(app).await == Side::Legacy).await;
        }
    })
    .await;
}

/// The application's own flags stand in the same rule set as the read flags.
#[tokio::test(flavor = "multi_thread")]
async fn the_flags_of_a_process_are_there_to_be_asked() {
    engines("own_flags", async |db, _| {
        let bench = Bench::new(db).await;
        assert_eq!(store(&bench, 0, &document("on")).await, Ok(1));
        let app = Crossfade::builder_on(bench.db.clone()).build().await.expect("starts");
        let flags = app.flags().expect("the rule set in the database is the default");
        assert_eq!(tokio::time::timeout(WAIT, flags.wait_for(1)).await, Ok(1));
        assert!(flags.is_enabled("read_people_v2", "1"));

        let forced = Flags::forced([("read_people_v2", false)]);
        let app = Crossfade::builder_on(bench.db.clone()).flags(forced);
        assert!(app.build().await.expect("starts").flags().is_none());
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_editors_one_is_told() {
    engines("editors", async |db, _| {
        let bench = Bench::new(db).await;
        assert_eq!(store(&bench, 0, &document("on")).await, Ok(1));
        assert_eq!(store(&bench, 0, &document("off")).await, Err(StoreErrorKind::Conflict));
        assert_eq!(store(&bench, 5, &document("off")).await, Err(StoreErrorKind::Conflict));
        let stored = bench.db.rule_set_history(10).await.expect("history");
        assert_eq!(stored.len(), 1);
        assert_eq!(stored[0].document, document("on"));
        assert_eq!(bench.db.rule_set(1).await.expect("read").as_ref(), stored.first());
        assert_eq!(bench.db.rule_set(2).await.expect("read"), None);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bad_rule_set_leaves_the_last_good_one() {
    engines("bad_set", async |db, _| {
        let bench = Bench::new(db).await;
        assert_eq!(store(&bench, 0, &document("on")).await, Ok(1));
        let flags = Flags::from_store(Arc::new(bench.db.clone())).await;
        assert_eq!(tokio::time::timeout(WAIT, flags.wait_for(1)).await, Ok(1));
        assert_eq!(store(&bench, 1, &document("neither")).await, Ok(2));
        let refused = flags.wait_until(|status| status.last_error().is_some());
        let status = tokio::time::timeout(WAIT, refused).await.expect("it is refused");
        assert_eq!(status.version(), 1);
        assert!(flags.is_enabled("read_people_v2", "1"));
        assert_eq!(store(&bench, 2, &document("off")).await, Ok(3));
        assert_eq!(tokio::time::timeout(WAIT, flags.wait_for(3)).await, Ok(3));
        assert!(!flags.is_enabled("read_people_v2", "1"));
    })
    .await;
}

/// A flag is turned off when New is slow, which is when slow queries hold every connection.
async fn exhausted(engine: Engine) {
    let server = TestDatabase::create(engine, "exhausted").await;
    let bench = Bench::new(server.open().await).await;
    assert_eq!(store(&bench, 0, &document("on")).await, Ok(1));
    let database = server.open_narrow(2).await;
    let (postgres, mysql) = (database.postgres().cloned(), database.mysql().cloned());
    let flags = Flags::from_store(Arc::new(database)).await;
    assert_eq!(flags.version(), 1);
    let held: [Box<dyn Any>; 2] = match (&postgres, &mysql) {
        (Some(pool), _) => hold(pool).await.map(|held| Box::new(held) as _),
        (_, Some(pool)) => hold(pool).await.map(|held| Box::new(held) as _),
        _ => panic!("{engine} has no queue for connections"),
    };
    assert_eq!(store(&bench, 1, &document("off")).await, Ok(2));
    let seen = tokio::time::timeout(Duration::from_secs(4), flags.wait_for(2)).await;
    assert_eq!(seen, Ok(2), "{:?}", flags.status());
    drop(held);
    server.drop().await;
}

/// All of a pool's two connections.
async fn hold<D: sqlx::Database>(pool: &sqlx::Pool<D>) -> [PoolConnection<D>; 2] {
    let held = [pool.acquire().await.expect("one"), pool.acquire().await.expect("two")];
    assert!(pool.try_acquire().is_none());
    held
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flip_is_seen_by_a_process_whose_pool_is_exhausted_on_postgres() {
    exhausted(Engine::Postgres).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flip_is_seen_by_a_process_whose_pool_is_exhausted_on_mariadb() {
    exhausted(Engine::Mysql).await;
}
