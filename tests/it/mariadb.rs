//! What is MariaDB's own: deadlocks that end a transaction behind a closure's back, settings of the
//! session, a fence that is tried, locks on New, keys that it would not tell apart.

use std::time::Duration;

use crossfade::{Crossfade, Database, Db, Engine, Flags, Options, Stage, WriteError};
use crossfade_core::Key;
use crossfade_store::{ControlStore, EnterError, Entry, FencedStore, SchemaStore, StoreErrorKind};
use sqlx::mysql::MySqlPool;
use sqlx::{AssertSqlSafe, Connection, MySqlConnection};

use crate::support::{Bench, People, PeopleError, TestDatabase, definition, eventually, put};

async fn bench(test: &str) -> (TestDatabase, Bench) {
    let test = TestDatabase::create(Engine::Mysql, test).await;
    let bench = Bench::new(test.open().await).await;
    (test, bench)
}

/// The same database through one connection.
async fn narrow(test: &TestDatabase) -> Bench {
    let pool = Database::mysql_pool_options().max_connections(1).connect(&test.url).await;
    let db = Database::open(pool.expect("connects")).await.expect("the test database opens");
    Bench { db }
}

fn key(text: &str) -> Key {
    Key::new(vec![text.to_owned()])
}

fn pool(bench: &Bench) -> &MySqlPool {
    bench.db.mysql().expect("MariaDB")
}

async fn run(connection: &mut MySqlConnection, sql: &'static str) {
    sqlx::raw_sql(sql).execute(connection).await.expect("the statement runs");
}

/// The server picks the transaction with fewer changes, rolls all of it back and goes on. What the
/// closure writes after that belongs to no transaction of Crossfade's.
#[tokio::test(flavor = "multi_thread")]
async fn a_swallowed_deadlock_is_not_acknowledged() {
    let (test, bench) = bench("deadlock").await;
    bench.go(Stage::Live).await;
    bench.sql("insert into people select seq, 'old' from seq_1_to_50").await;
    let narrow = narrow(&test).await;
    let app = narrow.app(&Flags::forced::<&str, bool>([])).await;
    let migration = app.migration("people").expect("registered");
    let mut heavy = pool(&bench).acquire().await.expect("a connection");
    run(&mut heavy, "begin; update people set name = 'heavy' where id > 2").await;

    let tries = std::sync::Arc::new(std::sync::atomic::AtomicU32::new(0));
    let observer = bench.clone();
    let waiting = tokio::spawn(async move {
        eventually("the write waits", async || observer.sessions_waiting().await == 1).await;
        run(&mut heavy, "update people set name = 'heavy' where id = 1; rollback").await;
    });
    let written = migration
        .write(
            &1i64,
            |tx| {
                let tries = tries.clone();
                async move {
                    tries.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
                    let people = People::legacy(tx);
                    people.put(1, "mine").await?;
                    // Waits for the row of the other, who then waits for the one above.
                    let swallowed = people.put(3, "mine too").await;
                    if swallowed.is_err() {
                        people.put(2, "outside").await?;
                    }
                    Ok(0)
                }
            },
            |tx| async move { People::new(tx).put(1, "mine").await },
        )
        .await;
    waiting.await.expect("no panic");
    written.expect("written at the second try");
    assert_eq!(tries.load(std::sync::atomic::Ordering::Relaxed), 2);
    bench.expect(1, Some("mine"), Some("mine")).await;
    bench.expect(2, Some("old"), None).await;
    drop(app);
    test.drop().await;
}

/// A closure that ends the transaction itself gets an error, as nothing holds its two sides together.
#[tokio::test(flavor = "multi_thread")]
async fn a_closure_that_commits_is_told() {
    let (test, bench) = bench("commits").await;
    bench.go(Stage::Live).await;
    let app = bench.app(&Flags::forced::<&str, bool>([])).await;
    let migration = app.migration("people").expect("registered");
    let written = migration
        .write(
            &1i64,
            |tx| async move {
                let mut tx = tx;
                sqlx::raw_sql("commit").execute(tx.mysql()?).await?;
                Ok::<_, PeopleError>(0)
            },
            |tx| async move { People::new(tx).put(1, "new").await },
        )
        .await;
    assert!(written.is_err(), "{written:?}");
    bench.expect(1, None, None).await;
    put(&migration, 1, "well").await.expect("the connections are well");
    bench.expect(1, Some("well"), Some("well")).await;
    test.drop().await;
}

/// A closure's own `begin` is a savepoint: what is rolled back to it is gone, and the rest is whole.
#[tokio::test(flavor = "multi_thread")]
async fn a_begin_on_the_bare_connection_is_a_savepoint() {
    let (test, bench) = bench("savepoint").await;
    bench.go(Stage::Live).await;
    let app = bench.app(&Flags::forced::<&str, bool>([])).await;
    let migration = app.migration("people").expect("registered");
    let written = migration.write(
        &1i64,
        |mut tx| async move {
            let insert = "insert into people (id, name) values (?, ?)";
            let connection = tx.mysql()?.connection().await?;
            sqlx::query(insert).bind(1).bind("kept").execute(&mut *connection).await?;
            let mut savepoint = connection.begin().await?;
            sqlx::query(insert).bind(2).bind("undone").execute(&mut *savepoint).await?;
            savepoint.rollback().await?;
            Ok::<_, PeopleError>(1)
        },
        |tx| async move { People::new(tx).put(1, "kept").await },
    );
    assert_eq!(written.await.expect("written"), 1);
    bench.expect(1, Some("kept"), Some("kept")).await;
    bench.expect(2, None, None).await;
    put(&migration, 1, "well").await.expect("the connections are well");
    drop(app);
    test.drop().await;
}

/// The pool takes a connection back whose statement was dropped, and the next one on it must not
/// get the rest of that answer.
#[tokio::test(flavor = "multi_thread")]
async fn a_statement_dropped_midway_leaves_nothing_behind() {
    let (test, bench) = bench("midway").await;
    let narrow = narrow(&test).await;
    let db = Db::from(&narrow.db);
    let mut dropped = 0;
    for turn in 0..300u64 {
        // Another text each time, since only a statement that is new is prepared.
        let sql = format!("select concat('left ', ?, ' {turn}')");
        let left = async {
            let mut conn = db.conn().await.expect("a connection");
            let conn = conn.mysql().expect("MariaDB");
            sqlx::query_scalar::<_, String>(AssertSqlSafe(sql)).bind(1).fetch_one(conn).await
        };
        let time = Duration::from_micros(turn % 100 * 10);
        dropped += u32::from(tokio::time::timeout(time, left).await.is_err());
        let mut conn = db.conn().await.expect("a connection");
        let conn = conn.mysql().expect("MariaDB");
        let sql = AssertSqlSafe(format!("select {turn}"));
        let answer: i64 = sqlx::query_scalar(sql).fetch_one(conn).await.expect("an answer");
        assert_eq!(answer.cast_unsigned(), turn);
    }
    assert!(dropped > 0, "no statement was dropped");
    drop(bench);
    test.drop().await;
}

/// Bounds of a write stay in it.
#[tokio::test(flavor = "multi_thread")]
async fn the_session_gets_its_settings_back() {
    let (test, wide) = bench("settings").await;
    wide.go(Stage::DualWrite).await;
    let bench = narrow(&test).await;
    let settings = "select concat_ws('/', @@autocommit, @@innodb_lock_wait_timeout, \
                    @@lock_wait_timeout, @@max_statement_time, @@in_transaction, \
                    @@tx_isolation)";
    let seen = async || -> String {
        sqlx::query_scalar(settings).fetch_one(pool(&bench)).await.expect("settings")
    };
    bench.sql("set innodb_lock_wait_timeout = 33, lock_wait_timeout = 44").await;
    let before = seen().await;
    assert!(before.starts_with("ON/33/44/"), "{before}");
    let state = bench.state().await;
    let one = key("1");
    let entry = Entry { migration: &state.definition.name, epoch: state.epoch, key: &one };
    let names = "select coalesce(group_concat(name), '') from people";
    for (bound, expected) in [(Some(Duration::from_millis(1500)), "OFF/2/2/"), (None, "OFF/33/44/")]
    {
        wide.sql("replace into people (id, name) values (1, 'before')").await;
        let mut tx = bench.db.enter(entry, bound).await.expect("the epoch is open");
        let mut inside = async |sql: &'static str| -> String {
            let value = sqlx::query_scalar(sql).fetch_one(tx.mysql().expect("MariaDB"));
            value.await.expect("a setting")
        };
        let settings = inside(settings).await;
        assert!(settings.starts_with(expected), "{settings}");
        assert_eq!(inside(names).await, "before");
        wide.sql("update people set name = 'since'").await;
        assert_eq!(inside(names).await, "since", "it is READ COMMITTED");
        bench.db.commit(tx).await.expect("commits");
        assert_eq!(seen().await, before);
        let tx = bench.db.enter(entry, bound).await.expect("the epoch is open");
        bench.db.rollback(tx).await;
        assert_eq!(seen().await, before);
        let closed = Entry { epoch: crossfade_core::Epoch::new(1), ..entry };
        let turned_away = bench.db.enter(closed, bound).await;
        assert!(matches!(turned_away, Err(EnterError::Closed)), "{turned_away:?}");
        assert_eq!(seen().await, before);
    }
    test.drop().await;
}

/// A writer with an old epoch does not queue behind the closer, and one of the next does not wait.
#[tokio::test(flavor = "multi_thread")]
async fn a_closer_that_waits_holds_nobody_up() {
    let (test, bench) = bench("closer").await;
    let old = bench.state().await.epoch;
    let name = definition().name;
    let (one, two) = (key("1"), key("2"));
    let entry = |epoch, key| Entry { migration: &name, epoch, key };
    let writer = bench.db.enter(entry(old, &one), None).await.expect("the epoch is open");
    bench.append(Stage::DeleteOnly).await;
    let closer = tokio::spawn({
        let (db, name) = (bench.db.clone(), name.clone());
        async move { db.close_epoch(&name, old, Duration::from_secs(20)).await }
    });
    eventually("the closer waits", async || bench.sessions_waiting().await == 1).await;
    let late = bench.db.enter(entry(old, &two), None).await;
    assert!(matches!(late, Err(EnterError::Closed)), "{late:?}");
    let next = bench.db.enter(entry(old.next(), &two), None).await.expect("the next is open");
    bench.db.rollback(next).await;
    bench.db.commit(writer).await.expect("commits");
    closer.await.expect("no panic").expect("closes behind the writer");
    test.drop().await;
}

/// Somebody holds New, or a row of it. Before `live` that must not hold Legacy up.
#[tokio::test(flavor = "multi_thread")]
async fn a_locked_new_side_is_no_outage() {
    let (test, bench) = bench("locked_new").await;
    let app = Crossfade::builder_on(bench.db.clone())
        .flags(Flags::forced::<&str, bool>([]))
        .options(Options::default().new_lock_timeout(Duration::from_millis(100)))
        .build()
        .await
        .expect("starts");
    let migration = app.migration("people").expect("registered");
    bench.go(Stage::DualWrite).await;
    bench.sql("insert into people_v2 values (1, 'there')").await;
    let holds = [
        "begin; update people_v2 set name = 'held' where person_id = 1",
        "lock tables people_v2 write",
    ];
    for (id, hold) in [1i64, 2].into_iter().zip(holds) {
        let mut holder = pool(&bench).acquire().await.expect("a connection").detach();
        run(&mut holder, hold).await;
        put(&migration, id, "in time").await.expect("Legacy is written alone");
        run(&mut holder, "rollback; unlock tables").await;
        let legacy = bench.legacy().get(id).await.expect("Legacy answers");
        assert_eq!(legacy.as_deref(), Some("in time"));
        let marks = bench.db.quarantine(&definition().name, 10).await.expect("marks");
        assert_eq!(marks.len(), usize::try_from(id).expect("small"), "{marks:?}");
    }
    test.drop().await;
}

/// Keys that the database takes for one would have two locks and two marks; tables without
/// transactions have neither.
#[tokio::test(flavor = "multi_thread")]
async fn tables_that_cannot_be_kept_equal_are_refused() {
    let (test, bench) = bench("refused").await;
    for (columns, words) in [
        (
            "id varchar(20) collate utf8mb4_general_ci primary key, name text) engine = InnoDB",
            "keys are",
        ),
        ("id varbinary(20) primary key, name text) engine = InnoDB", "keys are"),
        ("id bigint primary key, name text) engine = Aria", "not InnoDB"),
    ] {
        bench.sql(&format!("drop table people; create table people ({columns}")).await;
        let problems = bench.db.definition_problems(&definition()).await.expect("asked");
        let text = problems.iter().map(ToString::to_string).collect::<String>();
        assert!(text.contains(words), "{columns}: {text}");
    }
    test.drop().await;
}

/// What callers tell apart, and that a stage change and a closer do not wait for each other.
#[tokio::test(flavor = "multi_thread")]
async fn errors_have_their_kinds() {
    let (test, bench) = bench("kinds").await;
    let mut holder = pool(&bench).begin().await.expect("begin");
    sqlx::query("select * from crossfade_migrations for update")
        .fetch_all(&mut *holder)
        .await
        .expect("locked");
    let old = bench.state().await.epoch;
    let busy = bench.db.close_epoch(&definition().name, old, Duration::from_millis(100)).await;
    busy.expect("a stage change does not stand in the way of a closer");
    holder.rollback().await.expect("rollback");
    let url = test.url.replace("/t_", "/no_such_");
    let nowhere = Database::connect(&url).await.expect_err("there is no such database");
    assert_eq!(nowhere.kind, StoreErrorKind::Database, "{nowhere:?}");
    bench.sql("drop table crossfade_audit").await;
    let gone = bench.db.audit_trail(1).await.expect_err("the table is gone");
    assert_eq!(gone.kind, StoreErrorKind::NotInstalled, "{gone:?}");
    test.drop().await;
}

/// sqlx's own `fetch_one` returns at the first row, and the error behind it is that of whoever uses the
/// connection next.
#[tokio::test(flavor = "multi_thread")]
async fn an_error_behind_the_first_row_is_an_error() {
    let (test, bench) = bench("behind").await;
    bench.go(Stage::Live).await;
    let procedure = "create procedure half() begin select 1; \
                     signal sqlstate '45000' set message_text = 'no more'; end";
    sqlx::raw_sql(procedure).execute(pool(&bench)).await.expect("created");
    let app = bench.app(&Flags::forced::<&str, bool>([])).await;
    let migration = app.migration("people").expect("registered");
    let written = migration
        .write(
            &1i64,
            |mut tx| async move {
                let calls = sqlx::query("call half()").fetch_one(tx.mysql()?);
                calls.await?;
                People::legacy(tx).put(1, "mine").await
            },
            |tx| async move { People::new(tx).put(1, "mine").await },
        )
        .await;
    let error = written.expect_err("the procedure failed");
    assert!(matches!(error, WriteError::Legacy(_)), "{error:?}");
    bench.expect(1, None, None).await;
    test.drop().await;
}
