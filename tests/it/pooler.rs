//! A pooler that has lost the server says so in codes of its own, also where the server has carried
//! out what it was sent: nothing definite is made of them.

use std::sync::atomic::{AtomicU32, Ordering};

use crossfade::{Engine, Known, Once, OperationId, Stage, TransactionError, Travels, WriteError};
use crossfade_testkit::Fault;

use crate::support::{Far, People, put, put_in};

/// How a pooler says that the server is lost.
const fn lost(engine: Engine) -> Fault {
    match engine {
        Engine::Mysql => Fault::ErrorReply(2013),
        Engine::Postgres | Engine::Sqlite => Fault::FatalReply("08P01"),
    }
}

async fn at_the_commit(engine: Engine, commit: &str) {
    let fault = lost(engine);
    for stage in [Stage::DualWrite, Stage::Live] {
        let Far { test, bench, proxy, app } = Far::new(engine, stage).await;
        let migration = app.migration("people").expect("registered");

        let armed = proxy.arm(commit, fault);
        let error = put(&migration, 1, "paid").await.expect_err("nobody knows");
        assert!(armed.has_struck(), "{stage}");
        assert!(matches!(error, WriteError::CommitUnknown(_)), "{stage}: {error:?}");
        assert_eq!(error.known(), Known::BothOrNeither);
        bench.expect_through(1, "paid").await;

        let (ran, operation) = (AtomicU32::new(0), OperationId::random());
        let armed = proxy.arm(commit, fault);
        let once = migration
            .write_once(
                &operation,
                &2i64,
                |tx| async move { People::legacy(tx).put(2, "once").await },
                |tx| {
                    ran.fetch_add(1, Ordering::Relaxed);
                    async move { People::new(tx).put(2, "once").await }
                },
            )
            .await;
        assert!(armed.has_struck());
        assert!(matches!(once, Ok(Once::Applied(_))), "{stage}: {once:?}");
        assert_eq!(ran.load(Ordering::Relaxed), 1);

        let mut transaction = app.begin().await.expect("begins");
        put_in(&migration, &mut transaction, 3, "paid").await.expect("written");
        let armed = proxy.arm(commit, fault);
        let error = transaction.commit().await.expect_err("nobody knows");
        assert!(armed.has_struck());
        assert!(matches!(error, TransactionError::CommitUnknown(_)), "{stage}: {error:?}");
        bench.expect_through(3, "paid").await;
        assert!(bench.state().await.quarantined.is_empty(), "{stage}");
        drop((migration, app));
        test.drop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_commit_that_a_pooler_lost_is_unknown_on_postgres() {
    at_the_commit(Engine::Postgres, "commit").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_commit_that_a_proxy_lost_is_unknown_on_mariadb() {
    at_the_commit(Engine::Mysql, "call crossfade_commit").await;
}

/// Before the commit nothing is in doubt, and the write is tried again.
#[tokio::test(flavor = "multi_thread")]
async fn a_statement_in_a_transaction_that_a_pooler_lost_is_tried_again() {
    for engine in [Engine::Mysql, Engine::Postgres] {
        let Far { test, bench, proxy, app } = Far::new(engine, Stage::Live).await;
        let migration = app.migration("people").expect("registered");
        let armed = proxy.arm("insert into people_v2", lost(engine));
        put(&migration, 1, "again").await.expect("the second try is well");
        assert!(armed.has_struck(), "{engine}");
        bench.expect(1, Some("again"), Some("again")).await;
        drop((migration, app));
        test.drop().await;
    }
}

/// The statement adds to what is there, so a second run would show.
#[tokio::test(flavor = "multi_thread")]
async fn one_statement_that_a_pooler_lost_is_not_run_again() {
    let Far { test, bench, proxy, app } = Far::new(Engine::Postgres, Stage::Live).await;
    let migration = app.migration("people").expect("registered");
    let adds = |table: &str, key: &str| {
        format!(
            "insert into {table} ({key}, name) values ($1, $2) \
             on conflict ({key}) do update set name = {table}.name || excluded.name"
        )
    };
    let (legacy, new) = (adds("people", "id"), adds("people_v2", "person_id"));
    let statement = migration.statement(&legacy, &new).await.expect("fits");
    assert_eq!(statement.travels(), Travels::OneStatement);
    // 57P01 is also what the server itself says, of a statement that it has not carried out.
    for (id, state) in [(1i64, "57P01"), (2, "08P01"), (3, "40003"), (4, "58000")] {
        // Once it is prepared, the values alone are on the wire.
        statement.bind(9i64).bind(".").execute(&9i64).await.expect("written");
        let paid = format!("{id}0 eur;");
        let armed = proxy.arm(&paid, Fault::FatalReply(state));
        let told = statement.bind(id).bind(paid.as_str()).execute(&id).await;
        assert!(armed.has_struck(), "{state}");
        assert!(matches!(told, Err(WriteError::CommitUnknown(_))), "{state}: {told:?}");
        bench.expect(id, Some(&paid), Some(&paid)).await;
    }
    drop((statement, migration, app));
    test.drop().await;
}
