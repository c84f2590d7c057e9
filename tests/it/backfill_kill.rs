//! A backfill that is killed anywhere and run again leaves the rows of one that was not.

use std::process::Stdio;
use std::time::Duration;

use crossfade::Engine;

use crate::support::{People, Project, eventually};

const ROWS: i64 = 3000;

/// Rows with ids below, at and above zero, and some that the mapping leaves out.
fn rows() -> String {
    let values: Vec<String> = (0..ROWS)
        .map(|n| {
            let name = if n % 10 == 3 { "hidden".to_owned() } else { format!("name {n}") };
            format!("({}, '{name}')", n - 500)
        })
        .collect();
    format!("insert into people (id, name) values {}", values.join(", "))
}

async fn dual_write(engine: Engine, test: &str) -> Project {
    let project = Project::with_people(engine, test, &rows()).await;
    project.ok(&["expand", "people"]);
    project.ok(&["stage", "people", "delete_only"]);
    project.ok(&["stage", "people", "dual_write"]);
    project
}

async fn assert_equal(project: &Project) {
    let db = project.database.open().await;
    let mut legacy = People::legacy(&db).all().await.expect("Legacy");
    legacy.retain(|(_, name)| name != "hidden");
    assert_eq!(legacy.len(), 2700);
    assert_eq!(legacy, People::new(&db).all().await.expect("New"));
}

/// How far the run is, as the control tables say.
async fn read_rows(project: &Project) -> u64 {
    use crossfade_store::{ControlStore, ReconcileStore};
    let db = project.database.open().await;
    let state = db.migration(&"people".parse().expect("a name")).await.expect("registered");
    db.run_progress(&state).await.expect("progress").map_or(0, |progress| progress.read)
}

async fn killed_and_run_again(engine: Engine) {
    let project = dual_write(engine, "kill").await;
    let args = ["backfill", "people", "--batch-size", "50", "--delay", "5ms", "--workers", "2"];
    for target in [1, 900, 2200] {
        let mut child = project
            .command(&args)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("the binary starts");
        eventually("the run is far enough", async || read_rows(&project).await >= target).await;
        // SIGKILL: no handler runs, whatever instruction it is at.
        child.kill().expect("it runs");
        child.wait().expect("it ends");
    }
    assert!(read_rows(&project).await < ROWS.cast_unsigned(), "every kill came in the middle");
    project.ok(&["backfill", "people"]).says(&["rows looked at"]);
    assert_equal(&project).await;
    project.ok(&["verify", "people"]);
    // A second run of a finished backfill changes nothing.
    project.ok(&["backfill", "people"]);
    assert_equal(&project).await;
    assert_eq!(read_rows(&project).await, ROWS.cast_unsigned(), "no row is counted twice");
    project.drop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_and_run_again_on_sqlite() {
    killed_and_run_again(Engine::Sqlite).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_and_run_again_on_postgres() {
    killed_and_run_again(Engine::Postgres).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_and_run_again_on_mariadb() {
    killed_and_run_again(Engine::Mysql).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn ctrl_c_finishes_the_batch_and_says_how_to_go_on() {
    let project = dual_write(Engine::Sqlite, "ctrl_c").await;
    let child = project
        .command(&["backfill", "people", "--batch-size", "20", "--delay", "20ms"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the binary starts");
    eventually("the run has begun", async || read_rows(&project).await > 0).await;
    let pid = child.id().to_string();
    let sent = std::process::Command::new("kill").args(["-INT", &pid]).status().expect("kill");
    assert!(sent.success());
    let ended = tokio::task::spawn_blocking(move || child.wait_with_output());
    let output = tokio::time::timeout(Duration::from_secs(20), ended)
        .await
        .expect("it ends soon")
        .expect("no panic")
        .expect("it ends");
    let answer = crate::support::Answer::of(output);
    assert_ne!(answer.code, 0, "{answer:?}");
    answer.says(&["crossfade backfill people"]);
    // Its segments are free at once: the next run does not wait for a lease to lapse.
    project.ok(&["backfill", "people"]);
    assert_equal(&project).await;
    project.drop().await;
}
