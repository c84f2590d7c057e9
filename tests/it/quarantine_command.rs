//! `crossfade quarantine`: what is refused, by reason, and trying it again.

use crossfade::Engine;
use serde_json::Value;

use crate::support::{People, Project};

/// A project after a backfill of 30 rows, of which three are `bad` and two are too long.
async fn refused(engine: Engine, test: &str) -> Project {
    let rows: Vec<String> = (1..=30)
        .map(|id| match id {
            4 | 14 | 24 => format!("({id}, 'bad')"),
            5 | 15 => format!("({id}, 'a name that is far too long')"),
            _ => format!("({id}, 'name {id}')"),
        })
        .collect();
    let rows = format!("insert into people (id, name) values {}", rows.join(", "));
    let project = Project::with_people(engine, test, &rows).await;
    project.write(
        "migrations/people/expand.sql",
        "create table people_v2 (person_id bigint primary key, name varchar(12) not null, \
         constraint short_name check (length(name) <= 12), constraint good_name check (name <> 'bad'));\n",
    );
    project.ok(&["expand", "people"]);
    project.ok(&["stage", "people", "delete_only"]);
    project.ok(&["stage", "people", "dual_write"]);
    project.ok(&["backfill", "people"]);
    project
}

#[tokio::test(flavor = "multi_thread")]
async fn entries_are_counted_by_reason_and_exported() {
    for engine in [Engine::Sqlite, Engine::Postgres, Engine::Mysql] {
        let project = refused(engine, "quarantine_list").await;
        let list = project.json(&["quarantine", "people"], 0);
        assert_eq!(list["keys"], 5, "{list}");
        let reasons = list["reasons"].as_array().expect("a list");
        assert_eq!(reasons.len(), 2, "{list}");
        assert_eq!((&reasons[0]["keys"], &reasons[1]["keys"]), (&3.into(), &2.into()));
        assert_eq!(reasons[0]["samples"], serde_json::json!(["14", "24", "4"]));
        assert!(!list.to_string().contains("far too long'"), "no values: {list}");
        let bad = reasons[0]["reason"].as_str().expect("a text");
        let some =
            project.json(&["quarantine", "people", "list", "--reason", bad, "--limit", "1"], 0);
        assert_eq!(
            (&some["keys"], &some["reasons"][0]["samples"]),
            (&3.into(), &serde_json::json!(["14"]))
        );
        project.ok(&["status", "people"]).says(&["crossfade quarantine people"]);
        project.run(&["quarantine", "nobody"]).expect(1);

        let lines = project.ok(&["quarantine", "people", "export"]).stdout;
        let lines: Vec<Value> =
            lines.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
        assert_eq!(lines.len(), 5);
        assert_eq!(lines[0]["key"], "14");
        project.ok(&["quarantine", "people", "export", "--reason", bad, "--output", "bad.csv"]);
        let csv = std::fs::read_to_string(project.folder.path().join("bad.csv")).expect("written");
        assert_eq!(csv.lines().count(), 1 + 3, "{csv}");
        assert!(csv.starts_with("key,reason,since\n14,"), "{csv}");
        project.drop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn retry_mends_what_new_takes_now() {
    for engine in [Engine::Sqlite, Engine::Postgres, Engine::Mysql] {
        let project = refused(engine, "quarantine_retry").await;
        project.sql("update people set name = 'fine' where id in (4, 5)").await;
        let one = project.json(&["quarantine", "people", "retry", "--key", "5"], 0);
        assert_eq!((&one["mended"], &one["refused"]), (&1.into(), &0.into()));
        let rest = project.json(&["quarantine", "people", "retry"], 4);
        assert_eq!((&rest["mended"], &rest["refused"]), (&1.into(), &3.into()), "{rest}");
        project.sql("update people set name = 'fine' where name <> 'fine'").await;
        let rest = project.json(&["quarantine", "people", "retry"], 0);
        assert_eq!((&rest["mended"], &rest["refused"]), (&3.into(), &0.into()), "{rest}");
        let db = project.database.open().await;
        assert_eq!(People::new(&db).all().await.expect("New").len(), 30);
        drop(db);
        project.drop().await;
    }
}

/// Entries of rows that hold each other's unique values, whose rows on New are stale.
#[tokio::test(flavor = "multi_thread")]
async fn retry_mends_a_swap() {
    for engine in [Engine::Sqlite, Engine::Postgres, Engine::Mysql] {
        let project = refused(engine, "quarantine_swap").await;
        project.sql("create unique index people_v2_name on people_v2 (name)").await;
        project.sql("update people set name = case id when 1 then 'name 2' else 'name 1' end where id in (1, 2)").await;
        let entry = match engine {
            Engine::Mysql => {
                "insert into crossfade_quarantine values ('people', '1', 'swapped', 1, 1), ('people', '2', 'swapped', 1, 1)"
            }
            _ => {
                "insert into crossfade_quarantine (migration, key, reason, epoch, marked_ms) values ('people', '1', 'swapped', 1, 1), ('people', '2', 'swapped', 1, 1)"
            }
        };
        project.sql(entry).await;
        let report =
            project.json(&["quarantine", "people", "retry", "--key", "1", "--key", "2"], 0);
        assert_eq!((&report["mended"], &report["refused"]), (&2.into(), &0.into()));
        let db = project.database.open().await;
        let new = People::new(&db).all().await.expect("New");
        assert_eq!((new[0].1.as_str(), new[1].1.as_str()), ("name 2", "name 1"));
        drop(db);
        project.drop().await;
    }
}
