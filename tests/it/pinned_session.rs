//! The settings of a session that runs the mapping, writes New or judges rows: what they do, and
//! that nothing of them stays on a pooled connection.

use std::collections::BTreeMap;
use std::time::Duration;

use crossfade::{Database, Engine, Stage};
use crossfade_core::{Key, MigrationState, Pinned};
use crossfade_store::{Batch, BatchRequest, ControlStore, ReconcileStore, SchemaStore, Timeouts};
use sqlx::mysql::MySqlPoolOptions;
use sqlx::postgres::PgPoolOptions;

use crate::support::{Bench, OwnMariadb, TestDatabase, compare_chunk, definition};

const LEASE: Duration = Duration::from_secs(60);

fn key(text: &str) -> Key {
    Key::new(vec![text.to_owned()])
}

/// Every variable of the one session of a pool, but for those that count or tell the time.
async fn variables(db: &Database) -> BTreeMap<String, String> {
    const MOVING: [&str; 13] = [
        "error_count",
        "gtid_binlog_pos",
        "gtid_binlog_state",
        "gtid_current_pos",
        "identity",
        "insert_id",
        "innodb_buffer_pool_load_incremental",
        "last_gtid",
        "last_insert_id",
        "rand_seed1",
        "rand_seed2",
        "timestamp",
        "warning_count",
    ];
    let rows: Vec<(String, Option<String>)> = match db.mysql() {
        Some(pool) => {
            let sql = "select lower(variable_name), variable_value \
                       from information_schema.session_variables \
                       union all select concat('@', variable_name), variable_value \
                       from information_schema.user_variables where variable_value is not null";
            sqlx::query_as(sql).fetch_all(pool).await.expect("variables")
        }
        None => {
            let pool = db.postgres().expect("a server");
            sqlx::query_as("select name, setting from pg_settings")
                .fetch_all(pool)
                .await
                .expect("settings")
        }
    };
    // Those of an extension, as of plpgsql, appear with its first function.
    let moves = |name: &str| MOVING.contains(&name) || name.contains('.');
    let rows = rows.into_iter().filter(|(name, _)| !moves(name));
    rows.map(|(name, value)| (name, value.unwrap_or_default())).collect()
}

/// A pool of one connection whose session differs from every default that is pinned.
async fn odd_session(test: &TestDatabase) -> Database {
    match test.engine {
        Engine::Mysql => {
            let odd = "set sql_mode = 'ANSI_QUOTES', time_zone = '+05:30', foreign_key_checks = 0, \
                       unique_checks = 0, group_concat_max_len = 4, sql_select_limit = 500, \
                       div_precision_increment = 1, lock_wait_timeout = 77, \
                       innodb_lock_wait_timeout = 78, max_statement_time = 79, \
                       collation_connection = utf8mb4_bin, sql_auto_is_null = 1, \
                       lc_time_names = 'de_DE', sql_safe_updates = 1";
            let pool = MySqlPoolOptions::new().max_connections(1).after_connect(move |it, _| {
                Box::pin(async move { sqlx::raw_sql(odd).execute(it).await.map(drop) })
            });
            Database::open(pool.connect(&test.url).await.expect("connects")).await
        }
        _ => {
            let odd = "set timezone = 'Asia/Kolkata'; set datestyle = 'German, DMY'; \
                       set intervalstyle = 'iso_8601'; set extra_float_digits = -3; \
                       set bytea_output = 'escape'; set xmloption = 'document'; \
                       set search_path = public, pg_catalog; set lock_timeout = '7s'; \
                       set statement_timeout = '77s'; set transform_null_equals = on";
            let pool = PgPoolOptions::new().max_connections(1).after_connect(move |it, _| {
                Box::pin(async move { sqlx::raw_sql(odd).execute(it).await.map(drop) })
            });
            Database::open(pool.connect(&test.url).await.expect("connects")).await
        }
    }
    .expect("opens")
}

/// Backfills in one batch, and row by row where New refuses some.
async fn backfill(db: &Database, state: &MigrationState) {
    let run = db.open_run(state).await.expect("the run opens");
    while let Some(mut segment) =
        db.claim_segment(state, &run, "worker", 100, LEASE).await.expect("claims")
    {
        let mut rows = 100;
        loop {
            let id = run.id;
            let request = BatchRequest {
                state,
                run: id,
                segment: &segment,
                worker: "worker",
                rows,
                lease: LEASE,
                refusals: u64::MAX,
            };
            let done = match db.backfill_batch(request).await.expect("a batch") {
                Batch::Refused { .. } => {
                    rows = 1;
                    continue;
                }
                Batch::Written { cursor, done, .. } => {
                    segment.cursor = Some(cursor);
                    done
                }
                other => panic!("{other:?}"),
            };
            if done {
                break;
            }
        }
    }
    assert!(db.finish_run(state, &run).await.expect("finishes"));
}

fn pinned(engine: Engine) -> Pinned {
    match engine {
        Engine::Postgres => Pinned {
            search_path: Some("public".to_owned()),
            time_zone: Some("Europe/Berlin".to_owned()),
            ..Pinned::default()
        },
        _ => Pinned { time_zone: Some("+02:00".to_owned()), ..Pinned::default() },
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pooled_connection_is_given_back_as_it_was() {
    for engine in [Engine::Mysql, Engine::Postgres] {
        let test = TestDatabase::create(engine, "pinned").await;
        let bench = Bench::new(test.open().await).await;
        let mut definition = definition();
        definition.pinned = pinned(engine);
        bench.db.register(&definition, "test").await.expect("registered");
        bench.sql("insert into people (id, name) values (1, 'a'), (2, 'bad'), (3, 'c')").await;
        let db = odd_session(&test).await;
        let before = variables(&db).await;
        macro_rules! unchanged {
            ($what:literal) => {
                let after = variables(&db).await;
                let changed: Vec<_> = after
                    .iter()
                    .filter(|(name, value)| before.get(*name) != Some(*value))
                    .collect();
                assert!(changed.is_empty(), "{engine}, {}: {changed:?}", $what);
                assert_eq!(before.len(), after.len(), "{engine}, {}", $what);
            };
        }
        let bounds = Timeouts { lock: Duration::from_secs(1), statement: Duration::from_secs(2) };
        db.truncate_new(&definition, bounds).await.expect("emptied");
        unchanged!("truncate");
        let state = bench.go(Stage::DualWrite).await;
        assert_eq!(db.new_has_rows(&definition).await.expect("looked"), Some(false));
        unchanged!("a look at New");
        assert!(db.definition_problems(&definition).await.expect("judged").is_empty());
        unchanged!("the definition's problems");
        backfill(&db, &state).await;
        unchanged!("backfill");
        db.run_progress(&state).await.expect("progress");
        unchanged!("progress");
        compare_chunk(&db, &state, None, 100).await.expect("compared");
        unchanged!("a verification");
        for id in ["1", "2"] {
            db.repair(&state, &key(id)).await.expect("repaired");
            unchanged!("a repair");
        }
        test.drop().await;
    }
}

/// A mapping that fails on a row makes a chunk smaller, on PostgreSQL in a new transaction.
#[tokio::test(flavor = "multi_thread")]
async fn a_session_is_given_back_after_a_failed_chunk() {
    let test = TestDatabase::create(Engine::Postgres, "failed_chunk").await;
    let bench = Bench::new(test.open().await).await;
    let mut definition = definition();
    definition.mapping =
        "select id as person_id, (1 / (id - 2))::text || name as name from people".to_owned();
    definition.pinned = pinned(Engine::Postgres);
    bench.db.register(&definition, "test").await.expect("registered");
    bench.sql("insert into people (id, name) values (1, 'a'), (2, 'b'), (3, 'c')").await;
    // A mapped value is computed only where New has a row to compare it with.
    bench.sql("insert into people_v2 values (1, '-1a'), (2, 'b'), (3, '1c')").await;
    let state = bench.go(Stage::DualWrite).await;
    let db = odd_session(&test).await;
    let before = variables(&db).await;
    let chunk = compare_chunk(&db, &state, None, 100).await.expect("compared");
    assert_eq!((chunk.next.as_ref(), &chunk.differing[..]), (Some(&key("1")), &[][..]));
    let chunk = compare_chunk(&db, &state, chunk.next.as_ref(), 100).await.expect("compared");
    assert_eq!(chunk.differing, vec![key("2")], "the row that the mapping fails on");
    assert_eq!(before, variables(&db).await);
    test.drop().await;
}

/// A server's lax `sql_mode` neither cuts values nor makes another row of key 0.
#[tokio::test(flavor = "multi_thread")]
async fn a_lax_session_cuts_nothing_and_keeps_key_zero() {
    let test = TestDatabase::create(Engine::Mysql, "lax").await;
    let bench = Bench::new(test.open().await).await;
    for sql in [
        "drop table people_v2",
        "create table people_v2 (person_id bigint primary key auto_increment, \
         name varchar(5) not null)",
        "insert into people (id, name) values (0, 'zero'), (1, 'one'), (2, 'too long')",
    ] {
        bench.sql(sql).await;
    }
    let state = bench.go(Stage::DualWrite).await;
    let db = odd_session(&test).await;
    backfill(&db, &state).await;
    bench.expect(0, Some("zero"), Some("zero")).await;
    bench.expect(1, Some("one"), Some("one")).await;
    bench.expect(2, Some("too long"), None).await;
    assert_eq!(bench.state().await.quarantined.iter().collect::<Vec<_>>(), ["2"]);
    for _ in 0..2 {
        db.repair(&state, &key("0")).await.expect("repaired");
    }
    assert_eq!(bench.rows("people_v2").await, 2, "a repair invents no row");
    test.drop().await;
}

/// The mapping converts in the pinned zone, whatever the zone of the session.
#[tokio::test(flavor = "multi_thread")]
async fn the_mapping_runs_in_the_pinned_zone() {
    for (engine, legacy, new) in [
        (Engine::Mysql, "datetime", "timestamp null"),
        (Engine::Postgres, "timestamp", "timestamptz"),
    ] {
        let test = TestDatabase::create(engine, "zone").await;
        let bench = Bench::new(test.open().await).await;
        bench.sql(&format!("alter table people add column at {legacy}")).await;
        bench.sql(&format!("alter table people_v2 add column at {new}")).await;
        bench.sql("insert into people values (1, 'a', '2026-07-01 12:00:00')").await;
        let mut definition = definition();
        definition.mapping = "select id as person_id, name, at from people".to_owned();
        definition.pinned = pinned(engine);
        bench.db.register(&definition, "test").await.expect("registered");
        let state = bench.go(Stage::DualWrite).await;
        backfill(&odd_session(&test).await, &state).await;
        // 10:00 UTC, which is noon at +02:00. sqlx's own sessions are in UTC.
        let count = "people_v2 where at = '2026-07-01 10:00:00'";
        assert_eq!(bench.rows(count).await, 1, "{engine}");
        let chunk = compare_chunk(&bench.db, &state, None, 10).await.expect("compared");
        assert!(chunk.differing.is_empty(), "{engine}: {chunk:?}");
        test.drop().await;
    }
}

/// Where summer time ends, one hour comes twice: a `timestamp` keeps its moment, and another one
/// of the same local time differs.
#[tokio::test(flavor = "multi_thread")]
async fn the_hour_that_comes_twice_is_compared_by_its_moments() {
    let files = tempfile::tempdir().expect("a folder");
    let server = OwnMariadb::start(files.path(), &[]).await;
    let bench = Bench::new(Database::connect(&server.url).await.expect("connects")).await;
    bench.sql("alter table people add column at timestamp(3) null").await;
    bench.sql("alter table people_v2 add column at timestamp null").await;
    // sqlx's session is in UTC: both are 02:30 in Berlin.
    bench
        .sql(
            "insert into people values (1, 'a', '2026-10-25 00:30:00.5'), \
             (2, 'b', '2026-10-25 01:30:00'), (3, 'c', null)",
        )
        .await;
    let mut definition = definition();
    definition.mapping = "select id as person_id, name, at from people".to_owned();
    definition.pinned.time_zone = Some("SYSTEM".to_owned());
    bench.db.register(&definition, "test").await.expect("registered");
    let state = bench.go(Stage::DualWrite).await;
    backfill(&bench.db, &state).await;
    for moment in ["2026-10-25 00:30:00", "2026-10-25 01:30:00"] {
        assert_eq!(bench.rows(&format!("people_v2 where at = '{moment}'")).await, 1, "{moment}");
    }
    let chunk = compare_chunk(&bench.db, &state, None, 10).await.expect("compared");
    assert!(chunk.differing.is_empty(), "{chunk:?}");
    bench.sql("update people_v2 set at = '2026-10-25 01:30:00' where person_id = 1").await;
    let chunk = compare_chunk(&bench.db, &state, None, 10).await.expect("compared");
    assert_eq!(chunk.differing, vec![key("1")]);
}

/// A table of the pinned path is found from a session with another one, by the mapping too.
#[tokio::test(flavor = "multi_thread")]
async fn the_mapping_runs_with_the_pinned_search_path() {
    let test = TestDatabase::create(Engine::Postgres, "pinned_path").await;
    let bench = Bench::new(test.open().await).await;
    for sql in [
        "create schema shop; create schema other",
        "create table shop.tier (id bigint primary key, name text)",
        "create table other.tier (id bigint primary key, name text)",
        "insert into shop.tier values (1, 'gold'); insert into other.tier values (1, 'lead')",
        "insert into people (id, name) values (1, 'a')",
    ] {
        bench.sql(sql).await;
    }
    let mut definition = definition();
    definition.mapping =
        "select p.id as person_id, t.name from people p join tier t on t.id = p.id".to_owned();
    definition.pinned.search_path = Some("shop, public".to_owned());
    definition.legacy.table = "public.people".parse().expect("a table");
    definition.new.table = "public.people_v2".parse().expect("a table");
    bench.db.register(&definition, "test").await.expect("registered");
    let state = bench.go(Stage::DualWrite).await;
    let pool = PgPoolOptions::new().max_connections(1).after_connect(|it, _| {
        Box::pin(async move {
            sqlx::raw_sql("set search_path = other, public").execute(it).await.map(drop)
        })
    });
    let db = Database::open(pool.connect(&test.url).await.expect("connects")).await.expect("opens");
    backfill(&db, &state).await;
    bench.expect(1, Some("a"), Some("gold")).await;
    let path: String = sqlx::query_scalar("show search_path")
        .fetch_one(db.postgres().expect("PostgreSQL"))
        .await
        .expect("shown");
    assert_eq!(path, "other, public");
    test.drop().await;
}
