//! Connections are handed on, and the pool has them back all the same.

use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::task::Poll;
use std::time::Duration;

use crossfade::{Crossfade, Database, Db, Engine, Flags, Migration, Options, Stage};
use sqlx::postgres::PgPoolOptions;
use tokio::runtime::Runtime;
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::round_trips::counted;
use crate::support::{Bench, People, TestDatabase, WAIT, eventually, put};

const SERVERS: [Engine; 2] = [Engine::Mysql, Engine::Postgres];
const HOUR: Duration = Duration::from_secs(3600);

/// A database of each server, in `live`.
async fn on_each(body: impl AsyncFn(&TestDatabase)) {
    for engine in SERVERS {
        let test = live(engine).await;
        body(&test).await;
        test.drop().await;
    }
}

async fn live(engine: Engine) -> TestDatabase {
    let test = TestDatabase::create(engine, "relay").await;
    Bench::new(test.open().await).await.go(Stage::Live).await;
    test
}

/// An application that has nothing else to do on its connections for an hour.
async fn still(db: &Database) -> (Crossfade, Migration) {
    let app = Crossfade::builder_on(db.clone())
        .flags(Flags::forced::<&str, bool>([]))
        .options(Options::default().lease(HOUR))
        .build()
        .await
        .expect("starts");
    let migration = app.migration("people").expect("registered");
    (app, migration)
}

fn idle(db: &Database) -> (usize, u32) {
    match (db.mysql(), db.postgres()) {
        (Some(pool), _) => (pool.num_idle(), pool.size()),
        (_, Some(pool)) => (pool.num_idle(), pool.size()),
        _ => (0, 0),
    }
}

async fn closes(db: &Database) {
    match (db.mysql(), db.postgres()) {
        (Some(pool), _) => pool.close().await,
        (_, Some(pool)) => pool.close().await,
        _ => {}
    }
}

/// Writes of several tasks, each with a key of its own.
async fn writes(migration: &Migration, tasks: i64, each: usize) {
    let mut all = JoinSet::new();
    for key in 1..=tasks {
        let migration = migration.clone();
        all.spawn(async move {
            for number in 0..each {
                put(&migration, key, &format!("name {number}")).await.expect("written");
            }
        });
    }
    all.join_all().await;
}

/// Whether somebody who knows nothing of Crossfade gets a connection.
async fn is_served(db: &Database) -> bool {
    match (db.mysql(), db.postgres()) {
        (Some(pool), _) => timeout(WAIT, pool.acquire()).await.is_ok_and(|it| it.is_ok()),
        (_, Some(pool)) => timeout(WAIT, pool.acquire()).await.is_ok_and(|it| it.is_ok()),
        _ => false,
    }
}

/// Reads of several tasks.
async fn reads(db: &Database, tasks: usize, each: usize) {
    let mut all = JoinSet::new();
    for _ in 0..tasks {
        let legacy = People::legacy(db);
        all.spawn(async move {
            for _ in 0..each {
                legacy.get(1).await.expect("read");
            }
        });
    }
    all.join_all().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_waits_gets_the_connection_without_a_ping() {
    on_each(async |test| {
        let engine = test.engine;
        for (turn, pings) in [(HOUR, 0), (Duration::ZERO, 1)] {
            let trips = Arc::new(AtomicU64::new(0));
            let db = counted(test, &trips).await.hand_on_for(turn);
            let (_app, migration) = still(&db).await;
            for (what, expected) in [("writes", 4 + pings), ("reads", 1 + pings)] {
                let some = async |each: usize| match what {
                    "writes" => writes(&migration, 4, each).await,
                    _ => reads(&db, 4, each).await,
                };
                some(1).await;
                let before = trips.load(Ordering::SeqCst);
                some(25).await;
                let found = trips.load(Ordering::SeqCst) - before;
                // The last one's ping, and what the instance itself may do.
                let near = found.abs_diff(expected * 100) <= 20;
                assert!(near, "{engine}: {found} for 100 {what} by turns of {turn:?}");
            }
        }
    })
    .await;
}

/// sqlx does not show whether a pool has hooks, and they are to run around each use.
#[tokio::test(flavor = "multi_thread")]
async fn a_pool_of_other_options_keeps_its_hooks() {
    let test = live(Engine::Postgres).await;
    let released = Arc::new(AtomicU64::new(0));
    let counts = Arc::clone(&released);
    let options = PgPoolOptions::new().test_before_acquire(false).max_connections(1);
    let pool = options.after_release(move |_, _| {
        counts.fetch_add(1, Ordering::SeqCst);
        Box::pin(async { Ok(true) })
    });
    let pool = pool.connect(&test.url).await.expect("connects");
    let db = Database::open(pool).await.expect("opens");
    let (_app, migration) = still(&db).await;
    let before = released.load(Ordering::SeqCst);
    writes(&migration, 4, 25).await;
    eventually("the hook has run behind each write", async || {
        released.load(Ordering::SeqCst) - before >= 100
    })
    .await;
    test.drop().await;
}

/// Giving up a connection that is being opened, for one that is handed on, would have a pool open one
/// again and again. On one thread, so that nothing is opened between the looks.
#[tokio::test]
async fn a_connection_that_is_being_opened_is_waited_for() {
    let test = live(Engine::Postgres).await;
    let pool = Database::postgres_pool_options().max_connections(4);
    let pool = pool.connect_lazy(&test.url).expect("a URL");
    let db = Database::open(pool.clone()).await.expect("opens").hand_on_for(HOUR);
    eventually("it is back", async || idle(&db) == (1, 1)).await;
    let reader = Db::from(&db);
    let mut held = reader.conn().await.expect("a connection");
    sqlx::query("select 1").execute(held.postgres().expect("PostgreSQL")).await.expect("runs");
    let mut waits = pin!(reader.conn());
    assert!(look(waits.as_mut()).await.is_pending());
    drop(held);
    assert!(look(waits.as_mut()).await.is_pending(), "it has given its own connection up");
    assert!(look(pin!(reader.conn())).await.is_ready(), "the other one was to be had");
    let _opened = timeout(WAIT, waits).await.expect("it is opened").expect("a connection");
    assert_eq!(pool.size(), 2);
    test.drop().await;
}

/// Whether a future is ready, asked once.
async fn look<F: Future>(mut future: Pin<&mut F>) -> Poll<F::Output> {
    poll_fn(|context| Poll::Ready(future.as_mut().poll(context))).await
}

/// Whoever adds hooks to Crossfade's options is told to hand nothing on.
#[tokio::test(flavor = "multi_thread")]
async fn hooks_run_around_each_use_where_nothing_is_handed_on() {
    let test = live(Engine::Postgres).await;
    let run = [(); 2].map(|()| Arc::new(AtomicU64::new(0)));
    let [lent, released] = run.clone();
    let pool = Database::postgres_pool_options()
        .max_connections(1)
        .before_acquire(move |_, _| {
            lent.fetch_add(1, Ordering::SeqCst);
            Box::pin(async { Ok(true) })
        })
        .after_release(move |_, _| {
            released.fetch_add(1, Ordering::SeqCst);
            Box::pin(async { Ok(true) })
        });
    let pool = pool.connect(&test.url).await.expect("connects");
    let db = Database::open(pool).await.expect("opens").hand_on_for(Duration::ZERO);
    let (_app, migration) = still(&db).await;
    let before = run.each_ref().map(|count| count.load(Ordering::SeqCst));
    writes(&migration, 4, 25).await;
    eventually("each hook has run at each write", async || {
        run.iter().zip(before).all(|(count, before)| count.load(Ordering::SeqCst) - before >= 100)
    })
    .await;
    test.drop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_waits_at_the_pool_has_a_turn() {
    on_each(async |test| {
        let db = test.open_narrow(1).await;
        let (_app, migration) = still(&db).await;
        let done = Arc::new(AtomicBool::new(false));
        let mut busy = JoinSet::new();
        for key in 1..=4 {
            let (migration, done) = (migration.clone(), Arc::clone(&done));
            busy.spawn(async move {
                while !done.load(Ordering::Relaxed) {
                    put(&migration, key, "busy").await.expect("written");
                }
            });
        }
        // The instance's own queries give the connection back now and then, so one is not enough.
        let served = timeout(WAIT, async {
            for turn in 0..100 {
                assert!(is_served(&db).await, "{}: turn {turn}", test.engine);
            }
        });
        served.await.expect("100 turns are a second or two");
        done.store(true, Ordering::Relaxed);
        busy.join_all().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_pool_has_its_connections_back() {
    on_each(async |test| {
        let db = test.open_narrow(8).await.hand_on_for(HOUR);
        let (app, migration) = still(&db).await;
        writes(&migration, 16, 5).await;
        eventually("all are back", async || idle(&db) == (8, 8)).await;
        put(&migration, 1, "the last").await.expect("written");
        drop((migration, app));
        let closed = timeout(WAIT, closes(&db)).await;
        closed.expect("the pool closes while one rests");
    })
    .await;
}

/// sqlx waits for the answer before it lends such a connection out.
#[tokio::test(flavor = "multi_thread")]
async fn a_connection_that_is_still_busy_is_handed_to_nobody() {
    on_each(async |test| {
        let db = test.open_narrow(8).await.hand_on_for(HOUR);
        let (_app, migration) = still(&db).await;
        for round in 0..4 {
            let reader = Db::from(&db);
            let mut conn = reader.conn().await.expect("a connection");
            let slow = async {
                match test.engine {
                    Engine::Mysql => {
                        let connection = conn.mysql().expect("MariaDB");
                        sqlx::query("do sleep(600)").execute(connection).await.map(drop)
                    }
                    _ => {
                        let connection = conn.postgres().expect("PostgreSQL");
                        sqlx::query("select pg_sleep(600)").execute(connection).await.map(drop)
                    }
                }
            };
            let slow = timeout(Duration::from_millis(50), slow).await;
            drop(conn);
            assert!(slow.is_err(), "it was to be dropped");
            let write = put(&migration, round, "quick");
            timeout(WAIT, write).await.expect("on another connection").expect("written");
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nor_is_one_that_has_died() {
    on_each(async |test| {
        let db = test.open_narrow(8).await.hand_on_for(HOUR);
        let reader = Db::from(&db);
        for round in 0..4 {
            let mut conn = reader.conn().await.expect("a connection");
            let died = match test.engine {
                Engine::Mysql => {
                    let connection = conn.mysql().expect("MariaDB");
                    sqlx::query("kill connection_id()").execute(connection).await.map(drop)
                }
                _ => {
                    let connection = conn.postgres().expect("PostgreSQL");
                    let die = "select pg_terminate_backend(pg_backend_pid())";
                    sqlx::query(die).execute(connection).await.map(drop)
                }
            };
            died.expect_err("it is dead");
            drop(conn);
            let found = People::legacy(&db).get(1).await;
            assert_eq!(found.expect("read on another"), None, "{round}");
        }
    })
    .await;
}

#[test]
fn a_runtime_may_end_while_a_connection_rests() {
    for engine in SERVERS {
        let (test, db) = {
            let runtime = Runtime::new().expect("a runtime");
            runtime.block_on(async {
                let test = live(engine).await;
                let db = test.open_narrow(8).await;
                let (_app, migration) = still(&db).await;
                put(&migration, 1, "the last").await.expect("written");
                (test, db)
            })
        };
        // It would be out of the pool for ever, and the pool would not close.
        let other = Runtime::new().expect("a runtime");
        let closed = other.block_on(async { timeout(WAIT, closes(&db)).await });
        closed.expect("the pool closes");
        drop(other);
        drop(db);
        Runtime::new().expect("a runtime").block_on(test.drop());
    }
}
