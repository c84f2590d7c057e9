//! In `dual_write` trouble on New is not the caller's, and trouble on Legacy is.

use std::time::Duration;

use crossfade::{Crossfade, Engine, Flags, Known, Options, Stage, WriteError};
use crossfade_store::{ControlStore, FencedStore};
use sqlx::AssertSqlSafe;

use super::{declared, put};
use crate::support::{Bench, TestDatabase, WAIT, definition, engines};

async fn marked(bench: &Bench) -> Vec<String> {
    let marks = bench.db.quarantine(&definition().name, 10).await.expect("marks");
    marks.into_iter().map(|mark| mark.0).collect()
}

/// Somebody holds the key's row on New. SQLite has one writer and no such rows.
#[tokio::test(flavor = "multi_thread")]
async fn a_locked_row_on_new_is_waited_for_no_longer_than_the_bound() {
    for engine in [Engine::Postgres, Engine::Mysql] {
        let test = TestDatabase::create(engine, "declared_row").await;
        let bench = Bench::new(test.open().await).await;
        bench.go(Stage::DualWrite).await;
        let app = Crossfade::builder_on(test.open().await)
            .flags(Flags::forced::<&str, bool>([]))
            .options(Options::default().new_lock_timeout(Duration::from_secs(1)))
            .build()
            .await
            .expect("starts");
        let statement = declared(&app.migration("people").expect("registered"), engine).await;
        put(&statement, 1, "before").await.expect("written");
        let mut holder = bench.db.begin_unfenced().await.expect("begins");
        let lock = "select name from people_v2 where person_id = 1 for update";
        let sql = sqlx::raw_sql(AssertSqlSafe(lock.to_owned()));
        match engine {
            Engine::Mysql => sql.execute(holder.mysql().expect("MariaDB")).await.map(drop),
            _ => sql.execute(holder.postgres().expect("PostgreSQL")).await.map(drop),
        }
        .expect("locked");
        let written = tokio::time::timeout(WAIT, put(&statement, 1, "after")).await;
        written.expect("it does not wait for New").expect("nor fail with it");
        bench.expect(1, Some("after"), Some("before")).await;
        assert_eq!(marked(&bench).await, ["1"]);
        drop(holder);
        drop(app);
        test.drop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refusal_by_legacy_is_told_as_its_own() {
    engines("declared_legacy", async |db, _| {
        let bench = Bench::new(db).await;
        bench.go(Stage::DualWrite).await;
        let app = bench.app(&Flags::forced::<&str, bool>([])).await;
        let migration = app.migration("people").expect("registered");
        let [legacy, new] = ["people (id, name)", "people_v2 (person_id, name)"]
            .map(|table| format!("insert into {table} values ($1, $2)"));
        let statement = migration.statement(&legacy, &new).await.expect("fits");
        put(&statement, 1, "first").await.expect("written");
        let error = put(&statement, 1, "second").await.expect_err("Legacy has the row");
        assert!(matches!(error, WriteError::Legacy(_)), "{error:?}");
        assert_eq!(error.known(), Known::NothingWritten);
        bench.expect(1, Some("first"), Some("first")).await;
        assert!(marked(&bench).await.is_empty());
    })
    .await;
}
