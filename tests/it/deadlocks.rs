//! Deadlocks and their like: tried again, and not for ever.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use crossfade::{
    Backoff, Crossfade, Database, Engine, Flags, Known, Migration, Options, Stage, StoreErrorKind,
    WriteError,
};
use sqlx::AssertSqlSafe;
use sqlx::sqlite::{SqliteConnectOptions, SqlitePoolOptions};
use tokio::sync::Barrier;

use crate::support::{Bench, People, PeopleError, TestDatabase, engines, put};

/// Puts `first` and then `second` within the write of `key`; the first time it meets the other
/// writer in between.
async fn crossing(
    migration: Migration,
    key: i64,
    rows: (i64, i64),
    meet: Arc<Barrier>,
    tries: Arc<AtomicU32>,
) -> Result<u64, WriteError<PeopleError>> {
    let first_try = std::sync::atomic::AtomicBool::new(true);
    migration
        .write(
            &key,
            |tx| {
                tries.fetch_add(1, Ordering::Relaxed);
                let meet = first_try.swap(false, Ordering::Relaxed).then(|| Arc::clone(&meet));
                async move {
                    let people = People::legacy(tx);
                    people.put(rows.0, "crossed").await?;
                    if let Some(meet) = meet {
                        meet.wait().await;
                    }
                    people.put(rows.1, "crossed").await
                }
            },
            |tx| async move { People::new(tx).put(key, "crossed").await },
        )
        .await
}

#[tokio::test(flavor = "multi_thread")]
async fn two_writes_that_deadlock_both_succeed() {
    for engine in [Engine::Mysql, Engine::Postgres] {
        let test = TestDatabase::create(engine, "crossing").await;
        let bench = Bench::new(test.open().await).await;
        bench.go(Stage::Live).await;
        bench.sql("insert into people values (11, 'old'), (12, 'old')").await;
        let app = bench.app(&Flags::forced::<&str, bool>([])).await;
        let migration = app.migration("people").expect("registered");
        let (meet, tries) = (Arc::new(Barrier::new(2)), Arc::new(AtomicU32::new(0)));
        let one = crossing(migration.clone(), 1, (11, 12), meet.clone(), tries.clone());
        let two = crossing(migration.clone(), 2, (12, 11), meet.clone(), tries.clone());
        let (one, two) = tokio::join!(tokio::spawn(one), tokio::spawn(two));
        one.expect("no panic").expect("written");
        two.expect("no panic").expect("written");
        assert!(tries.load(Ordering::Relaxed) >= 3, "{engine}: there was no deadlock");
        for id in [11, 12] {
            bench.expect(id, Some("crossed"), None).await;
        }
        drop((migration, app));
        test.drop().await;
    }
}

async fn impatient(db: Database, tries: u32) -> Crossfade {
    let pause = Duration::from_millis(1);
    Crossfade::builder_on(db)
        .flags(Flags::forced::<&str, bool>([]))
        .options(Options::default().tries(Backoff::new(pause, pause, tries)))
        .build()
        .await
        .expect("starts")
}

/// A server that answers each try like this says so by the same error at last, and has held nothing.
#[tokio::test(flavor = "multi_thread")]
async fn an_endless_deadlock_ends_the_write_after_its_tries() {
    let failures = [
        (Engine::Postgres, "do $$ begin raise exception 'x' using errcode = '40P01'; end $$"),
        (Engine::Postgres, "do $$ begin raise exception 'x' using errcode = '40001'; end $$"),
        (Engine::Mysql, "signal sqlstate '40001' set mysql_errno = 1213"),
        (Engine::Mysql, "signal sqlstate 'HY000' set mysql_errno = 1020"),
        (Engine::Mysql, "signal sqlstate 'HY000' set mysql_errno = 1205"),
    ];
    for engine in [Engine::Postgres, Engine::Mysql] {
        let test = TestDatabase::create(engine, "endless").await;
        let bench = Bench::new(test.open().await).await;
        bench.go(Stage::Live).await;
        let app = impatient(bench.db.clone(), 4).await;
        let migration = app.migration("people").expect("registered");
        for (_, failure) in failures.iter().filter(|(on, _)| *on == engine) {
            let tries = AtomicU32::new(0);
            let written = migration
                .write(
                    &1i64,
                    |mut tx| {
                        tries.fetch_add(1, Ordering::Relaxed);
                        async move {
                            let failure = sqlx::raw_sql(AssertSqlSafe(*failure));
                            match engine {
                                Engine::Mysql => failure.execute(tx.mysql()?).await.map(drop)?,
                                _ => failure.execute(tx.postgres()?).await.map(drop)?,
                            }
                            Ok::<u64, PeopleError>(0)
                        }
                    },
                    |tx| async move { People::new(tx).put(1, "half").await },
                )
                .await;
            let error = written.expect_err("it fails each time");
            assert!(matches!(error, WriteError::Legacy(_)), "{failure}: {error:?}");
            assert_eq!(error.known(), Known::NothingWritten);
            assert_eq!(tries.load(Ordering::Relaxed), 4, "{failure}");
            bench.expect(1, None, None).await;
        }
        drop((migration, app));
        test.drop().await;
    }
}

/// SQLite has one writer at a time, so it knows no deadlock, but another process may be that one.
#[tokio::test(flavor = "multi_thread")]
async fn a_busy_file_is_tried_again_and_not_for_ever() {
    let test = TestDatabase::create(Engine::Sqlite, "busy").await;
    let bench = Bench::new(test.open().await).await;
    bench.go(Stage::Live).await;
    let options = test.url.parse::<SqliteConnectOptions>().expect("a URL");
    let options = options.busy_timeout(Duration::from_millis(20));
    let pool = SqlitePoolOptions::new().connect_with(options).await.expect("opens");
    let db = Database::open(pool).await.expect("opens");
    let app = impatient(db, 5).await;
    let migration = app.migration("people").expect("registered");

    let other = bench.db.sqlite().expect("SQLite");
    let hold = other.begin_with("begin immediate").await.expect("the other process writes");
    let error = put(&migration, 1, "busy").await.expect_err("it is held");
    let WriteError::Store(error) = error else { panic!("{error:?}") };
    assert_eq!(error.kind, StoreErrorKind::LockTimeout);
    bench.expect(1, None, None).await;

    let patient = impatient(app.database().clone(), 1000).await;
    let patient = patient.migration("people").expect("registered");
    let (written, ()) = tokio::join!(put(&patient, 1, "well"), async {
        // Both queue for the one place of a writer, so the patient one has failed by then, too.
        put(&migration, 2, "busy").await.expect_err("it is held");
        hold.rollback().await.expect("let go");
    });
    written.expect("written once the other has let go");
    bench.expect(1, Some("well"), Some("well")).await;
    test.drop().await;
}

/// What the database refuses it would refuse again.
#[tokio::test(flavor = "multi_thread")]
async fn a_refusal_is_not_tried_again() {
    engines("not_again", async |db, _| {
        let bench = Bench::new(db.clone()).await;
        bench.go(Stage::Live).await;
        let app = impatient(db, 4).await;
        let migration = app.migration("people").expect("registered");
        let tries = AtomicU32::new(0);
        let written = migration
            .write(
                &1i64,
                |tx| async move { People::legacy(tx).put(1, "bad").await },
                |tx| {
                    tries.fetch_add(1, Ordering::Relaxed);
                    async move { People::new(tx).put(1, "bad").await }
                },
            )
            .await;
        assert!(matches!(written, Err(WriteError::New(_))), "{written:?}");
        assert_eq!(tries.load(Ordering::Relaxed), 1);
    })
    .await;
}
