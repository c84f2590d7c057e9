//! Ending a session that keeps an epoch open, and no other.

use crossfade::{Database, Engine, Stage};
use crossfade_core::ToKey;
use crossfade_sql::Tx;
use crossfade_store::{ControlStore, Entry, FencedStore, StoreErrorKind};

use crate::support::{Apart, Bench, TestDatabase, WAIT, definition, eventually};

async fn is_alive(bench: &Bench, pid: i64) -> bool {
    let Some(pool) = bench.db.mysql() else {
        let sql = "select count(*) = 1 from pg_stat_activity where pid::bigint = $1";
        let pool = bench.db.postgres().expect("PostgreSQL");
        return sqlx::query_scalar(sql).bind(pid).fetch_one(pool).await.expect("pg_stat_activity");
    };
    let sql = "select count(*) = 1 from information_schema.processlist where id = ?";
    sqlx::query_scalar(sql).bind(pid).fetch_one(pool).await.expect("processlist")
}

/// A writer in the epoch that is open.
async fn writer(bench: &Bench, key: i64) -> Tx {
    let epoch = bench.state().await.epoch;
    let (name, key) = (definition().name, key.to_key());
    let entry = Entry { migration: &name, epoch, key: &key };
    bench.db.enter(entry, None).await.expect("the epoch is open")
}

/// Between naming a holder and ending it, its session may have turned to something else.
#[tokio::test(flavor = "multi_thread")]
async fn a_session_is_ended_only_while_it_holds_the_epoch() {
    for engine in [Engine::Mysql, Engine::Postgres] {
        let test = TestDatabase::create(engine, "stragglers").await;
        let bench = Bench::new(test.open().await).await;
        let (name, epoch) = (definition().name, bench.state().await.epoch);
        let (leaver, straggler) = (writer(&bench, 1).await, writer(&bench, 2).await);
        bench.append(Stage::DeleteOnly).await;
        // Is in the epoch that goes on, and no straggler.
        let next = writer(&bench, 3).await;
        let holders = bench.db.epoch_holders(&name, epoch).await.expect("holders");
        assert_eq!(holders.len(), 2, "{holders:?}");
        for words in ["user ", "from ", "transaction open for "] {
            assert!(holders[0].description.contains(words), "{holders:?}");
        }
        bench.db.commit(leaver).await.expect("it leaves by itself");

        let mut ended = Vec::new();
        for holder in &holders {
            if bench.db.terminate(&name, epoch, holder).await.expect("asked") {
                ended.push(holder.pid);
            } else {
                assert!(is_alive(&bench, holder.pid).await, "it holds nothing and was ended");
            }
        }
        assert_eq!(ended.len(), 1, "{holders:?}");
        bench.db.close_epoch(&name, epoch, WAIT).await.expect("nobody holds it now");
        assert_eq!(bench.db.epoch_holders(&name, epoch).await.expect("holders"), []);
        bench.db.commit(next).await.expect("nobody has ended it");
        drop(straggler);
        test.drop().await;
    }
}

/// MariaDB's view of its locks is a little old. A connection that has begun another statement since
/// may be in another transaction by now.
#[tokio::test(flavor = "multi_thread")]
async fn a_busy_connection_is_left_to_the_operator() {
    let test = TestDatabase::create(Engine::Mysql, "busy").await;
    let bench = Bench::new(test.open().await).await;
    let (name, epoch) = (definition().name, bench.state().await.epoch);
    let mut busy = writer(&bench, 1).await;
    bench.append(Stage::DeleteOnly).await;
    let holders = bench.db.epoch_holders(&name, epoch).await.expect("holders");
    let (stop, mut stopped) = tokio::sync::oneshot::channel();
    let working = tokio::spawn(async move {
        while stopped.try_recv().is_err() {
            let connection = busy.mysql().expect("MariaDB");
            sqlx::query("do 1").execute(connection).await.expect("it is left alone");
        }
        busy
    });
    let error = bench.db.terminate(&name, epoch, &holders[0]).await.expect_err("it is busy");
    assert_eq!(error.kind, StoreErrorKind::Conflict, "{error:?}");
    assert!(error.hint.is_some_and(|hint| hint.contains(&format!("kill {}", holders[0].pid))));
    stop.send(()).expect("it works");
    bench.db.commit(working.await.expect("no panic")).await.expect("commits");
    test.drop().await;
}

/// Another operator who waits for the same epoch does not hold it, and neither does who only reads.
#[tokio::test(flavor = "multi_thread")]
async fn who_waits_for_an_epoch_is_no_holder() {
    for engine in [Engine::Mysql, Engine::Postgres] {
        let test = TestDatabase::create(engine, "waits").await;
        let bench = Bench::new(test.open().await).await;
        let (name, epoch) = (definition().name, bench.state().await.epoch);
        let writer = writer(&bench, 1).await;
        bench.append(Stage::DeleteOnly).await;
        let mut reader = Apart::of(&bench.db).await;
        reader.run("begin; select * from crossfade_epochs").await;
        let closing = tokio::spawn({
            let (db, name) = (bench.db.clone(), name.clone());
            async move { db.close_epoch(&name, epoch, WAIT).await }
        });
        eventually("the closer waits", async || bench.sessions_waiting().await == 1).await;
        let holders = bench.db.epoch_holders(&name, epoch).await.expect("holders");
        assert_eq!(holders.len(), 1, "{engine}: {holders:?}");
        bench.db.commit(writer).await.expect("commits");
        closing.await.expect("no panic").expect("closes");
        drop(reader);
        test.drop().await;
    }
}

/// MariaDB shows locks to few. Whoever may not see them is told of nobody.
#[tokio::test(flavor = "multi_thread")]
async fn without_the_right_to_see_locks_nobody_is_named() {
    let test = TestDatabase::create(Engine::Mysql, "unseen").await;
    let bench = Bench::new(test.open().await).await;
    let (base, schema) = test.url.rsplit_once('/').expect("a database");
    let (_, host) = base.rsplit_once('@').expect("a user");
    for sql in ["create user", "grant all on {schema}.* to"] {
        bench.sql(&format!("{} {schema}@'%'", sql.replace("{schema}", schema))).await;
    }
    let url = format!("mysql://{schema}@{host}/{schema}");
    let other = Database::connect(&url).await.expect("may connect");
    let writer = writer(&bench, 1).await;
    let (name, epoch) = (definition().name, bench.state().await.epoch);
    bench.append(Stage::DeleteOnly).await;
    assert_eq!(bench.db.epoch_holders(&name, epoch).await.expect("holders").len(), 1);
    assert_eq!(other.epoch_holders(&name, epoch).await.expect("asked"), []);
    bench.db.commit(writer).await.expect("commits");
    other.mysql().expect("MariaDB").close().await;
    bench.sql(&format!("drop user {schema}@'%'")).await;
    test.drop().await;
}
