//! `crossfade validate`: rows that would not fit, found before any is moved.

use crossfade::Engine;
use serde_json::{Value, json};

use crate::support::Project;

const ENGINES: [Engine; 3] = [Engine::Sqlite, Engine::Postgres, Engine::Mysql];

/// A project of 2,000 rows that were not yet expanded; `changes` make some of them unfit.
async fn project(engine: Engine, test: &str, changes: &[&str]) -> Project {
    let rows: Vec<String> = (1..=2000).map(|id| format!("({id}, 'name {id}')")).collect();
    let rows = format!("insert into people (id, name) values {}", rows.join(", "));
    let project = Project::create(engine, test).await;
    project.sql("create table people (id bigint primary key, name varchar(60))").await;
    project.sql(&rows).await;
    for change in changes {
        project.sql(change).await;
    }
    project.ok(&["init"]);
    project.write_people();
    project.write(
        "migrations/people/expand.sql",
        "create table people_v2 (person_id bigint primary key, name varchar(12) not null, \
         constraint short_name check (length(name) <= 12), \
         constraint good_name check (name <> 'bad'));\n\
         create unique index people_v2_name on people_v2 (name);\n",
    );
    project.write("migrations/people/mapping.sql", "select id as person_id, name from people\n");
    project
}

/// The sum of rows that are refused by themselves.
fn refused(report: &Value) -> u64 {
    let kinds = report["refused"].as_array().expect("a list");
    kinds.iter().map(|kind| kind["rows"].as_u64().expect("a number")).sum()
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_that_fit_are_found_to_fit_before_and_after_expand() {
    for engine in ENGINES {
        let project = project(engine, "validate_fit", &[]).await;
        let report = project.json(&["validate", "people"], 0);
        assert_eq!((&report["rows"], &report["fits"]), (&json!(2000), &json!(true)), "{report}");
        // Nothing is left that `expand` would meet.
        project.ok(&["expand", "people"]);
        project.json(&["validate", "people"], 0);
        project.ok(&["stage", "people", "delete_only"]);
        project.ok(&["stage", "people", "dual_write"]);
        project.ok(&["backfill", "people"]);
        let report = project.json(&["validate", "people"], 0);
        assert_eq!(report["fits"], true, "rows on New are no duplicates of themselves: {report}");
        project.ok(&["verify", "people"]);
        project.drop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn each_kind_of_unfit_row_is_counted() {
    for engine in ENGINES {
        let changes = [
            "update people set name = 'bad' where id = 7",
            "update people set name = null where id in (20, 1999)",
            "update people set name = 'a name that is far too long' where id = 1000",
            // Far from each other, so that no batch holds both.
            "update people set name = 'same' where id in (2, 1998)",
        ];
        let project = project(engine, "validate_unfit", &changes).await;
        for expanded in [false, true] {
            if expanded {
                project.ok(&["expand", "people"]);
            }
            let report = project.json(&["validate", "people"], 4);
            assert!(refused(&report) >= 4, "{engine} {expanded}: {report}");
            let all = report["refused"].to_string();
            for key in ["\"7\"", "\"20\"", "\"1999\"", "\"1000\""] {
                assert!(all.contains(key), "{engine} {expanded}: {key} in {report}");
            }
            let same = &report["duplicates"][0];
            assert_eq!(
                (&same["rows"], &same["samples"]),
                (&json!(2), &json!(["2", "1998"])),
                "{report}"
            );
            assert!(!report.to_string().contains("far too long"), "no values: {report}");
        }
        project.drop().await;
    }
}

/// MariaDB compares the texts of the index without regard to case and trailing spaces.
#[tokio::test(flavor = "multi_thread")]
async fn duplicates_are_those_of_the_indexs_collation() {
    let changes = [
        "update people set name = 'Same' where id = 2",
        "update people set name = 'same ' where id = 1998",
    ];
    let project = project(Engine::Mysql, "validate_collation", &changes).await;
    let report = project.json(&["validate", "people"], 4);
    assert_eq!(report["duplicates"][0]["rows"], 2, "{report}");
    // The scratch database of a validation that was killed is dropped by the next.
    project.sql("create database crossfade_scratch_999999999").await;
    project.json(&["validate", "people"], 4);
    project.sql("create database crossfade_scratch_999999999").await;
    project.json(&["validate", "people"], 4);
    project.drop().await;
}

/// A scratch database confines what names no database, so nothing else is tried there.
#[tokio::test(flavor = "multi_thread")]
async fn a_script_that_names_a_database_is_not_run_in_a_scratch_database() {
    let project = project(Engine::Mysql, "validate_named", &[]).await;
    project.write(
        "migrations/people/expand.sql",
        "create table test.people_v2 (person_id bigint primary key, name varchar(12));\n",
    );
    project.run(&["validate", "people"]).expect(1).says(&["after `crossfade expand`"]);
    project.drop().await;
}
