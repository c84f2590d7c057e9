//! What verification calls equal is stored alike, column by column, and repair makes it so.

use crossfade::Engine;
use serde_json::Value;

use crate::support::Project;

/// One column: its name and type, a value, the statement's text for an equal one that is stored
/// otherwise, and whether the two are to differ.
struct Column {
    name: &'static str,
    kind: &'static str,
    legacy: &'static str,
    new: &'static str,
    differs: bool,
}

const fn column(
    name: &'static str,
    kind: &'static str,
    legacy: &'static str,
    new: &'static str,
    differs: bool,
) -> Column {
    Column { name, kind, legacy, new, differs }
}

const POSTGRES: &[Column] = &[
    column("period", "interval", "'1 mon'", "'30 days'", true),
    column("amount", "numeric", "'1.00'", "'1.0'", true),
    column("money", "numeric(10,2)", "'1.00'", "'1'", false),
    column("double", "float8", "'-0'", "'0'", true),
    column("single", "real", "'-0'", "'0'", true),
    column("doc", "jsonb", "'{\"a\": 1.0}'", "'{\"a\": 1}'", true),
    column("spelled", "json", "'{\"a\": 1, \"b\": [2]}'", "'{\"b\":[2],\"a\":1}'", false),
    column("meant", "json", "'{\"a\": 1}'", "'{\"a\": 2}'", true),
    column("nul", "json", "'{\"a\": \"\\u0000\"}'", "'{\"a\":\"\\u0000\"}'", true),
    column("list", "numeric[]", "'{1.00}'", "'{1.0}'", true),
    column("range", "numrange", "'[1.0,2.0)'", "'[1.00,2.0)'", true),
    column("domain", "period", "'1 day'", "'24:00:00'", true),
    column("composite", "priced", "'(1.0)'", "'(1.00)'", true),
    column("folded", "text collate folded", "'a'", "'A'", true),
    column("padded", "bpchar", "'a '", "'a'", true),
    column("words", "text[]", "'{a}'", "'{b}'", true),
    column("moment", "timestamptz", "'2026-01-01 00:00+00'", "'2026-01-01 01:00+01'", false),
    column("bytes", "bytea", "'\\x00ff'", "'\\x00fe'", true),
    column("place", "inet", "'10.0.0.1'", "'10.0.0.1/24'", true),
];

const MARIADB: &[Column] = &[
    column("name", "varchar(20) collate utf8mb4_general_ci", "'a'", "'A'", true),
    column("accent", "varchar(20) collate utf8mb4_unicode_ci", "'a'", "'ä'", true),
    column("padded", "varchar(20) collate utf8mb4_bin", "'a '", "'a'", true),
    column("fixed", "char(5) collate utf8mb4_bin", "'a '", "'a'", false),
    column("latin", "varchar(20) character set latin1", "'ä'", "'Ä'", true),
    column("amount", "decimal(10,2)", "1.00", "1", false),
    column("spelled", "json", "'{\"a\": 1, \"b\": [2]}'", "'{\"b\":[2],\"a\":1}'", false),
    column("meant", "json", "'{\"a\": 1}'", "'{\"a\": 2}'", true),
    column("digits", "json", "'{\"a\": 9007199254740993}'", "'{\"a\": 9007199254740992}'", true),
    column("plain", "longtext", "'{\"a\": 1}'", "'{\"a\":1}'", true),
    column("bytes", "binary(4)", "x'01'", "x'02'", true),
    column(
        "moment",
        "timestamp(3) null",
        "'2026-01-01 10:00:00.123'",
        "'2026-01-01 10:00:00.124'",
        true,
    ),
    column("choice", "enum('a','b')", "'a'", "'b'", true),
    column("double_value", "double", "0.1", "0.1000000000000001", true),
    column("nothing", "int", "null", "0", true),
];

const SQLITE: &[Column] = &[
    column("bare", "", "1", "1.0", true),
    column("blob", "blob", "1", "'1'", true),
    column("bytes", "blob", "x'61'", "'a'", true),
    column("label", "text", "'a'", "x'61'", true),
    column("case_blind", "text collate nocase", "'a'", "'A'", true),
    column("padded", "text collate rtrim", "'a '", "'a'", true),
    column("number", "integer", "1", "'1'", false),
    column("amount", "numeric", "1", "1.0", false),
    column("nothing", "integer", "null", "0", true),
];

#[tokio::test(flavor = "multi_thread")]
async fn equal_is_stored_alike_on_postgres() {
    let before = "create type priced as (amount numeric); create domain period as interval; \
                  create collation folded (provider = icu, locale = 'und-u-ks-level2', \
                  deterministic = false)";
    check(Engine::Postgres, before, POSTGRES).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn equal_is_stored_alike_on_mariadb() {
    check(Engine::Mysql, "do 1", MARIADB).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn equal_is_stored_alike_on_sqlite() {
    check(Engine::Sqlite, "select 1", SQLITE).await;
}

/// A row for each column, all of the same values. In each row New gets the other value of one
/// column. Verification names exactly the keys and columns that differ, and repair mends them.
async fn check(engine: Engine, before: &str, columns: &[Column]) {
    let quote = if engine == Engine::Mysql { '`' } else { '"' };
    let quoted = |column: &Column| format!("{quote}{}{quote}", column.name);
    let declared = columns.iter().map(|column| format!("{} {}", quoted(column), column.kind));
    let declared = declared.collect::<Vec<_>>().join(", ");
    let values = columns.iter().map(|column| column.legacy).collect::<Vec<_>>().join(", ");
    let names = columns.iter().map(quoted).collect::<Vec<_>>().join(", ");
    let project = Project::create(engine, "exact").await;
    project.sql(before).await;
    project.sql(&format!("create table people (id bigint primary key, {declared})")).await;
    for id in 1..=columns.len() {
        project.sql(&format!("insert into people values ({id}, {values})")).await;
    }
    let new = format!("create table people_v2 (person_id bigint primary key, {declared});\n");
    let mapping = format!("select id as person_id, {names} from people\n");
    to_dual_write(&project, &new, &mapping);
    project.ok(&["verify", "people"]).says(&["0 differing, 0 missing, 0 orphaned"]);
    for (index, column) in columns.iter().enumerate() {
        let (name, id) = (quoted(column), index + 1);
        let sql = format!("update people_v2 set {name} = {} where person_id = {id}", column.new);
        project.sql(&sql).await;
    }
    let found = project.json(&["verify", "people", "--chunk-rows", "7"], 4);
    let expected: Vec<(String, Vec<String>)> = columns
        .iter()
        .enumerate()
        .filter(|(_, column)| column.differs)
        .map(|(index, column)| ((index + 1).to_string(), vec![column.name.to_owned()]))
        .collect();
    assert_eq!(details(&found), expected, "{engine}");
    project.ok(&["verify", "people", "--repair"]);
    project.ok(&["verify", "people"]).says(&["0 differing, 0 missing, 0 orphaned"]);
    project.drop().await;
}

/// The keys with their columns, in the order of the keys.
fn details(report: &Value) -> Vec<(String, Vec<String>)> {
    let text = |value: &Value| value.as_str().expect("a text").to_owned();
    let details = report["details"].as_array().expect("details");
    let mut details: Vec<_> = details
        .iter()
        .map(|detail| {
            let columns = detail["columns"].as_array().expect("columns");
            (text(&detail["key"]), columns.iter().map(|column| text(&column["column"])).collect())
        })
        .collect();
    details.sort_by_key(|(key, _): &(String, Vec<String>)| key.parse().unwrap_or(0));
    details
}

fn to_dual_write(project: &Project, expand: &str, mapping: &str) {
    project.ok(&["init"]);
    project.write_people();
    project.write("migrations/people/expand.sql", expand);
    project.write("migrations/people/mapping.sql", mapping);
    project.ok(&["expand", "people"]);
    project.ok(&["stage", "people", "delete_only"]);
    project.ok(&["stage", "people", "dual_write"]);
    project.ok(&["backfill", "people"]);
}

/// Keys that are equal and stored otherwise: verification names the key's own column, and repair
/// writes it anew.
#[tokio::test(flavor = "multi_thread")]
async fn the_keys_own_text_is_compared_and_repaired() {
    for (engine, kind) in
        [(Engine::Mysql, "varchar(20) collate utf8mb4_bin"), (Engine::Postgres, "bpchar")]
    {
        let project = Project::create(engine, "exact_key").await;
        project.sql(&format!("create table people (id {kind} primary key, name text)")).await;
        project.sql("insert into people values ('a ', 'Ada'), ('b', 'Bo')").await;
        to_dual_write(
            &project,
            &format!("create table people_v2 (person_id {kind} primary key, name text);\n"),
            "select id as person_id, name from people\n",
        );
        project.ok(&["verify", "people"]);
        project.sql("update people_v2 set person_id = 'a' where name = 'Ada'").await;
        let found = project.json(&["verify", "people"], 4);
        let columns: Vec<String> =
            details(&found).into_iter().flat_map(|(_, columns)| columns).collect();
        assert_eq!(columns, ["person_id"], "{engine}: {found}");
        project.ok(&["verify", "people", "--repair"]);
        project.ok(&["verify", "people"]).says(&["0 differing, 0 missing, 0 orphaned"]);
        project.drop().await;
    }
}

/// A row that New stores otherwise, whatever is written, is named with its column after its repair.
#[tokio::test(flavor = "multi_thread")]
async fn a_row_that_differs_right_after_its_repair_is_called_so() {
    for &engine in Engine::ALL {
        let project = Project::with_people(
            engine,
            "stuck",
            "insert into people values (1, 'Ada'), (2, 'Bo'), (3, 'Cy')",
        )
        .await;
        project.ok(&["expand", "people"]);
        project.ok(&["stage", "people", "delete_only"]);
        project.ok(&["stage", "people", "dual_write"]);
        project.ok(&["backfill", "people"]);
        for trigger in trigger(engine) {
            project.sql(trigger).await;
        }
        project.sql("update people_v2 set name = 'spoilt' where person_id = 2").await;
        let answer = project.run(&["verify", "people", "--repair"]).expect(4);
        answer.says(&[
            "1 row still differs right after the repair in `name`: 2",
            "hint:",
            "`name`",
        ]);
        let report = project.run(&["verify", "people", "--repair", "--json"]).expect(4);
        let report: Value = serde_json::from_str(report.stdout.trim()).expect("a report on stdout");
        assert_eq!(report["still_differing"], 1, "{engine}");
        assert_eq!(report["still_differing_details"][0]["key"], "2", "{engine}");
        assert_eq!((&report["repaired"], &report["remaining"]), (&0.into(), &1.into()), "{engine}");
        project.drop().await;
    }
}

/// A trigger that changes what is written to the row 2 of New.
fn trigger(engine: Engine) -> &'static [&'static str] {
    match engine {
        Engine::Mysql => &["create trigger spoil before update on people_v2 for each row \
                            set new.name = if(new.person_id = 2, 'other', new.name)"],
        Engine::Postgres => &[
            "create function spoil() returns trigger language plpgsql as \
             $$ begin new.name := 'other'; return new; end $$",
            "create trigger spoil before update on people_v2 for each row \
             when (new.person_id = 2) execute function spoil()",
        ],
        Engine::Sqlite => &["create trigger spoil after update on people_v2 \
                             when new.name <> 'other' and new.person_id = 2 begin \
                             update people_v2 set name = 'other' where person_id = 2; end"],
    }
}
