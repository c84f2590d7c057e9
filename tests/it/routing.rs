//! Reads: stage and flag pick the side, trouble on New falls back, a lapsed lease reads again.

use std::time::Duration;

use crossfade::{Crossfade, Flags, Options, ReadError, Side, Stage};
use crossfade_store::ControlStore;

use crate::support::{Bench, PeopleError, definition, engines, eventually, put, read_side};

#[tokio::test(flavor = "multi_thread")]
async fn stage_and_flag_pick_the_side() {
    engines("sides", async |db, _| {
        let bench = Bench::new(db).await;
        let flags = Flags::forced::<&str, bool>([]);
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
                .read(&1i64, &1i64, || async { Ok("legacy") }, || async { Err(PeopleError::Told) })
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
            .flags(Flags::forced::<&str, bool>([]))
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
            migration.read_compared(&1i64, &1i64, get(legacy), get(new)).await.expect("read")
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
            .flags(Flags::forced::<&str, bool>([]))
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
        let app = bench.app(&Flags::forced::<&str, bool>([])).await;
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
