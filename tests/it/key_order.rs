//! The key's lock orders writers of a key whose row does not exist, which no row lock can.

use crossfade::{Engine, Flags, Stage};
use tokio::sync::oneshot;

use crate::support::{Bench, People, TestDatabase, delete, eventually, put};

/// A delete that finds no Legacy row stands between its two halves while an insert of the same key
/// commits. Its second half must not take the insert's New row away.
async fn delete_around_an_insert(bench: &Bench) {
    let app = bench.app(&Flags::forced::<&str>([])).await;
    let migration = app.migration("people").expect("registered");
    bench.go(Stage::DualWrite).await;
    assert_eq!(put(&migration, 2, "warm").await.expect("written"), 1);

    let (reached, halfway) = oneshot::channel();
    let (go_on, wait) = oneshot::channel::<()>();
    let gates = std::sync::Mutex::new(Some((reached, wait)));
    let deleting = migration.write(
        &1i64,
        |tx| async { People::legacy(tx).delete(1).await },
        |tx| async {
            let gates = gates.lock().expect("one thread").take();
            if let Some((reached, wait)) = gates {
                reached.send(()).expect("the test waits");
                wait.await.expect("the test goes on");
            }
            People::new(tx).delete(1).await
        },
    );
    let inserting = async {
        halfway.await.expect("the delete has passed Legacy");
        let insert = tokio::spawn({
            let migration = migration.clone();
            async move { put(&migration, 1, "here").await }
        });
        eventually("the insert waits or is done", async || {
            insert.is_finished() || bench.sessions_waiting().await > 0
        })
        .await;
        go_on.send(()).expect("the delete waits");
        insert.await.expect("no panic").expect("written");
    };
    let (deleted, ()) = tokio::join!(deleting, inserting);
    deleted.expect("deleted");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_delete_of_nothing_does_not_undo_an_insert() {
    let test = TestDatabase::create(Engine::Postgres, "key_order").await;
    let bench = Bench::new(test.open().await).await;
    delete_around_an_insert(&bench).await;
    bench.expect(1, Some("here"), Some("here")).await;
    test.drop().await;
}

/// The same story with a fence that takes no key lock splits the pair: this is what the lock is
/// for, and the proof that the test above can fail.
#[tokio::test(flavor = "multi_thread")]
async fn without_the_key_lock_it_does() {
    let test = TestDatabase::create(Engine::Postgres, "no_key_lock").await;
    let bench = Bench::new(test.open().await).await;
    bench
        .sql(
            "create or replace function crossfade_enter(fence regclass, wanted_epoch bigint, \
             epoch_lock bigint, key_lock bigint, lock_ms bigint) returns void language plpgsql as $$ begin \
             perform pg_advisory_xact_lock_shared(epoch_lock); end $$",
        )
        .await;
    delete_around_an_insert(&bench).await;
    bench.expect(1, Some("here"), None).await;
    test.drop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn concurrent_writers_of_few_keys_leave_both_sides_equal() {
    crate::support::engines("few_keys", async |db, _| {
        let bench = Bench::new(db).await;
        let app = bench.app(&Flags::forced::<&str>([])).await;
        let migration = app.migration("people").expect("registered");
        bench.go(Stage::Live).await;
        let writers = (0..8i64).map(|writer| {
            let migration = migration.clone();
            tokio::spawn(async move {
                for turn in 0..30i64 {
                    let id = (writer * 7 + turn * 3) % 5;
                    if (writer + turn) % 3 == 0 {
                        delete(&migration, id).await.expect("deleted");
                    } else {
                        put(&migration, id, &format!("{writer}/{turn}")).await.expect("written");
                    }
                }
            })
        });
        for writer in writers.collect::<Vec<_>>() {
            writer.await.expect("no panic");
        }
        let legacy = bench.legacy().all().await.expect("Legacy");
        assert_eq!(legacy, bench.new_side().all().await.expect("New"));
    })
    .await;
}
