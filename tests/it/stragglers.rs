//! Ending a session that keeps an epoch open, and no other.

use crossfade::{Engine, Stage};
use crossfade_core::ToKey;
use crossfade_store::{ControlStore, Entry, FencedStore};

use crate::support::{Bench, TestDatabase, WAIT};

async fn is_alive(bench: &Bench, pid: i64) -> bool {
    sqlx::query_scalar("select count(*) = 1 from pg_stat_activity where pid::bigint = $1")
        .bind(pid)
        .fetch_one(bench.db.postgres().expect("PostgreSQL"))
        .await
        .expect("pg_stat_activity")
}

/// Between naming a holder and ending it, its session may have turned to something else.
#[tokio::test(flavor = "multi_thread")]
async fn a_session_is_ended_only_while_it_holds_the_epoch() {
    let test = TestDatabase::create(Engine::Postgres, "stragglers").await;
    let bench = Bench::new(test.open().await).await;
    let state = bench.state().await;
    let (name, epoch, key) = (&state.definition.name, state.epoch, 1i64.to_key());
    let entry = Entry { migration: name, epoch, key: &key };
    let writer = bench.db.enter(entry, None).await.expect("the epoch is open");
    let straggler =
        bench.db.enter(Entry { key: &2i64.to_key(), ..entry }, None).await.expect("open");
    bench.append(Stage::DeleteOnly).await;
    let holders = bench.db.epoch_holders(name, epoch).await.expect("holders");
    assert_eq!(holders.len(), 2, "{holders:?}");
    bench.db.commit(writer).await.expect("it leaves by itself");

    let mut ended = Vec::new();
    for holder in &holders {
        if bench.db.terminate(name, epoch, holder).await.expect("asked") {
            ended.push(holder.pid);
        } else {
            assert!(is_alive(&bench, holder.pid).await, "it holds nothing and was ended");
        }
    }
    assert_eq!(ended.len(), 1, "{holders:?}");
    bench.db.close_epoch(name, epoch, WAIT).await.expect("nobody holds it now");
    drop(straggler);
    test.drop().await;
}
