//! Before Legacy goes: its rights are taken away, and its use is seen.

use std::cell::Cell;
use std::time::Duration;

use crossfade::{Engine, Stage};
use crossfade_core::MigrationState;
use crossfade_store::{ControlStore, ReconcileStore, SchemaStore};

use crate::support::{Bench, Project, TestDatabase, definition, eventually};

const SECOND: Duration = Duration::from_secs(1);

/// Rights on the table, on a column, and rights that were granted on.
#[tokio::test(flavor = "multi_thread")]
async fn rights_on_legacy_are_taken_from_everybody_but_its_owner() {
    let test = TestDatabase::create(Engine::Postgres, "rights").await;
    let bench = Bench::new(test.open().await).await;
    for grant in [
        "grant select on people to public",
        "grant update (name) on people to pg_monitor",
        "grant insert, delete on people to pg_read_all_stats with grant option",
    ] {
        bench.sql(grant).await;
    }
    let taken = bench.db.revoke_legacy(&definition()).await.expect("revoked");
    let expected = [
        "select on `people` from everybody",
        "update on name on `people` from pg_monitor",
        "delete, insert on `people` from pg_read_all_stats",
    ];
    assert_eq!(taken, expected);
    let left: bool = sqlx::query_scalar(
        "select bool_or(has_table_privilege(r, 'people', p) \
           or has_any_column_privilege(r, 'people', 'select, insert, update')) \
         from unnest(array['pg_monitor', 'pg_read_all_stats', 'pg_signal_backend']) as r, \
           unnest(array['select', 'insert', 'update', 'delete', 'truncate']) as p",
    )
    .fetch_one(bench.db.postgres().expect("PostgreSQL"))
    .await
    .expect("the catalog answers");
    assert!(!left, "somebody has rights on Legacy");
    bench.sql("select * from people").await;
    assert_eq!(bench.db.revoke_legacy(&definition()).await.expect("again"), Vec::<String>::new());
    test.drop().await;
}

async fn quiet_for(bench: &Bench, state: &MigrationState) -> Option<Duration> {
    bench.db.facts(state).await.expect("facts").legacy_quiet_for
}

async fn quiet_at_least(bench: &Bench, state: &MigrationState, wanted: Duration) {
    eventually("nobody uses Legacy", async || {
        quiet_for(bench, state).await.is_some_and(|quiet| quiet >= wanted)
    })
    .await;
}

/// A table whose name needs quotes, and a use of nothing but a partition.
#[tokio::test(flavor = "multi_thread")]
async fn each_use_of_legacy_is_seen() {
    let test = TestDatabase::create(Engine::Postgres, "quiet").await;
    let bench = Bench::new(test.open().await).await;
    bench.sql("create table \"Legacy_People\" (id bigint primary key)").await;
    bench.sql("create table parts (id bigint primary key) partition by range (id)").await;
    bench.sql("create table parts_1 partition of parts for values from (0) to (10)").await;
    let mut state = bench.go(Stage::Complete).await;
    for (table, usage) in [
        ("people", "select * from people"),
        ("Legacy_People", "insert into \"Legacy_People\" values (1)"),
        ("parts", "select * from parts_1"),
    ] {
        state.definition.legacy.table = table.parse().expect("a name");
        quiet_at_least(&bench, &state, SECOND).await;
        bench.sql(usage).await;
        eventually("the use is seen", async || {
            quiet_for(&bench, &state).await.is_some_and(|quiet| quiet < SECOND)
        })
        .await;
    }
    state.definition.legacy.table = "no_such_table".parse().expect("a name");
    assert_eq!(quiet_for(&bench, &state).await, None);
    test.drop().await;
}

/// Asking how far a migration is must not look like a use of Legacy.
#[tokio::test(flavor = "multi_thread")]
async fn looking_at_the_run_is_no_use_of_legacy() {
    let test = TestDatabase::create(Engine::Postgres, "looking").await;
    let bench = Bench::new(test.open().await).await;
    bench.sql("insert into people (id, name) values (1, 'one')").await;
    let dual_write = bench.go(Stage::DualWrite).await;
    bench.db.open_run(&dual_write).await.expect("a run");
    let estimate = bench.db.run_progress(&dual_write).await.expect("asked").expect("a run");
    assert_eq!(estimate.estimated_rows, Some(1));
    let state = bench.go(Stage::Complete).await;
    quiet_at_least(&bench, &state, SECOND).await;
    // The look ends with its connections, which is when their statistics are counted at the latest.
    let other = test.open().await;
    let progress = other.run_progress(&state).await.expect("asked").expect("a run");
    other.postgres().expect("PostgreSQL").close().await;
    assert_eq!(progress.estimated_rows, None);
    let before = Cell::new(SECOND);
    eventually("two more seconds pass", async || {
        let quiet = quiet_for(&bench, &state).await.expect("statistics");
        assert!(quiet >= before.get(), "the look was seen as a use");
        before.set(quiet);
        quiet >= 3 * SECOND
    })
    .await;
    test.drop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_gate_asks_for_quiet_and_then_takes_rights_and_table() {
    let rows = "insert into people (id, name) values (1, 'one')";
    let project = Project::with_people(Engine::Postgres, "contract", rows).await;
    project.sql("grant select on people to pg_monitor").await;
    let manifest = |quiet: &str| {
        format!(
            "name = \"people\"\nread_flag = \"read_people_v2\"\n\
             [legacy]\ntable = \"people\"\nkey = [\"id\"]\n\
             [new]\ntable = \"people_v2\"\nkey = [\"person_id\"]\n\
             [gates]\nbake_time = \"0s\"\nquiet_time = \"{quiet}\"\ninvertible = true\n"
        )
    };
    let file = "migrations/people/migration.toml";
    project.write(file, &manifest("1h"));
    project.ok(&["expand", "people"]);
    for stage in ["delete_only", "dual_write"] {
        project.ok(&["stage", "people", stage]);
    }
    project.ok(&["backfill", "people"]);
    project.ok(&["verify", "people"]);
    project.ok(&["stage", "people", "live"]);
    project.ok(&["flag", "on", "read_people_v2"]);
    project.run(&["stage", "people", "ramp_down"]).expect(3).says(&["since `live` began"]);
    project.ok(&["verify", "people"]);
    project.ok(&["stage", "people", "ramp_down"]);
    project.ok(&["verify", "people"]);
    project.ok(&["stage", "people", "complete", "--approved-by", "ada"]);
    project.run(&["contract", "people"]).expect(3).says(&["saw public.people used", "3600s"]);
    assert_eq!(project.stage(), "complete");

    project.write(file, &manifest("1s"));
    project.ok(&["expand", "people"]);
    let bench = Bench { db: project.database.open().await };
    let state = bench.state().await;
    quiet_at_least(&bench, &state, SECOND).await;
    project
        .ok(&["contract", "people"])
        .says(&["revoked: select on `public.people` from pg_monitor"]);
    assert_eq!(project.stage(), "contracted");
    project.drop().await;
}
