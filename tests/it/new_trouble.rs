//! Trouble on New that is none of a row's: endless deadlocks, slowness, panics. Where Legacy is the
//! only truth, the caller hears of none of it.

use std::future::{Future, pending};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use crossfade::{
    Backoff, Crossfade, Database, Engine, Flags, Migration, Options, Stage, TransactionError,
    WriteError,
};
use crossfade_sql::Tx;
use crossfade_store::{ControlStore, Lent};
use sqlx::AssertSqlSafe;

use crate::support::{
    Bench, People, PeopleError, TestDatabase, WAIT, definition, engines, eventually, panics, put,
    put_in,
};

/// How a test writes.
#[derive(Clone, Copy, Debug)]
enum How {
    Write,
    Modify,
    WriteIn,
}

const EVERY_WAY: [How; 3] = [How::Write, How::Modify, How::WriteIn];

/// What New does in a test.
type Doing<'a> = std::pin::Pin<Box<dyn Future<Output = Result<u64, PeopleError>> + Send + 'a>>;

async fn start(db: Database, options: Options) -> (Crossfade, Migration) {
    let pause = Duration::from_millis(1);
    let app = Crossfade::builder_on(db)
        .flags(Flags::forced::<&str, bool>([]))
        .options(options.tries(Backoff::new(pause, pause, 3)))
        .build()
        .await
        .expect("starts");
    let migration = app.migration("people").expect("registered");
    (app, migration)
}

fn hasty() -> Options {
    Options::default().new_timeout(Duration::from_millis(200))
}

/// Writes key `id`, with `new` for its New side. In a transaction of the caller's, key `id + 100` is
/// written before it.
async fn write(
    how: How,
    (app, migration): &(Crossfade, Migration),
    id: i64,
    new: &(dyn Fn(Lent<Tx>) -> Doing<'static> + Sync),
) -> Result<u64, WriteError<PeopleError>> {
    let legacy = |tx| async move { People::legacy(tx).put(id, "written").await };
    let written = async {
        match how {
            How::Write => migration.write(&id, legacy, new).await,
            How::Modify => {
                migration
                    .modify(
                        &id,
                        |side, tx| async move { People::on(side, tx).get(id).await },
                        |_| Ok(Some("written".to_owned())),
                        |side, tx, _| match side {
                            crossfade::Side::Legacy => Box::pin(legacy(tx)) as Doing<'static>,
                            crossfade::Side::New => new(tx),
                        },
                    )
                    .await
            }
            How::WriteIn => {
                let mut transaction = app.begin().await?;
                put_in(migration, &mut transaction, id + 100, "before").await?;
                let written = migration.write_in(&mut transaction, &id, legacy, new).await?;
                transaction.commit().await.expect("commits");
                Ok(written)
            }
        }
    };
    tokio::time::timeout(WAIT, written).await.expect("New holds nobody up")
}

/// Legacy was written alone, the key is marked, and the connections are well.
async fn alone(bench: &Bench, migration: &Migration, how: How, id: i64, reason: &str) {
    bench.expect(id, Some("written"), None).await;
    if let How::WriteIn = how {
        bench.expect(id + 100, Some("before"), Some("before")).await;
    }
    let marks = bench.db.quarantine(&definition().name, 100).await.expect("marks");
    let mark = marks.iter().find(|(key, _)| *key == id.to_string());
    let found = mark.unwrap_or_else(|| panic!("{how:?}: no mark of {id}: {marks:?}"));
    assert!(found.1.contains(reason), "{how:?}: {found:?}");
    assert!(!found.1.contains("at once"), "a panic's words may quote a row: {found:?}");
    put(migration, 90, &format!("after {id}")).await.expect("written");
    bench.expect(90, Some(&format!("after {id}")), Some(&format!("after {id}"))).await;
}

async fn run(tx: &mut Tx, sql: &str) -> Result<u64, PeopleError> {
    let query = sqlx::raw_sql(AssertSqlSafe(sql));
    Ok(match tx.engine() {
        Engine::Mysql => query.execute(tx.mysql()?).await?.rows_affected(),
        Engine::Postgres => query.execute(tx.postgres()?).await?.rows_affected(),
        Engine::Sqlite => query.execute(tx.sqlite()?).await?.rows_affected(),
    })
}

/// Texts that fail as a deadlock or a serialization failure does, and their words. On SQLite it is
/// the error of a busy file, which a checkpoint within a transaction meets.
fn conflicts(engine: Engine) -> &'static [(&'static str, &'static str)] {
    match engine {
        Engine::Postgres => &[
            ("do $$ begin raise exception 'locked' using errcode = '40P01'; end $$", "locked"),
            ("do $$ begin raise exception 'late' using errcode = '40001'; end $$", "late"),
        ],
        Engine::Mysql => &[
            ("signal sqlstate '40001' set mysql_errno = 1213, message_text = 'locked'", "locked"),
            ("signal sqlstate 'HY000' set mysql_errno = 1020, message_text = 'late'", "late"),
        ],
        Engine::Sqlite => &[("pragma wal_checkpoint", "locked")],
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_endless_deadlock_of_new_is_its_refusal() {
    for engine in Engine::ALL {
        let test = TestDatabase::create(*engine, "endless_new").await;
        let bench = Bench::new(test.open().await).await;
        bench.go(Stage::DualWrite).await;
        let app = start(test.open_narrow(1).await, Options::default()).await;
        let mut id = 0;
        for (sql, reason) in conflicts(*engine) {
            for how in EVERY_WAY {
                id += 1;
                let tries = std::sync::Arc::new(AtomicU32::new(0));
                let new = |mut tx: Lent<Tx>| -> Doing<'static> {
                    tries.fetch_add(1, Ordering::Relaxed);
                    Box::pin(async move { run(&mut tx, sql).await })
                };
                write(how, &app, id, &new).await.expect("New's trouble is not the caller's");
                alone(&bench, &app.1, how, id, reason).await;
                // A caller's transaction goes on at once.
                let expected = if let How::WriteIn = how { 1 } else { 3 };
                assert_eq!(tries.load(Ordering::Relaxed), expected, "{engine}, {how:?}");
            }
        }
        drop(app);
        test.drop().await;
    }
}

/// By triggers of New's: of its row, of the row's removal, and of the commit.
#[tokio::test(flavor = "multi_thread")]
async fn triggers_that_always_fail_are_news_refusal_too() {
    for engine in [Engine::Mysql, Engine::Postgres] {
        let test = TestDatabase::create(engine, "failing_triggers").await;
        let bench = Bench::new(test.open().await).await;
        let app = start(bench.db.clone(), Options::default()).await;
        let fails: &[(Stage, i64, &str)] = match engine {
            Engine::Mysql => &[
                (
                    Stage::DeleteOnly,
                    1,
                    "create trigger removed before delete on people_v2 for each row \
                     signal sqlstate '40001' set mysql_errno = 1213, message_text = 'dead'",
                ),
                (
                    Stage::DualWrite,
                    2,
                    "create trigger stored before insert on people_v2 for each row \
                     signal sqlstate '40001' set mysql_errno = 1213, message_text = 'dead'",
                ),
            ],
            _ => &[
                (
                    Stage::DeleteOnly,
                    1,
                    "create function dead() returns trigger language plpgsql as \
                     'begin raise exception ''dead'' using errcode = ''40P01''; end'; \
                     create trigger removed before delete on people_v2 for each row \
                     execute function dead()",
                ),
                (
                    Stage::DualWrite,
                    2,
                    "create constraint trigger stored after insert on people_v2 \
                     deferrable initially deferred for each row execute function dead()",
                ),
                (
                    Stage::DualWrite,
                    3,
                    "drop trigger stored on people_v2; create trigger stored before insert on \
                     people_v2 for each row execute function dead()",
                ),
            ],
        };
        for (stage, id, trigger) in fails {
            bench.go(*stage).await;
            // A row to remove, as an instance in `dual_write` may have left it.
            if *stage == Stage::DeleteOnly {
                bench.new_side().put(*id, "theirs").await.expect("put");
            }
            bench.sql(trigger).await;
            put(&app.1, *id, "written").await.expect("New's trouble is not the caller's");
            let left = (*stage == Stage::DeleteOnly).then_some("theirs");
            bench.expect(*id, Some("written"), left).await;
            let marks = bench.db.quarantine(&definition().name, 9).await.expect("marks");
            let marked = marks.iter().any(|(key, why)| *key == id.to_string() && why == "dead");
            assert!(marked, "{engine}: {marks:?}");
        }
        drop(app);
        test.drop().await;
    }
}

/// New is slow on the server, or its closure never ends, on a pool of one connection.
#[tokio::test(flavor = "multi_thread")]
async fn a_slow_new_is_its_refusal() {
    for engine in Engine::ALL {
        let test = TestDatabase::create(*engine, "slow_new").await;
        let bench = Bench::new(test.open().await).await;
        bench.go(Stage::DualWrite).await;
        let app = start(test.open_narrow(1).await, hasty()).await;
        let sleep = match engine {
            Engine::Mysql => "do sleep(60)",
            Engine::Postgres => "select pg_sleep(60)",
            // A statement of SQLite's is not slow in another place.
            Engine::Sqlite => "select 1",
        };
        let mut id = 0;
        for ends in [*engine != Engine::Sqlite, false] {
            let new = |mut tx: Lent<Tx>| -> Doing<'static> {
                Box::pin(async move {
                    let people = run(&mut tx, sleep).await;
                    if !ends {
                        pending::<()>().await;
                    }
                    people
                })
            };
            for how in EVERY_WAY {
                id += 1;
                write(how, &app, id, &new).await.expect("New's slowness is not the caller's");
                alone(&bench, &app.1, how, id, "New took longer than 200ms").await;
            }
        }
        drop(app);
        test.drop().await;
    }
}

/// A closure that hides that it was interrupted and goes on is dropped in the middle of a statement.
#[tokio::test(flavor = "multi_thread")]
async fn a_stubborn_new_is_cut_off() {
    for engine in [Engine::Mysql, Engine::Postgres] {
        let test = TestDatabase::create(engine, "stubborn_new").await;
        let bench = Bench::new(test.open().await).await;
        bench.go(Stage::DualWrite).await;
        let app = start(test.open_narrow(1).await, hasty()).await;
        let sleep = match engine {
            Engine::Mysql => "do sleep(60)",
            _ => "select pg_sleep(60)",
        };
        let new = |mut tx: Lent<Tx>| -> Doing<'static> {
            Box::pin(async move {
                loop {
                    drop(run(&mut tx, sleep).await);
                }
            })
        };
        for (how, id) in [(How::Write, 1), (How::Modify, 2)] {
            write(how, &app, id, &new).await.expect("New's slowness is not the caller's");
            alone(&bench, &app.1, how, id, "New took longer").await;
        }
        let written = write(How::WriteIn, &app, 3, &new).await;
        match engine {
            // It takes the caller's transaction along.
            Engine::Mysql => {
                assert!(matches!(written, Err(WriteError::Aborted(_))), "{written:?}");
                for id in [3, 103] {
                    bench.expect(id, None, None).await;
                }
                put(&app.1, 3, "well").await.expect("written");
            }
            _ => {
                written.expect("New's slowness is not the caller's");
                alone(&bench, &app.1, How::WriteIn, 3, "New took longer").await;
            }
        }
        drop(app);
        test.drop().await;
    }
}

/// Whoever holds New's row up for ever, in a removal, is waited for as long as may be.
#[tokio::test(flavor = "multi_thread")]
async fn a_slow_removal_is_news_refusal() {
    for engine in [Engine::Mysql, Engine::Postgres] {
        let test = TestDatabase::create(engine, "slow_removal").await;
        let bench = Bench::new(test.open().await).await;
        bench.go(Stage::DeleteOnly).await;
        bench.new_side().put(1, "theirs").await.expect("put");
        bench
            .sql(match engine {
                Engine::Mysql => {
                    "create trigger slow before delete on people_v2 for each row do sleep(60)"
                }
                _ => {
                    "create function slow() returns trigger language plpgsql as \
                     'begin perform pg_sleep(60); return old; end'; \
                     create trigger slow before delete on people_v2 for each row \
                     execute function slow()"
                }
            })
            .await;
        let app = start(test.open_narrow(1).await, hasty()).await;
        for how in [How::Write, How::WriteIn] {
            let new = |_: Lent<Tx>| -> Doing<'static> { Box::pin(async { Ok(0) }) };
            write(how, &app, 1, &new).await.expect("New's slowness is not the caller's");
            bench.expect(1, Some("written"), Some("theirs")).await;
        }
        let marks = bench.db.quarantine(&definition().name, 9).await.expect("marks");
        assert!(marks[0].1.contains("New took longer"), "{marks:?}");
        drop(app);
        test.drop().await;
    }
}

/// From `live` on New is as much the truth as Legacy, and may take its time.
#[tokio::test(flavor = "multi_thread")]
async fn from_live_on_new_is_waited_for() {
    engines("patient", async |db, _| {
        let bench = Bench::new(db.clone()).await;
        bench.go(Stage::Live).await;
        let app = start(db, Options::default().new_timeout(Duration::ZERO)).await;
        put(&app.1, 1, "both").await.expect("written");
        bench.expect(1, Some("both"), Some("both")).await;
    })
    .await;
}

/// Legacy's part has no such bound in any stage.
#[tokio::test(flavor = "multi_thread")]
async fn legacy_is_waited_for_in_every_stage() {
    engines("patient_legacy", async |db, _| {
        let bench = Bench::new(db.clone()).await;
        bench.go(Stage::DualWrite).await;
        let app = start(db, hasty()).await;
        let late = std::time::Instant::now() + Duration::from_millis(600);
        let written = app.1.write(
            &1i64,
            |tx| async move {
                eventually("it is late", async || std::time::Instant::now() > late).await;
                People::legacy(tx).put(1, "both").await
            },
            |tx| async move { People::new(tx).put(1, "both").await },
        );
        written.await.expect("written");
        bench.expect(1, Some("both"), Some("both")).await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_panic_of_new_is_its_refusal_and_legacys_is_the_callers() {
    for engine in Engine::ALL {
        let test = TestDatabase::create(*engine, "panic_new").await;
        let bench = Bench::new(test.open().await).await;
        bench.go(Stage::DualWrite).await;
        let app = start(test.open_narrow(1).await, Options::default()).await;
        let at_once = |_: Lent<Tx>| -> Doing<'static> { panic!("at once") };
        let on_error = |tx| -> Doing<'static> {
            Box::pin(async move { Ok(People::new(tx).put(1, "bad").await.expect("accepted")) })
        };
        let mut id = 0;
        for how in EVERY_WAY {
            id += 1;
            write(how, &app, id, &at_once).await.expect("New's panic is not the caller's");
            alone(&bench, &app.1, how, id, "New's code panicked").await;
            id += 1;
            write(how, &app, id, &on_error).await.expect("New's panic is not the caller's");
            alone(&bench, &app.1, how, id, "New's code panicked").await;
        }
        let legacys = app.1.write(
            &50i64,
            |_: Lent<Tx>| async { panic!("told to panic") },
            |tx| async move { People::new(tx).put(50, "half").await },
        );
        assert!(panics(legacys).await, "{engine}: it is the caller's");
        bench.expect(50, None, None).await;
        put(&app.1, 50, "whole").await.expect("the connection is well");
        drop(app);
        test.drop().await;
    }
}

/// New's constraint, which only the commit would check, is checked with the write; those of the
/// caller's own are not.
#[tokio::test(flavor = "multi_thread")]
async fn a_deferred_refusal_in_a_callers_transaction_is_news_own() {
    let test = TestDatabase::create(Engine::Postgres, "deferred_in").await;
    let bench = Bench::new(test.open().await).await;
    let town = "references towns (name) deferrable initially deferred";
    bench.sql("create table towns (name text primary key)").await;
    bench.sql("drop table people_v2").await;
    let new = format!("(person_id bigint primary key, name text not null {town})");
    bench.sql(&format!("create table people_v2 {new}")).await;
    bench.sql(&format!("create table notes (id bigint primary key, town text {town})")).await;
    let app = start(bench.db.clone(), Options::default()).await;
    bench.go(Stage::DualWrite).await;
    bench.sql("insert into towns values ('here')").await;
    let mut transaction = app.0.begin().await.expect("begins");
    let connection = transaction.connection().expect("open");
    run(connection, "insert into notes values (1, 'soon')").await.expect("deferred");
    put_in(&app.1, &mut transaction, 1, "here").await.expect("New accepts it");
    put_in(&app.1, &mut transaction, 2, "nowhere").await.expect("Legacy is written alone");
    put_in(&app.1, &mut transaction, 3, "here").await.expect("New accepts it");
    let connection = transaction.connection().expect("open");
    run(connection, "insert into towns values ('soon')").await.expect("in time");
    transaction.commit().await.expect("nothing is wrong with it");
    bench.expect(1, Some("here"), Some("here")).await;
    bench.expect(2, Some("nowhere"), None).await;
    bench.expect(3, Some("here"), Some("here")).await;
    let marks = bench.db.quarantine(&definition().name, 9).await.expect("marks");
    let keys: Vec<&str> = marks.iter().map(|(key, _)| key.as_str()).collect();
    assert_eq!(keys, ["2"], "{marks:?}");

    // From `live` on it fails the commit, as a constraint of the caller's own does.
    bench.go(Stage::Live).await;
    let mut transaction = app.0.begin().await.expect("begins");
    put_in(&app.1, &mut transaction, 4, "nowhere").await.expect("not checked yet");
    let refused = transaction.commit().await.expect_err("both or neither");
    assert!(matches!(refused, TransactionError::Refused(_)), "{refused:?}");
    bench.expect(4, None, None).await;
    drop(app);
    test.drop().await;
}

/// A deferred constraint of New's waits, at the commit, for a row that somebody holds.
#[tokio::test(flavor = "multi_thread")]
async fn a_commit_that_waits_for_new_waits_once() {
    let test = TestDatabase::create(Engine::Postgres, "commit_waits").await;
    let bench = Bench::new(test.open().await).await;
    bench
        .sql(
            "create table parents (id bigint primary key); insert into parents values (1); \
             alter table people_v2 add column parent bigint not null default 1 \
                 references parents (id) deferrable initially deferred",
        )
        .await;
    bench.go(Stage::DualWrite).await;
    let options = Options::default().new_lock_timeout(Duration::from_millis(100));
    let (_app, migration) = start(bench.db.clone(), options).await;
    let mut holder = bench.db.postgres().expect("PostgreSQL").begin().await.expect("begin");
    let hold = "select 1 from parents for update";
    sqlx::query(hold).execute(&mut *holder).await.expect("held");
    let times = AtomicU32::new(0);
    let written = migration
        .write(
            &1i64,
            |tx| async move { People::legacy(tx).put(1, "written").await },
            |tx| {
                times.fetch_add(1, Ordering::Relaxed);
                async move { People::new(tx).put(1, "written").await }
            },
        )
        .await;
    written.expect("nobody's outage");
    assert_eq!(times.load(Ordering::Relaxed), 1);
    bench.expect(1, Some("written"), None).await;
    assert!(bench.state().await.quarantined.contains("1"));
    test.drop().await;
}
