//! Two who write at the same time, each with a view of the rows of its own.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use crossfade::{Flags, Side, Stage};
use crossfade_core::ToKey;
use crossfade_sql::{Mechanism, Tx};
use crossfade_store::{Entry, Failure, FencedStore, Loan};

use super::scene::{Scene, delete, put};
use super::table::engines;
use super::{Outcome, tell, told};
use crate::support::{Apart, People, definition, eventually};

/// Two increments of one row, of which the second begins before the first has written.
#[tokio::test(flavor = "multi_thread")]
async fn changes_of_a_key_are_ordered() {
    told("changes_of_a_key_are_ordered", Mechanism::KeyLock, async |scene: &Scene| {
        let epoch = scene.go(Stage::DualWrite).await;
        scene.put_both(epoch, 1, "1").await;
        let (tx, value) = get(scene.enter_open(epoch, 1).await).await;
        let second = tokio::spawn({
            let scene = scene.clone();
            async move {
                let (tx, value) = get(scene.enter_open(epoch, 1).await).await;
                put_incremented(&scene, tx, value).await;
            }
        });
        eventually("the second waits or is done", async || {
            second.is_finished() || scene.bench.sessions_waiting().await == 1
        })
        .await;
        put_incremented(scene, tx, value).await;
        second.await.expect("no panic");
        scene.judge_new("3").await
    })
    .await;
}

/// A delete of a marked key that has no row, and a write of that key which New refuses: the mark
/// that the delete lets go of must not be the one of the later write.
#[tokio::test(flavor = "multi_thread")]
async fn a_mark_is_not_released_by_an_older_write() {
    told("a_mark_is_not_released_by_an_older_write", Mechanism::KeyLock, async |scene: &Scene| {
        let epoch = scene.go(Stage::DualWrite).await;
        scene.put_and_mark(epoch, 1, "bad").await;
        scene.bench.legacy().delete(1).await.expect("deleted");
        let tx = scene.enter_open(epoch, 1).await;
        let tx = delete(tx, Side::Legacy, 1).await;
        let refused = tokio::spawn({
            let scene = scene.clone();
            async move { scene.put_and_mark(epoch, 1, "bad again").await }
        });
        eventually("the other waits or is done", async || {
            refused.is_finished() || scene.bench.sessions_waiting().await == 1
        })
        .await;
        let mut tx = delete(tx, Side::New, 1).await;
        let (name, key) = (definition().name, 1i64.to_key());
        let entry = Entry { migration: &name, epoch, key: &key };
        scene.bench.db.release_from_quarantine(&mut tx, entry).await.expect("released");
        scene.commit(tx).await;
        refused.await.expect("no panic");
        scene.compare().await
    })
    .await;
}

/// The wrapper writes a key while somebody around it writes both sides of the same, Legacy first; or
/// one like the wrapper does that writes New first.
#[tokio::test(flavor = "multi_thread")]
async fn one_order_of_locks_does_not_deadlock() {
    let name = "one_order_of_locks_does_not_deadlock";
    either_way(name, async |scene: &Scene, way| {
        let epoch = scene.go(Stage::DualWrite).await;
        scene.put_both(epoch, 1, "row").await;
        let app = scene.bench.app(&Flags::forced::<&str, bool>([])).await;
        let migration = app.migration("people").expect("registered");
        let legacy = "update people set name = 'mine' where id = 1";
        let new = "update people_v2 set name = 'mine' where person_id = 1";
        let mut one = Apart::of(&scene.bench.db).await;
        let mut other = Apart::of(&scene.bench.db).await;
        one.run(&format!("begin; {legacy}")).await;
        let tries = Arc::new(AtomicU32::new(0));
        let counted = Arc::clone(&tries);
        if way == Way::Omitted {
            other.run(&format!("begin; {new}")).await;
        }
        let waiting = tokio::spawn(async move {
            match way {
                Way::Kept => {
                    let put = |side: Side, tx| {
                        counted.fetch_add(1, Ordering::Relaxed);
                        async move { People::on(side, tx).put(1, "theirs").await }
                    };
                    let written = migration
                        .write(&1i64, |tx| put(Side::Legacy, tx), |tx| put(Side::New, tx))
                        .await;
                    written.expect("whatever the database gives up is tried again");
                    Ok(())
                }
                Way::Omitted => other.attempt(&format!("{legacy}; commit")).await,
            }
        });
        eventually("the other waits", async || scene.bench.sessions_waiting().await == 1).await;
        let done = [one.attempt(&format!("{new}; commit")).await, waiting.await.expect("no panic")];
        let deadlocks = done.iter().filter_map(|done| done.as_ref().err());
        let kinds: Vec<Failure> = deadlocks.map(|error| scene.bench.db.classify(error)).collect();
        match kinds.as_slice() {
            // Each closure was called once: no try was given up to a deadlock.
            [] if way == Way::Omitted || tries.load(Ordering::Relaxed) == 2 => Outcome::Held,
            [] | [Failure::Transient] => Outcome::Broken("one of them was given up".to_owned()),
            kinds => panic!("{kinds:?}"),
        }
    })
    .await;
}

/// A transaction has read when somebody else writes. SQLite does not let it write any more, however
/// long it waits.
#[tokio::test(flavor = "multi_thread")]
async fn a_writer_never_upgrades_a_read() {
    either_way("a_writer_never_upgrades_a_read", async |scene: &Scene, way| {
        let epoch = scene.bench.state().await.epoch;
        match way {
            Way::Kept => {
                let tx = scene.enter_open(epoch, 1).await;
                let other = tokio::spawn({
                    let legacy = scene.whole.legacy();
                    async move { legacy.put(2, "other").await }
                });
                let (tx, _) = get(tx).await;
                let tx = put(tx, Side::Legacy, 1, "mine").await;
                scene.commit(tx).await;
                other.await.expect("no panic").expect("it has waited");
                Outcome::Held
            }
            Way::Omitted => {
                let mut reader = Apart::of(&scene.bench.db).await;
                reader.run("begin; select name from people").await;
                scene.whole.legacy().put(2, "other").await.expect("nobody writes");
                let written = reader.attempt("insert into people values (1, 'mine')").await;
                let error = written.expect_err("its view is from before");
                Outcome::Broken(error.to_string())
            }
        }
    })
    .await;
}

/// Whether a rule is kept.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Way {
    Kept,
    Omitted,
}

/// Tells a story on each engine: it must end well where its rule is kept, and badly where not.
async fn either_way<S: AsyncFn(&Scene, Way) -> Outcome>(name: &str, story: S) {
    for engine in engines(name) {
        let kept = tell(engine, None, &async |scene: &Scene| story(scene, Way::Kept).await).await;
        assert!(matches!(kept, Outcome::Held), "{engine}: {kept:?}");
        let omitted = async |scene: &Scene| story(scene, Way::Omitted).await;
        let omitted = tell(engine, None, &omitted).await;
        assert!(matches!(omitted, Outcome::Broken(_)), "{engine}: the story shows nothing");
    }
}

/// What Legacy has for key 1, as a transaction sees it.
async fn get(tx: Tx) -> (Tx, Option<String>) {
    let loan = Loan::default();
    let lent = loan.lend(tx);
    let value = People::legacy(lent).get(1).await.expect("read");
    (loan.take_back().expect("given back"), value)
}

async fn put_incremented(scene: &Scene, tx: Tx, value: Option<String>) {
    let value: i64 = value.and_then(|text| text.parse().ok()).unwrap_or(0);
    let value = (value + 1).to_string();
    let tx = put(tx, Side::Legacy, 1, &value).await;
    let tx = put(tx, Side::New, 1, &value).await;
    scene.commit(tx).await;
}
