//! One statement has one snapshot, taken before it waits for anything. These are the schedules in
//! which that would split a pair, and what a declared pair makes of them. And it has the locks on its
//! tables before it sets a bound for any.

use crossfade::{Database, Engine, Flags, Migration, Stage};
use crossfade_core::{Epoch, ToKey, epoch_lock_id, key_lock_id};
use crossfade_store::{Entry, FencedStore};
use sqlx::AssertSqlSafe;

use super::{because, put, upserts};
use crate::support::{Bench, People, TestDatabase, WAIT, definition, eventually};

const DELETES: [&str; 2] = [
    "delete from people where id = $1 and $2 <> ''",
    "delete from people_v2 where person_id = $1 and $2 <> ''",
];

/// The statement that such a pair must not travel as.
async fn in_one_statement(
    db: &Database,
    epoch: Epoch,
    [legacy, new]: [&str; 2],
    name: &str,
    lock_ms: Option<u32>,
) {
    let (migration, key) = (definition().name, 1i64.to_key());
    let sql = format!(
        "with l as ({legacy} returning 1), n as ({new} returning 1) \
         select case when crossfade_enter('crossfade_fence_people', {epoch}, {}, {}, {}) is null \
         then null else (select count(*) from l) end, (select count(*) from n)",
        epoch_lock_id("public", &migration, epoch),
        key_lock_id("public", &migration, &key),
        lock_ms.map_or("null".to_owned(), |bound| bound.to_string()),
    );
    let query = sqlx::query(AssertSqlSafe(sql)).bind(1i64).bind(name);
    query.execute(db.postgres().expect("PostgreSQL")).await.expect("it is carried out");
}

/// Carries the write of key 1 out as one statement, and as the declared pair that it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    OneStatement,
    Declared,
}

async fn write(bench: Bench, migration: Migration, way: Way, pair: [String; 2]) {
    let pair = [pair[0].as_str(), pair[1].as_str()];
    match way {
        Way::OneStatement => {
            let epoch = bench.state().await.epoch;
            in_one_statement(&bench.db, epoch, pair, "second", None).await;
        }
        Way::Declared => {
            let statement = migration.statement(pair[0], pair[1]).await.expect("fits");
            because(&statement);
            put(&statement, 1, "second").await.expect("written");
        }
    }
}

async fn start(test: &TestDatabase, stage: Stage) -> (Bench, Migration, crossfade::Crossfade) {
    let bench = Bench::new(test.open().await).await;
    bench.go(stage).await;
    let app = bench.app(&Flags::forced::<&str, bool>([])).await;
    let migration = app.migration("people").expect("registered");
    (bench, migration, app)
}

/// A batch of backfill holds the Legacy row and copies it, while a delete waits for that row: with
/// a snapshot from before the copy the delete leaves it behind.
async fn a_batch_copies_what_is_deleted(way: Way) -> (Option<String>, Option<String>) {
    let test = TestDatabase::create(Engine::Postgres, "declared_batch").await;
    let (bench, migration, _app) = start(&test, Stage::DualWrite).await;
    bench.legacy().put(1, "first").await.expect("an old row");
    let mut batch = bench.db.postgres().expect("PostgreSQL").begin().await.expect("begin");
    for sql in [
        "select 1 from people where id = 1 for share",
        "insert into people_v2 (person_id, name) select id, name from people",
    ] {
        sqlx::query(sql).execute(&mut *batch).await.expect("the batch goes on");
    }
    let deletes = DELETES.map(str::to_owned);
    let deleted = tokio::spawn(write(bench.clone(), migration, way, deletes));
    eventually("the delete waits", async || bench.sessions_waiting().await == 1).await;
    batch.commit().await.expect("the batch commits");
    ended(deleted).await;
    let rows = sides(&bench).await;
    test.drop().await;
    rows
}

/// A write inserts the key while another, whose Legacy part is an update, waits for it: with a
/// snapshot from before, the update finds nothing, and the upsert on New does.
async fn an_update_follows_an_insert(way: Way) -> (Option<String>, Option<String>) {
    let test = TestDatabase::create(Engine::Postgres, "declared_update").await;
    let (bench, migration, _app) = start(&test, Stage::Live).await;
    let (name, key) = (definition().name, 1i64.to_key());
    let epoch = bench.state().await.epoch;
    let entry = Entry { migration: &name, epoch, key: &key };
    let mut first = bench.db.enter(entry, None).await.expect("the epoch is open");
    for side in [bench.legacy(), bench.new_side()] {
        side.put_on(&mut first, 1, "first").await.expect("written");
    }
    let [_, upsert] = upserts(Engine::Postgres);
    let pair = ["update people set name = $2 where id = $1".to_owned(), upsert];
    let second = tokio::spawn(write(bench.clone(), migration, way, pair));
    eventually("the second waits", async || bench.sessions_waiting().await == 1).await;
    bench.db.commit(first).await.expect("the first commits");
    ended(second).await;
    let rows = sides(&bench).await;
    test.drop().await;
    rows
}

async fn ended(task: tokio::task::JoinHandle<()>) {
    tokio::time::timeout(WAIT, task).await.expect("it ends").expect("no panic");
}

async fn sides(bench: &Bench) -> (Option<String>, Option<String>) {
    let get = async |people: People| people.get(1).await.expect("the side answers");
    (get(bench.legacy()).await, get(bench.new_side()).await)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_delete_in_one_statement_would_leave_a_row_on_new() {
    let split = a_batch_copies_what_is_deleted(Way::OneStatement).await;
    assert_eq!(split, (None, Some("first".to_owned())), "the trap is gone");
    assert_eq!(a_batch_copies_what_is_deleted(Way::Declared).await, (None, None));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_update_in_one_statement_would_miss_the_row_that_new_finds() {
    let (first, second) = (|| Some("first".to_owned()), || Some("second".to_owned()));
    let split = an_update_follows_an_insert(Way::OneStatement).await;
    assert_eq!(split, (first(), second()), "the trap is gone");
    assert_eq!(an_update_follows_an_insert(Way::Declared).await, (second(), second()));
}

/// The pair that does travel as one: its inserts find a row that has come since, and one that has
/// gone. A delete of both sides, in a transaction, is a write of another pair.
#[tokio::test(flavor = "multi_thread")]
async fn upserts_in_one_statement_see_what_they_have_waited_for() {
    let test = TestDatabase::create(Engine::Postgres, "declared_upserts").await;
    let (bench, migration, _app) = start(&test, Stage::Live).await;
    let [legacy, new] = upserts(Engine::Postgres);
    let statement = migration.statement(&legacy, &new).await.expect("fits");
    super::one_statement(&statement);
    let (name, key) = (definition().name, 1i64.to_key());
    let epoch = bench.state().await.epoch;
    // The row comes, changes, goes, and comes again, each time with a write behind it in the queue.
    for (turn, before) in ["comes", "changes", "goes", "comes again"].iter().enumerate() {
        let entry = Entry { migration: &name, epoch, key: &key };
        let mut first = bench.db.enter(entry, None).await.expect("the epoch is open");
        let deletes = *before == "goes";
        for (side, table) in
            [(bench.legacy(), "people where id"), (bench.new_side(), "people_v2 where person_id")]
        {
            if deletes {
                let sql = AssertSqlSafe(format!("delete from {table} = 1"));
                let connection = first.postgres().expect("PostgreSQL");
                sqlx::query(sql).execute(connection).await.expect("deleted");
            } else {
                side.put_on(&mut first, 1, before).await.expect("written");
            }
        }
        let behind = format!("behind {turn}");
        let second = tokio::spawn({
            let (statement, behind) = (statement.clone(), behind.clone());
            async move { put(&statement, 1, &behind).await.map(drop).expect("written") }
        });
        eventually("it waits for the key", async || bench.sessions_waiting().await == 1).await;
        bench.db.commit(first).await.expect("the first commits");
        ended(second).await;
        bench.expect(1, Some(&behind), Some(&behind)).await;
    }
    test.drop().await;
}

/// Why `dual_write` has transactions only: whoever holds New's table holds up a statement that names
/// it, though its fence would bound each wait that comes later.
#[tokio::test(flavor = "multi_thread")]
async fn a_bound_within_the_statement_would_come_too_late() {
    const BOUND: u32 = 50;
    let test = TestDatabase::create(Engine::Postgres, "declared_bound").await;
    let (bench, _migration, app) = start(&test, Stage::DualWrite).await;
    let pool = bench.db.postgres().expect("PostgreSQL");
    let mut holder = pool.begin().await.expect("begin");
    let lock = "lock table people_v2 in access exclusive mode";
    sqlx::query(lock).execute(&mut *holder).await.expect("locked");
    let (db, epoch) = (bench.db.clone(), bench.state().await.epoch);
    let waiting = tokio::spawn(async move {
        let [legacy, new] = upserts(Engine::Postgres);
        in_one_statement(&db, epoch, [&legacy, &new], "late", Some(BOUND)).await;
    });
    eventually("it waits", async || bench.sessions_waiting().await == 1).await;
    // Another waits from now on for as long as the bound, and is turned away by it.
    let mut bounded = pool.begin().await.expect("begin");
    let set = AssertSqlSafe(format!("set local lock_timeout = {BOUND}"));
    sqlx::query(set).execute(&mut *bounded).await.expect("bounded");
    let insert = "insert into people_v2 (person_id, name) values (2, 'bounded')";
    sqlx::query(insert).execute(&mut *bounded).await.expect_err("the bound holds here");
    bounded.rollback().await.expect("rollback");
    assert_eq!(bench.sessions_waiting().await, 1, "the trap is gone");
    holder.rollback().await.expect("rollback");
    ended(waiting).await;
    bench.expect(1, Some("late"), Some("late")).await;
    drop(app);
    test.drop().await;
}
