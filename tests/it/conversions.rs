//! Values that New stores as other values, and keys of an unexpected storage class.

use crossfade::Engine;

use crate::mapping_checks::{found, project};
use crate::support::Project;

const IDS: [&str; 3] = ["lossy-conversion", "zone-conversion", "odd-storage-class"];

/// A column: Legacy's type, New's type, a value that changes or would, and the finding.
type Column = (&'static str, &'static str, &'static str, &'static str);

const ACCEPT_1: &str = "lossy-conversion {} to accept 1";
const WARNING: &str = "lossy-conversion {} warning";
const ZONE: &str = "zone-conversion {} to accept";

const POSTGRES: &[Column] = &[
    ("numeric(10,2)", "int", "12.50", ACCEPT_1),
    ("timestamp", "date", "2026-01-01 13:45:00", ACCEPT_1),
    ("numeric(12,4)", "numeric(12,2)", "0.0049", ACCEPT_1),
    ("float8", "float4", "0.1", ACCEPT_1),
    ("timestamp", "timestamp(0)", "2026-01-01 10:00:00.25", ACCEPT_1),
    ("text", "char(5)", "ab ", ACCEPT_1),
    ("json", "jsonb", "{\"b\":1,\"a\":1}", ACCEPT_1),
    ("varchar(20)", "varchar(5)", "abcde   ", ACCEPT_1),
    ("inet", "cidr", "10.0.0.1/24", ACCEPT_1),
    ("interval", "time", "1 day 02:00", ACCEPT_1),
    ("numeric", "float8", "0.12345678901234567890", ACCEPT_1),
    ("numeric(12,4)", "numeric(12,2)", "1.25", "lossy-conversion {} to accept"),
    ("bigint", "int", "1", WARNING),
    ("varchar(20)", "varchar(10)", "abc", WARNING),
    ("timestamp", "timestamptz", "2026-07-01 12:00", ZONE),
    ("timestamptz", "date", "2026-07-01 12:00+00", ZONE),
    ("int", "bigint", "1", ""),
    ("numeric(12,2)", "numeric(12,2)", "1.25", ""),
    ("varchar(20)", "text", "abc", ""),
    ("date", "timestamp", "2026-01-01", ""),
    ("interval", "interval", "1 mon", ""),
    ("json", "json", "{\"a\": 1}", ""),
];

const MARIADB: &[Column] = &[
    ("decimal(12,4)", "decimal(12,2)", "0.0049", ACCEPT_1),
    ("datetime(6)", "datetime", "2026-01-01 10:00:00.123456", ACCEPT_1),
    ("varchar(20)", "bigint", "00123", ACCEPT_1),
    ("bigint", "double", "9007199254740993", ACCEPT_1),
    ("double", "float", "0.1", ACCEPT_1),
    ("datetime", "date", "2026-01-01 10:00:00", ACCEPT_1),
    ("varchar(20)", "char(5)", "ab ", ACCEPT_1),
    ("varchar(20)", "varchar(5)", "abcde   ", ACCEPT_1),
    ("varchar(20)", "enum('a','b')", "A", ACCEPT_1),
    ("varchar(20)", "bigint", "123", "lossy-conversion {} to accept"),
    ("bigint", "int", "1", WARNING),
    ("datetime", "timestamp", "2026-07-01 12:00:00", ZONE),
    ("int", "bigint", "1", ""),
    ("datetime", "datetime(6)", "2026-01-01 10:00:00", ""),
    ("enum('a','b')", "enum('b','a')", "a", ""),
    ("decimal(12,2)", "decimal(12,2)", "1.25", ""),
];

const SQLITE: &[Column] = &[
    ("text", "integer", "00123", ACCEPT_1),
    ("text", "uuid", "12e3", ACCEPT_1),
    ("text", "real", "1.50", ACCEPT_1),
    ("text", "integer", "123", "lossy-conversion {} to accept"),
    ("text", "datetime", "2026-01-01", WARNING),
    ("varchar(20)", "text", "00123", ""),
    ("integer", "text", "123", ""),
    ("integer", "bigint", "123", ""),
];

fn columns(engine: Engine) -> &'static [Column] {
    match engine {
        Engine::Postgres => POSTGRES,
        Engine::Mysql => MARIADB,
        Engine::Sqlite => SQLITE,
    }
}

/// A table with a column for each conversion, and one row with each value.
async fn converted(engine: Engine, mapped: impl Fn(usize) -> String) -> Project {
    let columns = columns(engine);
    let each = |render: &dyn Fn(usize) -> String| {
        (0..columns.len()).map(render).collect::<Vec<_>>().join(", ")
    };
    let legacy = format!(
        "create table people (id bigint primary key, {}); insert into people values (1, {}), (2, {})",
        each(&|n| format!("c{n} {} null", columns[n].0)),
        each(&|n| format!("'{}'", columns[n].2)),
        each(&|_| "null".to_owned()),
    );
    let new = format!(
        "create table people_v2 (person_id bigint primary key, {})",
        each(&|n| format!("c{n} {} null", columns[n].1))
    );
    let mapping = format!("select id as person_id, {} from people", each(&mapped));
    let project = project(engine, &legacy, &new, &mapping).await;
    // MariaDB cannot undo what it makes for the length of a look.
    if engine == Engine::Mysql {
        project.sql(&new).await;
        project.write("migrations/people/expand.sql", "select 1;\n");
    }
    project
}

fn expected(columns: &[Column]) -> Vec<String> {
    let named = columns.iter().enumerate().filter(|(_, column)| !column.3.is_empty());
    let mut expected: Vec<String> =
        named.map(|(n, column)| column.3.replace("{}", &format!("c{n}"))).collect();
    expected.sort();
    expected
}

/// Each loss is found by its type and counted by its values.
#[tokio::test(flavor = "multi_thread")]
async fn losses_are_found_by_type_and_counted_by_value() {
    for engine in [Engine::Postgres, Engine::Mysql, Engine::Sqlite] {
        let project = converted(engine, |n| format!("c{n}")).await;
        assert_eq!(found(&project, &IDS), expected(columns(engine)), "{engine}");
        let answer = project.run(&["expand", "people"]).expect(3);
        answer.says(&["lossy-conversion", "[accept.lossy-conversion]"]);
        project.drop().await;
    }
}

/// A mapping that says what it means by a cast is taken.
#[tokio::test(flavor = "multi_thread")]
async fn an_explicit_cast_is_meant() {
    let cast = |n: usize| {
        let (_, to, _, _) = POSTGRES[n];
        match to {
            "timestamptz" => format!("c{n} at time zone 'Europe/Berlin' as c{n}"),
            _ => format!("c{n}::{to} as c{n}"),
        }
    };
    let project = converted(Engine::Postgres, cast).await;
    assert_eq!(found(&project, &IDS), Vec::<String>::new());
    project.ok(&["expand", "people"]);
    project.drop().await;
    let mapping = "select id as person_id, cast(v as decimal(12,2)) as v from people";
    let legacy = "create table people (id bigint primary key, v decimal(12,4)); \
                  insert into people values (1, 0.0049)";
    let new = "create table people_v2 (person_id bigint primary key, v decimal(12,2))";
    let project = project_with_new(Engine::Mysql, legacy, new, mapping).await;
    assert_eq!(found(&project, &IDS), Vec::<String>::new());
    project.drop().await;
    let legacy = "create table people (id bigint primary key, v text); \
                  insert into people values (1, '00123')";
    let new = "create table people_v2 (person_id bigint primary key, v integer)";
    let mapping = "select id as person_id, cast(v as integer) as v from people";
    let project = project_with_new(Engine::Sqlite, legacy, new, mapping).await;
    assert_eq!(found(&project, &IDS), Vec::<String>::new());
    project.drop().await;
}

async fn project_with_new(engine: Engine, legacy: &str, new: &str, mapping: &str) -> Project {
    let project = project(engine, legacy, new, mapping).await;
    project.sql(new).await;
    project
}

/// Rows that New refuses keep none of the others from being counted.
#[tokio::test(flavor = "multi_thread")]
async fn rows_that_cannot_be_converted_are_passed_over() {
    let legacy = "create table people (id bigint primary key, v text); \
                  insert into people select g, g::text from generate_series(1, 300) g; \
                  update people set v = 'none' where id in (7, 150, 300); \
                  update people set v = '007' where id in (8, 299)";
    let new = "create table people_v2 (person_id bigint primary key, v int)";
    let mapping = "select id as person_id, v::numeric as v from people";
    let project = project(Engine::Postgres, legacy, new, mapping).await;
    assert_eq!(found(&project, &IDS), Vec::<String>::new());
    project.sql("update people set v = '1.5' where id in (9, 298)").await;
    assert_eq!(found(&project, &IDS), ["lossy-conversion v to accept 2"]);
    project.drop().await;
}

/// A key on SQLite whose storage class is not its type's has no name.
#[tokio::test(flavor = "multi_thread")]
async fn keys_of_another_storage_class_are_refused() {
    for (declared, values, expected) in [
        ("text", "(x'97033619637148748591279e78663470', 'd'), ('b', 'l')", "1"),
        ("text", "(x'61626364', 'd'), ('b', 'l')", "1"),
        ("uuid", "('97033619637148748591279e78663470', 'a'), ('b1', 'b')", "1"),
        ("uuid", "('12', 'a'), ('13', 'b'), ('b1', 'c')", "2"),
        ("bigint", "('abc', 'a'), (1.5, 'b'), (7, 'c')", "1"),
        ("text", "('a', 'a'), (12, 'b')", ""),
        ("bigint", "(1, 'a'), ('12', 'b')", ""),
    ] {
        let legacy = format!(
            "create table people (id {declared} primary key, n text); \
             insert into people values {values}"
        );
        let new = format!("create table people_v2 (person_id {declared} primary key, n text)");
        let mapping = "select id as person_id, n from people";
        let project = project(Engine::Sqlite, &legacy, &new, mapping).await;
        let found = found(&project, &["odd-storage-class"]);
        match expected {
            "" => assert_eq!(found, Vec::<String>::new(), "{declared} {values}"),
            rows => {
                let line = format!("odd-storage-class Legacy.id refused {rows}");
                assert!(found.contains(&line), "{declared} {values}: {found:?}");
                project.run(&["expand", "people"]).expect(3).says(&["typeof"]);
            }
        }
        project.drop().await;
    }
}
