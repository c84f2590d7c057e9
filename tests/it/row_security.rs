//! Policies that hide rows from the role that copies or judges: PostgreSQL refuses, and the error
//! names the cause.

use crossfade::{Database, Engine, Stage};
use crossfade_core::Key;
use crossfade_store::{EnterError, ReconcileStore, SchemaStore, StoreError};

use crate::support::{Bench, TestDatabase, compare_chunk, definition};

fn key(text: &str) -> Key {
    Key::new(vec![text.to_owned()])
}

/// A role that owns both tables, and the pool of a worker process that connects as it.
async fn as_owner(test: &TestDatabase, bench: &Bench) -> Database {
    let (base, name) = test.url.rsplit_once('/').expect("a database");
    let (scheme, rest) = base.split_once("//").expect("a scheme");
    let (_, host) = rest.rsplit_once('@').expect("a user");
    bench
        .sql(&format!(
            "create role {name} login; grant all on schema public to {name}; \
             grant all on all tables in schema public to {name}; \
             grant all on all sequences in schema public to {name}; \
             alter table people owner to {name}; alter table people_v2 owner to {name}"
        ))
        .await;
    let url = format!("{scheme}//{name}@{host}/{name}");
    let pool = Database::postgres_pool_options().connect(&url).await.expect("connects");
    Database::open(pool).await.expect("opens")
}

#[track_caller]
fn names_the_cause(error: &StoreError, table: &str) {
    let cause = std::error::Error::source(error).map(ToString::to_string).unwrap_or_default();
    let text = format!("{error}: {cause}");
    assert!(text.contains("row-level security"), "{text}");
    assert!(text.contains(table), "{text}");
    assert!(error.hint.as_deref().is_some_and(|hint| hint.contains("BYPASSRLS")), "{error:?}");
}

#[track_caller]
fn refused(error: EnterError) -> StoreError {
    match error {
        EnterError::Store(error) => error,
        EnterError::Closed => panic!("the epoch is open"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_behind_a_policy_are_refused_and_not_left_out() {
    let test = TestDatabase::create(Engine::Postgres, "policy").await;
    let bench = Bench::new(test.open().await).await;
    bench.sql("insert into people (id, name) values (1, 'seen'), (2, 'hidden')").await;
    let db = as_owner(&test, &bench).await;
    let state = bench.go(Stage::DualWrite).await;
    bench
        .sql(
            "alter table people enable row level security; \
             alter table people force row level security; \
             create policy seen on people using (name = 'seen')",
        )
        .await;
    let run = db.open_run(&state).await.map_err(refused).expect_err("it would see one row of two");
    names_the_cause(&run, "people");
    let chunk = compare_chunk(&db, &state, None, 10).await.expect_err("nor is it compared");
    names_the_cause(&chunk, "people");
    let repair = db.repair(&state, &key("2")).await.map_err(refused);
    names_the_cause(&repair.expect_err("nor repaired"), "people");
    assert!(bench.state().await.quarantined.is_empty(), "no row is to blame");

    // The owner without FORCE sees every row.
    bench.sql("alter table people no force row level security").await;
    compare_chunk(&db, &state, None, 10).await.expect("compared");
    test.drop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_of_new_behind_a_policy_are_not_taken_for_none() {
    let test = TestDatabase::create(Engine::Postgres, "policy_new").await;
    let bench = Bench::new(test.open().await).await;
    bench.sql("insert into people_v2 (person_id, name) values (1, 'hidden')").await;
    let db = as_owner(&test, &bench).await;
    bench
        .sql(
            "alter table people_v2 enable row level security; \
             alter table people_v2 force row level security",
        )
        .await;
    let error = db.new_has_rows(&definition()).await.expect_err("a row is there");
    names_the_cause(&error, "people_v2");
    test.drop().await;
}
