//! Writes in a transaction of the caller's: all of it or nothing, whatever one write meets.

use std::time::Duration;

use crossfade::{
    Crossfade, Engine, Flags, Known, Migration, Stage, StoreErrorKind, Transaction,
    TransactionError, WriteError,
};
use crossfade_core::{Definition, SideTable};
use crossfade_sql::Mechanism;
use crossfade_store::ControlStore;
use sqlx::AssertSqlSafe;

use crate::support::{
    Bench, People, PeopleError, TestDatabase, WAIT, definition, engines, eventually, put, put_in,
};

/// A second migration beside `people`, with sides of its own.
async fn register_pets(bench: &Bench) {
    let side = |table: &str| SideTable {
        table: table.parse().expect("a valid name"),
        key: vec!["id".parse().expect("a valid name")],
    };
    let pets = Definition {
        name: "pets".parse().expect("a valid name"),
        legacy: side("pets"),
        new: side("pets_v2"),
        mapping: "select id, name from pets".to_owned(),
        ..definition()
    };
    for table in ["pets", "pets_v2", "notes"] {
        let columns = "(id bigint primary key, name text not null)";
        bench.sql(&format!("create table {table} {columns}")).await;
    }
    bench.db.register(&pets, "test").await.expect("registered");
}

async fn start(bench: &Bench) -> (Crossfade, Migration) {
    let app = bench.app(&Flags::forced::<&str, bool>([])).await;
    let migration = app.migration("people").expect("registered");
    (app, migration)
}

/// A statement on the lent or the caller's own transaction.
async fn run(tx: &mut crossfade_sql::Tx, sql: &str) -> Result<u64, PeopleError> {
    let query = sqlx::raw_sql(AssertSqlSafe(sql));
    Ok(match tx.engine() {
        Engine::Mysql => query.execute(tx.mysql()?).await?.rows_affected(),
        Engine::Postgres => query.execute(tx.postgres()?).await?.rows_affected(),
        Engine::Sqlite => query.execute(tx.sqlite()?).await?.rows_affected(),
    })
}

async fn note(transaction: &mut Transaction, id: i64) {
    let sql = format!("insert into notes values ({id}, 'mine')");
    run(transaction.connection().expect("open"), &sql).await.expect("the caller's own statement");
}

#[tokio::test(flavor = "multi_thread")]
async fn several_migrations_and_the_callers_rows_are_one() {
    engines("one", async |db, _| {
        let bench = Bench::new(db).await;
        register_pets(&bench).await;
        bench.go(Stage::Live).await;
        let (app, people) = start(&bench).await;
        let pets = app.migration("pets").expect("registered");
        for (commits, expected) in [(false, 0), (true, 1)] {
            let mut transaction = app.begin().await.expect("begins");
            note(&mut transaction, 1).await;
            put_in(&people, &mut transaction, 1, "Ada").await.expect("written");
            pets.write_in(
                &mut transaction,
                &1i64,
                |mut tx| async move { run(&mut tx, "insert into pets values (1, 'Rex')").await },
                |mut tx| async move { run(&mut tx, "insert into pets_v2 values (1, 'Rex')").await },
            )
            .await
            .expect("written");
            let modified = people.modify_in(
                &mut transaction,
                &1i64,
                |side, tx| async move { People::on(side, tx).get(1).await },
                |name| Ok(name.map(|name| name + " L.")),
                |side, tx, name| async move {
                    People::on(side, tx).put(1, &name.unwrap_or_default()).await
                },
            );
            modified.await.expect("modified");
            if commits {
                transaction.commit().await.expect("commits");
                bench.expect(1, Some("Ada L."), Some("Ada L.")).await;
            } else {
                transaction.rollback().await;
                bench.expect(1, None, None).await;
            }
            // `pets` is in `off`, where New is left alone.
            for (table, expected) in [("notes", expected), ("pets", expected), ("pets_v2", 0)] {
                assert_eq!(bench.rows(table).await, expected, "{table}");
            }
        }
        let mut dropped = app.begin().await.expect("begins");
        note(&mut dropped, 2).await;
        drop(dropped);
        put(&people, 2, "after").await.expect("the connections are well");
        assert_eq!(bench.rows("notes").await, 1, "dropping undoes it");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn before_live_a_refusal_by_new_undoes_nothing_else() {
    engines("refusal_in", async |db, _| {
        let bench = Bench::new(db).await;
        register_pets(&bench).await;
        bench.go(Stage::DualWrite).await;
        let (app, people) = start(&bench).await;
        let mut transaction = app.begin().await.expect("begins");
        note(&mut transaction, 1).await;
        put_in(&people, &mut transaction, 1, "good").await.expect("written");
        put_in(&people, &mut transaction, 2, "bad").await.expect("Legacy is written alone");
        put_in(&people, &mut transaction, 3, "good").await.expect("written");
        note(&mut transaction, 2).await;
        transaction.commit().await.expect("commits");
        bench.expect(1, Some("good"), Some("good")).await;
        bench.expect(2, Some("bad"), None).await;
        bench.expect(3, Some("good"), Some("good")).await;
        assert_eq!(bench.rows("notes").await, 2);
        let marks = bench.db.quarantine(&definition().name, 10).await.expect("marks");
        assert_eq!(marks.iter().map(|mark| mark.0.as_str()).collect::<Vec<_>>(), ["2"]);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn from_live_on_an_error_undoes_that_write_alone() {
    engines("error_in", async |db, _| {
        let bench = Bench::new(db).await;
        register_pets(&bench).await;
        bench.go(Stage::Live).await;
        let (app, people) = start(&bench).await;
        let mut transaction = app.begin().await.expect("begins");
        note(&mut transaction, 1).await;
        put_in(&people, &mut transaction, 1, "good").await.expect("written");
        let refused = put_in(&people, &mut transaction, 2, "bad").await.expect_err("refused");
        assert!(matches!(refused, WriteError::New(_)), "{refused:?}");
        assert_eq!(refused.known(), Known::NothingWritten);
        let told = people
            .write_in(
                &mut transaction,
                &3i64,
                |tx| async move { People::legacy(tx).put(3, "half").await },
                |_tx| async { Err(PeopleError::Told) },
            )
            .await;
        assert!(matches!(told, Err(WriteError::New(PeopleError::Told))), "{told:?}");
        // A closure that hides its error leaves PostgreSQL's transaction aborted, up to there.
        let hidden = people
            .write_in(
                &mut transaction,
                &4i64,
                |tx| async move { People::legacy(tx).put(4, "hidden").await },
                |tx| async move { Ok(People::new(tx).put(4, "bad").await.unwrap_or(0)) },
            )
            .await;
        if bench.db.engine() == Engine::Postgres {
            assert!(matches!(hidden, Err(WriteError::Store(_))), "{hidden:?}");
        }
        note(&mut transaction, 2).await;
        transaction.commit().await.expect("commits");
        bench.expect(1, Some("good"), Some("good")).await;
        bench.expect(2, None, None).await;
        bench.expect(3, None, None).await;
        assert_eq!(bench.rows("notes").await, 2);
    })
    .await;
}

/// The stage moves under an instance that hears of nothing, whose pool has no second connection.
#[tokio::test(flavor = "multi_thread")]
async fn a_closed_epoch_is_entered_anew_within_the_transaction() {
    for engine in Engine::ALL {
        let test = TestDatabase::create(*engine, "anew").await;
        let bench = Bench::new(test.open().await).await;
        register_pets(&bench).await;
        let narrow = test.open_narrow(1).await.without(Mechanism::Changes);
        let (app, people) = start(&Bench { db: narrow }).await;
        eventually("it holds its lease", async || {
            !bench.db.instances(&definition().name).await.expect("instances").is_empty()
        })
        .await;
        for (stage, new) in [(Stage::DualWrite, Some("in")), (Stage::Complete, Some("in"))] {
            bench.go(stage).await;
            let mut transaction = app.begin().await.expect("begins");
            note(&mut transaction, stage as i64).await;
            let id = stage as i64 + 100;
            put_in(&people, &mut transaction, id, "in").await.expect("follows the stage");
            put_in(&people, &mut transaction, id + 50, "in").await.expect("and again");
            transaction.commit().await.expect("commits");
            let legacy = (stage == Stage::DualWrite).then_some("in");
            bench.expect(id, legacy, new).await;
            bench.expect(id + 50, legacy, new).await;
        }
        assert_eq!(bench.rows("notes").await, 2, "{engine}");
        drop((people, app));
        test.drop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_open_transaction_keeps_its_epoch_open() {
    for engine in [Engine::Mysql, Engine::Postgres] {
        let test = TestDatabase::create(engine, "holds").await;
        let bench = Bench::new(test.open().await).await;
        let (app, people) = start(&bench).await;
        let mut transaction = app.begin().await.expect("begins");
        put_in(&people, &mut transaction, 1, "in").await.expect("written");
        let old = bench.state().await.epoch;
        bench.append(Stage::DeleteOnly).await;
        let (name, short) = (definition().name, Duration::from_millis(100));
        let held = bench.db.close_epoch(&name, old, short).await;
        let held = held.expect_err("the transaction is in it");
        assert_eq!(held.kind, StoreErrorKind::LockTimeout);
        // A closer that waits does not turn a transaction away that is in already.
        let (closed, ()) = tokio::join!(bench.db.close_epoch(&name, old, WAIT), async {
            eventually("it waits", async || bench.sessions_waiting().await == 1).await;
            put_in(&people, &mut transaction, 2, "in").await.expect("written");
            transaction.commit().await.expect("commits");
        });
        closed.expect("closes behind it");
        bench.expect(2, Some("in"), None).await;
        drop((people, app));
        test.drop().await;
    }
}

/// A write that was refused leaves no fence behind on PostgreSQL, nor a bound on the caller's waits.
#[tokio::test(flavor = "multi_thread")]
async fn bounds_end_with_the_write() {
    let settings = [
        (Engine::Postgres, "select current_setting('lock_timeout')"),
        (Engine::Mysql, "select concat_ws('/', @@innodb_lock_wait_timeout, @@lock_wait_timeout)"),
    ];
    let own = ["set local lock_timeout = '7s'", "set innodb_lock_wait_timeout = 7"];
    for ((engine, setting), own) in settings.into_iter().zip(own) {
        let test = TestDatabase::create(engine, "bounds").await;
        let bench = Bench::new(test.open().await).await;
        bench.go(Stage::DualWrite).await;
        let (app, people) = start(&bench).await;
        let mut transaction = app.begin().await.expect("begins");
        run(transaction.connection().expect("open"), own).await.expect("set");
        let seen = async |transaction: &mut Transaction| -> String {
            let tx = transaction.connection().expect("open");
            match engine {
                Engine::Mysql => {
                    let tx = tx.mysql().expect("MariaDB");
                    sqlx::query_scalar(setting).fetch_one(tx).await
                }
                _ => {
                    let tx = tx.postgres().expect("PostgreSQL");
                    sqlx::query_scalar(setting).fetch_one(tx).await
                }
            }
            .expect("a setting")
        };
        let before = seen(&mut transaction).await;
        assert!(before.starts_with('7'), "{before}");
        for name in ["good", "bad"] {
            let inside = people
                .write_in(
                    &mut transaction,
                    &1i64,
                    |mut tx| async move {
                        let inside: String = match engine {
                            Engine::Mysql => {
                                sqlx::query_scalar(setting).fetch_one(tx.mysql()?).await?
                            }
                            _ => sqlx::query_scalar(setting).fetch_one(tx.postgres()?).await?,
                        };
                        People::legacy(tx).put(1, name).await?;
                        Ok(inside)
                    },
                    |tx| async move { People::new(tx).put(1, name).await.map(|_| String::new()) },
                )
                .await;
            assert!(inside.expect("written").starts_with('2'), "{engine}: a write is bounded");
            assert_eq!(seen(&mut transaction).await, before, "{engine}, {name}");
        }
        transaction.commit().await.expect("commits");
        drop((people, app));
        test.drop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn another_isolation_is_refused() {
    let test = TestDatabase::create(Engine::Postgres, "isolation_in").await;
    let bench = Bench::new(test.open().await).await;
    let (app, people) = start(&bench).await;
    let mut transaction = app.begin().await.expect("begins");
    let level = "set transaction isolation level repeatable read";
    run(transaction.connection().expect("open"), level).await.expect("set");
    let refused = put_in(&people, &mut transaction, 1, "in").await.expect_err("refused");
    assert!(matches!(refused, WriteError::Store(_)), "{refused:?}");
    transaction.commit().await.expect("nothing else is wrong with it");
    bench.expect(1, None, None).await;
    drop((people, app));
    test.drop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_transaction_of_another_instance_is_refused() {
    engines("stranger", async |db, _| {
        let bench = Bench::new(db).await;
        let (_one, people) = start(&bench).await;
        let (other, _) = start(&bench).await;
        let mut transaction = other.begin().await.expect("begins");
        let refused = put_in(&people, &mut transaction, 1, "in").await;
        let Err(WriteError::Store(error)) = refused else { panic!("{refused:?}") };
        assert_eq!(error.kind, StoreErrorKind::Invalid);
        transaction.rollback().await;
    })
    .await;
}

/// A statement of the caller's own that failed unnoticed is told at the commit.
#[tokio::test(flavor = "multi_thread")]
async fn a_swallowed_error_of_the_callers_own_is_not_acknowledged() {
    let test = TestDatabase::create(Engine::Postgres, "swallowed_in").await;
    let bench = Bench::new(test.open().await).await;
    bench.go(Stage::Live).await;
    let (app, people) = start(&bench).await;
    let mut transaction = app.begin().await.expect("begins");
    put_in(&people, &mut transaction, 1, "lost?").await.expect("written");
    let failed = run(transaction.connection().expect("open"), "select 1 / 0").await;
    failed.expect_err("it fails, and the caller goes on");
    let refused = transaction.commit().await.expect_err("nothing is committed");
    assert!(matches!(refused, TransactionError::Refused(_)), "{refused:?}");
    bench.expect(1, None, None).await;
    drop((people, app));
    test.drop().await;
}
