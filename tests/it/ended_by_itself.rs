//! SQLite ends a transaction by itself at some errors. What comes after must not commit alone, and
//! the connection must not be lent out with what sqlx makes of it.

use std::time::{Duration, Instant};

use crossfade::{Crossfade, Db, Engine, Flags, Known, Migration, Stage, WriteError};
use crossfade_sql::Tx;
use sqlx::AssertSqlSafe;
use sqlx::sqlite::SqlitePoolOptions;

use crate::support::{Bench, People, PeopleError, TestDatabase, WAIT, put, put_in};

struct Scene {
    test: TestDatabase,
    bench: Bench,
    app: Crossfade,
    migration: Migration,
}

impl Scene {
    async fn new(stage: Stage) -> Self {
        let test = TestDatabase::create(Engine::Sqlite, "by_itself").await;
        let bench = Bench::new(test.open().await).await;
        for table in ["people", "people_v2"] {
            let trigger = format!(
                "create trigger ugly_{table} before insert on {table} when new.name = 'ugly' \
                 begin select raise(rollback, 'ugly'); end"
            );
            bench.sql(&trigger).await;
        }
        bench.go(stage).await;
        let app = bench.app(&Flags::forced::<&str, bool>([])).await;
        let migration = app.migration("people").expect("registered");
        Self { test, bench, app, migration }
    }

    async fn end(self) {
        drop((self.migration, self.app));
        self.test.drop().await;
    }
}

/// A statement whose error ends the transaction, and is swallowed.
async fn swallow(tx: &mut Tx, sql: &'static str) {
    let connection = tx.sqlite().expect("SQLite");
    sqlx::query(sql).execute(connection).await.expect_err("it fails");
}

const ENDS: [&str; 2] = [
    "insert or rollback into people (id, name) values (1, 'again')",
    "insert into people (id, name) values (8, 'ugly')",
];

/// Many more than the pool has connections.
#[tokio::test(flavor = "multi_thread")]
async fn a_refusal_that_ends_it_leaves_the_pool_well() {
    let scene = Scene::new(Stage::DualWrite).await;
    scene.bench.sql("drop trigger ugly_people").await;
    for id in 0..20 {
        put(&scene.migration, id, "ugly").await.expect("Legacy is written");
        scene.bench.expect(id, Some("ugly"), None).await;
    }
    assert_eq!(scene.bench.state().await.quarantined.len(), 20);
    for id in 0..20 {
        put(&scene.migration, id, "fine").await.expect("written");
        scene.bench.expect(id, Some("fine"), Some("fine")).await;
    }
    scene.bench.go(Stage::Live).await;
    for id in 0..20 {
        let error = put(&scene.migration, id, "ugly").await.expect_err("New refuses it");
        assert!(matches!(error, WriteError::New(_)), "{error:?}");
        scene.bench.expect(id, Some("fine"), Some("fine")).await;
    }
    scene.end().await;
}

/// Whatever either closure does after it, nothing is written.
#[tokio::test(flavor = "multi_thread")]
async fn a_swallowed_end_commits_nothing() {
    let scene = Scene::new(Stage::Live).await;
    put(&scene.migration, 1, "old").await.expect("written");
    for ends in ENDS {
        for new_writes in [false, true] {
            let told = scene
                .migration
                .write(
                    &1i64,
                    |mut tx| async move {
                        swallow(&mut tx, ends).await;
                        let other = People::legacy(tx).put(2, "alone").await;
                        other.expect_err("it would be alone");
                        Ok(1)
                    },
                    |mut tx| async move {
                        // A transaction that the application opens in its place is none either.
                        let begin = sqlx::raw_sql("begin").execute(tx.sqlite()?);
                        begin.await.expect("there is none");
                        match new_writes {
                            true => People::new(tx).put(1, "new").await,
                            false => Ok(0),
                        }
                    },
                )
                .await;
            let error = told.expect_err("the transaction has ended");
            assert_eq!(error.known(), Known::NothingWritten, "{ends}: {error:?}");
            assert!(matches!(error, WriteError::Store(_)), "{ends}: {error:?}");
            scene.bench.expect(1, Some("old"), Some("old")).await;
            scene.bench.expect(2, None, None).await;
            put(&scene.migration, 3, "next").await.expect("the next one is well");
        }
    }
    scene.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_callers_transaction_is_over() {
    let scene = Scene::new(Stage::Live).await;
    put(&scene.migration, 1, "old").await.expect("written");
    for ends in ENDS {
        // By a statement of the caller's, in front of a write or behind it.
        for first in [true, false] {
            let mut transaction = scene.app.begin().await.expect("begins");
            if !first {
                put_in(&scene.migration, &mut transaction, 2, "paid").await.expect("written");
            }
            swallow(transaction.connection().expect("open"), ends).await;
            let error = put_in(&scene.migration, &mut transaction, 3, "paid").await;
            let error = error.expect_err("the transaction has ended");
            assert_eq!(error.known(), Known::TransactionUndone, "{error:?}");
            transaction.commit().await.expect_err("it is over");

            let mut transaction = scene.app.begin().await.expect("begins");
            if !first {
                put_in(&scene.migration, &mut transaction, 2, "paid").await.expect("written");
            }
            swallow(transaction.connection().expect("open"), ends).await;
            let error = transaction.commit().await.expect_err("it has ended");
            assert_eq!(error.known(), Known::TransactionUndone, "{error:?}");
        }
        // By a closure.
        let mut transaction = scene.app.begin().await.expect("begins");
        let told = scene
            .migration
            .write_in(
                &mut transaction,
                &2i64,
                |mut tx| async move {
                    swallow(&mut tx, ends).await;
                    Ok::<_, PeopleError>(1)
                },
                |_| async move { Ok(1) },
            )
            .await;
        let error = told.expect_err("the transaction has ended");
        assert_eq!(error.known(), Known::TransactionUndone, "{error:?}");
        scene.bench.expect(1, Some("old"), Some("old")).await;
        scene.bench.expect(2, None, None).await;
        scene.bench.expect(3, None, None).await;
    }
    scene.end().await;
}

/// The hooks that hold a transaction together are gone with it, however it ended: what the
/// application does by itself on the same connection is its own affair.
#[tokio::test(flavor = "multi_thread")]
async fn the_connection_is_its_own_again() {
    let scene = Scene::new(Stage::Live).await;
    let pool = SqlitePoolOptions::new().max_connections(1);
    let pool = pool.connect(&scene.test.url).await.expect("opens");
    let narrow = Bench { db: crossfade::Database::open(pool).await.expect("opens") };
    let app = narrow.app(&Flags::forced::<&str, bool>([])).await;
    let migration = app.migration("people").expect("registered");
    let own = async |turn: &str| {
        let sql = AssertSqlSafe(format!("insert or replace into people values (9, '{turn}')"));
        let pool = narrow.db.sqlite().expect("SQLite");
        sqlx::raw_sql(sql).execute(pool).await.expect(turn);
        assert_eq!(scene.bench.legacy().get(9).await.expect("read").as_deref(), Some(turn));
    };
    put(&migration, 1, "fine").await.expect("written");
    own("committed").await;
    put(&migration, 1, "ugly").await.expect_err("refused");
    own("ended").await;
    put(&migration, 1, "bad").await.expect_err("refused");
    own("rolled back").await;
    drop(app.begin().await.expect("begins"));
    own("dropped").await;
    app.begin().await.expect("begins").rollback().await;
    own("undone").await;
    // The same trap in a transaction of the application's own: sqlx counts it for ever.
    let mut trap = narrow.db.sqlite().expect("SQLite").begin().await.expect("begins");
    let ugly = sqlx::query("insert into people values (8, 'ugly')").execute(&mut *trap).await;
    ugly.expect_err("refused");
    drop(trap);
    put(&migration, 1, "after").await.expect("written");
    scene.bench.expect(1, Some("after"), Some("after")).await;
    drop((migration, app));
    scene.end().await;
}

/// Dropping a write that is inside a savepoint of its own, while a statement is under way, on a
/// runtime of one thread.
#[tokio::test]
async fn dropping_a_write_in_a_savepoint_blocks_nobody() {
    let scene = Scene::new(Stage::Live).await;
    let write = scene.migration.write(
        &1i64,
        |tx| async move {
            let slow = "with recursive n (i) as (select 1 union all select i + 1 from n \
                        where i < 1500000) select count(*) from n";
            let db = Db::from(tx);
            let mut conn = db.conn().await?;
            let mut savepoint = sqlx::Connection::begin(conn.sqlite()?).await?;
            sqlx::query(slow).execute(&mut *savepoint).await?;
            Ok::<_, PeopleError>(1)
        },
        |_| async move { Ok(1) },
    );
    let begun = Instant::now();
    let dropped = tokio::time::timeout(Duration::from_millis(50), write).await;
    dropped.expect_err("the statement is under way");
    let blocked = begun.elapsed();
    // The next one is written once the statement has ended.
    let next = tokio::time::timeout(WAIT, put(&scene.migration, 1, "next")).await;
    next.expect("it ends").expect("written");
    let whole = begun.elapsed();
    assert!(blocked * 3 < whole, "blocked for {blocked:?} of {whole:?}");
    scene.bench.expect(1, Some("next"), Some("next")).await;
    scene.end().await;
}
