//! Reads: stage and flag pick the side, trouble on New falls back, a lapsed lease reads again.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crossfade::{Crossfade, Flags, Options, ReadError, Side, Stage};
use crossfade_store::ControlStore;
use tokio::sync::Notify;

use crate::support::{Bench, PeopleError, definition, engines, eventually, put, read_side};

#[tokio::test(flavor = "multi_thread")]
async fn stage_and_flag_pick_the_side() {
    engines("sides", async |db, _| {
        let bench = Bench::new(db).await;
        let flags = Flags::forced::<&str>([]);
        flags.force_for("read_people_v2", "1", true);
        let app = bench.app(&flags).await;
        let migration = app.migration("people").expect("registered");
        use Side::{Legacy, New};
        let expected = [
            (Stage::Off, Legacy, Legacy),
            (Stage::DeleteOnly, Legacy, Legacy),
            (Stage::DualWrite, Legacy, Legacy),
            (Stage::Live, New, Legacy),
            (Stage::RampDown, New, New),
            (Stage::Complete, New, New),
            (Stage::Contracted, New, New),
        ];
        for (stage, with_flag, without) in expected {
            let state = bench.go(stage).await;
            eventually("the stage is known", async || *migration.state() == state).await;
            assert_eq!(read_side(&migration, 1).await.expect("read"), with_flag, "{stage}");
            assert_eq!(read_side(&migration, 2).await.expect("read"), without, "{stage}");
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn new_is_not_read_while_the_epoch_before_is_open() {
    engines("previous_open", async |db, _| {
        let bench = Bench::new(db).await;
        let app = bench.app(&Flags::forced([("read_people_v2", true)])).await;
        let migration = app.migration("people").expect("registered");
        let before = bench.go(Stage::DualWrite).await;
        let open = bench.append(Stage::Live).await;
        eventually("the stage is known", async || *migration.state() == open).await;
        assert_eq!(read_side(&migration, 1).await.expect("read"), Side::Legacy);
        let name = definition().name;
        bench.db.close_epoch(&name, before.epoch, Duration::from_secs(5)).await.expect("closes");
        eventually("it reads New", async || {
            read_side(&migration, 1).await.expect("read") == Side::New
        })
        .await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn in_live_trouble_on_new_falls_back_within_the_call() {
    engines("fall_back", async |db, _| {
        let bench = Bench::new(db).await;
        let app = bench.app(&Flags::forced([("read_people_v2", true)])).await;
        let migration = app.migration("people").expect("registered");
        let read = async || {
            migration
                .read(&1i64, || async { Ok("legacy") }, || async { Err(PeopleError::Told) })
                .await
        };
        let state = bench.go(Stage::Live).await;
        eventually("the stage is known", async || *migration.state() == state).await;
        assert_eq!(read().await.expect("falls back"), "legacy");
        let state = bench.go(Stage::RampDown).await;
        eventually("the stage is known", async || *migration.state() == state).await;
        assert!(matches!(read().await, Err(ReadError::New(PeopleError::Told))));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn comparisons_run_beside_the_call_and_count_what_differs() {
    engines("shadow", async |db, _| {
        let bench = Bench::new(db).await;
        let app = Crossfade::builder_on(bench.db.clone())
            .flags(Flags::forced::<&str>([]))
            .options(Options::default().shadow_sample(1.0))
            .build()
            .await
            .expect("starts");
        let migration = app.migration("people").expect("registered");
        let state = bench.go(Stage::DualWrite).await;
        eventually("the stage is known", async || *migration.state() == state).await;
        put(&migration, 1, "same").await.expect("written");
        let read = async || {
            let (legacy, new) = (bench.legacy(), bench.new_side());
            let get = move |side: crate::support::People| {
                move || {
                    let side = side.clone();
                    async move { side.get(1).await }
                }
            };
            migration.read_compared(&1i64, get(legacy), get(new)).await.expect("read")
        };
        assert_eq!(read().await.as_deref(), Some("same"));
        eventually("it is compared", async || migration.shadow_stats().compared == 1).await;
        assert_eq!(migration.shadow_stats().mismatched, 0);
        bench.new_side().put(1, "another").await.expect("put");
        assert_eq!(read().await.as_deref(), Some("same"));
        eventually("it is compared", async || migration.shadow_stats().compared == 2).await;
        assert_eq!(migration.shadow_stats().mismatched, 1);
    })
    .await;
}

/// The lease of an instance that nobody holds any more lapses, because its tasks have ended.
#[tokio::test(flavor = "multi_thread")]
async fn the_tasks_end_with_the_last_handle() {
    engines("tasks", async |db, _| {
        let bench = Bench::new(db).await;
        let app = Crossfade::builder_on(bench.db.clone())
            .flags(Flags::forced::<&str>([]))
            .options(Options::default().lease(Duration::from_millis(300)))
            .build()
            .await
            .expect("starts");
        let migration = app.migration("people").expect("registered");
        read_side(&migration, 1).await.expect("read");
        let left = async || {
            let instances = bench.db.instances(&definition().name).await.expect("instances");
            instances.first().map(|instance| instance.lease_left_ms)
        };
        drop(app);
        eventually("the handle alone keeps the lease", async || left().await > Some(250)).await;
        drop(migration);
        eventually("the lease lapses", async || left().await < Some(0)).await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn signing_off_ends_the_lease_on_both_sides() {
    engines("sign_off", async |db, _| {
        let bench = Bench::new(db).await;
        let app = bench.app(&Flags::forced::<&str>([])).await;
        let migration = app.migration("people").expect("registered");
        let instances =
            async || bench.db.instances(&definition().name).await.expect("instances").len();
        read_side(&migration, 1).await.expect("read");
        assert_eq!(instances().await, 1);
        app.sign_off().await.expect("signed off");
        assert_eq!(instances().await, 0);
        // A read behind it takes a lease again, so that gates wait for it again.
        read_side(&migration, 1).await.expect("read");
        assert_eq!(instances().await, 1);
    })
    .await;
}

/// A process is stopped while its read of Legacy is under way. The fleet moves on to `complete`
/// and writes New alone. Once the process goes on, the caller must not get the old row.
#[tokio::test(flavor = "multi_thread")]
async fn a_process_that_was_stopped_does_not_answer_from_before() {
    engines("stopped", async |db, url| {
        let bench = Bench::new(db).await;
        bench.go(Stage::Live).await;
        let other = bench.app(&Flags::forced::<&str>([])).await;
        let others = other.migration("people").expect("registered");
        put(&others, 1, "old").await.expect("written");

        let (in_read, go_on) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
        let stopped = std::thread::spawn({
            let (in_read, go_on) = (Arc::clone(&in_read), Arc::clone(&go_on));
            move || stopped_process(&url, &in_read, &go_on)
        });
        in_read.notified().await;
        // Its runtime stands still from here on, so its lease lapses.
        eventually("the lease lapses", async || {
            let instances = bench.db.instances(&definition().name).await.expect("instances");
            instances.iter().any(|instance| instance.lease_left_ms < 0)
        })
        .await;
        bench.go(Stage::Complete).await;
        put(&others, 1, "new").await.expect("written");
        go_on.notify_one();
        let answer = stopped.join().expect("no panic");
        assert_eq!(answer.as_deref(), Some("new"));
    })
    .await;
}

/// A process of its own as far as Crossfade can tell: one thread, one runtime, which blocks inside
/// the read of Legacy until it is told to go on.
fn stopped_process(url: &str, in_read: &Notify, go_on: &Notify) -> Option<String> {
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let db = crossfade::Database::connect(url).await.expect("opens");
        let bench = Bench { db };
        let app = Crossfade::builder_on(bench.db.clone())
            .flags(Flags::forced::<&str>([]))
            .options(Options::default().lease(Duration::from_millis(300)))
            .build()
            .await
            .expect("starts");
        let migration = app.migration("people").expect("registered");
        let first = AtomicBool::new(true);
        let read = migration.read(
            &1i64,
            || async {
                let row = bench.legacy().get(1).await;
                if first.swap(false, Ordering::Relaxed) {
                    in_read.notify_one();
                    // Blocks this thread and with it every task of the runtime.
                    futures_block_on(go_on.notified());
                }
                row
            },
            || bench.new_side_owned_get(1),
        );
        read.await.expect("read")
    })
}

/// Polls a future to its end on this thread, without yielding to the runtime.
fn futures_block_on(future: impl Future<Output = ()>) {
    struct Unpark(std::thread::Thread);
    impl std::task::Wake for Unpark {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }
    let waker = Arc::new(Unpark(std::thread::current())).into();
    let mut context = std::task::Context::from_waker(&waker);
    let mut future = std::pin::pin!(future);
    while future.as_mut().poll(&mut context).is_pending() {
        std::thread::park();
    }
}
