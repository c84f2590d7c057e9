//! Declared writes in a transaction of the caller's: all of it or nothing.

use crossfade::{Flags, Known, Stage, WriteError};
use crossfade_store::ControlStore;

use super::declared;
use crate::support::{Bench, definition, engines, put_in};

#[tokio::test(flavor = "multi_thread")]
async fn a_declared_write_takes_part_in_a_callers_transaction() {
    engines("declared_within", async |db, _| {
        let engine = db.engine();
        let bench = Bench::new(db).await;
        bench.go(Stage::Live).await;
        let app = bench.app(&Flags::forced::<&str, bool>([])).await;
        let migration = app.migration("people").expect("registered");
        let statement = declared(&migration, engine).await;
        for commits in [false, true] {
            let mut transaction = app.begin().await.expect("begins");
            let written =
                statement.bind(1i64).bind("one").execute_in(&mut transaction, &1i64).await;
            assert_eq!(written.expect("written"), 1);
            put_in(&migration, &mut transaction, 2, "two").await.expect("written");
            // Neither what is bound wrongly nor what New refuses touches what came before.
            let few = statement.bind(3i64).execute_in(&mut transaction, &3i64).await;
            assert!(matches!(few, Err(WriteError::Store(_))), "{few:?}");
            let bad = statement.bind(3i64).bind("bad").execute_in(&mut transaction, &3i64).await;
            let error = bad.expect_err("New refuses it");
            assert!(matches!(error, WriteError::New(_)), "{error:?}");
            assert_eq!(error.known(), Known::NothingWritten);
            match commits {
                true => transaction.commit().await.expect("commits"),
                false => transaction.rollback().await,
            }
            for (id, name) in [(1, "one"), (2, "two")] {
                let name = commits.then_some(name);
                bench.expect(id, name, name).await;
            }
            bench.expect(3, None, None).await;
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn before_live_new_may_refuse_it_there_too() {
    engines("declared_refused_in", async |db, _| {
        let engine = db.engine();
        let bench = Bench::new(db).await;
        bench.go(Stage::DualWrite).await;
        let app = bench.app(&Flags::forced::<&str, bool>([])).await;
        let statement = declared(&app.migration("people").expect("registered"), engine).await;
        let mut transaction = app.begin().await.expect("begins");
        for (id, name) in [(1i64, "good"), (2, "bad")] {
            let written = statement.bind(id).bind(name).execute_in(&mut transaction, &id).await;
            assert_eq!(written.expect("New's refusal is not the caller's"), 1, "{name}");
        }
        transaction.commit().await.expect("commits");
        bench.expect(1, Some("good"), Some("good")).await;
        bench.expect(2, Some("bad"), None).await;
        let marks = bench.db.quarantine(&definition().name, 10).await.expect("marks");
        assert_eq!(marks.iter().map(|mark| mark.0.as_str()).collect::<Vec<_>>(), ["2"]);
    })
    .await;
}
