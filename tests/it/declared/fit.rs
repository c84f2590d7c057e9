//! Which pairs are taken, which travel as one statement, and what is said of the others.

use crossfade::{Engine, Flags, Migration, Stage, StoreErrorKind};

use super::{because, one_statement, put, upserts};
use crate::support::{Bench, TestDatabase, engines};

const LEGACY: &str = "insert into people (id, name) values ($1, $2)";
const NEW: &str = "insert into people_v2 (person_id, name) values ($1, $2)";

async fn refused(migration: &Migration, legacy: &str, new: &str, says: &str) {
    let error = migration.statement(legacy, new).await.expect_err(says);
    assert_eq!(error.kind, StoreErrorKind::Invalid, "{error}");
    let hint = error.hint.as_deref().unwrap_or_default();
    assert!(error.to_string().contains(says), "{error}, hint: {hint}");
    assert!(!hint.is_empty(), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pair_that_does_not_fit_is_refused_at_once() {
    engines("declared_unfit", async |db, _| {
        let engine = db.engine();
        let bench = Bench::new(db).await;
        let app = bench.app(&Flags::forced::<&str, bool>([])).await;
        let migration = app.migration("people").expect("registered");
        migration.statement(LEGACY, NEW).await.expect("this one fits");
        let other_key = "insert into people_v2 (person_id, name) values ($1, $3)";
        for (legacy, new, says) in [
            (NEW, LEGACY, "writes `"),
            (LEGACY, LEGACY, "statement for New writes `"),
            ("select id from people where id = $1", NEW, "Legacy writes nothing"),
            ("delete from people; delete from people_v2", NEW, "more than one statement"),
            ("insert into people (id, name) values (1, 'x')", NEW, "no parameter `$1`"),
            (
                "delete from people where id = $1",
                other_key,
                "`$3` is a parameter, and `$2` is none",
            ),
            ("insert into people (id, nam) values ($1, $2)", NEW, "Legacy is refused"),
            (LEGACY, "insert into people_v2 (person_id name) values ($1, $2)", "New is refused"),
        ] {
            refused(&migration, legacy, new, says).await;
        }
        if engine == Engine::Postgres {
            let swapped = "insert into people_v2 (person_id, name) values ($2, $1)";
            refused(&migration, LEGACY, swapped, "`$1` is `int8` for Legacy and `text` for New")
                .await;
            let view = "update someone set name = $2 where id = $1";
            bench.sql("create view someone as select * from people").await;
            migration.statement(view, NEW).await.expect("the view is one on Legacy");
        } else {
            let question = "insert into people (id, name) values (?, ?)";
            refused(&migration, question, NEW, "without a number").await;
        }
        bench.sql("drop table people_v2").await;
        refused(&migration, LEGACY, NEW, "does not exist").await;
    })
    .await;
}

/// Once Legacy is gone there is nothing to look its statement over against.
#[tokio::test(flavor = "multi_thread")]
async fn a_contracted_migration_asks_for_new_alone() {
    engines("declared_contracted", async |db, _| {
        let [legacy, new] = upserts(db.engine());
        let bench = Bench::new(db).await;
        bench.go(Stage::Contracted).await;
        bench.sql("drop table people").await;
        let app = bench.app(&Flags::forced::<&str, bool>([])).await;
        let migration = app.migration("people").expect("registered");
        let statement = migration.statement(&legacy, &new).await.expect("New fits");
        assert_eq!(put(&statement, 1, "Ada").await.expect("written"), 1);
        let found = bench.new_side().get(1).await.expect("New answers");
        assert_eq!(found.as_deref(), Some("Ada"));
    })
    .await;
}

/// The pairs that PostgreSQL could not carry out in one statement as a transaction does, by what
/// their Legacy statement or its table is like.
#[tokio::test(flavor = "multi_thread")]
async fn only_inserts_of_given_values_share_a_statement() {
    let test = TestDatabase::create(Engine::Postgres, "declared_shares").await;
    let bench = Bench::new(test.open().await).await;
    bench.go(Stage::Live).await;
    bench.sql("create unique index people_name on people (name)").await;
    bench
        .sql(
            "create function shout(text) returns text language sql stable as \
             $$ select upper($1) $$",
        )
        .await;
    let app = bench.app(&Flags::forced::<&str, bool>([])).await;
    let migration = app.migration("people").expect("registered");
    let [upsert, new] = upserts(Engine::Postgres);
    one_statement(&migration.statement(LEGACY, NEW).await.expect("fits"));
    one_statement(&migration.statement(LEGACY, &new).await.expect("fits"));
    one_statement(&migration.statement(&format!("{upsert} ;\n"), &new).await.expect("fits"));
    let alone = [
        "update people set name = $2 where id = $1".to_owned(),
        "delete from people where id = $1 and name <> $2".to_owned(),
        format!("{LEGACY} on conflict (id) do nothing"),
        format!("{upsert} where people.name <> 'fixed'"),
        format!("{LEGACY} on conflict (name) do update set id = excluded.id"),
        format!("{upsert}, name = (select max(name) from people_v2)")
            .replace("set name = excluded.name, name =", "set name ="),
        "insert into people (id, name) select $1, $2 from people_v2".to_owned(),
        "insert into people (id, name) values ($1, $2), ($1 + 1, $2)".to_owned(),
        "insert into people (id, name) values ($1, shout($2))".to_owned(),
        format!("{upsert} returning id"),
        format!("{upsert} -- to the end"),
    ];
    for legacy in &alone {
        let statement = migration.statement(legacy, &new).await.expect("fits");
        if legacy.ends_with("end") {
            one_statement(&statement);
        } else {
            assert!(because(&statement).starts_with("Legacy's statement: "), "{legacy}");
        }
        put(&statement, 1, "Ada").await.ok();
    }
    let function = "create function nothing() returns trigger language plpgsql as \
        $$ begin return new; end $$";
    bench.sql(function).await;
    for (make, undo) in [
        (
            "create trigger after after insert on people for each row execute function nothing()",
            "drop trigger after on people",
        ),
        (
            "alter table people enable row level security",
            "alter table people disable row level security",
        ),
    ] {
        bench.sql(make).await;
        because(&migration.statement(&upsert, &new).await.expect("fits"));
        bench.sql(undo).await;
        one_statement(&migration.statement(&upsert, &new).await.expect("fits"));
    }
    test.drop().await;
}

/// What PostgreSQL refuses of the one statement costs a try, and later writes not even that.
#[tokio::test(flavor = "multi_thread")]
async fn a_pair_that_no_longer_travels_is_written_all_the_same() {
    let test = TestDatabase::create(Engine::Postgres, "declared_given_up").await;
    let bench = Bench::new(test.open().await).await;
    bench.go(Stage::Live).await;
    let app = bench.app(&Flags::forced::<&str, bool>([])).await;
    let migration = app.migration("people").expect("registered");
    let [legacy, new] = upserts(Engine::Postgres);
    let statement = migration.statement(&legacy, &new).await.expect("fits");
    one_statement(&statement);
    // PostgreSQL takes no statement inside another one whose table has such a rule.
    bench
        .sql("create rule noted as on insert to people do also delete from people_v2 where false")
        .await;
    for name in ["one", "two"] {
        put(&statement, 1, name).await.ok();
        assert!(because(&statement).contains("refuses"), "{statement:?}");
    }
    bench.sql("drop rule noted on people").await;
    put(&statement, 1, "three").await.expect("written");
    bench.expect(1, Some("three"), Some("three")).await;
    test.drop().await;
}

/// Under REPEATABLE READ the fence refuses the statement, so it takes a transaction that names its
/// isolation.
#[tokio::test(flavor = "multi_thread")]
async fn another_isolation_by_default_is_no_trouble() {
    let test = TestDatabase::create(Engine::Postgres, "declared_isolation").await;
    let bench = Bench::new(test.open().await).await;
    bench.go(Stage::Live).await;
    let pool = bench.db.postgres().expect("PostgreSQL");
    let name: String = sqlx::query_scalar("select current_database()::text")
        .fetch_one(pool)
        .await
        .expect("a name");
    let default = "default_transaction_isolation = 'repeatable read'";
    bench.sql(&format!("alter database {name} set {default}")).await;
    let fresh = Bench { db: test.open().await };
    let app = fresh.app(&Flags::forced::<&str, bool>([])).await;
    let [legacy, new] = upserts(Engine::Postgres);
    let migration = app.migration("people").expect("registered");
    let statement = migration.statement(&legacy, &new).await.expect("fits");
    for name in ["one", "two"] {
        put(&statement, 1, name).await.expect("written");
        bench.expect(1, Some(name), Some(name)).await;
    }
    test.drop().await;
}
