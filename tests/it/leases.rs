//! Leases of one instance on several migrations.

use std::cell::Cell;
use std::time::Duration;

use crossfade::{Crossfade, Engine, Flags, Options, Stage};
use crossfade_core::{Definition, MigrationName};
use crossfade_store::ControlStore;

use crate::support::{Bench, TestDatabase, definition, engines, eventually};

/// The migration whose record becomes unreadable. Leases are renewed in the order of names.
const BEFORE: &str = "before_people";

async fn unreadable(bench: &Bench) {
    let stage = "update crossfade_epochs set stage = 'of_a_later_version' where migration =";
    bench.sql(&format!("{stage} '{BEFORE}'")).await;
}

/// Milliseconds until the instance's lease lapses.
async fn lease_left_ms(bench: &Bench, migration: &MigrationName) -> i64 {
    let instances = bench.db.instances(migration).await.expect("told");
    instances.first().map_or(i64::MIN, |instance| instance.lease_left_ms)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_migration_that_cannot_be_renewed_holds_up_no_other() {
    engines("leases", async |db, _| {
        let bench = Bench::new(db).await;
        let people = definition();
        let before = Definition { name: BEFORE.parse().expect("a name"), ..definition() };
        bench.db.register(&before, "test").await.expect("registered");
        let lease = Duration::from_millis(600);
        let app = Crossfade::builder_on(bench.db.clone())
            .flags(Flags::forced::<&str, bool>([]))
            .options(Options::default().lease(lease))
            .build()
            .await
            .expect("the application starts");
        unreadable(&bench).await;
        // Its first lease is taken behind a look-up, which fails.
        let _before = app.migration(BEFORE).expect("it was readable when the application started");
        let _people = app.migration("people").expect("registered");
        let (renewals, last) = (Cell::new(0), Cell::new(i64::MIN));
        eventually("the other lease is renewed again and again", async || {
            let left = lease_left_ms(&bench, &people.name).await;
            renewals.set(renewals.get() + i32::from(left > last.replace(left)));
            renewals.get() >= 4
        })
        .await;
    })
    .await;
}

/// What is deleted as old is the record that was found old, not the one of its repetition.
#[tokio::test(flavor = "multi_thread")]
async fn a_repeated_operation_keeps_its_new_record() {
    let test = TestDatabase::create(Engine::Mysql, "forgetting").await;
    let bench = Bench::new(test.open().await).await;
    bench.go(Stage::Live).await;
    let record = |created_ms: &str| {
        format!(
            "insert into crossfade_operations (migration, operation, `key`, attempt, created_ms) \
             values ('people', 'pay', '7', 1, {created_ms})"
        )
    };
    bench.sql(&record("1000")).await;
    // Another instance has deleted the record, and the operation is repeated.
    let mut other = bench.db.mysql().expect("MariaDB").begin().await.expect("begins");
    for sql in ["delete from crossfade_operations".to_owned(), record("9000000000000")] {
        sqlx::raw_sql(sqlx::AssertSqlSafe(sql)).execute(&mut *other).await.expect("runs");
    }
    let forgetting = tokio::spawn({
        let db = bench.db.clone();
        async move {
            crossfade_store::FencedStore::forget_operations(&db, Duration::from_secs(1), 10).await
        }
    });
    eventually("the deletion waits", async || bench.sessions_waiting().await == 1).await;
    other.commit().await.expect("committed");
    forgetting.await.expect("no panic").expect("deleted what was old");
    assert_eq!(bench.rows("crossfade_operations").await, 1, "the record of the repetition");
    test.drop().await;
}
