//! New's refusal: quarantine in `dual_write`, an error from `live` on.

use std::time::Duration;

use crossfade::{Crossfade, Engine, Flags, Migration, Options, Side, Stage, WriteError};
use crossfade_reconcile::{Cancel, VerifyHooks, VerifyMode, VerifyReport, VerifySettings, verify};
use crossfade_store::ControlStore;

use crate::support::{
    Bench, TestDatabase, WAIT, definition, delete, engines, eventually, put, read_side,
};

#[tokio::test(flavor = "multi_thread")]
async fn in_dual_write_legacy_is_written_alone_and_the_key_is_marked() {
    engines("quarantine", async |db, _| {
        let bench = Bench::new(db).await;
        let app = bench.app(&Flags::forced::<&str, bool>([])).await;
        let migration = app.migration("people").expect("registered");
        bench.go(Stage::DualWrite).await;
        put(&migration, 1, "good").await.expect("written");
        put(&migration, 1, "bad").await.expect("New's refusal is not the caller's");
        // New's row was behind, and went with the entry.
        bench.expect(1, Some("bad"), None).await;
        let marks = bench.db.quarantine(&definition().name, 10).await.expect("marks");
        assert_eq!(marks.len(), 1);
        assert_eq!(marks[0].0, "1");
        // MariaDB speaks of a constraint and does not say which kind.
        let reason = marks[0].1.to_lowercase();
        assert!(reason.contains("check") || reason.contains("constraint"), "{marks:?}");

        // The next full write that New accepts clears the mark, once this instance knows of it.
        knows_mark(&migration, "1").await;
        put(&migration, 1, "fine").await.expect("written");
        bench.expect(1, Some("fine"), Some("fine")).await;
        assert_eq!(bench.db.quarantine(&definition().name, 10).await.expect("marks"), []);

        // So does a delete.
        put(&migration, 2, "bad").await.expect("written");
        knows_mark(&migration, "2").await;
        delete(&migration, 2).await.expect("deleted");
        bench.expect(2, None, None).await;
        assert_eq!(bench.db.quarantine(&definition().name, 10).await.expect("marks"), []);
    })
    .await;
}

/// Two rows swap a unique value. The first write is refused, and its stale row must not be what the
/// second is refused for.
#[tokio::test(flavor = "multi_thread")]
async fn rows_that_swap_a_unique_value_are_mended() {
    engines("swap", async |db, _| {
        let bench = Bench::new(db).await;
        unique_names(&bench).await;
        let app = bench.app(&Flags::forced::<&str, bool>([])).await;
        let migration = app.migration("people").expect("registered");
        bench.go(Stage::DualWrite).await;
        put(&migration, 1, "a").await.expect("written");
        put(&migration, 2, "b").await.expect("written");
        put(&migration, 1, "b").await.expect("New's refusal is not the caller's");
        bench.expect(1, Some("b"), None).await;
        // The key is neither missing nor differing, and yet not equal.
        let report = verify_people(&bench, VerifyMode::Compare).await;
        assert_eq!(report.found.total(), 0, "{report:?}");
        assert_eq!((report.quarantined, report.remaining), (1, 1), "{report:?}");
        put(&migration, 2, "a").await.expect("written");
        bench.expect(2, Some("a"), Some("a")).await;
        let report = verify_people(&bench, VerifyMode::Repair).await;
        assert_eq!(report.remaining, 0, "{report:?}");
        bench.expect(1, Some("b"), Some("b")).await;
        bench.expect(2, Some("a"), Some("a")).await;
    })
    .await;
}

/// The same by writers that bypass the SDK, so that repair finds both rows stale.
#[tokio::test(flavor = "multi_thread")]
async fn a_swap_that_bypassed_the_sdk_is_mended_by_repair() {
    engines("swap_around", async |db, _| {
        let bench = Bench::new(db).await;
        unique_names(&bench).await;
        let app = bench.app(&Flags::forced::<&str, bool>([])).await;
        let migration = app.migration("people").expect("registered");
        bench.go(Stage::DualWrite).await;
        put(&migration, 1, "a").await.expect("written");
        put(&migration, 2, "b").await.expect("written");
        bench.sql("update people set name = case id when 1 then 'b' else 'a' end").await;
        verify_people(&bench, VerifyMode::Repair).await;
        bench.expect(2, Some("a"), Some("a")).await;
        let report = verify_people(&bench, VerifyMode::Repair).await;
        assert_eq!(report.remaining, 0, "{report:?}");
        bench.expect(1, Some("b"), Some("b")).await;
    })
    .await;
}

/// A row on New that other rows hang on by a cascade is worth more than a swap that heals itself.
#[tokio::test(flavor = "multi_thread")]
async fn a_stale_row_stays_where_children_would_go_with_it() {
    engines("stale_parent", async |db, _| {
        let bench = Bench::new(db).await;
        bench
            .sql(
                "create table pets (id bigint primary key, owner bigint not null, foreign key \
                 (owner) references people_v2 (person_id) on delete cascade)",
            )
            .await;
        let app = bench.app(&Flags::forced::<&str, bool>([])).await;
        let migration = app.migration("people").expect("registered");
        bench.go(Stage::DualWrite).await;
        put(&migration, 1, "good").await.expect("written");
        bench.sql("insert into pets values (1, 1)").await;
        put(&migration, 1, "bad").await.expect("New's refusal is not the caller's");
        assert_eq!(bench.rows("pets").await, 1);
        bench.expect(1, Some("bad"), Some("good")).await;
        assert_eq!(bench.db.quarantine(&definition().name, 10).await.expect("marks").len(), 1);
    })
    .await;
}

async fn unique_names(bench: &Bench) {
    let column = if bench.db.engine() == Engine::Mysql { "name(100)" } else { "name" };
    bench.sql(&format!("create unique index people_v2_name on people_v2 ({column})")).await;
}

async fn verify_people(bench: &Bench, mode: VerifyMode) -> VerifyReport {
    let settings = VerifySettings { mode, ..VerifySettings::default() };
    let hooks = VerifyHooks { progress: &|_| {}, cancel: Cancel::never() };
    let report = verify(&bench.db, &bench.db, &definition().name, settings, hooks).await;
    report.expect("verified")
}

async fn knows_mark(migration: &Migration, key: &str) {
    eventually("the mark is known", async || migration.state().quarantined.contains(key)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn from_live_on_it_is_both_or_neither() {
    engines("both_or_neither", async |db, _| {
        let bench = Bench::new(db).await;
        let app = bench.app(&Flags::forced::<&str, bool>([])).await;
        let migration = app.migration("people").expect("registered");
        for stage in [Stage::Live, Stage::RampDown] {
            bench.go(stage).await;
            put(&migration, 1, "good").await.expect("written");
            let error = put(&migration, 1, "bad").await.expect_err("New refuses");
            assert!(matches!(error, WriteError::New(_)), "{error:?}");
            bench.expect(1, Some("good"), Some("good")).await;
        }
        assert_eq!(bench.db.quarantine(&definition().name, 10).await.expect("marks"), []);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_marked_key_is_read_from_legacy() {
    engines("marked_read", async |db, _| {
        let bench = Bench::new(db).await;
        let app = bench.app(&Flags::forced([("read_people_v2", true)])).await;
        let migration = app.migration("people").expect("registered");
        bench.go(Stage::DualWrite).await;
        put(&migration, 1, "bad").await.expect("written");
        bench.go(Stage::Live).await;
        eventually("the stage is known", async || {
            let state = migration.state();
            state.stage == Stage::Live && !state.previous_open
        })
        .await;
        assert_eq!(read_side(&migration, 1).await.expect("read"), Side::Legacy);
        assert_eq!(read_side(&migration, 2).await.expect("read"), Side::New);
    })
    .await;
}

/// The next try begins with New empty, so no row of it is behind any more.
#[tokio::test(flavor = "multi_thread")]
async fn marks_of_an_earlier_try_go_with_its_rows() {
    engines("earlier_try", async |db, _| {
        let bench = Bench::new(db).await;
        let app = bench.app(&Flags::forced::<&str, bool>([])).await;
        let migration = app.migration("people").expect("registered");
        bench.go(Stage::DualWrite).await;
        put(&migration, 1, "bad").await.expect("written on Legacy");
        let marked =
            async || bench.db.quarantine(&definition().name, 10).await.expect("marks").len();
        bench.go(Stage::Off).await;
        assert_eq!(marked().await, 1, "no step back clears it");
        bench.go(Stage::DeleteOnly).await;
        assert_eq!(marked().await, 0);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn in_delete_only_new_loses_the_row_and_gains_none() {
    engines("delete_only", async |db, _| {
        let bench = Bench::new(db).await;
        let app = bench.app(&Flags::forced::<&str, bool>([])).await;
        let migration = app.migration("people").expect("registered");
        bench.go(Stage::DeleteOnly).await;
        // As an instance in `dual_write` may have left it.
        bench.new_side().put(1, "theirs").await.expect("put");
        bench.new_side().put(2, "theirs").await.expect("put");
        put(&migration, 1, "ours").await.expect("written");
        bench.expect(1, Some("ours"), None).await;
        delete(&migration, 2).await.expect("deleted");
        bench.expect(2, None, None).await;
        put(&migration, 3, "ours").await.expect("written");
        bench.expect(3, Some("ours"), None).await;
    })
    .await;
}

/// A constraint that New checks at the commit only is New's refusal all the same.
#[tokio::test(flavor = "multi_thread")]
async fn a_deferred_refusal_is_no_outage_either() {
    engines("deferred", async |db, _| {
        // MariaDB checks at once, which other tests are about.
        if db.engine() == Engine::Mysql {
            return;
        }
        let bench = Bench::new(db).await;
        bench.sql("create table towns (name text primary key)").await;
        bench.sql("drop table people_v2").await;
        bench
            .sql(
                "create table people_v2 (person_id bigint primary key, name text not null \
                 references towns (name) deferrable initially deferred)",
            )
            .await;
        let app = bench.app(&Flags::forced::<&str, bool>([])).await;
        let migration = app.migration("people").expect("registered");
        bench.go(Stage::DualWrite).await;
        put(&migration, 1, "nowhere").await.expect("New's refusal is not the caller's");
        bench.expect(1, Some("nowhere"), None).await;
        let marks = bench.db.quarantine(&definition().name, 10).await.expect("marks");
        assert_eq!(marks.len(), 1, "{marks:?}");
        bench.go(Stage::Live).await;
        put(&migration, 2, "nowhere").await.expect_err("both or neither");
        bench.expect(2, None, None).await;
    })
    .await;
}

/// Somebody holds New (a long `alter table`, say). Before `live` that must not hold Legacy up.
#[tokio::test(flavor = "multi_thread")]
async fn a_locked_new_side_is_no_outage_either() {
    let test = TestDatabase::create(Engine::Postgres, "locked_new").await;
    let bench = Bench::new(test.open().await).await;
    let app = Crossfade::builder_on(bench.db.clone())
        .flags(Flags::forced::<&str, bool>([]))
        .options(Options::default().new_lock_timeout(Duration::from_millis(100)))
        .build()
        .await
        .expect("starts");
    let migration = app.migration("people").expect("registered");
    for (stage, id) in [(Stage::DeleteOnly, 1), (Stage::DualWrite, 2)] {
        bench.go(stage).await;
        let pool = bench.db.postgres().expect("PostgreSQL");
        let mut holder = pool.begin().await.expect("begin");
        let lock = "lock table people_v2 in access exclusive mode";
        sqlx::query(lock).execute(&mut *holder).await.expect("locked");
        let written = tokio::time::timeout(WAIT, put(&migration, id, "written")).await;
        written.expect("it does not wait for New").expect("nor fail with it");
        holder.rollback().await.expect("rollback");
        bench.expect(id, Some("written"), None).await;
    }
    let marks = bench.db.quarantine(&definition().name, 10).await.expect("marks");
    assert_eq!(marks.len(), 2, "{marks:?}");
    test.drop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_of_another_width_is_refused() {
    engines("width", async |db, _| {
        let bench = Bench::new(db).await;
        let app = bench.app(&Flags::forced::<&str, bool>([])).await;
        let migration = app.migration("people").expect("registered");
        let wide = migration
            .write(
                &(1i64, "x"),
                |tx| async move { crate::support::People::legacy(tx).put(1, "x").await },
                |tx| async move { crate::support::People::new(tx).put(1, "x").await },
            )
            .await;
        let error = wide.expect_err("one column, two parts");
        assert!(matches!(&error, WriteError::Store(error) if error.hint.is_some()), "{error:?}");
        bench.expect(1, None, None).await;
    })
    .await;
}
