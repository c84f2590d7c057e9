//! The rights that the application's own user needs: no more than the README says.

use crossfade::{Database, Engine, Flags, Migration, Once, OperationId, Stage};
use crossfade_store::ControlStore;

use crate::declared::upserts;
use crate::support::{
    Bench, People, TestDatabase, definition, delete, eventually, put, put_in, read_side,
};

/// A user, and what the README tells to grant it; `S` is the schema and `U` the user.
fn user_and_grants(engine: Engine) -> (&'static str, Vec<&'static str>) {
    match engine {
        Engine::Mysql => (
            "create user U@'%'",
            vec!["grant select, insert, update, delete, execute on S.* to U@'%'"],
        ),
        _ => (
            "create role U login",
            vec![
                "grant usage on schema S to U",
                "grant select, insert, update, delete on all tables in schema S to U",
            ],
        ),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_documented_rights_are_enough() {
    for engine in [Engine::Mysql, Engine::Postgres] {
        let test = TestDatabase::create(engine, "least").await;
        let bench = Bench::new(test.open().await).await;
        let (base, database) = test.url.rsplit_once('/').expect("a database");
        let (scheme, rest) = base.split_once("//").expect("a scheme");
        let (_, host) = rest.rsplit_once('@').expect("a user");
        let user = database;
        let schema = if engine == Engine::Mysql { database } else { "public" };
        let url = format!("{scheme}//{user}@{host}/{database}");
        let (create, grants) = user_and_grants(engine);
        bench.sql(&create.replace('U', user)).await;
        let without = async {
            let db = Database::connect(&url).await?;
            db.instances(&definition().name).await
        };
        let error = without.await.expect_err("it may nothing yet");
        assert!(error.hint.as_deref().is_some_and(|it| it.contains("grant")), "{error:?}");
        for grant in grants {
            bench.sql(&grant.replace('U', user).replace('S', schema)).await;
        }
        let db = Database::connect(&url).await.expect("may connect");
        for stage in [Stage::DeleteOnly, Stage::DualWrite, Stage::Live, Stage::RampDown] {
            bench.go(stage).await;
            let app = Bench { db: db.clone() }.app(&Flags::forced::<&str, bool>([])).await;
            let migration = app.migration("people").expect("registered");
            put(&migration, 1, "one").await.expect("written");
            put_declared(&migration, engine, 2).await;
            if stage == Stage::DualWrite {
                put(&migration, 2, "bad").await.expect("quarantined");
                eventually("the mark is known", async || {
                    migration.state().quarantined.contains("2")
                })
                .await;
                put(&migration, 2, "good").await.expect("and well again");
            }
            let operation = OperationId::random();
            for expected in [true, false] {
                let once = migration.write_once(
                    &operation,
                    &3i64,
                    |tx| async move { People::legacy(tx).put(3, "once").await },
                    |tx| async move { People::new(tx).put(3, "once").await },
                );
                let once = once.await.expect("written once");
                assert_eq!(matches!(once, Once::Applied(_)), expected, "{engine}, {stage}");
            }
            let mut transaction = app.begin().await.expect("begins");
            put_in(&migration, &mut transaction, 4, "joined").await.expect("written");
            transaction.commit().await.expect("commits");
            delete(&migration, 4).await.expect("deleted");
            read_side(&migration, 1).await.expect("read");
            assert!(bench.state().await.quarantined.is_empty(), "{engine}, {stage}");
        }
        drop(db);
        for sql in match engine {
            Engine::Mysql => &["drop user U@'%'"][..],
            _ => &["drop owned by U", "drop role U"],
        } {
            bench.sql(&sql.replace('U', user)).await;
        }
        test.drop().await;
    }
}

async fn put_declared(migration: &Migration, engine: Engine, id: i64) {
    let [legacy, new] = upserts(engine);
    let statement = migration.statement(&legacy, &new).await.expect("the pair fits");
    statement.bind(id).bind("declared").execute(&id).await.expect("written");
}
