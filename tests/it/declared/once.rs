//! Declared writes with an operation id: exactly once, whatever becomes of the commit's request or
//! answer, in stages whose writes travel as one statement and in the others.

use crossfade::{Engine, Flags, Once, OperationId, Stage, WriteError};
use crossfade_testkit::Fault;

use super::one_statement;
use crate::support::{Bench, Far, engines};

/// A pair that is not the same when it is carried out twice: what is there is written longer.
fn appends(engine: Engine) -> [String; 2] {
    [("people", "id"), ("people_v2", "person_id")].map(|(table, key)| {
        let insert = format!("insert into {table} ({key}, name) values ($1, $2)");
        match engine {
            Engine::Mysql => {
                format!(
                    "{insert} on duplicate key update name = concat({table}.name, values(name))"
                )
            }
            Engine::Postgres | Engine::Sqlite => format!(
                "{insert} on conflict ({key}) do update set name = {table}.name || excluded.name"
            ),
        }
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_commit_is_found_out() {
    let spellings = [(Engine::Postgres, "commit"), (Engine::Mysql, "call crossfade_commit")];
    for (engine, commit) in spellings {
        for stage in [Stage::Off, Stage::DualWrite, Stage::Live, Stage::Complete] {
            let Far { test, bench, proxy, app } = Far::new(engine, stage).await;
            let migration = app.migration("people").expect("registered");
            let [legacy, new] = appends(engine);
            let statement = migration.statement(&legacy, &new).await.expect("fits");
            if engine == Engine::Postgres {
                one_statement(&statement);
            }
            for (id, fault) in [(1i64, Fault::LoseReply), (2, Fault::LoseRequest)] {
                let operation = OperationId::random();
                let write = statement.bind(id).bind("once");
                let armed = proxy.arm(commit, fault);
                let done = write.execute_once(&operation, &id).await.expect("it finds out");
                assert!(armed.has_struck(), "{engine:?}, {stage}, {fault:?}");
                assert_eq!(done, Once::Applied(1), "{engine:?}, {stage}, {fault:?}");
                let again = write.execute_once(&operation, &id).await.expect("it asks");
                assert_eq!(again, Once::AlreadyApplied, "{engine:?}, {stage}, {fault:?}");
                let (legacy, new) = (stage < Stage::Complete, stage >= Stage::DualWrite);
                bench.expect(id, legacy.then_some("once"), new.then_some("once")).await;
            }
            drop(app);
            test.drop().await;
        }
    }
}

/// Of many calls with one id one is carried out; an id belongs to one key; and what is bound is
/// counted before the id is used up.
#[tokio::test(flavor = "multi_thread")]
async fn an_id_is_used_up_by_one_write() {
    engines("declared_id", async |db, _| {
        let engine = db.engine();
        let bench = Bench::new(db).await;
        bench.go(Stage::Live).await;
        let app = bench.app(&Flags::forced::<&str, bool>([])).await;
        let [legacy, new] = appends(engine);
        let migration = app.migration("people").expect("registered");
        let statement = migration.statement(&legacy, &new).await.expect("fits");
        let operation = OperationId::random();
        let few = statement.bind(1i64).execute_once(&operation, &1i64).await;
        assert!(matches!(few, Err(WriteError::Store(_))), "{few:?}");
        let calls = (0..8).map(|_| {
            let (statement, operation) = (statement.clone(), operation.clone());
            tokio::spawn(async move {
                statement.bind(1i64).bind("once").execute_once(&operation, &1i64).await
            })
        });
        let mut applied = 0;
        for call in calls.collect::<Vec<_>>() {
            let done = call.await.expect("no panic").expect("carried out or told");
            applied += u32::from(done == Once::Applied(1));
        }
        assert_eq!(applied, 1);
        bench.expect(1, Some("once"), Some("once")).await;
        let other = statement.bind(2i64).bind("other").execute_once(&operation, &2i64).await;
        assert!(matches!(other, Err(WriteError::OtherKey)), "{other:?}");
    })
    .await;
}
