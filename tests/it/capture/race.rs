//! Writers around the SDK, writers through it and repairs at once, on few keys.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crossfade::{Engine, Flags, Stage};
use crossfade_core::CaptureMode;
use crossfade_reconcile::{
    JournalHooks, JournalMode, JournalSettings, cancellation, repair_journal,
};
use crossfade_store::{CaptureStore, Cleaned, DirtyKey};

use super::{capture, capturing, compared, dirty, plain, repair};
use crate::support::{Bench, TestDatabase, WAIT, definition, delete, eventually, put};

async fn only_mark(bench: &Bench) -> DirtyKey {
    let mut keys = bench.db.dirty_keys(&bench.state().await, None, 10).await.expect("the journal");
    assert_eq!(keys.len(), 1, "{keys:?}");
    keys.remove(0)
}

/// A mark that a later write left is not taken for the one that was read.
#[tokio::test(flavor = "multi_thread")]
async fn a_mark_is_never_taken_for_a_later_one() {
    capturing("marks", async |bench, _| {
        let state = bench.go(Stage::DualWrite).await;
        capture(&bench, CaptureMode::Journal).await;
        plain(&bench.db, "insert into people values (1, 'first')").await.expect("written");
        let first = only_mark(&bench).await;
        plain(&bench.db, "update people set name = 'second'").await.expect("written");
        let second = only_mark(&bench).await;
        assert_ne!(first.version, second.version);
        let stale = bench.db.clean(&state, &first).await.expect("asked");
        assert_eq!(stale, Cleaned::Gone, "the key is left to whoever read the later mark");
        assert_eq!(only_mark(&bench).await, second);
        assert_eq!(bench.db.clean(&state, &second).await.expect("cleaned"), Cleaned::Equal);
        // The row of the journal is a new one, and its number must not be an old one.
        plain(&bench.db, "update people set name = 'third'").await.expect("written");
        let third = only_mark(&bench).await;
        assert!(![first.version, second.version].contains(&third.version));
        assert_eq!(bench.db.clean(&state, &third).await.expect("cleaned"), Cleaned::Equal);
        bench.expect(1, Some("third"), Some("third")).await;
    })
    .await;
}

/// The repair has found no Legacy row and taken New's away; the row that comes back meanwhile has
/// left a mark of its own by the time it is seen.
#[tokio::test(flavor = "multi_thread")]
async fn a_row_that_comes_back_beside_its_repair_keeps_its_mark() {
    let test = TestDatabase::create(Engine::Postgres, "comes_back").await;
    let bench = Bench::new(test.open().await).await;
    bench.go(Stage::DualWrite).await;
    plain(&bench.db, "insert into people values (1, 'old')").await.expect("written");
    plain(&bench.db, "insert into people_v2 values (1, 'old')").await.expect("written");
    capture(&bench, CaptureMode::Journal).await;
    plain(&bench.db, "delete from people").await.expect("deleted");
    let mark = only_mark(&bench).await;
    let mut writer = bench.db.postgres().expect("PostgreSQL").begin().await.expect("begin");
    sqlx::raw_sql("insert into people values (1, 'back')")
        .execute(&mut *writer)
        .await
        .expect("written");
    let state = bench.state().await;
    let cleaning = tokio::spawn({
        let (db, state) = (bench.db.clone(), state.clone());
        async move { db.clean(&state, &mark).await }
    });
    eventually("the repair waits for the mark", async || bench.sessions_waiting().await == 1).await;
    writer.commit().await.expect("committed");
    assert_eq!(cleaning.await.expect("no panic").expect("cleaned"), Cleaned::Equal);
    assert_eq!(dirty(&bench).await, ["1"], "the later mark stays");
    assert_eq!(repair(&bench).await.repaired, 1);
    bench.expect(1, Some("back"), Some("back")).await;
    test.drop().await;
}

/// A writer takes the Legacy row and then the mark. A repair that took them the other way round
/// would stand in its way, each waiting for the other.
#[tokio::test(flavor = "multi_thread")]
async fn a_repair_that_waits_for_legacy_holds_no_mark() {
    capturing("lock_order", async |bench, _| {
        let state = bench.go(Stage::DualWrite).await;
        capture(&bench, CaptureMode::Journal).await;
        plain(&bench.db, "insert into people values (1, 'one')").await.expect("written");
        let mark = only_mark(&bench).await;
        let hold = "begin; select * from people where id = 1 for update";
        let cleaning = || {
            let (db, state, mark) = (bench.db.clone(), state.clone(), mark.clone());
            tokio::spawn(async move { db.clean(&state, &mark).await })
        };
        let waits = async || bench.sessions_waiting().await > 0;
        let free = "select * from crossfade_journal for update nowait";
        // How the repair ends depends on how soon the row is let go.
        let cleaned = if let Some(pool) = bench.db.postgres() {
            let mut holder = pool.acquire().await.expect("a connection");
            sqlx::raw_sql(hold).execute(&mut *holder).await.expect("held");
            let cleaning = cleaning();
            eventually("the repair waits", waits).await;
            plain(&bench.db, free).await.expect("nobody holds the mark");
            sqlx::raw_sql("rollback").execute(&mut *holder).await.expect("let go");
            cleaning
        } else {
            let mut holder = bench.db.mysql().expect("MariaDB").acquire().await.expect("one");
            sqlx::raw_sql(hold).execute(&mut *holder).await.expect("held");
            let cleaning = cleaning();
            eventually("the repair waits", waits).await;
            plain(&bench.db, free).await.expect("nobody holds the mark");
            sqlx::raw_sql("rollback").execute(&mut *holder).await.expect("let go");
            cleaning
        };
        let cleaned = cleaned.await.expect("no panic");
        if cleaned.is_ok() {
            bench.expect(1, Some("one"), Some("one")).await;
        }
    })
    .await;
}

/// A writer in no hurry holds its own keys up and no others.
#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_a_writer_holds_is_passed_over() {
    capturing("held", async |bench, _| {
        bench.go(Stage::DualWrite).await;
        capture(&bench, CaptureMode::Journal).await;
        plain(&bench.db, "insert into people values (1, 'a'), (2, 'b')").await.expect("written");
        let hold = "begin; update people set name = 'held' where id = 1";
        let report = if let Some(pool) = bench.db.postgres() {
            let mut holder = pool.acquire().await.expect("a connection");
            sqlx::raw_sql(hold).execute(&mut *holder).await.expect("held");
            let report = repair(&bench).await;
            sqlx::raw_sql("commit").execute(&mut *holder).await.expect("committed");
            report
        } else {
            let mut holder = bench.db.mysql().expect("MariaDB").acquire().await.expect("one");
            sqlx::raw_sql(hold).execute(&mut *holder).await.expect("held");
            let report = repair(&bench).await;
            sqlx::raw_sql("commit").execute(&mut *holder).await.expect("committed");
            report
        };
        assert_eq!((report.repaired, report.left), (1, 1));
        bench.expect(2, Some("b"), Some("b")).await;
        assert_eq!(repair(&bench).await.repaired, 1);
        bench.expect(1, Some("held"), Some("held")).await;
    })
    .await;
}

/// What a writer without the SDK does with a key, in turn. It comes to the key that it moves to first,
/// so that writers meet on Legacy in one order.
fn statement(engine: Engine, turn: u32, key: i64) -> String {
    let upsert = match engine {
        Engine::Mysql => "on duplicate key update name = values(name)",
        _ => "on conflict (id) do update set name = excluded.name",
    };
    let away = key + 100;
    match turn % 5 {
        0 => format!("delete from people where id = {key}"),
        1 => format!(
            "delete from people where id = {away}; update people set id = {away} where id = {key}"
        ),
        2 => format!("delete from people where id = {away}"),
        3 => format!("update people set name = 'turn {turn}' where id = {key}"),
        _ => format!("insert into people values ({key}, 'turn {turn}') {upsert}"),
    }
}

/// Few keys, many writers, several workers: nothing deadlocks, and nothing is lost. Each writer
/// takes its keys in order, so Legacy alone gives no reason for a deadlock.
#[tokio::test(flavor = "multi_thread")]
async fn hot_keys() {
    capturing("hot", async |bench, _| {
        bench.go(Stage::DualWrite).await;
        capture(&bench, CaptureMode::Journal).await;
        let app = bench.app(&Flags::forced::<&str, bool>([])).await;
        let migration = app.migration("people").expect("registered");
        let (canceller, cancel) = cancellation();
        let workers: Vec<_> = (0..3)
            .map(|_| {
                let (db, cancel) = (bench.db.clone(), cancel.clone());
                tokio::spawn(async move {
                    let settings = JournalSettings { mode: JournalMode::Follow, workers: 1 };
                    let hooks = JournalHooks { progress: &|_| {}, cancel };
                    repair_journal(&db, &db, &definition().name, settings, hooks).await
                })
            })
            .collect();
        let over = Arc::new(AtomicBool::new(false));
        let fenced = tokio::spawn({
            let over = Arc::clone(&over);
            async move {
                let mut turn = 0;
                while !over.load(Ordering::Relaxed) {
                    turn += 1;
                    let id = turn % 4;
                    if turn % 3 == 0 {
                        delete(&migration, id).await.expect("deleted");
                    } else {
                        put(&migration, id, &format!("fenced {turn}")).await.expect("written");
                    }
                }
            }
        });
        let writers: Vec<_> = (0..4u32)
            .map(|writer| {
                let db = bench.db.clone();
                tokio::spawn(async move {
                    for turn in 0..150 {
                        let key = i64::from((turn * 7 + writer) % 4);
                        let engine = db.engine();
                        let two = [
                            statement(engine, turn + writer, key),
                            statement(engine, turn, key + 1),
                        ];
                        let sql = format!("begin; {}; commit", two.join("; "));
                        written(&db, &sql).await;
                    }
                })
            })
            .collect();
        for writer in writers {
            writer.await.expect("every writer gets through");
        }
        over.store(true, Ordering::Relaxed);
        fenced.await.expect("the SDK gets through");
        eventually("the journal is worked off", async || dirty(&bench).await.is_empty()).await;
        canceller.cancel();
        let mut repaired = 0;
        for worker in workers {
            let report = tokio::time::timeout(WAIT, worker).await.expect("it ends");
            let report = report.expect("no panic").expect("no error");
            assert!(report.interrupted);
            repaired += report.repaired;
        }
        assert!(repaired > 0, "the workers had something to do");
        assert_eq!(compared(&bench).await.found.total(), 0);
        assert!(bench.state().await.quarantined.is_empty());
    })
    .await;
}

/// Writes, where the key may be there already. Any other error is one that the writer would not
/// have had without the capture.
async fn written(db: &crossfade::Database, sql: &str) {
    let duplicate = |error: &sqlx::Error| {
        error.as_database_error().is_some_and(sqlx::error::DatabaseError::is_unique_violation)
    };
    let outcome = if let Some(pool) = db.postgres() {
        let mut connection = pool.acquire().await.expect("a connection");
        let sql = sqlx::AssertSqlSafe(sql);
        let outcome = sqlx::raw_sql(sql).execute(&mut *connection).await.map(drop);
        sqlx::raw_sql("rollback").execute(&mut *connection).await.expect("rolled back");
        outcome
    } else {
        let mut connection = db.mysql().expect("MariaDB").acquire().await.expect("one");
        // Otherwise writers lock the gaps between Legacy's keys, and deadlock by themselves.
        let level = "set transaction isolation level read committed";
        let sql = sqlx::AssertSqlSafe(format!("{level}; {sql}"));
        let outcome = sqlx::raw_sql(sql).execute(&mut *connection).await.map(drop);
        sqlx::raw_sql("rollback").execute(&mut *connection).await.expect("rolled back");
        outcome
    };
    if let Err(error) = outcome {
        assert!(duplicate(&error), "{sql}: {error}");
    }
}
