//! Registering and installing beside others who do the same, or change the stage.

use crossfade::{Database, Engine, Stage};
use crossfade_core::Definition;
use crossfade_store::{ControlStore, Registration, StageChange, StoreErrorKind};

use crate::support::{Bench, TestDatabase, definition, engines, eventually};

fn mapped_otherwise() -> Definition {
    let mapping = "select id as person_id, upper(name) as name from people".to_owned();
    Definition { mapping, ..definition() }
}

/// The stage is changed while a registration waits for the migration's row.
#[tokio::test(flavor = "multi_thread")]
async fn a_stage_change_that_was_waited_for_is_seen() {
    let test = TestDatabase::create(Engine::Postgres, "register").await;
    let bench = Bench::new(test.open().await).await;
    let pool = bench.db.postgres().expect("PostgreSQL");
    let mut operator = pool.begin().await.expect("a transaction");
    sqlx::raw_sql("select name from crossfade_migrations for update")
        .execute(&mut *operator)
        .await
        .expect("the row is locked");
    let db = bench.db.clone();
    let registering = tokio::spawn(async move { db.register(&mapped_otherwise(), "test").await });
    eventually("it waits", async || bench.sessions_waiting().await == 1).await;
    sqlx::raw_sql(
        "insert into crossfade_epochs (migration, epoch, stage, opened_ms) \
         values ('people', 2, 'delete_only', 0)",
    )
    .execute(&mut *operator)
    .await
    .expect("the epoch is appended");
    operator.commit().await.expect("committed");
    let registered = registering.await.expect("no panic");
    let error = registered.expect_err("rows move differently and the stage is past `off`");
    assert_eq!(error.kind, StoreErrorKind::Conflict, "{error}");
    assert_eq!(bench.state().await.definition, definition());
    test.drop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stage_does_not_change_on_a_definition_that_nobody_judged() {
    engines("judged", async |db, _| {
        let bench = Bench::new(db).await;
        let judged = bench.state().await;
        let change = |definition| StageChange {
            migration: &judged.definition.name,
            definition,
            from_epoch: judged.epoch,
            from: Stage::Off,
            to: Stage::DeleteOnly,
            actor: "test",
            reason: "test",
        };
        let registered = bench.db.register(&mapped_otherwise(), "test").await.expect("in `off`");
        assert_eq!(registered, Registration::Updated);
        let error = bench.db.append_epoch(change(&judged.definition)).await;
        let error = error.expect_err("another definition was judged");
        assert_eq!(error.kind, StoreErrorKind::Conflict, "{error}");
        assert_eq!(bench.state().await.stage, Stage::Off);
        let now = bench.state().await.definition;
        bench.db.append_epoch(change(&now)).await.expect("this one was judged");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn past_off_the_columns_of_legacy_stay_what_they_are() {
    engines("columns", async |db, _| {
        let bench = Bench::new(db).await;
        bench.go(Stage::DeleteOnly).await;
        let columns = vec!["name".parse().expect("a name")];
        let other = Definition { legacy_columns: columns, ..definition() };
        let error = bench.db.register(&other, "test").await.expect_err("past `off`");
        assert_eq!(error.kind, StoreErrorKind::Conflict, "{error}");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_record_that_cannot_be_read_stops_its_own_migration_only() {
    engines("unreadable", async |db, _| {
        let bench = Bench::new(db).await;
        let name: crossfade_core::MigrationName = "other".parse().expect("a name");
        let other = Definition { name: name.clone(), ..definition() };
        bench.db.register(&other, "test").await.expect("registered");
        bench.sql("update crossfade_migrations set definition = '{' where name = 'other'").await;
        let states = bench.db.migrations().await.expect("the others load");
        assert_eq!(states.len(), 1);
        assert_eq!(states[0].definition, definition());
        let error = bench.db.migration(&name).await.expect_err("it cannot be read");
        assert_eq!(error.kind, StoreErrorKind::Invalid, "{error}");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn of_many_installers_at_once_one_installs() {
    for engine in Engine::ALL.iter().copied() {
        let test = TestDatabase::create(engine, "installers").await;
        test.open().await;
        let installers: Vec<_> = (0..6)
            .map(|_| {
                let url = test.url.clone();
                tokio::spawn(async move {
                    let db = Database::connect(&url).await.expect("the database opens");
                    db.install().await.expect("no installer fails")
                })
            })
            .collect();
        let mut applied = Vec::new();
        for installer in installers {
            applied.push(installer.await.expect("no panic"));
        }
        applied.retain(|applied| !applied.is_empty());
        assert_eq!(applied.len(), 1, "{applied:?}");
        test.drop().await;
    }
}
