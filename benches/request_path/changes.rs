//! Flips of the flag and stage changes while requests run.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use crossfade::{Db, Engine, Flags, Migration, Stage};

use crate::ground::{FLAG, Ground, LEGACY, NEW, get, put_both};
use crate::spread::Spread;

const TASKS: i64 = 8;
const SPAN: Duration = Duration::from_secs(8);
const PAUSE: Duration = Duration::from_millis(250);

/// The latencies and failures of requests, half of them writes.
struct Load {
    reads: Spread,
    writes: Spread,
    failed: u64,
}

/// Requests alone, then with a change every quarter of a second.
#[expect(clippy::print_stdout, reason = "a benchmark prints its figures")]
pub(crate) async fn under_load(engine: Engine) {
    let ground = Ground::prepare(engine).await;
    let flags = Flags::forced::<&str, bool>([]);
    let migration = ground.app(&flags).await;
    let quiet = load(&ground, &migration, async || {}).await;
    let mut on = false;
    let flipped = load(&ground, &migration, async || {
        on = !on;
        flags.force(FLAG, on);
    })
    .await;
    let staged = load(&ground, &migration, async || {
        let to = match ground.state().await.stage {
            Stage::Live => Stage::RampDown,
            _ => Stage::Live,
        };
        ground.step(to).await;
    })
    .await;
    for (what, load) in [("nothing", &quiet), ("flips", &flipped), ("stage changes", &staged)] {
        load.reads.print(&format!("{engine}, reads beside {what}"));
        load.writes.print(&format!("{engine}, writes beside {what}"));
        println!("{engine}, failed beside {what}: {}", load.failed);
    }
    for (what, load) in [("flips", &flipped), ("stage changes", &staged)] {
        load.reads.print_against(&quiet.reads, &format!("{engine}, reads, {what} against nothing"));
        load.writes
            .print_against(&quiet.writes, &format!("{engine}, writes, {what} against nothing"));
    }
}

async fn load(ground: &Ground, migration: &Migration, mut change: impl AsyncFnMut()) -> Load {
    let stop = Arc::new(AtomicBool::new(false));
    let tasks = (0..TASKS).map(|task| {
        let (stop, migration) = (Arc::clone(&stop), migration.clone());
        let db = Db::from(&ground.database);
        tokio::spawn(requests(task, db, migration, stop))
    });
    let tasks: Vec<_> = tasks.collect();
    let begun = Instant::now();
    while begun.elapsed() < SPAN {
        tokio::time::sleep(PAUSE).await;
        change().await;
    }
    stop.store(true, Ordering::Relaxed);
    let mut load = Load { reads: Spread::new(), writes: Spread::new(), failed: 0 };
    for task in tasks {
        let of_task = task.await.expect("no panic");
        load.reads.join(&of_task.reads);
        load.writes.join(&of_task.writes);
        load.failed += of_task.failed;
    }
    load
}

async fn requests(task: i64, db: Db, migration: Migration, stop: Arc<AtomicBool>) -> Load {
    let mut load = Load { reads: Spread::new(), writes: Spread::new(), failed: 0 };
    let mut turn = 0;
    while !stop.load(Ordering::Relaxed) {
        turn += 1;
        let id = task * 1_000 + turn % 100;
        let begun = Instant::now();
        let written = put_both(&migration, id, "name").await;
        load.writes.add(begun.elapsed());
        let begun = Instant::now();
        let (legacy, new) = (|| get(&db, LEGACY, id), || get(&db, NEW, id));
        let read = migration.read(&id, &id, legacy, new).await;
        load.reads.add(begun.elapsed());
        let found = read.as_ref().is_ok_and(|name| name.as_deref() == Some("name"));
        load.failed += u64::from(written.is_err()) + u64::from(!found);
    }
    load
}
