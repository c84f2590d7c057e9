//! What verification prints and writes: keys, columns and, when asked for, values.

use std::fs;

use crossfade::Engine;
use serde_json::Value;

use crate::support::Project;

async fn spoilt(engine: Engine, test: &str) -> Project {
    let rows = (1..=60).map(|id| format!("({id}, 'name {id}')")).collect::<Vec<_>>().join(", ");
    let insert = format!("insert into people values {rows}");
    let project = Project::with_people(engine, test, &insert).await;
    project.ok(&["expand", "people"]);
    project.ok(&["stage", "people", "delete_only"]);
    project.ok(&["stage", "people", "dual_write"]);
    project.ok(&["backfill", "people"]);
    project.sql("update people_v2 set name = 'a secret' where person_id between 11 and 40").await;
    project.sql("delete from people_v2 where person_id = 5").await;
    project.sql("insert into people_v2 values (99, 'only here')").await;
    project
}

#[tokio::test(flavor = "multi_thread")]
async fn differing_columns_are_named_and_values_shown_when_asked_for() {
    for &engine in Engine::ALL {
        let project = spoilt(engine, "output").await;
        let answer = project.run(&["verify", "people"]).expect(4).says(&[
            "30 differing, 1 missing, 1 orphaned",
            "    11: name (7 characters mapped, 8 characters on New)",
            "missing on New: 5",
            "only on New: 99",
            "differing rows by column: name 30",
        ]);
        assert!(!answer.stdout.contains("secret"), "{engine}: {}", answer.stdout);
        let answer = project.run(&["verify", "people", "--show-values"]).expect(4);
        answer.says(&["11: name (", "name 11", "a secret"]);

        let report = project.json(&["verify", "people"], 4);
        assert_eq!(report["columns"]["name"], 30, "{engine}");
        let details = report["details"].as_array().expect("details");
        assert_eq!(details.len(), 20, "{engine}");
        assert_eq!(details[0]["columns"][0]["column"], "name");
        assert_eq!(details[0]["columns"][0]["new"], "8 characters");
        assert!(!report.to_string().contains("secret"), "{engine}: {report}");
        let report = project.json(&["verify", "people", "--show-values"], 4);
        assert!(report.to_string().contains("a secret"), "{engine}: {report}");
        project.drop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_whole_list_is_written_to_a_file() {
    for &engine in Engine::ALL {
        let project = spoilt(engine, "list").await;
        let path = project.folder.path().join("differences.jsonl");
        for extra in [&[][..], &["--workers", "3", "--chunk-rows", "7"]] {
            let args = [&["verify", "people", "--output", "differences.jsonl"], extra].concat();
            project.run(&args).expect(4).says(&["differences written to differences.jsonl"]);
            let text = fs::read_to_string(&path).expect("the file is there");
            let mut found: Vec<(u32, String, Value)> = text
                .lines()
                .map(|line| {
                    let line: Value = serde_json::from_str(line).expect("a JSON line");
                    let text = |name: &str| line[name].as_str().expect("a text").to_owned();
                    (text("key").parse().expect("a number"), text("kind"), line["columns"].clone())
                })
                .collect();
            found.sort_by_key(|(key, _, _)| *key);
            let mut expected = vec![(5, "missing".to_owned(), Value::from(Vec::<Value>::new()))];
            let columns = Value::from(vec!["name"]);
            expected.extend((11..=40).map(|key| (key, "differing".to_owned(), columns.clone())));
            expected.push((99, "orphaned".to_owned(), Value::from(Vec::<Value>::new())));
            assert_eq!(found, expected, "{engine}");
            assert!(!project.folder.path().join("differences.jsonl.partial").exists());
            assert!(!text.contains("secret"));
        }
        project.drop().await;
    }
}
