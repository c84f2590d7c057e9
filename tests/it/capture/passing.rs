//! Every kind of write passes a capture that rejects; what callers do beside it does not.

use crossfade::{Engine, Flags, Once, OperationId, Stage, Transaction};
use crossfade_core::CaptureMode;

use super::{capture, capturing};
use crate::support::{People, put, put_in};

/// A statement of the caller's own on Legacy, in its transaction.
async fn own(transaction: &mut Transaction, id: i64) -> Result<(), sqlx::Error> {
    let tx = transaction.connection().expect("open");
    let sql = sqlx::AssertSqlSafe(format!("insert into people values ({id}, 'own')"));
    match tx.engine() {
        Engine::Postgres => sqlx::raw_sql(sql).execute(tx.postgres()?).await.map(drop),
        _ => sqlx::raw_sql(sql).execute(tx.mysql()?).await.map(drop),
    }
}

async fn refused(transaction: &mut Transaction, what: &str) {
    let error = own(transaction, 99).await.expect_err(what).to_string();
    assert!(error.contains("does not pass the fence"), "{what}: {error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn every_kind_of_write_passes() {
    capturing("passing", async |bench, _| {
        let app = bench.app(&Flags::forced::<&str, bool>([])).await;
        let people = app.migration("people").expect("registered");
        let update = match bench.db.engine() {
            Engine::Mysql => "on duplicate key update name = values(name)",
            _ => "on conflict do nothing",
        };
        let [legacy, new] = ["people (id, name)", "people_v2 (person_id, name)"]
            .map(|table| format!("insert into {table} values ($1, $2) {update}"));
        // Declared before there is a capture to pass.
        let declared = people.statement(&legacy, &new).await.expect("the pair fits");
        capture(&bench, CaptureMode::Reject).await;
        // With a bound on waits for locks, and without.
        for (stage, first) in [(Stage::DualWrite, 10i64), (Stage::Live, 20)] {
            bench.go(stage).await;
            put(&people, first, "put").await.expect("a write passes");
            let id = first + 1;
            let once = people
                .write_once(
                    &OperationId::random(),
                    &id,
                    |tx| async move { People::legacy(tx).put(id, "once").await },
                    |tx| async move { People::new(tx).put(id, "once").await },
                )
                .await;
            assert_eq!(once.expect("an operation passes"), Once::Applied(1));
            let id = first + 2;
            let rows = declared.bind(id).bind("declared").execute(&id).await;
            assert_eq!(rows.expect("a declared write passes"), 1, "{stage}");
            let mut transaction = app.begin().await.expect("begins");
            put_in(&people, &mut transaction, first + 3, "in").await.expect("a write passes");
            transaction.commit().await.expect("commits");
            for (id, name) in (first..).zip(["put", "once", "declared", "in"]) {
                bench.expect(id, Some(name), Some(name)).await;
            }
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_callers_own_statements_do_not_pass() {
    capturing("own", async |bench, _| {
        let app = bench.app(&Flags::forced::<&str, bool>([])).await;
        let people = app.migration("people").expect("registered");
        capture(&bench, CaptureMode::Reject).await;
        for stage in [Stage::DualWrite, Stage::Live] {
            bench.go(stage).await;
            let mut transaction = app.begin().await.expect("begins");
            refused(&mut transaction, "before a write").await;
            transaction.rollback().await;
            let mut transaction = app.begin().await.expect("begins");
            put_in(&people, &mut transaction, 1, "in").await.expect("a write passes");
            refused(&mut transaction, "behind a write").await;
            transaction.rollback().await;
            // New refuses it: undone to the savepoint, and in `dual_write` written alone.
            let mut transaction = app.begin().await.expect("begins");
            let written = put_in(&people, &mut transaction, 1, "bad").await;
            assert_eq!(written.is_ok(), stage == Stage::DualWrite, "{written:?}");
            refused(&mut transaction, "behind a write that New refused").await;
            transaction.rollback().await;
            bench.expect(1, None, None).await;
        }
    })
    .await;
}
