//! One statement enters its epoch as a transaction does: by the same locks, in the same order.

use std::time::Duration;

use crossfade::{Database, Engine, Flags, Side, Stage, StoreErrorKind};
use crossfade_core::{AtOnce, MigrationState, ToKey, key_lock_id};
use crossfade_sql::Mechanism;
use crossfade_store::{AtOnceError, Bind, ControlStore, DeclaredStore, Entry, FencedStore};
use sqlx::{Postgres, Transaction};

use super::{declared, one_statement, put, upserts};
use crate::support::{Bench, TestDatabase, WAIT, definition, eventually};

const SIDES: [AtOnce; 3] = [AtOnce::Both, AtOnce::Legacy, AtOnce::New];

/// A write of a key in the epoch of `state`, as one statement and nothing else.
async fn write(
    db: &Database,
    state: &MigrationState,
    sides: AtOnce,
    id: i64,
) -> Result<u64, AtOnceError> {
    let [legacy, new] = upserts(Engine::Postgres);
    let pair = db.declare(state, &legacy, &new).await.expect("fits");
    let mut bound = db.bound(&pair);
    bound.bind(id);
    bound.bind("written");
    let key = id.to_key();
    let entry = Entry { migration: &state.definition.name, epoch: state.epoch, key: &key };
    let answer = if sides == AtOnce::New { Side::New } else { Side::Legacy };
    tokio::time::timeout(WAIT, db.at_once(&bound, entry, sides, answer)).await.expect("it ends")
}

/// The lock of a key, held without an epoch's.
async fn hold_key(bench: &Bench, id: i64) -> Transaction<'static, Postgres> {
    let lock = key_lock_id("public", &definition().name, &id.to_key());
    let mut holder = bench.db.postgres().expect("PostgreSQL").begin().await.expect("begin");
    let hold = sqlx::query("select pg_advisory_xact_lock($1)").bind(lock);
    hold.execute(&mut *holder).await.expect("locked");
    holder
}

#[tokio::test(flavor = "multi_thread")]
async fn a_statement_under_way_keeps_its_epoch_open() {
    for sides in SIDES {
        let test = TestDatabase::create(Engine::Postgres, "declared_under_way").await;
        let bench = Bench::new(test.open().await).await;
        let state = bench.go(Stage::Live).await;
        let holder = hold_key(&bench, 1).await;
        let free = bench.db.without(Mechanism::KeyLock);
        write(&free, &state, sides, 1).await.expect("it is the key alone that it waits for");
        let writing = tokio::spawn({
            let (db, state) = (bench.db.clone(), state.clone());
            async move { write(&db, &state, sides, 1).await }
        });
        eventually("it waits for its key", async || bench.sessions_waiting().await == 1).await;
        bench.append(Stage::RampDown).await;
        let (name, short) = (&state.definition.name, Duration::from_millis(200));
        let closed = bench.db.close_epoch(name, state.epoch, short).await;
        assert_eq!(closed.expect_err("it is held").kind, StoreErrorKind::LockTimeout);
        holder.rollback().await.expect("rollback");
        assert_eq!(writing.await.expect("no panic").expect("the epoch is open"), 1);
        bench.db.close_epoch(name, state.epoch, short).await.expect("nobody holds it now");
        let late = write(&bench.db, &state, sides, 1).await;
        assert!(matches!(late, Err(AtOnceError::Closed)), "{sides:?}: {late:?}");
        test.drop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pending_close_turns_a_late_statement_away_at_once() {
    let test = TestDatabase::create(Engine::Postgres, "declared_pending").await;
    let bench = Bench::new(test.open().await).await;
    let state = bench.go(Stage::Live).await;
    let (name, key) = (state.definition.name.clone(), 1i64.to_key());
    let entry = Entry { migration: &name, epoch: state.epoch, key: &key };
    let writer = bench.db.enter(entry, None).await.expect("the epoch is open");
    let next = bench.append(Stage::RampDown).await;
    let closing = tokio::spawn({
        let (db, name) = (bench.db.clone(), name.clone());
        async move { db.close_epoch(&name, state.epoch, WAIT).await }
    });
    eventually("the closer waits", async || bench.sessions_waiting().await == 1).await;
    for sides in SIDES {
        let late = write(&bench.db, &state, sides, 2).await;
        assert!(matches!(late, Err(AtOnceError::Closed)), "{sides:?}: {late:?}");
        write(&bench.db, &next, sides, 3).await.expect("writers of the next epoch never wait");
    }
    assert!(!closing.is_finished(), "the writer is still inside");
    bench.db.commit(writer).await.expect("the first writer commits");
    closing.await.expect("no panic").expect("the epoch closes");
    bench.expect(2, None, None).await;
    bench.expect(3, Some("written"), Some("written")).await;
    test.drop().await;
}

/// Whoever has no business in an epoch does not stand in the queue of a key.
#[tokio::test(flavor = "multi_thread")]
async fn a_late_statement_does_not_wait_for_its_key() {
    let test = TestDatabase::create(Engine::Postgres, "declared_late").await;
    let bench = Bench::new(test.open().await).await;
    let state = bench.go(Stage::Live).await;
    bench.go(Stage::RampDown).await;
    let holder = hold_key(&bench, 1).await;
    for sides in SIDES {
        let late = write(&bench.db, &state, sides, 1).await;
        assert!(matches!(late, Err(AtOnceError::Closed)), "{sides:?}: {late:?}");
    }
    holder.rollback().await.expect("rollback");
    bench.expect(1, None, None).await;
    test.drop().await;
}

/// A statement cannot name its isolation, so where the default is another it is a transaction.
#[tokio::test(flavor = "multi_thread")]
async fn another_isolation_takes_a_transaction() {
    let test = TestDatabase::create(Engine::Postgres, "declared_isolation").await;
    let bench = Bench::new(test.open().await).await;
    let state = bench.go(Stage::Live).await;
    let pool = bench.db.postgres().expect("PostgreSQL");
    let name: String = sqlx::query_scalar("select current_database()::text")
        .fetch_one(pool)
        .await
        .expect("a name");
    let default = "default_transaction_isolation = 'repeatable read'";
    bench.sql(&format!("alter database {name} set {default}")).await;
    for sides in SIDES {
        // One that has not learnt of the default.
        let fresh = test.open().await;
        let refused = write(&fresh, &state, sides, 1).await;
        assert!(matches!(refused, Err(AtOnceError::NeedsTransaction)), "{sides:?}: {refused:?}");
    }
    bench.expect(1, None, None).await;
    let fresh = Bench { db: test.open().await };
    let app = fresh.app(&Flags::forced::<&str, bool>([])).await;
    let statement = declared(&app.migration("people").expect("registered"), Engine::Postgres).await;
    put(&statement, 1, "transaction").await.expect("written");
    one_statement(&statement);
    bench.expect(1, Some("transaction"), Some("transaction")).await;
    drop(app);
    test.drop().await;
}
