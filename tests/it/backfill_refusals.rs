//! Rows that New refuses in a backfill: what they cost, and when the backfill stops for them.

use std::time::{Duration, Instant};

use crossfade::Engine;

use crate::support::{Answer, People, Project};

const ENGINES: [Engine; 3] = [Engine::Sqlite, Engine::Postgres, Engine::Mysql];

/// An insert of `rows` rows from 1 on, with those that `bad` says refused by New.
fn people(rows: i64, bad: impl Fn(i64) -> bool) -> String {
    let row = |id| match bad(id) {
        true => format!("({id}, 'bad')"),
        false => format!("({id}, 'name {id}')"),
    };
    let rows: Vec<String> = (1..=rows).map(row).collect();
    format!("insert into people (id, name) values {}", rows.join(", "))
}

/// A project whose migration is in `dual_write`.
async fn dual_write(engine: Engine, test: &str, rows: &str) -> Project {
    let project = Project::with_people(engine, test, rows).await;
    begin(&project);
    project
}

fn begin(project: &Project) {
    project.ok(&["expand", "people"]);
    project.ok(&["stage", "people", "delete_only"]);
    project.ok(&["stage", "people", "dual_write"]);
}

async fn new_rows(project: &Project) -> usize {
    let db = project.database.open().await;
    People::new(&db).all().await.expect("New").len()
}

/// 1,000 rows of which 20 are refused are one batch: before, each refused row began ten batches of
/// its own, with their pauses.
#[tokio::test(flavor = "multi_thread")]
async fn refused_rows_cost_no_batches_of_their_own() {
    for engine in ENGINES {
        let rows = people(1000, |id| id % 50 == 7);
        let project = dual_write(engine, "few_refused", &rows).await;
        // A pause that many batches would add up.
        let begun = Instant::now();
        let report = project.json(&["backfill", "people", "--delay", "500ms"], 0);
        assert!(begun.elapsed() < Duration::from_secs(10), "{engine}: {:?}", begun.elapsed());
        assert_eq!(report["read"], 1000);
        assert_eq!(report["inserted"], 980);
        assert_eq!(report["quarantined"], 20);
        assert_eq!(new_rows(&project).await, 980);
        project.drop().await;
    }
}

/// Every row is refused, and the run comes to its limit at once, across two processes.
#[tokio::test(flavor = "multi_thread")]
async fn a_table_that_new_refuses_stops_the_run_in_seconds() {
    for engine in ENGINES {
        let project = dual_write(engine, "all_refused", &people(3000, |_| true)).await;
        let begun = Instant::now();
        let stopped = project.run(&["backfill", "people", "--workers", "2"]).expect(1);
        assert!(begun.elapsed() < Duration::from_secs(20), "{engine}: {:?}", begun.elapsed());
        stopped.says(&[
            "its limit is 50",
            "crossfade quarantine people retry",
            "--max-refusals N",
            "50 keys",
        ]);
        // Another process stops before it touches a row.
        let again = project.run(&["backfill", "people"]).expect(1);
        again.says(&["its limit is 50"]);
        assert!(refused(&project) < 60 + 50, "{engine}: each worker ends at its limit");
        let report = project.json(&["backfill", "people", "--max-refusals", "none"], 0);
        assert_eq!(report["outcome"], "done");
        assert_eq!(refused(&project), 3000);
        project.drop().await;
    }
}

/// Keys in quarantine.
#[track_caller]
fn refused(project: &Project) -> u64 {
    let status = project.json(&["status", "people"], 0);
    status["quarantined"].as_u64().unwrap_or_else(|| panic!("no number in {status}"))
}

/// The limit is that of the manifest, mended rows no longer count, and the run goes on where it
/// stopped.
#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_stopped_goes_on_once_rows_are_mended() {
    for engine in ENGINES {
        let rows = people(100, |id| id % 10 == 5);
        let project = Project::with_people(engine, "refusal_limit", &rows).await;
        let manifest = project.folder.path().join("migrations/people/migration.toml");
        let text = std::fs::read_to_string(&manifest).expect("the manifest");
        let text = format!("{text}[backfill]\nmax_refusals = \"3%\"\n");
        std::fs::write(&manifest, text).expect("written");
        begin(&project);
        let stopped = project.run(&["backfill", "people", "--batch-size", "20"]).expect(1);
        stopped.says(&["its limit is 3"]);
        assert_eq!(refused(&project), 3);
        assert_eq!(new_rows(&project).await, 22, "the rows up to the third that is refused");

        project.sql("update people set name = 'mended' where name = 'bad'").await;
        project.ok(&["verify", "people", "--repair"]);
        let report = project.json(&["backfill", "people"], 0);
        assert_eq!(report["outcome"], "done");
        assert_eq!(refused(&project), 0);
        assert_eq!(new_rows(&project).await, 100);
        project.drop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_small_table_does_not_stop_at_its_first_refused_row() {
    let project = dual_write(Engine::Sqlite, "small", &people(50, |id| id > 10)).await;
    let report = project.json(&["backfill", "people"], 0);
    assert_eq!(report["quarantined"], 40);
    let usage: Answer = project.run(&["backfill", "people", "--max-refusals", "many"]);
    usage.expect(2).says(&["`none`"]);
    project.drop().await;
}

/// A constraint that the commit alone checks says nothing of the row, so batches shrink to it.
#[tokio::test(flavor = "multi_thread")]
async fn a_refusal_at_the_commit_finds_its_row() {
    for engine in [Engine::Sqlite, Engine::Postgres] {
        let rows = people(200, |id| id == 77);
        let project = Project::with_people(engine, "deferred_refusal", &rows).await;
        project.sql("create table towns (name text primary key)").await;
        project.sql("insert into towns select name from people where name <> 'bad'").await;
        project.write(
            "migrations/people/expand.sql",
            "create table people_v2 (person_id bigint primary key, name text not null \
             references towns (name) deferrable initially deferred);\n",
        );
        begin(&project);
        let report = project.json(&["backfill", "people"], 0);
        assert_eq!(report["quarantined"], 1, "{engine}");
        assert_eq!(report["inserted"], 199, "{engine}");
        project.drop().await;
    }
}
