//! What each mode does, and that a fenced write passes.

use crossfade::{Engine, Flags, Stage};
use crossfade_core::{CaptureMode, Epoch, Key};
use crossfade_store::{CaptureStore, EnterError, Entry, FencedStore};

use super::{capture, capturing, change, compared, dirty, plain, repair};
use crate::support::{Bench, TestDatabase, delete, put};

/// Operations and their numbers of rows, as they were observed.
async fn observed(bench: &Bench) -> Vec<(String, u64)> {
    let bypasses = bench.db.bypasses(&bench.state().await).await.expect("observed");
    let mut found: Vec<_> =
        bypasses.into_iter().map(|bypass| (bypass.operation, bypass.writes)).collect();
    found.sort();
    found
}

#[tokio::test(flavor = "multi_thread")]
async fn observe_counts_who_goes_around() {
    capturing("observe", async |bench, _| {
        bench.go(Stage::DualWrite).await;
        capture(&bench, CaptureMode::Observe).await;
        let app = bench.app(&Flags::forced::<&str, bool>([])).await;
        let migration = app.migration("people").expect("registered");
        put(&migration, 1, "fenced").await.expect("written");
        delete(&migration, 1).await.expect("deleted");
        assert_eq!(observed(&bench).await, [], "the SDK's own writes are not counted");
        for sql in [
            "insert into people values (1, 'a'), (2, 'b'), (3, 'c')",
            "update people set name = 'd' where id < 3",
            "update people set name = 'nobody' where id = 99",
            "delete from people where id = 3",
        ] {
            plain(&bench.db, sql).await.expect("observing is no hindrance");
        }
        let counts = [("delete", 1), ("insert", 3), ("update", 2)];
        let counts = counts.map(|(operation, writes)| (operation.to_owned(), writes));
        assert_eq!(observed(&bench).await, counts);
        assert_eq!(dirty(&bench).await, Vec::<String>::new());
        let seen = bench.db.bypasses(&bench.state().await).await.expect("observed");
        assert!(seen.iter().all(|bypass| !bypass.writer.is_empty()
            && bypass.first_ms > 0
            && bypass.first_ms <= bypass.last_ms));
        if bench.db.engine() == Engine::Postgres {
            assert!(seen.iter().all(|bypass| bypass.application == "crossfade"), "{seen:?}");
            plain(&bench.db, "truncate people").await.expect("observing is no hindrance");
            assert!(observed(&bench).await.contains(&("truncate".to_owned(), 1)));
        }
        change(&bench.db, None).await.expect("removed");
        plain(&bench.db, "insert into people values (9, 'i')").await.expect("written");
        assert_eq!(observed(&bench).await, []);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn journal_keeps_keys_until_they_are_repaired() {
    capturing("journal", async |bench, _| {
        for sql in ["insert into people values (1, 'one'), (2, 'two'), (3, 'three'), (4, 'four')"] {
            plain(&bench.db, sql).await.expect("written");
        }
        bench.go(Stage::DualWrite).await;
        capture(&bench, CaptureMode::Journal).await;
        let app = bench.app(&Flags::forced::<&str, bool>([])).await;
        let migration = app.migration("people").expect("registered");
        for id in 1..=4 {
            put(&migration, id, "both").await.expect("written");
        }
        assert_eq!(dirty(&bench).await, Vec::<String>::new(), "fenced writes leave no mark");

        for sql in [
            "insert into people values (5, 'plain')",
            "update people set name = 'plain' where id = 1",
            "update people set id = 20 where id = 2",
            "delete from people where id = 3",
        ] {
            plain(&bench.db, sql).await.expect("journaling is no hindrance");
        }
        assert_eq!(dirty(&bench).await, ["1", "2", "20", "3", "5"], "old and new keys");
        let before = compared(&bench).await;
        assert_eq!(before.found.total(), 0, "what the journal knows of is no difference");

        let report = repair(&bench).await;
        assert_eq!((report.repaired, report.left), (5, 0));
        bench.expect(1, Some("plain"), Some("plain")).await;
        bench.expect(2, None, None).await;
        bench.expect(20, Some("both"), Some("both")).await;
        bench.expect(3, None, None).await;
        bench.expect(5, Some("plain"), Some("plain")).await;
        let after = compared(&bench).await;
        assert_eq!((after.compared, after.found.total()), (4, 0));
        assert_eq!(repair(&bench).await.repaired, 0, "nothing is repaired twice");
    })
    .await;
}

/// A row that New refuses goes to quarantine, and comes out by the write that mends it.
#[tokio::test(flavor = "multi_thread")]
async fn a_journaled_row_that_new_refuses() {
    capturing("journal_bad", async |bench, _| {
        bench.go(Stage::DualWrite).await;
        capture(&bench, CaptureMode::Journal).await;
        plain(&bench.db, "insert into people values (1, 'bad')").await.expect("written");
        let report = repair(&bench).await;
        assert_eq!((report.repaired, report.quarantined, report.left), (0, 1, 0));
        assert!(bench.state().await.quarantined.contains("1"));
        plain(&bench.db, "update people set name = 'good'").await.expect("written");
        assert_eq!(repair(&bench).await.repaired, 1);
        assert!(bench.state().await.quarantined.is_empty());
        bench.expect(1, Some("good"), Some("good")).await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn reject_refuses_all_but_the_sdk() {
    capturing("reject", async |bench, _| {
        bench.go(Stage::DualWrite).await;
        capture(&bench, CaptureMode::Reject).await;
        let app = bench.app(&Flags::forced::<&str, bool>([])).await;
        let migration = app.migration("people").expect("registered");
        put(&migration, 1, "fenced").await.expect("the SDK passes");
        let mut refused = vec![
            "insert into people values (2, 'b')",
            "update people set name = 'b'",
            "delete from people",
        ];
        if bench.db.engine() == Engine::Postgres {
            refused.push("truncate people");
        }
        for sql in refused {
            let error = plain(&bench.db, sql).await.expect_err(sql).to_string();
            assert!(error.contains("does not pass the fence of"), "{sql}: {error}");
            assert!(error.contains("people"), "{sql}: {error}");
        }
        bench.expect(1, Some("fenced"), Some("fenced")).await;
        delete(&migration, 1).await.expect("the SDK passes");
        bench.expect(1, None, None).await;
    })
    .await;
}

/// A row trigger sees no rows of a TRUNCATE, so a journal refuses it.
#[tokio::test(flavor = "multi_thread")]
async fn a_journal_refuses_truncate() {
    let test = TestDatabase::create(Engine::Postgres, "truncate").await;
    let bench = Bench::new(test.open().await).await;
    plain(&bench.db, "insert into people values (1, 'one')").await.expect("written");
    capture(&bench, CaptureMode::Journal).await;
    let error = plain(&bench.db, "truncate people").await.expect_err("no keys").to_string();
    assert!(error.contains("leaves no keys for the journal"), "{error}");
    bench.expect(1, Some("one"), None).await;
    test.drop().await;
}

/// Whatever ends a fenced transaction, the next borrower of its connection has passed no fence.
#[tokio::test(flavor = "multi_thread")]
async fn the_pass_ends_with_its_transaction() {
    for engine in [Engine::Postgres, Engine::Mysql] {
        let test = TestDatabase::create(engine, "leak").await;
        let wide = Bench::new(test.open().await).await;
        wide.go(Stage::DualWrite).await;
        capture(&wide, CaptureMode::Reject).await;
        let narrow = test.open_narrow(1).await;
        let state = wide.state().await;
        let key = Key::new(vec!["1".to_owned()]);
        let entry = Entry { migration: &state.definition.name, epoch: state.epoch, key: &key };
        let refused = async |what: &str| {
            let sql = "insert into people values (99, 'plain')";
            let error = plain(&narrow, sql).await.expect_err(what).to_string();
            assert!(error.contains("does not pass the fence"), "{what}: {error}");
        };
        refused("at first").await;
        let mut tx = narrow.enter(entry, None).await.expect("the epoch is open");
        write(&mut tx, 1).await.expect("fenced");
        narrow.commit(tx).await.expect("commits");
        refused("after a commit").await;
        let mut tx = narrow.enter(entry, None).await.expect("the epoch is open");
        write(&mut tx, 2).await.expect("fenced");
        narrow.rollback(tx).await;
        refused("after a rollback").await;
        let mut tx = narrow.enter(entry, None).await.expect("the epoch is open");
        write(&mut tx, 3).await.expect("fenced");
        drop(tx);
        refused("after a transaction was dropped").await;
        let closed = Entry { epoch: Epoch::new(1), ..entry };
        let turned_away = narrow.enter(closed, None).await;
        assert!(matches!(turned_away, Err(EnterError::Closed)), "{turned_away:?}");
        refused("after a closed epoch").await;
        let mut tx = narrow.enter(entry, None).await.expect("the epoch is open");
        write(&mut tx, 1).await.expect_err("it is there");
        narrow.commit(tx).await.ok();
        refused("after a failed statement").await;
        wide.expect(1, Some("fenced"), None).await;
        wide.expect(2, None, None).await;
        test.drop().await;
    }
}

async fn write(tx: &mut crossfade_sql::Tx, id: i64) -> Result<(), sqlx::Error> {
    let sql = sqlx::AssertSqlSafe(format!("insert into people values ({id}, 'fenced')"));
    match tx.engine() {
        Engine::Postgres => sqlx::raw_sql(sql).execute(tx.postgres()?).await.map(drop),
        _ => sqlx::raw_sql(sql).execute(tx.mysql()?).await.map(drop),
    }
}

/// A fence of another migration is none of this one's.
#[tokio::test(flavor = "multi_thread")]
async fn each_migration_has_a_fence_of_its_own() {
    use crossfade_store::ControlStore;
    capturing("two_fences", async |bench, _| {
        bench.go(Stage::DualWrite).await;
        capture(&bench, CaptureMode::Reject).await;
        let mut other = crate::support::definition();
        other.name = "other".parse().expect("a name");
        bench.db.register(&other, "test").await.expect("registered");
        let key = Key::new(vec!["1".to_owned()]);
        let entry = Entry { migration: &other.name, epoch: Epoch::new(1), key: &key };
        let mut tx = bench.db.enter(entry, None).await.expect("the epoch is open");
        let error = write(&mut tx, 1).await.expect_err("another fence").to_string();
        assert!(error.contains("fence of"), "{error}");
        bench.db.rollback(tx).await;
    })
    .await;
}

/// Writers count in rows of their own connections: one that holds its count holds nobody up.
#[tokio::test(flavor = "multi_thread")]
async fn a_writer_does_not_wait_for_anothers_count() {
    capturing("counts", async |bench, _| {
        capture(&bench, CaptureMode::Observe).await;
        let begin = "begin; insert into people values (1, 'held')";
        let commit = "commit";
        let bounded = async |sql: &str| {
            let written = plain(&bench.db, sql);
            tokio::time::timeout(crate::support::WAIT, written).await.expect("it does not wait")
        };
        if let Some(pool) = bench.db.postgres() {
            let mut holder = pool.acquire().await.expect("a connection");
            sqlx::raw_sql(begin).execute(&mut *holder).await.expect("written");
            bounded("insert into people values (2, 'free')").await.expect("written");
            sqlx::raw_sql(commit).execute(&mut *holder).await.expect("committed");
        } else {
            let mut holder = bench.db.mysql().expect("MariaDB").acquire().await.expect("one");
            sqlx::raw_sql(begin).execute(&mut *holder).await.expect("written");
            bounded("insert into people values (2, 'free')").await.expect("written");
            sqlx::raw_sql(commit).execute(&mut *holder).await.expect("committed");
        }
        assert_eq!(observed(&bench).await, [("insert".to_owned(), 2)]);
    })
    .await;
}
