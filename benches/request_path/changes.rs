//! Flips of the flag and stage changes while requests run.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use crossfade::{Db, Engine, Migration, Stage};
use crossfade_control::{FlagChange, FlagEdit, Stores, change_flag};

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
    flip(&ground, FlagEdit::Ensure).await;
    let migration = ground.app_of_operators().await;
    let quiet = load(&ground, &migration, async || {}).await;
    let mut on = false;
    let flipped = load(&ground, &migration, async || {
        on = !on;
        flip(&ground, if on { FlagEdit::On } else { FlagEdit::Off }).await;
    })
    .await;
    // To and fro between `dual_write` and `ramp_down`.
    let mut to = Stage::RampDown;
    let staged = load(&ground, &migration, async || {
        if ground.state().await.stage == to {
            to = if to == Stage::RampDown { Stage::DualWrite } else { Stage::RampDown };
        }
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
        let step =
            |with: &Spread, without: &Spread| with.at(100.0).saturating_sub(without.at(100.0));
        println!(
            "{engine}, {what}: the slowest read is {:?} slower than beside nothing, the slowest \
             write {:?}",
            step(&load.reads, &quiet.reads),
            step(&load.writes, &quiet.writes)
        );
    }
}

/// Edits the read flag as an operator does: for every process, through the database.
async fn flip(ground: &Ground, edit: FlagEdit) {
    let change =
        FlagChange { flag: &FLAG.parse().expect("a flag key"), edit, actor: "bench", reason: "" };
    change_flag(Stores::of(&ground.database), change).await.expect("changed");
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
