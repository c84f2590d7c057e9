//! Reads, and changes that begin with one, by processes that are behind.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use crossfade::{Options, Stage, WriteError};
use crossfade_core::Epoch;
use crossfade_dual::Omission;
use crossfade_sql::Mechanism;
use crossfade_store::ControlStore;

use super::process::Process;
use super::scene::Scene;
use super::table::engines;
use super::{Outcome, tell, told};
use crate::support::{self, Apart, Bench, People, definition, eventually};

/// Longer than any story takes.
fn patient() -> Options {
    Options::default().lease(Duration::from_secs(600))
}

/// A marked key, in `live` with the flag on: New still has what it had.
#[tokio::test(flavor = "multi_thread")]
async fn a_marked_key_is_read_from_legacy() {
    told("a_marked_key_is_read_from_legacy", Mechanism::MarkedRead, async |scene: &Scene| {
        scene.go(Stage::DualWrite).await;
        scene.refused_write().await;
        scene.go(Stage::Live).await;
        let reader = Process::start(scene, true, patient()).await;
        Scene::judge(reader.read().await.as_deref(), "bad")
    })
    .await;
}

/// A writer of `dual_write` leaves Legacy alone with a row, and a reader in `live` has not heard.
#[tokio::test(flavor = "multi_thread")]
async fn new_is_read_behind_the_last_writer_of_dual_write() {
    told(
        "new_is_read_behind_the_last_writer_of_dual_write",
        Mechanism::EpochPredicate,
        async |scene: &Scene| {
            let dual_write = scene.go(Stage::DualWrite).await;
            scene.put_both(dual_write, 1, "old").await;
            scene.bench.append(Stage::Live).await;
            let reader = Process::start(scene, true, patient()).await;
            scene.put_and_mark(dual_write, 1, "bad").await;
            Scene::judge(reader.read().await.as_deref(), "bad")
        },
    )
    .await;
}

/// A process that regains its lease looks up while the last writer of `dual_write` marks a key. Its
/// second look meets a locked table until that epoch is closed.
#[tokio::test(flavor = "multi_thread")]
async fn marks_are_looked_up_behind_the_stage() {
    told("marks_are_looked_up_behind_the_stage", Mechanism::MarksLast, async |scene: &Scene| {
        let dual_write = scene.go(Stage::DualWrite).await;
        scene.put_both(dual_write, 1, "old").await;
        scene.bench.append(Stage::Live).await;
        let short = Options::default().lease(Duration::from_millis(300));
        let reader = Process::start(scene, true, short).await;
        lapsed(&scene.bench).await;
        let pool = scene.bench.db.postgres().expect("PostgreSQL");
        let mut holder = pool.begin().await.expect("begin");
        let hold = "lock table crossfade_epochs in access exclusive mode";
        sqlx::raw_sql(hold).execute(&mut *holder).await.expect("locked");
        let read = reader.read();
        eventually("the look-up waits", async || scene.bench.sessions_waiting().await == 1).await;
        scene.put_and_mark(dual_write, 1, "bad").await;
        // What closing the epoch does, by the session that holds the table.
        let close = format!(
            "update crossfade_epochs set closed_ms = 1 where epoch = {dual_write}; \
             select setval('crossfade_fence_people', {})",
            dual_write.next().get() * 2
        );
        sqlx::raw_sql(sqlx::AssertSqlSafe(close)).execute(&mut *holder).await.expect("closed");
        holder.commit().await.expect("commit");
        Scene::judge(read.await.as_deref(), "bad")
    })
    .await;
}

/// Two increments: one of `complete`, which New alone has, and one of `ramp_down` after it.
#[tokio::test(flavor = "multi_thread")]
async fn in_ramp_down_new_is_the_base() {
    told("in_ramp_down_new_is_the_base", Mechanism::NewInRampDown, async |scene: &Scene| {
        let ramp_down = scene.whole.go(Stage::RampDown).await.epoch;
        scene.put_both(ramp_down, 1, "1").await;
        let behind = Process::start(scene, true, patient()).await;
        let complete = scene.whole.append(Stage::Complete).await.epoch;
        scene.put_new(complete, 1, "2").await;
        behind
            .ask(|inside| {
                let increment = inside.migration.modify(
                    &1i64,
                    |side, tx| async move { People::on(side, tx).get(1).await },
                    |value: Option<String>| {
                        let value: i64 = value.and_then(|text| text.parse().ok()).unwrap_or(0);
                        Ok(Some((value + 1).to_string()))
                    },
                    |side, tx, value| async move {
                        People::on(side, tx).put(1, &value.unwrap_or_default()).await
                    },
                );
                inside.runtime.block_on(increment).expect("modified")
            })
            .await;
        let new = scene.bench.new_side().get(1).await.expect("New answers");
        Scene::judge(new.as_deref(), "3")
    })
    .await;
}

/// A reader that is behind, in `ramp_down` with the flag off, and a write of `complete`.
#[tokio::test(flavor = "multi_thread")]
async fn ramp_down_reads_new() {
    told("ramp_down_reads_new", Mechanism::NewInRampDown, async |scene: &Scene| {
        let ramp_down = scene.whole.go(Stage::RampDown).await.epoch;
        scene.put_both(ramp_down, 1, "old").await;
        let behind = Process::start(scene, false, patient()).await;
        let complete = scene.whole.append(Stage::Complete).await.epoch;
        scene.put_new(complete, 1, "new").await;
        Scene::judge(behind.read().await.as_deref(), "new")
    })
    .await;
}

/// New refuses a write in `live`, and a reader of New has not heard of any mark.
#[tokio::test(flavor = "multi_thread")]
async fn from_live_on_it_is_both_or_neither() {
    told("from_live_on_it_is_both_or_neither", Mechanism::BothOrNeither, async |scene: &Scene| {
        let live = scene.whole.go(Stage::Live).await.epoch;
        scene.put_both(live, 1, "good").await;
        let reader = Process::start_without(scene, None, true, patient()).await;
        let writer = Process::start(scene, true, patient()).await;
        let written =
            writer.ask(|inside| inside.runtime.block_on(support::put(&inside.migration, 1, "bad")));
        match written.await {
            Err(WriteError::New(_)) => Outcome::Held,
            written => {
                written.expect("written or refused by New");
                Scene::judge(reader.read().await.as_deref(), "bad")
            }
        }
    })
    .await;
}

/// A process that slept through its lease, and through the way to `complete`, wakes with a read.
#[tokio::test(flavor = "multi_thread")]
async fn a_lease_counts_again_once_the_stage_was_looked_up() {
    omitted(
        "a_lease_counts_again_once_the_stage_was_looked_up",
        Omission::LookUp,
        async |scene: &Scene, options| {
            let process = asleep(scene, options).await;
            let complete = scene.go(Stage::Complete).await;
            scene.put_new(complete, 1, "new").await;
            Scene::judge(process.read().await.as_deref(), "new")
        },
    )
    .await;
}

/// The same process wakes while the fleet is still on its way: its heartbeat waits.
#[tokio::test(flavor = "multi_thread")]
async fn the_stage_is_looked_up_behind_the_heartbeat() {
    omitted(
        "the_stage_is_looked_up_behind_the_heartbeat",
        Omission::LookUpLast,
        async |scene: &Scene, options| {
            let process = asleep(scene, options).await;
            let mut holder = Apart::of(&scene.bench.db).await;
            holder.run("begin; select instance from crossfade_instances for update").await;
            let read = process.read();
            eventually("the heartbeat waits", async || scene.bench.sessions_waiting().await == 1)
                .await;
            let complete = scene.go(Stage::Complete).await;
            scene.put_new(complete, 1, "new").await;
            holder.run("rollback").await;
            Scene::judge(read.await.as_deref(), "new")
        },
    )
    .await;
}

/// A read of Legacy is under way when the stage moves on: the instance must not acknowledge that,
/// or a gate would let Legacy go.
#[tokio::test(flavor = "multi_thread")]
async fn an_epoch_is_acknowledged_behind_the_reads_of_the_one_before() {
    omitted(
        "an_epoch_is_acknowledged_behind_the_reads_of_the_one_before",
        Omission::Drain,
        async |scene: &Scene, options| {
            let live = scene.go(Stage::Live).await;
            scene.put_both(live, 1, "row").await;
            let app = crossfade::Crossfade::builder_on(scene.bench.db.clone())
                .flags(crossfade::Flags::forced([("read_people_v2", false)]))
                .options(options);
            let app = app.build().await.expect("starts");
            let migration = app.migration("people").expect("registered");
            let (in_read, reading) = tokio::sync::oneshot::channel();
            let (go_on, gone_on) = tokio::sync::oneshot::channel::<()>();
            let channels = Mutex::new(Some((in_read, gone_on)));
            let (legacy, new) = (scene.bench.legacy(), scene.bench.new_side());
            let read = migration.read(
                &1i64,
                &1i64,
                || async {
                    let channels = channels.lock().expect("no panic").take();
                    if let Some((in_read, gone_on)) = channels {
                        in_read.send(()).expect("the test waits");
                        gone_on.await.expect("the test goes on");
                    }
                    legacy.get(1).await
                },
                || new.get(1),
            );
            let meanwhile = async {
                reading.await.expect("it reads");
                let ramp_down = scene.go(Stage::RampDown).await;
                eventually("it knows", async || migration.state().epoch == ramp_down).await;
                let acknowledged = acknowledged_after_renewal(scene, ramp_down).await;
                go_on.send(()).expect("it still reads");
                acknowledged
            };
            let (read, acknowledged) = tokio::join!(read, meanwhile);
            read.expect("read");
            if acknowledged {
                Outcome::Broken("acknowledged under a read of Legacy".to_owned())
            } else {
                Outcome::Held
            }
        },
    )
    .await;
}

/// Whether the one instance acknowledges `epoch` by the time it has renewed its lease three times.
async fn acknowledged_after_renewal(scene: &Scene, epoch: Epoch) -> bool {
    let seen = Mutex::new((0, 0, false));
    eventually("the lease is renewed", async || {
        let now_ms = scene.bench.db.now_ms().await.expect("a time");
        let instances = scene.bench.db.instances(&definition().name).await.expect("instances");
        let instance = instances.first().expect("one instance");
        let ends = now_ms + instance.lease_left_ms;
        let mut seen = seen.lock().expect("no panic");
        let (last, renewals, acknowledged) = &mut *seen;
        // The end moves a little with the time between the two questions.
        if ends > *last + 40 {
            (*last, *renewals) = (ends, *renewals + 1);
        }
        *acknowledged = instance.acknowledged >= epoch;
        *acknowledged || *renewals > 3
    })
    .await;
    seen.into_inner().expect("no panic").2
}

/// A process in `live`, with the flag off, whose lease has lapsed.
async fn asleep(scene: &Scene, options: Options) -> Process {
    let live = scene.go(Stage::Live).await;
    scene.put_both(live, 1, "old").await;
    let process = Process::start(scene, false, options).await;
    lapsed(&scene.bench).await;
    process
}

async fn lapsed(bench: &Bench) {
    eventually("the lease lapses", async || {
        let instances = bench.db.instances(&definition().name).await.expect("instances");
        instances.iter().any(|instance| instance.lease_left_ms < 0)
    })
    .await;
}

/// Tells a story on each engine: it must end well, and badly where the instance omits something.
async fn omitted<S>(name: &str, omission: Omission, story: S)
where
    S: AsyncFn(&Scene, Options) -> Outcome,
{
    let short = Options::default().lease(Duration::from_millis(300));
    for engine in engines(name) {
        let whole = async |scene: &Scene| story(scene, short.clone()).await;
        let whole = Box::pin(tell(engine, None, &whole)).await;
        assert!(matches!(whole, Outcome::Held), "{engine}: {whole:?}");
        let without = async |scene: &Scene| story(scene, short.clone().omitting(omission)).await;
        let without = Box::pin(tell(engine, None, &without)).await;
        assert!(matches!(without, Outcome::Broken(_)), "{engine}: the story shows nothing");
    }
}

/// A process is stopped in the middle of its read of Legacy, for longer than its lease. The fleet
/// goes on to `complete` and writes New alone.
#[tokio::test(flavor = "multi_thread")]
async fn a_read_is_judged_by_the_lease_it_ended_with() {
    omitted("a_read_is_judged_by_the_lease_it_ended_with", Omission::LeaseCheck, stopped).await;
}

async fn stopped(scene: &Scene, options: Options) -> Outcome {
    let live = scene.go(Stage::Live).await;
    scene.put_both(live, 1, "old").await;
    let process = Process::start(scene, false, options).await;
    let (in_read, reading) = tokio::sync::oneshot::channel();
    let (go_on, gone_on) = mpsc::channel();
    let answer = process.ask(move |inside| {
        let (legacy, new) = (inside.bench.legacy(), inside.bench.new_side());
        let first = Arc::new(AtomicBool::new(true));
        let stop = Mutex::new(Some((in_read, gone_on)));
        let read = inside.migration.read(
            &1i64,
            &1i64,
            || async {
                let row = legacy.get(1).await;
                if first.swap(false, Ordering::Relaxed) {
                    let (in_read, gone_on) =
                        stop.lock().expect("no panic").take().expect("the first time");
                    in_read.send(()).expect("the test waits");
                    // Blocks the thread, and with it every task of the process.
                    gone_on.recv().expect("the test goes on");
                }
                row
            },
            || new.get(1),
        );
        inside.runtime.block_on(read).expect("read")
    });
    reading.await.expect("it reads");
    lapsed(&scene.bench).await;
    let complete = scene.go(Stage::Complete).await;
    scene.put_new(complete, 1, "new").await;
    go_on.send(()).expect("the process lives");
    Scene::judge(answer.await.as_deref(), "new")
}
