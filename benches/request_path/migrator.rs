//! The same reads and writes through launchdarkly-server-sdk's Migrator.
//!
//! Its `read` and `write` take `&mut self` and give futures that are not `Send`, so the tasks of a
//! server cannot share one. Here each task has one of its own, on the one thread on which such tasks
//! can run; Crossfade runs there too, and then as a server would run it.

use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crossfade::{Db, Engine, Flags, Migration, Tx};
use futures_util::future::BoxFuture;
use launchdarkly_server_sdk::{
    Client, ConfigBuilder, Context, ContextBuilder, Migrator, MigratorBuilder, Stage,
};
use tokio::runtime::{Builder, Runtime};
use tokio::task::LocalSet;
use tokio::time::{sleep, timeout};

use crate::ground::{FLAG, Failed, Ground, LEGACY, NEW, get, put};
use crate::shadow::SHADOW;
use crate::sharing::TASKS;

const READS: i64 = 200;
const ROUNDS: usize = 7;
const CANCELLED: i64 = 100;
/// What the caller of a cancelled write waits for, and what New takes before it writes.
const PATIENCE: Duration = Duration::from_millis(30);
const HESITATION: Duration = Duration::from_millis(150);

type Answer = Result<Option<String>, String>;

/// A row to read or to write, and how long New waits before it does.
#[derive(Clone, Debug)]
struct Payload {
    db: Db,
    id: i64,
    hesitation: Duration,
}

type Side = fn(&Payload) -> BoxFuture<'_, Answer>;
type Peer = Migrator<Payload, Option<String>, Side, Side, Side, Side>;

fn read_old(payload: &Payload) -> BoxFuture<'_, Answer> {
    Box::pin(async { get(&payload.db, LEGACY, payload.id).await.map_err(words) })
}

fn read_new(payload: &Payload) -> BoxFuture<'_, Answer> {
    Box::pin(async {
        sleep(payload.hesitation).await;
        get(&payload.db, NEW, payload.id).await.map_err(words)
    })
}

fn write_old(payload: &Payload) -> BoxFuture<'_, Answer> {
    Box::pin(async { written(payload, LEGACY).await })
}

fn write_new(payload: &Payload) -> BoxFuture<'_, Answer> {
    Box::pin(async {
        sleep(payload.hesitation).await;
        written(payload, NEW).await
    })
}

async fn written(payload: &Payload, table: &str) -> Answer {
    put(payload.db.clone(), table, payload.id, "new").await.map(|()| None).map_err(words)
}

fn words(error: Failed) -> String {
    format!("{error}: {:?}", std::error::Error::source(&error))
}

fn peer(client: &Arc<Client>) -> Peer {
    MigratorBuilder::new(Arc::clone(client))
        .track_latency(false)
        .track_errors(false)
        .read(read_old as Side, read_new as Side, Some(|old, new| old == new))
        .write(write_old as Side, write_new as Side)
        .build()
        .expect("reads and writes are there")
}

fn client() -> (Arc<Client>, Context) {
    let config = ConfigBuilder::new("sdk-key").offline(true).build().expect("a configuration");
    let client = Client::build(config).expect("a client");
    (Arc::new(client), ContextBuilder::new("1").build().expect("a context"))
}

/// Everything above, on one thread.
#[expect(clippy::print_stdout, reason = "a benchmark prints its figures")]
pub(crate) fn beside() {
    let one_thread = Builder::new_current_thread().enable_all().build().expect("a runtime");
    let server = Runtime::new().expect("a runtime");
    let on = Flags::forced([(FLAG, true)]);
    LocalSet::new().block_on(&one_thread, async {
        let ground = Ground::prepare(Engine::Postgres).await;
        let migration = ground.app(&on).await;
        let db = Db::from(&ground.database);
        crate::ground::put_both(&migration, 1, "one").await.expect("written");
        let (mut rates, mut ratios) = ([const { Vec::new() }; 2], Vec::new());
        for _ in 0..ROUNDS {
            let times = [reads_of_peer(&db).await, reads(&migration, &db).await];
            ratios.push(times[0] / times[1]);
            for (rates, time) in rates.iter_mut().zip(times) {
                rates.push(TASKS as f64 * READS as f64 / time);
            }
        }
        let [of_peer, ours] = rates.map(median);
        println!(
            "{TASKS} tasks on one thread: Migrators, one for each task, {of_peer:.0} reads/s, \
             Crossfade {ours:.0}, {:.2} times as many",
            median(ratios)
        );
        slow_shadow(&migration, &db).await;
        cancelled(&ground, &migration, &db).await;
    });
    let (ground, migration) = server.block_on(async {
        let ground = Ground::prepare(Engine::Postgres).await;
        let migration = ground.app(&on).await;
        crate::ground::put_both(&migration, 1, "one").await.expect("written");
        (ground, migration)
    });
    let db = Db::from(&ground.database);
    let rate = |time: f64| TASKS as f64 * READS as f64 / time;
    let on_server = rate(server.block_on(reads(&migration, &db)));
    println!("{TASKS} tasks of a server share one handle of Crossfade: {on_server:.0} reads/s");
}

fn median(mut figures: Vec<f64>) -> f64 {
    figures.sort_by(f64::total_cmp);
    figures[figures.len() / 2]
}

/// Seconds that all tasks take through one handle.
async fn reads(migration: &Migration, db: &Db) -> f64 {
    let begun = Instant::now();
    let tasks = (0..TASKS).map(|_| {
        let (migration, db) = (migration.clone(), db.clone());
        tokio::spawn(async move {
            for _ in 0..READS {
                let (legacy, new) = (|| get(&db, LEGACY, 1), || get(&db, NEW, 1));
                migration.read(&1, &1, legacy, new).await.expect("read");
            }
        })
    });
    for task in tasks.collect::<Vec<_>>() {
        task.await.expect("no panic");
    }
    begun.elapsed().as_secs_f64()
}

async fn reads_of_peer(db: &Db) -> f64 {
    let (client, context) = client();
    let context = Rc::new(context);
    let begun = Instant::now();
    let tasks = (0..TASKS).map(|_| {
        let (mut peer, context, db) = (peer(&client), Rc::clone(&context), db.clone());
        tokio::task::spawn_local(async move {
            for _ in 0..READS {
                let payload = Payload { db: db.clone(), id: 1, hesitation: Duration::ZERO };
                let read = peer.read(&context, FLAG.to_owned(), Stage::Rampdown, payload).await;
                read.result.expect("read");
            }
        })
    });
    for task in tasks.collect::<Vec<_>>() {
        task.await.expect("no panic");
    }
    begun.elapsed().as_secs_f64()
}

/// How long callers wait while the other side, which is only compared, takes half a second.
#[expect(clippy::print_stdout, reason = "a benchmark prints its figures")]
async fn slow_shadow(migration: &Migration, db: &Db) {
    let (client, context) = client();
    let begun = Instant::now();
    let payload = Payload { db: db.clone(), id: 1, hesitation: SHADOW };
    let read = peer(&client).read(&context, FLAG.to_owned(), Stage::Shadow, payload).await;
    read.result.expect("read");
    println!("caller's wait beside a slow shadow, Migrator: {:?}", begun.elapsed());

    let begun = Instant::now();
    let (of_new, of_legacy) = (db.clone(), db.clone());
    let new = move || {
        let db = of_new.clone();
        async move { get(&db, NEW, 1).await }
    };
    let legacy = move || {
        let db = of_legacy.clone();
        async move {
            sleep(SHADOW).await;
            get(&db, LEGACY, 1).await
        }
    };
    migration.read_compared(&1, &1, legacy, new).await.expect("read");
    println!("caller's wait beside a slow shadow, Crossfade: {:?}", begun.elapsed());
}

/// Writes that their caller gives up on between the sides.
#[expect(clippy::print_stdout, reason = "a benchmark prints its figures")]
async fn cancelled(ground: &Ground, migration: &Migration, db: &Db) {
    ground.sql("truncate people").await;
    ground.sql("truncate people_v2").await;
    let (client, context) = client();
    let mut peer = peer(&client);
    for id in 0..CANCELLED {
        let payload = Payload { db: db.clone(), id, hesitation: HESITATION };
        let write = peer.write(&context, FLAG.to_owned(), Stage::DualWrite, payload);
        assert!(timeout(PATIENCE, write).await.is_err(), "the caller's patience outlasts New");
    }
    println!(
        "rows differing after {CANCELLED} cancelled writes, Migrator: {}",
        differing(db).await
    );

    ground.sql("truncate people").await;
    for id in 0..CANCELLED {
        let legacy = |tx: Tx| put(tx, LEGACY, id, "new");
        let new = |tx: Tx| async move {
            sleep(HESITATION).await;
            put(tx, NEW, id, "new").await
        };
        let write = migration.write(&id, legacy, new);
        assert!(timeout(PATIENCE, write).await.is_err(), "the caller's patience outlasts New");
    }
    println!(
        "rows differing after {CANCELLED} cancelled writes, Crossfade: {}",
        differing(db).await
    );
}

async fn differing(db: &Db) -> usize {
    let mut differing = 0;
    for id in 0..CANCELLED {
        let legacy = get(db, LEGACY, id).await.expect("read");
        differing += usize::from(legacy != get(db, NEW, id).await.expect("read"));
    }
    differing
}
