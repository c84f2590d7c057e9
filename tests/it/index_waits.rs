//! `create index concurrently` while an older transaction is open.

use std::time::Duration;

use crossfade::{Database, Engine};
use crossfade_core::Pinned;
use crossfade_store::{SchemaStore, ScriptStep, Statement, StepRun, StoreErrorKind, Timeouts};
use sqlx::postgres::{PgConnection, PgPool};
use sqlx::{Connection, Executor};

use crate::support::{Bench, TestDatabase, definition, eventually};

const INDEX: &str = "create index concurrently people_name on people (name)";

/// A session with a snapshot that it does not give up, and its pid.
async fn old_snapshot(test: &TestDatabase) -> (PgConnection, i32) {
    let mut session = PgConnection::connect(&test.url).await.expect("connects");
    session.execute("begin isolation level repeatable read").await.expect("begins");
    let pid = sqlx::query_scalar("select pg_backend_pid()").fetch_one(&mut session).await;
    (session, pid.expect("a pid"))
}

async fn build(
    db: &Database,
    statement: Duration,
) -> Result<StepRun, crossfade_store::StatementError> {
    let (migration, pinned) = (definition().name, Pinned::default());
    let step = ScriptStep {
        migration: &migration,
        script: "expand",
        position: 0,
        digest: "d",
        pinned: &pinned,
    };
    let bounds = Timeouts { lock: Duration::from_millis(100), statement };
    let statement = Statement { text: INDEX.to_owned(), outside_transaction: true };
    db.run_step(step, &statement, bounds).await
}

/// The number of the index, and whether it is valid.
async fn index(pool: &PgPool) -> Option<(i64, bool)> {
    let sql = "select indexrelid::bigint, indisvalid from pg_index \
               where indexrelid = to_regclass('people_name')";
    sqlx::query_as(sql).fetch_optional(pool).await.expect("asked")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_build_waits_for_an_old_snapshot_and_is_not_begun_again() {
    let test = TestDatabase::create(Engine::Postgres, "index_waits").await;
    let bench = Bench::new(test.open().await).await;
    let pool = bench.db.postgres().expect("PostgreSQL").clone();
    let (session, _) = old_snapshot(&test).await;
    let db = bench.db.clone();
    let building = tokio::spawn(async move { build(&db, Duration::from_secs(60)).await });
    let waits = "select count(*) from pg_stat_progress_create_index \
                 where phase = 'waiting for old snapshots' and current_locker_pid > 0 \
                 and datname = current_database()";
    eventually("the build waits for the snapshot", async || {
        sqlx::query_scalar::<_, i64>(waits).fetch_one(&pool).await.expect("asked") == 1
    })
    .await;
    let (number, valid) = index(&pool).await.expect("it is there");
    assert!(!valid, "not yet");
    let outlasts = "select count(*) from pg_stat_activity a \
                    join pg_stat_progress_create_index p using (pid) \
                    where p.datname = current_database() \
                    and clock_timestamp() - a.query_start > interval '1 second'";
    eventually("the build outlasts the lock timeout", async || {
        sqlx::query_scalar::<_, i64>(outlasts).fetch_one(&pool).await.expect("asked") == 1
    })
    .await;
    assert_eq!(index(&pool).await, Some((number, false)), "it is the same build");
    session.close().await.expect("closed");
    let built = building.await.expect("no panic").expect("built");
    assert_eq!(built, StepRun::Ran);
    assert_eq!(index(&pool).await, Some((number, true)));
    test.drop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_build_that_is_given_up_names_the_pids_and_leaves_no_index() {
    let test = TestDatabase::create(Engine::Postgres, "index_given_up").await;
    let bench = Bench::new(test.open().await).await;
    let pool = bench.db.postgres().expect("PostgreSQL").clone();
    let (session, pid) = old_snapshot(&test).await;
    let error = build(&bench.db, Duration::from_secs(2)).await.expect_err("it waits");
    assert_eq!(error.kind(), StoreErrorKind::StatementTimeout);
    assert!(error.to_string().contains(&format!("pid {pid}")), "{error}");
    assert!(error.error.hint.as_deref().is_some_and(|hint| hint.contains("pg_terminate_backend")));
    assert_eq!(index(&pool).await, None, "no invalid index stays");
    session.close().await.expect("closed");
    assert_eq!(build(&bench.db, Duration::from_secs(60)).await.expect("built"), StepRun::Ran);
    test.drop().await;
}
