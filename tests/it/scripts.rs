//! Scripts on real databases: run twice at once, killed midway, kept from a lock, out of time.

use std::process::{Child, Stdio};
use std::time::Duration;

use crossfade::Engine;
use crossfade_core::Pinned;
use crossfade_store::{SchemaStore, ScriptStep, Statement, StoreErrorKind, Timeouts};
use sqlx::{PgConnection, Postgres, Transaction};

use crate::support::{Answer, Bench, Project, TestDatabase, definition, eventually};

/// Room for locks and statements, so that the tests say when something is let go.
const ROOMY: &str = "lock_timeout = \"20s\"\nmax_execution_time = \"20s\"\n";

const NEW: &str = "create table people_v2 (person_id bigint primary key, name text not null);\n";

async fn project(test: &str, script: &str) -> (Project, Bench) {
    let rows = "insert into people (id, name) values (1, 'one'), (2, 'two')";
    let project = Project::with_people(Engine::Postgres, test, rows).await;
    project.write("crossfade.toml", ROOMY);
    project.write("migrations/people/expand.sql", &format!("{NEW}{script}"));
    let bench = Bench { db: project.database.open().await };
    bench.sql("create table steps (what text not null)").await;
    (project, bench)
}

/// A transaction of somebody else that has run `sql`.
async fn holder(bench: &Bench, sql: &'static str) -> Transaction<'static, Postgres> {
    let pool = bench.db.postgres().expect("PostgreSQL");
    let mut holder = pool.begin().await.expect("a transaction");
    let connection: &mut PgConnection = &mut holder;
    sqlx::raw_sql(sql).execute(connection).await.expect("the statement runs");
    holder
}

async fn count(bench: &Bench, sql: &'static str) -> i64 {
    let pool = bench.db.postgres().expect("PostgreSQL");
    sqlx::query_scalar(sql).fetch_one(pool).await.expect("a count")
}

fn start(project: &Project, args: &[&str]) -> Child {
    let mut command = project.command(args);
    command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("the binary starts")
}

async fn answer(child: Child) -> Answer {
    let ended = tokio::task::spawn_blocking(move || child.wait_with_output());
    Answer::of(ended.await.expect("no panic").expect("it ends"))
}

#[tokio::test(flavor = "multi_thread")]
async fn two_operators_run_each_statement_once() {
    let (project, bench) = project("twice", "insert into steps values ('two')").await;
    let held = holder(&bench, "lock table steps in access exclusive mode").await;
    let both = [start(&project, &["expand", "people"]), start(&project, &["expand", "people"])];
    eventually("both wait", async || bench.sessions_waiting().await == 2).await;
    held.rollback().await.expect("let go");
    for child in both {
        answer(child).await.expect(0);
    }
    assert_eq!(count(&bench, "select count(*) from steps").await, 1);
    project.drop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_operators_build_an_index_once() {
    let index = "create index concurrently people_name on people (name)";
    let (project, bench) = project("index_twice", index).await;
    let held = holder(&bench, "insert into people values (3, 'three')").await;
    let first = start(&project, &["expand", "people"]);
    eventually("the first waits", async || bench.sessions_waiting().await == 1).await;
    let second = start(&project, &["expand", "people"]);
    let tries = "select count(*) from pg_stat_activity where datname = current_database() \
                 and pid <> pg_backend_pid() and query like 'select pg_try_advisory_lock%'";
    eventually("the second has tried", async || count(&bench, tries).await == 1).await;
    held.commit().await.expect("let go");
    answer(first).await.expect(0).says(&["-- line 2: done"]);
    answer(second).await.expect(0).says(&["-- line 2: was done"]);
    project.drop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_invalid_index_is_dropped_and_built_again() {
    let index = "create unique index concurrently people_name on people (name)";
    let (project, bench) = project("invalid", index).await;
    bench.sql("insert into people values (3, 'one')").await;
    project.run(&["expand", "people"]).expect(1).says(&["expand.sql:2"]);
    let valid = "select count(*) from pg_index where indisvalid \
                 and indexrelid = to_regclass('people_name')";
    let there = "select count(*) from pg_class where relname = 'people_name'";
    assert_eq!((count(&bench, there).await, count(&bench, valid).await), (0, 0));
    // As a build leaves it whose command was killed.
    let pool = bench.db.postgres().expect("PostgreSQL");
    sqlx::raw_sql(index).execute(pool).await.expect_err("two rows are alike");
    assert_eq!((count(&bench, there).await, count(&bench, valid).await), (1, 0));
    bench.sql("delete from people where id = 3").await;
    project.ok(&["expand", "people"]);
    assert_eq!((count(&bench, there).await, count(&bench, valid).await), (1, 1));
    project.drop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_in_a_statement_it_goes_on_with_that_statement() {
    let (project, bench) = project("killed", "insert into steps values ('two')").await;
    let held = holder(&bench, "lock table steps in access exclusive mode").await;
    let mut child = start(&project, &["expand", "people"]);
    eventually("it waits", async || bench.sessions_waiting().await == 1).await;
    child.kill().expect("it runs");
    child.wait().expect("it ends");
    held.rollback().await.expect("let go");
    let says = ["-- line 1: was done", "-- line 2: done"];
    project.ok(&["expand", "people"]).says(&says);
    assert_eq!(count(&bench, "select count(*) from steps").await, 1);
    project.drop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_statement_that_takes_too_long_is_not_run_again() {
    let (project, bench) =
        project("slow", "insert into steps select 'two' from pg_sleep(30)").await;
    project.write("crossfade.toml", "max_execution_time = \"300ms\"\n");
    let says = ["expand.sql:2", "did not end within", "max_execution_time"];
    project.run(&["expand", "people"]).expect(1).says(&says);
    assert_eq!(count(&bench, "select count(*) from steps").await, 0);
    assert_eq!(count(&bench, "select count(*) from crossfade_scripts").await, 1);
    project.drop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lock_that_is_not_had_leaves_nothing_behind() {
    let test = TestDatabase::create(Engine::Postgres, "no_lock").await;
    let bench = Bench::new(test.open().await).await;
    let migration = definition().name;
    let pinned = Pinned::default();
    let step = ScriptStep {
        migration: &migration,
        script: "expand",
        position: 0,
        digest: "d",
        pinned: &pinned,
    };
    let text = "alter table people add column extra text".to_owned();
    let statement = Statement { text, outside_transaction: false };
    let bounds = Timeouts { lock: Duration::from_millis(100), statement: Duration::from_secs(20) };
    let held = holder(&bench, "lock table people in access share mode").await;
    let error = bench.db.run_step(step, &statement, bounds).await.expect_err("no lock");
    assert_eq!(error.kind(), StoreErrorKind::LockTimeout);
    assert_eq!(bench.db.step_done(step).await.expect("asked"), None);
    held.rollback().await.expect("let go");
    bench.db.run_step(step, &statement, bounds).await.expect("now it runs");
    assert_eq!(bench.db.step_done(step).await.expect("asked").as_deref(), Some("d"));

    let text = "select pg_sleep(30)".to_owned();
    let slow = Statement { text, outside_transaction: false };
    let bounds = Timeouts { statement: Duration::from_millis(100), ..bounds };
    let next = ScriptStep { position: 1, ..step };
    let error = bench.db.run_step(next, &slow, bounds).await.expect_err("too slow");
    assert_eq!(error.kind(), StoreErrorKind::StatementTimeout);
    test.drop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lock_that_is_not_had_has_its_exit_code() {
    let (project, bench) = project("exit_5", "").await;
    project.ok(&["expand", "people"]);
    bench.sql("insert into people_v2 values (9, 'left over')").await;
    let held = holder(&bench, "select * from people_v2").await;
    let empty = ["stage", "people", "delete_only", "--truncate-new"];
    project.run(&empty).expect(5);
    assert_eq!(project.stage(), "off");
    assert_eq!(count(&bench, "select count(*) from people_v2").await, 1);
    held.rollback().await.expect("let go");
    project.ok(&empty);
    assert_eq!(project.stage(), "delete_only");
    assert_eq!(count(&bench, "select count(*) from people_v2").await, 0);
    project.drop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn words_that_scripts_must_not_use() {
    let project = Project::with_people(Engine::Sqlite, "words", "").await;
    project.write("migrations/people/expand.sql", &format!("{NEW}commit;\n"));
    project.run(&["expand", "people"]).expect(1).says(&["expand.sql:2", "`commit`"]);
    project.write("migrations/people/expand.sql", NEW);
    project
        .write("migrations/people/mapping.sql", "select id as person_id, ?1 as name from people");
    project.run(&["expand", "people"]).expect(1).says(&["parameter", "mapping.sql:1:"]);
    project.write_people();
    project.write("migrations/people/expand.sql", NEW);
    project.ok(&["expand", "people"]);
    project.write("migrations/people/contract.sql", "drop table people;\nrollback;\n");
    project.run(&["contract", "people", "--dry-run"]).expect(1).says(&["contract.sql:2"]);
    project.drop().await;
}
