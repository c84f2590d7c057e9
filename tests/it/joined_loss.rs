//! What ends a caller's transaction ends all of it: dropped writes, panics, kept transactions,
//! deadlocks, lost connections.

use std::sync::{Arc, Mutex};

use crossfade::{
    Engine, Flags, Known, Migration, OperationId, Stage, Transaction, TransactionError, WriteError,
};
use tokio::sync::Barrier;

use crate::support::{
    Bench, People, PeopleError, TestDatabase, WAIT, drop_after, dropped_at_every_point, engines,
    eventually, panics, put, put_in,
};

async fn narrow(test: &TestDatabase, bench: &Bench) -> Bench {
    match test.engine {
        Engine::Mysql | Engine::Postgres => Bench { db: test.open_narrow(1).await },
        Engine::Sqlite => bench.clone(),
    }
}

/// Whatever is dropped, in any of its awaits, leaves both sides or neither and a connection that is
/// well: a write with an operation id, and a transaction from its begin to its commit.
#[tokio::test(flavor = "multi_thread")]
async fn dropping_them_anywhere_leaves_both_or_neither() {
    for engine in Engine::ALL {
        let test = TestDatabase::create(*engine, "dropped_in").await;
        let bench = Bench::new(test.open().await).await;
        bench.go(Stage::Live).await;
        let app = narrow(&test, &bench).await.app(&Flags::forced::<&str, bool>([])).await;
        let migration = app.migration("people").expect("registered");
        dropped_at_every_point(&bench, async |id, name| {
            migration
                .write_once(
                    &OperationId::random(),
                    &id,
                    |tx| async move { People::legacy(tx).put(id, name).await },
                    |tx| async move { People::new(tx).put(id, name).await },
                )
                .await
                .map(|once| once.applied().expect("the first"))
        })
        .await;
        dropped_at_every_point(&bench, async |id, name| -> Result<u64, PeopleError> {
            let mut transaction = app.begin().await?;
            let written = put_in(&migration, &mut transaction, id, name).await;
            let written = written.map_err(|_| PeopleError::Told)?;
            transaction.commit().await.map_err(|_| PeopleError::Told)?;
            Ok(written)
        })
        .await;
        drop((migration, app));
        test.drop().await;
    }
}

/// The caller catches the timeout, say, and commits what it believes to be the rest.
#[tokio::test(flavor = "multi_thread")]
async fn a_commit_behind_a_dropped_write_keeps_nothing() {
    for engine in Engine::ALL {
        let test = TestDatabase::create(*engine, "behind").await;
        let bench = Bench::new(test.open().await).await;
        let app = narrow(&test, &bench).await.app(&Flags::forced::<&str, bool>([])).await;
        let migration = app.migration("people").expect("registered");
        // In the first stage New refuses, so the write goes back to its savepoint.
        for (stage, id, name) in [(Stage::DualWrite, 1, "bad"), (Stage::Live, 2, "good")] {
            bench.go(stage).await;
            put(&migration, id + 10, "now").await.expect("the stage is known");
            for polls in 1.. {
                assert!(polls < 1000, "the write never gets through");
                let mut transaction = app.begin().await.expect("begins");
                put_in(&migration, &mut transaction, id + 20, "before").await.expect("written");
                let written =
                    drop_after(put_in(&migration, &mut transaction, id, name), polls).await;
                if let Some(written) = written {
                    written.expect("written");
                    transaction.commit().await.expect("commits");
                    break;
                }
                let next = put_in(&migration, &mut transaction, id + 30, "next").await;
                assert!(matches!(next, Err(WriteError::TransactionOver)), "{next:?}");
                let over = transaction.commit().await;
                assert!(matches!(over, Err(TransactionError::Over)), "{engine}: {over:?}");
                for id in [id, id + 20, id + 30] {
                    bench.expect(id, None, None).await;
                }
            }
            bench.expect(id + 20, Some("before"), Some("before")).await;
            bench.expect(id, Some(name), (name == "good").then_some(name)).await;
        }
        drop((migration, app));
        test.drop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_panic_or_a_kept_transaction_ends_it() {
    engines("panic_in", async |db, _| {
        let bench = Bench::new(db).await;
        bench.go(Stage::Live).await;
        let app = bench.app(&Flags::forced::<&str, bool>([])).await;
        let migration = app.migration("people").expect("registered");

        let mut transaction = app.begin().await.expect("begins");
        put_in(&migration, &mut transaction, 1, "before").await.expect("written");
        let panicking = migration.write_in(
            &mut transaction,
            &2i64,
            |tx| async move { People::legacy(tx).put(2, "half").await },
            |_tx| async move { panic!("told to panic") },
        );
        assert!(panics(panicking).await);
        let over = transaction.commit().await.expect_err("it is over");
        assert_eq!(over.known(), Known::TransactionUndone);

        let mut transaction = app.begin().await.expect("begins");
        put_in(&migration, &mut transaction, 1, "before").await.expect("written");
        let kept = Mutex::new(None);
        let keeping = migration
            .write_in(
                &mut transaction,
                &2i64,
                |tx| async move { People::legacy(tx).put(2, "half").await },
                |tx| {
                    *kept.lock().expect("not poisoned") = Some(tx);
                    async { Ok(1) }
                },
            )
            .await;
        assert!(matches!(keeping, Err(WriteError::TransactionKept)), "{keeping:?}");
        drop(kept);
        assert!(matches!(transaction.commit().await, Err(TransactionError::Over)));
        bench.expect(1, None, None).await;
        bench.expect(2, None, None).await;
        put(&migration, 1, "well").await.expect("written");
    })
    .await;
}

async fn cross(
    begun: Transaction,
    migration: Migration,
    keys: (i64, i64),
    meet: Arc<Barrier>,
) -> Result<(), WriteError<PeopleError>> {
    let mut transaction = begun;
    put_in(&migration, &mut transaction, keys.0, "crossed").await?;
    meet.wait().await;
    let second = put_in(&migration, &mut transaction, keys.1, "crossed").await;
    if second.is_err() {
        let over = transaction.commit().await;
        assert!(matches!(over, Err(TransactionError::Over)), "{over:?}");
        second?;
        return Ok(());
    }
    transaction.commit().await.expect("the one that survives commits");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deadlock_ends_one_of_two_transactions() {
    for engine in [Engine::Mysql, Engine::Postgres] {
        let test = TestDatabase::create(engine, "cross_in").await;
        let bench = Bench::new(test.open().await).await;
        bench.go(Stage::Live).await;
        let app = bench.app(&Flags::forced::<&str, bool>([])).await;
        let migration = app.migration("people").expect("registered");
        let meet = Arc::new(Barrier::new(2));
        let mut both = Vec::new();
        for keys in [(1, 2), (2, 1)] {
            let begun = app.begin().await.expect("begins");
            both.push(tokio::spawn(cross(begun, migration.clone(), keys, meet.clone())));
        }
        let mut ended = Vec::new();
        for one in both {
            ended.push(tokio::time::timeout(WAIT, one).await.expect("ends").expect("no panic"));
        }
        ended.sort_by_key(Result::is_err);
        let [Ok(()), Err(error)] = &ended[..] else { panic!("{engine}: {ended:?}") };
        assert!(matches!(error, WriteError::Aborted(_)), "{error:?}");
        assert_eq!(error.known(), Known::TransactionUndone);
        for id in [1, 2] {
            bench.expect(id, Some("crossed"), Some("crossed")).await;
        }
        drop((migration, app));
        test.drop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_connection_ends_it() {
    for engine in [Engine::Mysql, Engine::Postgres] {
        let test = TestDatabase::create(engine, "lost_in").await;
        let bench = Bench::new(test.open().await).await;
        bench.go(Stage::Live).await;
        let (proxy, db) = test.open_behind_proxy().await;
        let app = Bench { db }.app(&Flags::forced::<&str, bool>([])).await;
        let migration = app.migration("people").expect("registered");
        let mut transaction = app.begin().await.expect("begins");
        put_in(&migration, &mut transaction, 1, "before").await.expect("written");
        proxy.cut();
        let lost = put_in(&migration, &mut transaction, 2, "after").await.expect_err("lost");
        assert!(matches!(lost, WriteError::Aborted(_)), "{engine}: {lost:?}");
        assert!(matches!(transaction.commit().await, Err(TransactionError::Over)));
        eventually("a write gets through again", async || put(&migration, 3, "well").await.is_ok())
            .await;
        bench.expect(1, None, None).await;
        bench.expect(2, None, None).await;
        drop((migration, app));
        test.drop().await;
    }
}

/// MariaDB ends the whole transaction at a deadlock. A closure that goes on in spite of it writes
/// outside of what the caller began.
#[tokio::test(flavor = "multi_thread")]
async fn a_swallowed_deadlock_ends_it() {
    let test = TestDatabase::create(Engine::Mysql, "swallowed_in").await;
    let bench = Bench::new(test.open().await).await;
    bench.go(Stage::DualWrite).await;
    bench.sql("insert into people select seq, 'old' from seq_1_to_50").await;
    let app = bench.app(&Flags::forced::<&str, bool>([])).await;
    let migration = app.migration("people").expect("registered");
    let mut heavy = bench.db.mysql().expect("MariaDB").begin().await.expect("begins");
    let update = "update people set name = 'heavy' where id between 3 and 40";
    sqlx::raw_sql(update).execute(&mut *heavy).await.expect("updated");
    let mut transaction = app.begin().await.expect("begins");
    put_in(&migration, &mut transaction, 60, "before").await.expect("written");
    let waiting = async {
        eventually("the write waits", async || bench.sessions_waiting().await == 1).await;
        let update = "update people set name = 'heavy' where id = 1";
        sqlx::raw_sql(update).execute(&mut *heavy).await.expect("updated");
        heavy.rollback().await.expect("rolled back");
    };
    let swallowing = migration.write_in(
        &mut transaction,
        &1i64,
        |tx| async move {
            let people = People::legacy(tx);
            people.put(1, "mine").await?;
            // Waits for the row of the other, who then waits for the one above.
            Ok(people.put(3, "mine too").await.unwrap_or(0))
        },
        |tx| async move { People::new(tx).put(1, "outside").await },
    );
    let (swallowed, ()) = tokio::join!(swallowing, waiting);
    assert!(matches!(swallowed, Err(WriteError::Aborted(_))), "{swallowed:?}");
    assert!(matches!(transaction.commit().await, Err(TransactionError::Over)));
    bench.expect(1, Some("old"), None).await;
    bench.expect(60, None, None).await;
    drop((migration, app));
    test.drop().await;
}
