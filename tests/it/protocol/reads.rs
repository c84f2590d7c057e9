//! Reads, and changes that begin with one, by processes that are behind.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc;
use std::time::Duration;

use crossfade::{Engine, Options, Side, Stage};
use crossfade_sql::Mechanism;
use crossfade_store::ControlStore;

use super::process::Process;
use super::scene::{Scene, put};
use super::{EVERYWHERE, Outcome, tell, told};
use crate::support::{People, definition, eventually};

/// Longer than any story takes.
fn patient() -> Options {
    Options::default().lease(Duration::from_secs(600))
}

/// A marked key, in `live` with the flag on: New still has what it had.
#[tokio::test(flavor = "multi_thread")]
async fn a_marked_key_is_read_from_legacy() {
    told(Mechanism::MarkedRead, EVERYWHERE, async |scene: &Scene| {
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
    told(Mechanism::EpochPredicate, EVERYWHERE, async |scene: &Scene| {
        let dual_write = scene.go(Stage::DualWrite).await;
        scene.put_both(dual_write, 1, "old").await;
        scene.bench.append(Stage::Live).await;
        let reader = Process::start(scene, true, patient()).await;
        scene.put_and_mark(dual_write, 1, "bad").await;
        Scene::judge(reader.read().await.as_deref(), "bad")
    })
    .await;
}

/// Two increments: one of `complete`, which New alone has, and one of `ramp_down` after it.
#[tokio::test(flavor = "multi_thread")]
async fn in_ramp_down_new_is_the_base() {
    told(Mechanism::Base, EVERYWHERE, async |scene: &Scene| {
        let ramp_down = scene.whole.go(Stage::RampDown).await.epoch;
        scene.put_both(ramp_down, 1, "1").await;
        let behind = Process::start(scene, true, patient()).await;
        let complete = scene.whole.append(Stage::Complete).await.epoch;
        let tx = scene.enter_open(complete, 1).await;
        let tx = put(tx, Side::New, 1, "2").await;
        scene.commit(tx).await;
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

/// A process is stopped in the middle of its read of Legacy, for longer than its lease. The fleet
/// goes on to `complete` and writes New alone.
#[tokio::test(flavor = "multi_thread")]
async fn a_read_is_judged_by_the_lease_it_ended_with() {
    for engine in Engine::ALL {
        let lease = Options::default().lease(Duration::from_millis(300));
        let checked = async |scene: &Scene| stopped(scene, lease.clone()).await;
        let checked = tell(*engine, None, &checked).await;
        assert!(matches!(checked, Outcome::Held), "{engine}: {checked:?}");
        let trusted =
            async |scene: &Scene| stopped(scene, lease.clone().without_lease_check()).await;
        let trusted = tell(*engine, None, &trusted).await;
        assert!(matches!(trusted, Outcome::Broken(_)), "{engine}: the story shows nothing");
    }
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
        let stop = std::sync::Mutex::new(Some((in_read, gone_on)));
        let read = inside.migration.read(
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
    eventually("the lease lapses", async || {
        let instances = scene.bench.db.instances(&definition().name).await.expect("instances");
        instances.iter().any(|instance| instance.lease_left_ms < 0)
    })
    .await;
    let complete = scene.go(Stage::Complete).await;
    let tx = scene.enter_open(complete, 1).await;
    let tx = put(tx, Side::New, 1, "new").await;
    scene.commit(tx).await;
    go_on.send(()).expect("the process lives");
    Scene::judge(answer.await.as_deref(), "new")
}
