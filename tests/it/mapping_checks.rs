//! What a mapping must be, and what it may read.

use crossfade::Engine;
use serde_json::Value;

use crate::support::{Bench, Project};

const MANIFEST: &str = "name = \"people\"\nread_flag = \"read_people_v2\"\n\
                        [legacy]\ntable = \"people\"\nkey = [\"id\"]\n\
                        [new]\ntable = \"people_v2\"\nkey = [\"person_id\"]\n\
                        [gates]\nbake_time = \"0s\"\nquiet_time = \"0s\"\n";

/// A project whose Legacy and New are made by these statements.
pub(crate) async fn project(engine: Engine, legacy: &str, new: &str, mapping: &str) -> Project {
    let project = Project::create(engine, "mapping").await;
    project.sql(legacy).await;
    project.ok(&["init"]);
    project.write("migrations/people/migration.toml", MANIFEST);
    project.write("migrations/people/expand.sql", &format!("{new};\n"));
    project.write("migrations/people/mapping.sql", mapping);
    project.write("migrations/people/contract.sql", "drop table people;\n");
    project
}

/// What `crossfade check` finds about the mapping and its values, as `check object severity rows`.
pub(crate) fn found(project: &Project, ids: &[&str]) -> Vec<String> {
    let answer = project.run(&["check", "people", "--json"]);
    let json: Value = serde_json::from_str(&answer.stdout)
        .unwrap_or_else(|error| panic!("{error} in {answer:?}"));
    let findings = json["findings"].as_array().unwrap_or_else(|| panic!("{answer:?}"));
    let word = |finding: &Value, field: &str| finding[field].as_str().unwrap_or("").to_owned();
    let mut found: Vec<String> = findings
        .iter()
        .filter(|finding| ids.contains(&word(finding, "check").as_str()))
        .map(|finding| {
            let fields = ["check", "object", "severity"].map(|field| word(finding, field));
            let rows = finding["rows"].as_u64().map_or(String::new(), |rows| format!(" {rows}"));
            format!("{}{rows}", fields.join(" "))
        })
        .collect();
    found.sort();
    found
}

const ENGINES: [Engine; 3] = [Engine::Postgres, Engine::Mysql, Engine::Sqlite];

/// Columns that `select *` leaves out, or that the database computes, are columns that a mapping
/// may read.
async fn hidden_columns_are_read(engine: Engine, tier: &str) {
    let legacy = format!(
        "create table people (id bigint primary key, name varchar(20), {tier}); \
         insert into people (id, name) values (1, 'one'), (2, 'two')"
    );
    let new =
        "create table people_v2 (person_id bigint primary key, name varchar(20), tier bigint)";
    let mapping = "select id as person_id, name, tier from people";
    let project = project(engine, &legacy, new, mapping).await;
    project.ok(&["expand", "people"]);
    project.ok(&["stage", "people", "delete_only"]);
    project.ok(&["stage", "people", "dual_write"]);
    project.ok(&["backfill", "people"]);
    project.ok(&["verify", "people"]);
    let bench = Bench { db: project.database.open().await };
    assert_eq!(bench.rows("people_v2 where tier = 7").await, 2);
    bench.sql("update people_v2 set tier = 8 where person_id = 1").await;
    project.run(&["verify", "people"]).expect(4);
    project.ok(&["verify", "people", "--repair"]);
    assert_eq!(bench.rows("people_v2 where tier = 7").await, 2);
    project.drop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn invisible_columns_are_read_on_mariadb() {
    hidden_columns_are_read(Engine::Mysql, "tier int invisible default 7").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn generated_columns_are_read() {
    for (engine, tier) in [
        (Engine::Postgres, "tier bigint generated always as (7) stored"),
        (Engine::Mysql, "tier bigint as (7) invisible"),
        (Engine::Sqlite, "tier bigint generated always as (7) virtual"),
    ] {
        hidden_columns_are_read(engine, tier).await;
    }
}

const LEGACY: &str = "create table people (id bigint primary key, name varchar(20)); \
                      insert into people values (1, 'a'), (2, 'b'), (3, 'a'), (4, 'c'), (5, 'b')";
const NEW: &str = "create table people_v2 (person_id bigint primary key, n varchar(40))";

/// What depends on more than the row is refused before anything is run.
#[tokio::test(flavor = "multi_thread")]
async fn mappings_that_are_no_function_of_their_row_are_refused() {
    for engine in ENGINES {
        let random = match engine {
            Engine::Postgres => "gen_random_uuid()",
            Engine::Mysql => "uuid()",
            Engine::Sqlite => "random()",
        };
        let project = project(engine, LEGACY, NEW, "").await;
        for (mapping, id) in [
            (
                "select id as person_id, row_number() over (order by id) as n from people",
                "not-row-by-row",
            ),
            ("select id as person_id, name as n from people order by id limit 4", "not-row-by-row"),
            (
                "select min(id) as person_id, count(*) as n from people group by name",
                "not-row-by-row",
            ),
            ("select distinct id as person_id, name as n from people", "not-row-by-row"),
            (
                "select id as person_id, (select count(*) from people p where p.id < people.id) as n from people",
                "not-row-by-row",
            ),
            (
                &format!("select id as person_id, {random} as n from people"),
                "session-bound-function",
            ),
            (
                "select id as person_id, current_timestamp as n from people",
                "session-bound-function",
            ),
        ] {
            project.write("migrations/people/mapping.sql", mapping);
            project.run(&["expand", "people"]).expect(3).says(&[id]);
        }
        project.sql(NEW).await;
        project.drop().await;
    }
}

/// Each of these maps row by row, and is taken all the way.
#[tokio::test(flavor = "multi_thread")]
async fn mappings_over_a_leading_with_and_over_the_qualified_table_are_taken() {
    for engine in ENGINES {
        for mapping in [
            "with p as (select id, name from people) select id as person_id, name as n from p",
            "select id as person_id, (select count(*) from {schema}.people p \
             where p.id < people.id and p.name <> people.name) as n from people",
            "select id as person_id, name as n from people where id < 3 \
             union all select id, 'many' from people where id >= 3",
        ] {
            let project = project(engine, LEGACY, NEW, "").await;
            let schema = match engine {
                Engine::Postgres => "public",
                Engine::Sqlite => "main",
                Engine::Mysql => project.database.url.rsplit('/').next().unwrap_or_default(),
            };
            let mapping = mapping.replace("{schema}", schema);
            project.write("migrations/people/mapping.sql", &mapping);
            project.ok(&["expand", "people"]).says(&["was tried on 5 rows"]);
            project.ok(&["stage", "people", "delete_only"]);
            project.ok(&["stage", "people", "dual_write"]);
            project.ok(&["backfill", "people", "--batch-size", "2"]);
            project.ok(&["verify", "people", "--chunk-rows", "2"]);
            project.sql("update people_v2 set n = 'changed' where person_id = 2").await;
            project.run(&["verify", "people"]).expect(4);
            project.ok(&["verify", "people", "--repair"]);
            project.ok(&["verify", "people"]);
            project.drop().await;
        }
    }
}

const TRIED: [&str; 4] =
    ["unstable-mapping", "batch-dependent-mapping", "changed-key", "several-rows"];

/// What no parser sees shows on rows.
#[tokio::test(flavor = "multi_thread")]
async fn a_trial_finds_what_the_text_does_not_show() {
    for engine in ENGINES {
        let project = project(engine, LEGACY, NEW, "").await;
        let one_more = match engine {
            Engine::Postgres | Engine::Sqlite => "exclude no others",
            Engine::Mysql => "",
        };
        let unparsed = match engine {
            Engine::Mysql => " + (id mod 1)",
            Engine::Postgres | Engine::Sqlite => "",
        };
        let window = format!(
            "select id as person_id, count(*) over (order by id rows between unbounded preceding \
             and current row {one_more}){unparsed} as n from people"
        );
        for (mapping, expected) in [
            ("select id as person_id, name as n from people", vec![]),
            (
                "select id + 1 as person_id, name as n from people",
                vec!["changed-key mapping refused 5"],
            ),
            (
                "select id as person_id, x.n from people, (select 'p' as n union all select 'q') as x",
                vec!["several-rows mapping refused 5"],
            ),
            // The parser does not know all of the window's clause.
            (&window, vec!["batch-dependent-mapping mapping refused 4"]),
        ] {
            project.write("migrations/people/mapping.sql", mapping);
            assert_eq!(found(&project, &TRIED), expected, "{engine}: {mapping}");
        }
        let shown = project.run(&["check", "people"]);
        shown.says(&["mapping-not-parsed", "differing columns: n", "of 5 rows tried"]);
        project.drop().await;
    }
}

/// A function that is declared to be a function of its arguments, and counts.
#[tokio::test(flavor = "multi_thread")]
async fn a_function_that_counts_is_found_by_trying() {
    for (engine, function) in [
        (
            Engine::Postgres,
            "create sequence counted; create function counts(a bigint) returns bigint \
             language sql immutable as 'select nextval(''counted'')'",
        ),
        (
            Engine::Mysql,
            "create function counts(a bigint) returns bigint deterministic no sql \
             begin set @counted = coalesce(@counted, 0) + 1; return @counted; end",
        ),
    ] {
        let mapping = "select id as person_id, counts(id) as n from people";
        let project = project(engine, LEGACY, NEW, mapping).await;
        project.sql(function).await;
        assert_eq!(found(&project, &TRIED), ["unstable-mapping mapping refused 5"], "{engine}");
        project.drop().await;
    }
}

/// The catalog says what a function of the application's depends on.
#[tokio::test(flavor = "multi_thread")]
async fn functions_are_judged_by_the_catalog() {
    let ids = ["volatile-function", "stable-function"];
    for (engine, functions) in [
        (
            Engine::Postgres,
            "create function fixed(a text) returns text language sql immutable as 'select a'; \
             create function reads(a text) returns text language sql stable as 'select a'; \
             create function loose(a text) returns text language sql as 'select a'",
        ),
        (
            Engine::Mysql,
            "create function fixed(a text) returns text deterministic no sql return a; \
             create function \u{60}reads\u{60}(a text) returns text deterministic reads sql data return a; \
             create function loose(a text) returns text no sql return a",
        ),
    ] {
        let project = project(engine, LEGACY, NEW, "").await;
        project.sql(functions).await;
        for (call, expected) in [
            ("fixed(name)", None),
            ("lower(name)", None),
            ("`reads`(name)", Some("reads to accept")),
            ("LOOSE (name)", Some("loose refused")),
        ] {
            let call =
                if engine == Engine::Postgres { call.replace('`', "") } else { call.to_owned() };
            let mapping = format!("select id as person_id, {call} as n from people");
            project.write("migrations/people/mapping.sql", &mapping);
            let found = found(&project, &ids);
            match expected {
                None => assert_eq!(found, Vec::<String>::new(), "{engine}: {call}"),
                Some(ends) => assert!(
                    found.len() == 1 && found[0].ends_with(ends),
                    "{engine}: {call}: {found:?}"
                ),
            }
        }
        project.drop().await;
    }
}

/// A column that the mapping never reads is named, and its loss can be accepted.
#[tokio::test(flavor = "multi_thread")]
async fn columns_that_are_never_read_are_named() {
    for engine in ENGINES {
        let mapping = "select id as person_id, 'x' as n from people";
        let project = project(engine, LEGACY, NEW, mapping).await;
        project.ok(&["expand", "people"]).says(&["unread-column", "name"]);
        assert_eq!(found(&project, &["unread-column"]), ["unread-column name warning"]);
        let accepted = format!("{MANIFEST}[accept.unread-column]\nname = \"of no use\"\n");
        project.write("migrations/people/migration.toml", &accepted);
        project.ok(&["check", "people"]).says(&["accepted: of no use"]);
        project.drop().await;
    }
}
