//! Declared statements: one statement on PostgreSQL where that is safe, a transaction elsewhere.

mod before_live;
mod captured;
mod entered;
mod fit;
mod once;
mod races;
mod trips;
mod within;

use crossfade::{Engine, Flags, Migration, Side, Stage, Statement, Travels, WriteError};
use crossfade_core::{AtOnce, ToKey};
use crossfade_store::{AtOnceError, Bind, ControlStore, DeclaredStore, Entry, FencedStore};

use crate::support::{
    Bench, TestDatabase, WAIT, definition, dropped_at_every_point, engines, eventually,
};

/// The upserts of the pair `people` in the engine's words.
pub(crate) fn upserts(engine: Engine) -> [String; 2] {
    [("people", "id"), ("people_v2", "person_id")].map(|(table, key)| {
        let insert = format!("insert into {table} ({key}, name) values ($1, $2)");
        match engine {
            Engine::Mysql => format!("{insert} on duplicate key update name = values(name)"),
            Engine::Postgres | Engine::Sqlite => {
                format!("{insert} on conflict ({key}) do update set name = excluded.name")
            }
        }
    })
}

pub(crate) async fn declared(migration: &Migration, engine: Engine) -> Statement {
    let [legacy, new] = upserts(engine);
    migration.statement(&legacy, &new).await.expect("the pair fits")
}

pub(crate) async fn put(
    statement: &Statement,
    id: i64,
    name: &str,
) -> Result<u64, WriteError<sqlx::Error>> {
    statement.bind(id).bind(name).execute(&id).await
}

#[track_caller]
fn one_statement(statement: &Statement) {
    assert_eq!(statement.travels(), Travels::OneStatement);
}

/// Why a pair takes transactions.
fn because(statement: &Statement) -> String {
    match statement.travels() {
        Travels::Transaction { because } => because,
        Travels::OneStatement => panic!("it travels as one statement"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn each_stage_writes_its_sides_and_follows_by_itself() {
    engines("declared_stages", async |db, _| {
        let engine = db.engine();
        let bench = Bench::new(db).await;
        let app = bench.app(&Flags::forced::<&str, bool>([])).await;
        let migration = app.migration("people").expect("registered");
        let statement = declared(&migration, engine).await;
        match engine {
            Engine::Postgres => one_statement(&statement),
            _ => assert!(because(&statement).contains("PostgreSQL"), "{statement:?}"),
        }
        let sides = [
            (Stage::Off, true, false),
            (Stage::DeleteOnly, true, false),
            (Stage::DualWrite, true, true),
            (Stage::Live, true, true),
            (Stage::RampDown, true, true),
            (Stage::Complete, false, true),
        ];
        for (id, (stage, legacy, new)) in (1..).zip(sides) {
            // The handle still believes in the stage before.
            bench.go(stage).await;
            let name = stage.to_string();
            assert_eq!(put(&statement, id, &name).await.expect("written"), 1, "{stage}");
            let name = name.as_str();
            bench.expect(id, legacy.then_some(name), new.then_some(name)).await;
            put(&statement, id, "again").await.expect("written over");
            bench.expect(id, legacy.then_some("again"), new.then_some("again")).await;
        }
    })
    .await;
}

/// Columns of other types than the values, values that one side has no use for, and the order of
/// places that MariaDB does not number.
#[tokio::test(flavor = "multi_thread")]
async fn values_find_their_places() {
    engines("declared_values", async |db, _| {
        let bench = Bench::new(db).await;
        bench.sql("alter table people add column note varchar(50)").await;
        bench.sql("alter table people add column age int").await;
        bench.go(Stage::Live).await;
        let app = bench.app(&Flags::forced::<&str, bool>([])).await;
        let migration = app.migration("people").expect("registered");
        let statement = migration
            .statement(
                "insert into people (age, note, name, id) values ($4, $3, $2, $1);",
                "insert into people_v2 (name, person_id) values ($2, $1)",
            )
            .await
            .expect("fits");
        let owned = String::from("Ada");
        let write = statement.bind(7i64).bind(owned.as_str()).bind(None::<&str>).bind(36i64);
        assert_eq!(write.execute(&7i64).await.expect("written"), 1);
        bench.expect(7, Some("Ada"), Some("Ada")).await;
        let duplicate = write.execute(&7i64).await.expect_err("it is there");
        assert!(matches!(duplicate, WriteError::Legacy(_)), "{duplicate:?}");
        let few = statement.bind(8i64).execute(&8i64).await.expect_err("three are missing");
        assert!(matches!(&few, WriteError::Store(error) if error.hint.is_some()), "{few:?}");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn in_dual_write_new_is_nobodys_outage() {
    engines("declared_marks", async |db, _| {
        let engine = db.engine();
        let bench = Bench::new(db).await;
        let app = bench.app(&Flags::forced::<&str, bool>([])).await;
        let migration = app.migration("people").expect("registered");
        let statement = declared(&migration, engine).await;
        bench.go(Stage::DualWrite).await;
        put(&statement, 1, "good").await.expect("written");
        put(&statement, 1, "bad").await.expect("New's refusal is not the caller's");
        bench.expect(1, Some("bad"), None).await;
        let marks =
            async || bench.db.quarantine(&definition().name, 10).await.expect("marks").len();
        assert_eq!(marks().await, 1);

        // From `live` on one statement may do, but for a key that is marked: the mark has to go.
        bench.go(Stage::Live).await;
        eventually("the mark is known", async || migration.state().quarantined.contains("1")).await;
        put(&statement, 1, "fine").await.expect("written");
        bench.expect(1, Some("fine"), Some("fine")).await;
        assert_eq!(marks().await, 0);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn from_live_on_it_is_both_or_neither_and_the_side_is_told() {
    engines("declared_refused", async |db, _| {
        let engine = db.engine();
        let bench = Bench::new(db).await;
        let app = bench.app(&Flags::forced::<&str, bool>([])).await;
        let migration = app.migration("people").expect("registered");
        let statement = declared(&migration, engine).await;
        for stage in [Stage::Live, Stage::RampDown] {
            bench.go(stage).await;
            put(&statement, 1, "good").await.expect("written");
            let error = put(&statement, 1, "bad").await.expect_err("New refuses");
            assert!(matches!(error, WriteError::New(_)), "{error:?}");
            bench.expect(1, Some("good"), Some("good")).await;
        }
    })
    .await;
}

/// The answer to a statement comes before its commit, and with it the check of what is deferred.
#[tokio::test(flavor = "multi_thread")]
async fn a_deferred_refusal_is_no_success() {
    let test = TestDatabase::create(Engine::Postgres, "declared_deferred").await;
    let bench = Bench::new(test.open().await).await;
    bench.sql("create table towns (name text primary key)").await;
    bench
        .sql(
            "alter table people_v2 add foreign key (name) references towns (name) \
             deferrable initially deferred",
        )
        .await;
    bench.go(Stage::Live).await;
    let app = bench.app(&Flags::forced::<&str, bool>([])).await;
    let statement = declared(&app.migration("people").expect("registered"), Engine::Postgres).await;
    one_statement(&statement);
    put(&statement, 1, "nowhere").await.expect_err("both or neither");
    bench.expect(1, None, None).await;
    test.drop().await;
}

/// Somebody holds New, and a statement waits for its tables before its first word. So before `live`
/// it takes a transaction, whose waits are bounded.
#[tokio::test(flavor = "multi_thread")]
async fn a_locked_new_side_is_no_outage() {
    let test = TestDatabase::create(Engine::Postgres, "declared_locked").await;
    let bench = Bench::new(test.open().await).await;
    bench.go(Stage::DualWrite).await;
    let app = bench.app(&Flags::forced::<&str, bool>([])).await;
    let statement = declared(&app.migration("people").expect("registered"), Engine::Postgres).await;
    let mut holder = bench.db.postgres().expect("PostgreSQL").begin().await.expect("begin");
    let lock = "lock table people_v2 in access exclusive mode";
    sqlx::query(lock).execute(&mut *holder).await.expect("locked");
    let written = tokio::time::timeout(WAIT, put(&statement, 1, "written")).await;
    written.expect("it does not wait for New").expect("nor fail with it");
    holder.rollback().await.expect("rollback");
    bench.expect(1, Some("written"), None).await;
    test.drop().await;
}

/// Triggers tell when each part runs; what they count in is not undone with them.
const TRIGGERS: &str = "\
create sequence told; \
create table log (number bigint, side text, statement timestamptz, tx xid8); \
create function tell() returns trigger language plpgsql as $$ begin \
    insert into log values \
        (nextval('told'), tg_table_name, statement_timestamp(), pg_current_xact_id()); \
    return new; \
end $$; \
create trigger tell before insert on people for each row execute function tell(); \
create trigger tell before insert on people_v2 for each row execute function tell()";

#[tokio::test(flavor = "multi_thread")]
async fn fence_then_legacy_then_new_in_one_statement() {
    let test = TestDatabase::create(Engine::Postgres, "declared_order").await;
    let bench = Bench::new(test.open().await).await;
    bench.sql(TRIGGERS).await;
    bench.go(Stage::Live).await;
    let app = bench.app(&Flags::forced::<&str, bool>([])).await;
    let statement = declared(&app.migration("people").expect("registered"), Engine::Postgres).await;
    one_statement(&statement);
    let pool = bench.db.postgres().expect("PostgreSQL");
    for id in 1..=3 {
        put(&statement, id, "x").await.expect("written");
    }
    let order: Vec<String> = sqlx::query_scalar("select side from log order by number")
        .fetch_all(pool)
        .await
        .expect("a log");
    assert_eq!(order, ["people", "people_v2"].repeat(3));
    let statements: i64 = sqlx::query_scalar("select count(distinct (statement, tx)) from log")
        .fetch_one(pool)
        .await
        .expect("a log");
    assert_eq!(statements, 3, "one for each write");

    let state = bench.state().await;
    bench.go(Stage::RampDown).await;
    let told = async || -> i64 {
        sqlx::query_scalar("select last_value from told").fetch_one(pool).await.expect("a number")
    };
    let before = told().await;
    let [legacy, new] = upserts(Engine::Postgres);
    let pair = bench.db.declare(&state, &legacy, &new).await.expect("fits");
    let mut bound = bench.db.bound(&pair);
    bound.bind(9i64);
    bound.bind("late");
    let key = 9i64.to_key();
    let entry = Entry { migration: &state.definition.name, epoch: state.epoch, key: &key };
    for sides in [AtOnce::Both, AtOnce::Legacy, AtOnce::New] {
        let late = bench.db.at_once(&bound, entry, sides, Side::Legacy).await;
        assert!(matches!(late, Err(AtOnceError::Closed)), "{late:?}");
    }
    assert_eq!(told().await, before, "neither side was begun");
    bench.expect(9, None, None).await;
    test.drop().await;
}

async fn dropped(engine: Engine) {
    let test = TestDatabase::create(engine, "declared_dropped").await;
    let bench = Bench::new(test.open().await).await;
    bench.go(Stage::Live).await;
    let narrow = match engine {
        Engine::Mysql | Engine::Postgres => Bench { db: test.open_narrow(1).await },
        Engine::Sqlite => bench.clone(),
    };
    let app = narrow.app(&Flags::forced::<&str, bool>([])).await;
    let statement = declared(&app.migration("people").expect("registered"), engine).await;
    dropped_at_every_point(&bench, async |id, name| put(&statement, id, name).await).await;
    test.drop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn dropping_it_anywhere_leaves_both_or_neither_on_postgres() {
    dropped(Engine::Postgres).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn dropping_it_anywhere_leaves_both_or_neither_on_mariadb() {
    dropped(Engine::Mysql).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn dropping_it_anywhere_leaves_both_or_neither_on_sqlite() {
    dropped(Engine::Sqlite).await;
}

/// The server may go on with a statement that nobody waits for any more. Its connection is not the
/// pool's by then, so nobody waits behind it.
#[tokio::test(flavor = "multi_thread")]
async fn a_dropped_statement_holds_up_nobody() {
    let test = TestDatabase::create(Engine::Postgres, "declared_left").await;
    let bench = Bench::new(test.open().await).await;
    bench.go(Stage::Live).await;
    let narrow = Bench { db: test.open_narrow(1).await };
    let app = narrow.app(&Flags::forced::<&str, bool>([])).await;
    let statement = declared(&app.migration("people").expect("registered"), Engine::Postgres).await;
    let (name, key) = (definition().name, 1i64.to_key());
    let entry = Entry { migration: &name, epoch: bench.state().await.epoch, key: &key };
    let holder = bench.db.enter(entry, None).await.expect("the epoch is open");
    let waiting = tokio::spawn({
        let statement = statement.clone();
        async move { put(&statement, 1, "left").await }
    });
    eventually("it waits for its key", async || bench.sessions_waiting().await == 1).await;
    waiting.abort();
    assert!(waiting.await.expect_err("it is dropped").is_cancelled());
    let next = tokio::time::timeout(WAIT, put(&statement, 2, "next")).await;
    next.expect("the pool has a connection to give").expect("written");
    bench.db.rollback(holder).await;
    eventually("the server is through with it", async || bench.sessions_waiting().await == 0).await;
    let sides = async || {
        let legacy = bench.legacy().all().await.expect("Legacy");
        legacy == bench.new_side().all().await.expect("New")
    };
    eventually("both sides are equal", sides).await;
    bench.expect(2, Some("next"), Some("next")).await;
    test.drop().await;
}
