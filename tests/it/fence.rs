//! The fence: an epoch closes only behind its writers, and nobody writes in a closed one.

use std::time::Duration;

use crossfade::{Engine, Flags, Stage};
use crossfade_core::{Epoch, ToKey, epoch_lock_id};
use crossfade_store::{ControlStore, EnterError, Entry, FencedStore, StageChange, StoreErrorKind};

use sqlx::AssertSqlSafe;

use crate::support::{Bench, TestDatabase, WAIT, definition, engines, put};

#[tokio::test(flavor = "multi_thread")]
async fn a_writer_in_flight_keeps_its_epoch_open() {
    let test = TestDatabase::create(Engine::Postgres, "in_flight").await;
    let bench = Bench::new(test.open().await).await;
    let state = bench.state().await;
    let (name, key) = (&state.definition.name, 1i64.to_key());
    let entry = Entry { migration: name, epoch: state.epoch, key: &key };
    let writer = bench.db.enter(entry, None).await.expect("the epoch is open");
    bench.append(Stage::DeleteOnly).await;

    let short = Duration::from_millis(200);
    let error = bench.db.close_epoch(name, state.epoch, short).await.expect_err("it is held");
    assert_eq!(error.kind, StoreErrorKind::LockTimeout);
    assert!(bench.state().await.previous_open);
    let holders = bench.db.epoch_holders(name, state.epoch).await.expect("holders");
    assert_eq!(holders.len(), 1, "{holders:?}");
    assert!(holders[0].description.contains("idle in transaction"), "{holders:?}");

    bench.db.commit(writer).await.expect("the writer commits in its epoch");
    bench.db.close_epoch(name, state.epoch, short).await.expect("nobody holds it now");
    assert!(!bench.state().await.previous_open);
    test.drop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_enters_a_closed_epoch() {
    for engine in Engine::ALL {
        let test = TestDatabase::create(*engine, "closed").await;
        let bench = Bench::new(test.open().await).await;
        let before = bench.state().await;
        bench.go(Stage::DeleteOnly).await;
        let db = test.open_narrow(1).await;
        let key = 1i64.to_key();
        let entry = Entry { migration: &before.definition.name, epoch: before.epoch, key: &key };
        let error = db.enter(entry, None).await.expect_err("the epoch is closed");
        assert!(matches!(error, EnterError::Closed), "{error:?}");
        let unknown = Entry { epoch: Epoch::new(99), ..entry };
        assert!(matches!(db.enter(unknown, None).await, Err(EnterError::Closed)));
        // The one connection, which was refused, is usable again.
        let now = Entry { epoch: before.epoch.next(), ..entry };
        let entered = tokio::time::timeout(WAIT, db.enter(now, None)).await;
        let entered = entered.expect("the connection went back to the pool");
        db.rollback(entered.expect("the newest epoch is open")).await;
        drop((bench, db));
        test.drop().await;
    }
}

/// Between the closer's wait for its lock and its commit, a writer of that epoch is turned away at
/// once. Queueing instead would let it read the epoch as it stood before, or stand in the way of
/// those behind it.
#[tokio::test(flavor = "multi_thread")]
async fn a_pending_close_turns_late_writers_away_at_once() {
    let test = TestDatabase::create(Engine::Postgres, "pending").await;
    let bench = Bench::new(test.open().await).await;
    let state = bench.state().await;
    let (name, key) = (state.definition.name.clone(), 1i64.to_key());
    let entry = Entry { migration: &name, epoch: state.epoch, key: &key };
    let writer = bench.db.enter(entry, None).await.expect("the epoch is open");
    bench.append(Stage::DeleteOnly).await;
    let closing = tokio::spawn({
        let (bench, name) = (bench.clone(), name.clone());
        async move { bench.db.close_epoch(&name, state.epoch, WAIT).await }
    });
    crate::support::eventually("the closer waits for its lock", async || {
        bench.sessions_waiting().await == 1
    })
    .await;

    let other = 2i64.to_key();
    let late =
        tokio::time::timeout(WAIT, bench.db.enter(Entry { key: &other, ..entry }, None)).await;
    assert!(matches!(late, Ok(Err(EnterError::Closed))), "{late:?}");
    let next = Entry { epoch: state.epoch.next(), key: &other, ..entry };
    let next = bench.db.enter(next, None).await.expect("writers of the next epoch never wait");
    bench.db.rollback(next).await;

    bench.db.commit(writer).await.expect("the first writer commits");
    closing.await.expect("the closer ends").expect("the epoch closes");
    test.drop().await;
}

/// Under REPEATABLE READ the fence would read the epoch as of the transaction's first statement
/// and let a zombie in, so it refuses to. A write never runs under it, whatever the database's
/// default is.
#[tokio::test(flavor = "multi_thread")]
async fn a_write_is_read_committed_whatever_the_default() {
    let test = TestDatabase::create(Engine::Postgres, "isolation").await;
    let bench = Bench::new(test.open().await).await;
    let state = bench.state().await;
    let pool = bench.db.postgres().expect("PostgreSQL");
    let mut old = pool.begin_with("begin isolation level repeatable read").await.expect("begin");
    sqlx::query("select 1").execute(&mut *old).await.expect("a snapshot is taken");
    bench.go(Stage::DeleteOnly).await;
    let enter =
        format!("select crossfade_enter('crossfade_fence_people', {}, 1, null, null)", state.epoch);
    let entered = sqlx::query(AssertSqlSafe(enter)).execute(&mut *old).await;
    let error = entered.expect_err("the snapshot still shows the closed epoch as open");
    let code = error.as_database_error().and_then(|error| error.code());
    assert_eq!(code.as_deref(), Some("CFF02"), "{error}");
    old.rollback().await.expect("rollback");

    let name: String = sqlx::query_scalar("select current_database()::text")
        .fetch_one(pool)
        .await
        .expect("a name");
    let default = "default_transaction_isolation = 'repeatable read'";
    bench.sql(&format!("alter database {name} set {default}")).await;
    let fresh = test.open().await;
    let now = bench.state().await;
    let key = 1i64.to_key();
    let entry = Entry { migration: &now.definition.name, epoch: now.epoch, key: &key };
    let mut tx = fresh.enter(entry, None).await.expect("the epoch is open");
    let level: String = sqlx::query_scalar("show transaction_isolation")
        .fetch_one(tx.postgres().expect("PostgreSQL"))
        .await
        .expect("a level");
    assert_eq!(level, "read committed");
    fresh.rollback(tx).await;
    test.drop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrapped_write_follows_the_stage_by_itself() {
    engines("follows", async |db, _| {
        let bench = Bench::new(db).await;
        let app = bench.app(&Flags::forced::<&str, bool>([])).await;
        let migration = app.migration("people").expect("registered");
        put(&migration, 1, "off").await.expect("written");
        bench.expect(1, Some("off"), None).await;
        // The handle still believes in the stage before each of these.
        bench.go(Stage::DualWrite).await;
        put(&migration, 1, "dual").await.expect("written");
        bench.expect(1, Some("dual"), Some("dual")).await;
        bench.go(Stage::Complete).await;
        put(&migration, 1, "complete").await.expect("written");
        bench.expect(1, Some("dual"), Some("complete")).await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_operators_exactly_one_wins() {
    engines("operators", async |db, _| {
        let bench = Bench::new(db).await;
        let definition = definition();
        let change = |actor: &'static str| StageChange {
            migration: &definition.name,
            definition: &definition,
            from_epoch: Epoch::new(1),
            from: Stage::Off,
            to: Stage::DeleteOnly,
            actor,
            reason: "",
        };
        let (one, two) =
            tokio::join!(bench.db.append_epoch(change("a")), bench.db.append_epoch(change("b")));
        let kinds = [one, two].map(|result| result.map_err(|error| error.kind));
        assert!(kinds.contains(&Ok(Epoch::new(2))), "{kinds:?}");
        assert!(kinds.contains(&Err(StoreErrorKind::Conflict)), "{kinds:?}");
        let trail = bench.db.audit_trail(10).await.expect("audit");
        assert_eq!(trail.iter().filter(|record| record.action == "stage").count(), 1);
        assert!(trail.iter().all(|record| record.intact), "{trail:?}");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn at_most_two_epochs_are_open() {
    engines("two_open", async |db, _| {
        let bench = Bench::new(db).await;
        let state = bench.append(Stage::DeleteOnly).await;
        assert!(state.previous_open);
        let change = StageChange {
            migration: &state.definition.name,
            definition: &state.definition,
            from_epoch: state.epoch,
            from: state.stage,
            to: Stage::DualWrite,
            actor: "test",
            reason: "",
        };
        let error = bench.db.append_epoch(change).await.expect_err("epoch 1 is open");
        assert_eq!(error.kind, StoreErrorKind::Conflict);
        assert!(error.to_string().contains("still open"), "{error}");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_changed_line_of_the_audit_trail_is_seen() {
    engines("audit", async |db, _| {
        let bench = Bench::new(db).await;
        bench.go(Stage::Live).await;
        bench.sql("update crossfade_audit set reason = 'another' where seq = 2").await;
        let trail = bench.db.audit_trail(10).await.expect("audit");
        let broken: Vec<i64> =
            trail.iter().filter(|record| !record.intact).map(|record| record.seq).collect();
        assert_eq!(broken, [2]);
        bench.sql("delete from crossfade_audit where seq = 3").await;
        let trail = bench.db.audit_trail(10).await.expect("audit");
        assert!(trail.iter().any(|record| record.seq == 4 && !record.intact), "{trail:?}");
    })
    .await;
}

/// Two roles may find the same control tables by different search paths; the fence is one.
#[tokio::test(flavor = "multi_thread")]
async fn the_fence_is_one_for_every_search_path() {
    let test = TestDatabase::create(Engine::Postgres, "search_path").await;
    let bench = Bench::new(test.open().await).await;
    bench.sql("create schema crossfade").await; // the name of the test server's user
    let operator = test.open().await;
    let current: String = sqlx::query_scalar("select current_schema()::text")
        .fetch_one(operator.postgres().expect("PostgreSQL"))
        .await
        .expect("a schema");
    assert_eq!(current, "crossfade", "the operator's path begins elsewhere");

    let state = bench.state().await;
    let (name, key) = (&state.definition.name, 1i64.to_key());
    let entry = Entry { migration: name, epoch: state.epoch, key: &key };
    let writer = bench.db.enter(entry, None).await.expect("the epoch is open");
    bench.append(Stage::DeleteOnly).await;
    let short = Duration::from_millis(200);
    let closed = operator.close_epoch(name, state.epoch, short).await;
    assert!(closed.is_err(), "a writer is inside: {closed:?}");
    bench.db.rollback(writer).await;
    operator.close_epoch(name, state.epoch, short).await.expect("nobody is inside");

    let error = operator.install().await.expect_err("a second set of control tables");
    assert_eq!(error.kind, StoreErrorKind::Invalid);
    test.drop().await;
}

/// The fence moves outside any transaction. A closer that fails after it leaves its epoch shut to
/// writers and open in the table: they go on in the next epoch, and the closing is repeated.
#[tokio::test(flavor = "multi_thread")]
async fn a_closer_that_failed_behind_the_fence_stops_nobody() {
    let test = TestDatabase::create(Engine::Postgres, "half_closed").await;
    let bench = Bench::new(test.open().await).await;
    let app = bench.app(&Flags::forced::<&str, bool>([])).await;
    let migration = app.migration("people").expect("registered");
    let old = bench.state().await.epoch;
    bench.append(Stage::DeleteOnly).await;
    let shut = old.next().get() * 2;
    bench.sql(&format!("select setval('crossfade_fence_people', {shut})")).await;

    assert!(enters(&bench, old.next()).await && !enters(&bench, old).await);
    put(&migration, 1, "a").await.expect("written in the next epoch");
    bench.db.close_epoch(&definition().name, old, WAIT).await.expect("closes");
    assert!(!bench.state().await.previous_open);
    put(&migration, 1, "b").await.expect("written");
    test.drop().await;
}

/// Of two operators one may come to close an epoch long after the other has.
#[tokio::test(flavor = "multi_thread")]
async fn a_late_closer_opens_nothing_and_the_newest_epoch_stays_open() {
    engines("late_closer", async |db, _| {
        let bench = Bench::new(db).await;
        let first = bench.state().await.epoch;
        let newest = bench.go(Stage::DualWrite).await.epoch;
        for epoch in [first, newest] {
            bench.db.close_epoch(&definition().name, epoch, WAIT).await.expect("no harm");
        }
        for number in first.get()..newest.get() {
            assert!(!enters(&bench, Epoch::new(number)).await, "epoch {number} is closed");
        }
        assert!(enters(&bench, newest).await);
    })
    .await;
}

/// A dump takes the tables as of its beginning and sequences as they stand when it comes to them;
/// a logical replica has the tables and sequences of its own.
#[tokio::test(flavor = "multi_thread")]
async fn init_mends_the_fence_of_a_restored_backup() {
    let test = TestDatabase::create(Engine::Postgres, "restored").await;
    let bench = Bench::new(test.open().await).await;
    let epoch = bench.go(Stage::DeleteOnly).await.epoch;
    for elsewhere in [99, 2] {
        bench.sql(&format!("select setval('crossfade_fence_people', {elsewhere})")).await;
        assert!(!enters(&bench, epoch).await);
        let mended = bench.db.install().await.expect("init runs again");
        assert_eq!(mended, ["fence of people, which did not fit the tables"]);
        assert!(enters(&bench, epoch).await);
        assert!(!enters(&bench, Epoch::new(epoch.get() - 1)).await);
    }
    assert!(bench.db.install().await.expect("init runs again").is_empty());
    test.drop().await;
}

/// Epochs that were opened before the fence had rows of its own have none, and tables that are dumped
/// one after the other are of different moments.
#[tokio::test(flavor = "multi_thread")]
async fn init_mends_the_rows_of_open_epochs() {
    let test = TestDatabase::create(Engine::Mysql, "mended").await;
    let bench = Bench::new(test.open().await).await;
    let epoch = bench.go(Stage::DeleteOnly).await.epoch;
    let before = Epoch::new(epoch.get() - 1);
    let row = epoch_lock_id("", &definition().name, before);
    let closed = format!("insert into crossfade_open_epochs values ({row}, 'people', {before})");
    for (harm, [now, then]) in
        [("delete from crossfade_open_epochs", [false, false]), (&closed, [true, true])]
    {
        bench.sql(harm).await;
        assert_eq!([enters(&bench, epoch).await, enters(&bench, before).await], [now, then]);
        let mended = bench.db.install().await.expect("init runs again");
        assert_eq!(mended, ["fence of people, which did not fit the tables"]);
        assert_eq!([enters(&bench, epoch).await, enters(&bench, before).await], [true, false]);
    }
    assert!(bench.db.install().await.expect("init runs again").is_empty());
    test.drop().await;
}

/// A closed epoch stays closed on MariaDB, whose fence tries to insert its row, even if whoever was turned
/// away then commits.
#[tokio::test(flavor = "multi_thread")]
async fn a_writer_that_is_turned_away_opens_nothing() {
    let test = TestDatabase::create(Engine::Mysql, "turned_away").await;
    let bench = Bench::new(test.open().await).await;
    let epoch = bench.state().await.epoch;
    bench.go(Stage::DeleteOnly).await;
    let row = epoch_lock_id("", &definition().name, epoch);
    let pool = bench.db.mysql().expect("MariaDB");
    let mut connection = pool.acquire().await.expect("a connection");
    let enters = [
        format!("start transaction; call crossfade_pass({row}, null)"),
        format!("call crossfade_begin('people', {row}, 1)"),
    ];
    for enter in enters {
        let turned_away = sqlx::raw_sql(AssertSqlSafe(enter)).execute(&mut *connection).await;
        let error = turned_away.expect_err("the epoch is closed");
        let code = error.as_database_error().and_then(|error| error.code());
        assert_eq!(code.as_deref(), Some("CFF01"), "{error}");
        sqlx::raw_sql("commit; set autocommit = 1").execute(&mut *connection).await.expect("runs");
        assert!(!self::enters(&bench, epoch).await);
    }
    let left: i64 = sqlx::query_scalar("select count(*) from crossfade_open_epochs where id = ?")
        .bind(row)
        .fetch_one(&mut *connection)
        .await
        .expect("counts");
    assert_eq!(left, 0);
    drop(connection);
    test.drop().await;
}

async fn enters(bench: &Bench, epoch: Epoch) -> bool {
    let (name, key) = (definition().name, 1i64.to_key());
    match bench.db.enter(Entry { migration: &name, epoch, key: &key }, None).await {
        Ok(tx) => bench.db.rollback(tx).await,
        Err(EnterError::Closed) => return false,
        Err(EnterError::Store(error)) => panic!("{error}"),
    }
    true
}
