//! A `begin` of the application's own that is dropped midway, on a connection that Crossfade lends
//! out: nothing that is acknowledged after it is lost.

use crossfade::{Db, Engine, Flags, Stage};
use sqlx::Connection;

use crate::support::{Bench, People, PeopleError, TestDatabase, WAIT, drop_after, engines, put};

/// Begins on the connection, as far as `polls` go, and drops what has become of it. Whether it has
/// begun.
async fn begin(db: &Db, polls: u32) -> Result<bool, PeopleError> {
    let mut conn = db.conn().await?;
    let begun = match conn.engine() {
        Engine::Mysql => {
            let conn = conn.mysql()?;
            let begin = async { conn.connection().await?.begin().await.map(drop) };
            drop_after(begin, polls).await
        }
        Engine::Postgres => {
            let mut conn = conn.postgres()?;
            drop_after(async { conn.begin().await.map(drop) }, polls).await
        }
        Engine::Sqlite => {
            let conn = conn.sqlite()?;
            drop_after(async { conn.begin().await.map(drop) }, polls).await
        }
    };
    Ok(begun.transpose()?.is_some())
}

#[tokio::test(flavor = "multi_thread")]
async fn on_a_pooled_connection_the_next_statement_is_kept() {
    for engine in Engine::ALL {
        let test = TestDatabase::create(*engine, "handed_out").await;
        let bench = Bench::new(test.open().await).await;
        let narrow = Db::from(test.open_narrow(1).await);
        let people = People::legacy(narrow.clone());
        // Where the answer is when it is dropped is a matter of timing, hence the many turns.
        for turn in 0..60u32 {
            begin(&narrow, turn % 5 + 1).await.expect("it begins or is dropped");
            let name = format!("turn {turn}");
            let written = tokio::time::timeout(WAIT, people.put(1, &name)).await;
            written.expect("the pool has a connection to give").expect("it is acknowledged");
            assert_eq!(bench.legacy().get(1).await.expect("read"), Some(name), "{engine}");
        }
        drop((people, narrow));
        test.drop().await;
    }
}

/// What costs nothing: a connection that was well used goes back to the pool as it is.
#[tokio::test(flavor = "multi_thread")]
async fn a_connection_that_was_well_used_is_not_closed() {
    let test = TestDatabase::create(Engine::Postgres, "well_used").await;
    let bench = Bench::new(test.open().await).await;
    let (proxy, narrow) = test.open_behind_proxy().await;
    let db = Db::from(narrow);
    let people = People::legacy(db.clone());
    let before = proxy.connections();
    for turn in 0..5 {
        people.put(1, &format!("turn {turn}")).await.expect("written");
        assert!(people.get(1).await.expect("read").is_some());
        let mut conn = db.conn().await.expect("a connection");
        let mut conn = conn.postgres().expect("PostgreSQL");
        sqlx::query("select 1").execute(&mut *conn).await.expect("the bare connection answers");
        let transaction = conn.begin().await.expect("begins");
        transaction.commit().await.expect("commits");
        let mut transaction = conn.begin().await.expect("begins");
        sqlx::query("delete from people").execute(&mut *transaction).await.expect("deleted");
        drop(transaction);
        // In a transaction that has failed, and is dropped so.
        let mut transaction = conn.begin().await.expect("begins");
        sqlx::query("select 1 / 0").execute(&mut *transaction).await.expect_err("it fails");
    }
    bench.expect(1, Some("turn 4"), None).await;
    assert_eq!(proxy.connections(), before, "a connection was closed");
    drop((people, db));
    test.drop().await;
}

/// In a write it is a savepoint that begins. sqlx rolls the whole transaction back where that is
/// dropped midway, on PostgreSQL and MariaDB, and what follows must not commit alone.
#[tokio::test(flavor = "multi_thread")]
async fn in_a_write_neither_side_is_written_alone() {
    engines("savepoint_dropped", async |db, _| {
        let bench = Bench::new(db).await;
        bench.go(Stage::Live).await;
        let app = bench.app(&Flags::forced::<&str, bool>([])).await;
        let migration = app.migration("people").expect("registered");
        put(&migration, 1, "before").await.expect("written");
        for polls in 1..=6 {
            let name = format!("dropped after {polls}");
            let told = migration
                .write(
                    &1i64,
                    |tx| async {
                        let db = Db::from(tx);
                        let written = People::legacy(db.clone()).put(1, &name).await?;
                        begin(&db, polls).await?;
                        Ok::<_, PeopleError>(written)
                    },
                    |tx| async { People::new(tx).put(1, &name).await },
                )
                .await;
            let sides = (bench.legacy().get(1).await, bench.new_side().get(1).await);
            let (legacy, new) = (sides.0.expect("Legacy"), sides.1.expect("New"));
            assert_eq!(legacy, new, "{} after {polls}: {told:?}", bench.db.engine());
            assert_eq!(told.is_ok(), legacy.as_ref() == Some(&name), "{told:?}");
            put(&migration, 1, "next").await.expect("the next one is well");
            bench.expect(1, Some("next"), Some("next")).await;
        }
    })
    .await;
}
