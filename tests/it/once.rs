//! Operation ids: one commit for each, in any process, stage and order.

use std::time::Duration;

use crossfade::{
    Crossfade, Engine, Flags, Migration, Once, OperationId, Options, Stage, WriteError,
};
use crossfade_core::ToKey;
use crossfade_sql::{Mechanism, Tx};
use crossfade_store::{Admission, Entry, FencedStore, Operation};

use crate::support::{Bench, People, PeopleError, TestDatabase, WAIT, engines, eventually};

async fn put_once(
    migration: &Migration,
    operation: &OperationId,
    id: i64,
    name: &str,
) -> Result<Once<u64>, WriteError<PeopleError>> {
    migration
        .write_once(
            operation,
            &id,
            |tx| async move { People::legacy(tx).put(id, name).await },
            |tx| async move { People::new(tx).put(id, name).await },
        )
        .await
}

async fn migration(bench: &Bench) -> (Crossfade, Migration) {
    let app = bench.app(&Flags::forced::<&str, bool>([])).await;
    let migration = app.migration("people").expect("registered");
    (app, migration)
}

#[tokio::test(flavor = "multi_thread")]
async fn an_id_belongs_to_one_operation_in_every_stage() {
    engines("once", async |db, _| {
        let bench = Bench::new(db).await;
        let (_app, migration) = migration(&bench).await;
        // This handle hears of no stage change; the fence alone tells it.
        let deaf = Bench { db: bench.db.without(Mechanism::Changes) };
        let (_deaf_app, deaf) = self::migration(&deaf).await;
        let id: OperationId = "caller's \"own\" \\ id; ü".parse().expect("an id");
        let first = put_once(&migration, &id, 1, "first").await;
        assert!(matches!(first, Ok(Once::Applied(_))), "{first:?}");
        for stage in [Stage::Off, Stage::DeleteOnly, Stage::DualWrite, Stage::Live] {
            bench.go(stage).await;
            for migration in [&migration, &deaf] {
                let again = put_once(migration, &id, 1, "again").await;
                assert_eq!(again.expect("asked"), Once::AlreadyApplied, "{stage}");
                let other = put_once(migration, &id, 2, "other").await;
                assert!(matches!(other, Err(WriteError::OtherKey)), "{stage}: {other:?}");
            }
        }
        bench.expect(1, Some("first"), None).await;
        bench.expect(2, None, None).await;
        let next = put_once(&migration, &OperationId::random(), 1, "next").await;
        assert!(matches!(next, Ok(Once::Applied(_))), "{next:?}");
        bench.expect(1, Some("next"), Some("next")).await;
    })
    .await;
}

/// What failed may be tried again under its id, and so may what New refused.
#[tokio::test(flavor = "multi_thread")]
async fn an_id_is_spent_by_a_commit_only() {
    engines("spent", async |db, _| {
        let bench = Bench::new(db).await;
        bench.go(Stage::DualWrite).await;
        let (_app, migration) = migration(&bench).await;
        let id = OperationId::random();
        let refused = put_once(&migration, &id, 1, "bad").await;
        assert!(matches!(refused, Ok(Once::Applied(_))), "Legacy alone: {refused:?}");
        assert_eq!(put_once(&migration, &id, 1, "bad").await.expect("asked"), Once::AlreadyApplied);
        bench.expect(1, Some("bad"), None).await;
        bench.go(Stage::Live).await;
        let id = OperationId::random();
        let failed = put_once(&migration, &id, 2, "bad").await;
        assert!(matches!(failed, Err(WriteError::New(_))), "{failed:?}");
        let mended = put_once(&migration, &id, 2, "good").await;
        assert!(matches!(mended, Ok(Once::Applied(_))), "{mended:?}");
        bench.expect(2, Some("good"), Some("good")).await;
    })
    .await;
}

async fn begin_once(bench: &Bench, id: &OperationId, key: i64) -> Tx {
    let (state, key) = (bench.state().await, key.to_key());
    let entry = Entry { migration: &state.definition.name, epoch: state.epoch, key: &key };
    let operation = Operation { id: id.as_str(), attempt: 1 };
    match bench.db.enter_once(entry, operation, None).await.expect("the epoch is open") {
        Admission::First(tx) => tx,
        Admission::Repeated { .. } => panic!("it is the first"),
    }
}

/// A transaction of the same operation that is still open decides, by how it ends.
#[tokio::test(flavor = "multi_thread")]
async fn an_open_transaction_of_the_operation_is_waited_for() {
    for engine in [Engine::Mysql, Engine::Postgres] {
        let test = TestDatabase::create(engine, "waited").await;
        let bench = Bench::new(test.open().await).await;
        bench.go(Stage::Live).await;
        let (app, migration) = migration(&bench).await;
        for (turn, key) in [(1i64, 1i64), (2, 1), (3, 9), (4, 9)] {
            let id = OperationId::random();
            let open = begin_once(&bench, &id, 1).await;
            let second = tokio::spawn({
                let (migration, id) = (migration.clone(), id.clone());
                async move { put_once(&migration, &id, key, "second").await }
            });
            eventually("the second waits", async || bench.sessions_waiting().await == 1).await;
            if turn % 2 == 0 {
                bench.db.rollback(open).await;
            } else {
                bench.db.commit(open).await.expect("commits");
            }
            let second = second.await.expect("no panic");
            match turn {
                1 => assert_eq!(second.expect("asked"), Once::AlreadyApplied),
                3 => assert!(matches!(second, Err(WriteError::OtherKey)), "{second:?}"),
                _ => assert!(matches!(second, Ok(Once::Applied(_))), "{engine}: {second:?}"),
            }
        }
        drop(app);
        test.drop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn old_ids_are_forgotten() {
    engines("forgotten", async |db, _| {
        let bench = Bench::new(db).await;
        let (app, keeping) = migration(&bench).await;
        for id in 1..=250 {
            let done = put_once(&keeping, &OperationId::random(), id, "kept").await;
            assert!(matches!(done, Ok(Once::Applied(_))), "{done:?}");
        }
        assert_eq!(bench.rows("crossfade_operations").await, 250, "a day has not passed");
        drop((app, keeping));
        let short = Crossfade::builder_on(bench.db.clone())
            .flags(Flags::forced::<&str, bool>([]))
            .options(Options::default().operation_retention(Duration::from_millis(1)))
            .build()
            .await
            .expect("starts");
        eventually("all are gone", async || bench.rows("crossfade_operations").await == 0).await;
        let migration = short.migration("people").expect("registered");
        let id = OperationId::random();
        assert!(put_once(&migration, &id, 1, "once").await.is_ok());
        eventually("it is gone", async || bench.rows("crossfade_operations").await == 0).await;
        let again = put_once(&migration, &id, 1, "twice").await;
        assert!(matches!(again, Ok(Once::Applied(_))), "{again:?}");
    })
    .await;
}

/// Records are deleted past those of transactions that are still open, in small batches.
#[tokio::test(flavor = "multi_thread")]
async fn forgetting_waits_for_nobody() {
    for engine in [Engine::Mysql, Engine::Postgres] {
        let test = TestDatabase::create(engine, "past").await;
        let bench = Bench::new(test.open().await).await;
        let (app, migration) = migration(&bench).await;
        for id in 1..=5 {
            assert!(put_once(&migration, &OperationId::random(), id, "old").await.is_ok());
        }
        let open = begin_once(&bench, &OperationId::random(), 9).await;
        let forget = async |at_most| {
            let forgotten = bench.db.forget_operations(Duration::ZERO, at_most);
            tokio::time::timeout(WAIT / 4, forgotten)
                .await
                .expect("it does not wait")
                .expect("asked")
        };
        assert_eq!(forget(3).await, 3);
        assert_eq!(forget(3).await, 2);
        assert_eq!(forget(3).await, 0);
        bench.db.commit(open).await.expect("commits");
        assert_eq!(bench.rows("crossfade_operations").await, 1, "that of the open transaction");
        drop(app);
        test.drop().await;
    }
}
