//! A table whose writers know nothing of Crossfade is carried by capture and repair alone.

use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use crossfade::{Database, Engine};
use tokio::task::JoinHandle;

use super::plain;
use crate::support::{People, Project, WAIT, eventually};

const ROWS: i64 = 2000;

/// Three writers that insert, update, delete and move rows until told to stop.
fn write(db: &Database, over: &Arc<AtomicBool>, writes: &Arc<AtomicU32>) -> Vec<JoinHandle<()>> {
    (0..3i64)
        .map(|writer| {
            let (db, over, writes) = (db.clone(), Arc::clone(over), Arc::clone(writes));
            tokio::spawn(async move {
                let mut turn = 0;
                while !over.load(Ordering::Relaxed) {
                    turn += 1;
                    // Each has keys of its own, as different jobs have.
                    let key = (turn * 37) % (ROWS / 3) * 3 + writer;
                    let (fresh, moved) = (ROWS + 3 * turn + writer, 1_000_000 + 3 * turn + writer);
                    let sql = match turn % 4 {
                        0 => format!("insert into people values ({fresh}, 'fresh {turn}')"),
                        1 => format!("update people set name = 'turn {turn}' where id = {key}"),
                        2 => format!("delete from people where id = {key}"),
                        _ => format!("update people set id = {moved} where id = {key}"),
                    };
                    plain(&db, &sql).await.expect("the capture is no hindrance");
                    writes.fetch_add(1, Ordering::Relaxed);
                }
            })
        })
        .collect()
}

struct Follower(Child);

impl Follower {
    fn start(project: &Project) -> Self {
        let mut command = project.command(&["repair", "people", "--follow", "--json"]);
        Self(command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().expect("it starts"))
    }

    /// SIGKILL: no handler runs.
    fn kill(mut self) {
        self.0.kill().expect("it runs");
        self.0.wait().expect("it ends");
    }

    /// SIGTERM, as a service manager sends it.
    async fn stop(self) -> serde_json::Value {
        let pid = self.0.id().to_string();
        let sent = Command::new("kill").args(["-TERM", &pid]).status().expect("kill is there");
        assert!(sent.success());
        let ended = tokio::task::spawn_blocking(move || self.0.wait_with_output());
        let ended = tokio::time::timeout(WAIT, ended).await.expect("it ends in time");
        let ended = ended.expect("no panic").expect("it ends");
        assert_eq!(ended.status.code(), Some(0), "{ended:?}");
        serde_json::from_slice(&ended.stdout).expect("one JSON value")
    }
}

async fn carried(engine: Engine) {
    let rows: Vec<String> = (0..ROWS).map(|id| format!("({id}, 'name {id}')")).collect();
    let rows = format!("insert into people values {}", rows.join(", "));
    let project = Project::with_people(engine, "alone", &rows).await;
    project.ok(&["expand", "people"]);
    project.ok(&["stage", "people", "delete_only"]);
    project.ok(&["stage", "people", "dual_write"]);
    project.ok(&["capture", "install", "people", "--mode", "journal"]);

    let db = project.database.open().await;
    let (over, writes) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU32::new(0)));
    let writers = write(&db, &over, &writes);
    let (first, second) = (Follower::start(&project), Follower::start(&project));
    let wrote = async |more: u32| {
        let until = writes.load(Ordering::Relaxed) + more;
        eventually("writers go on", async || writes.load(Ordering::Relaxed) >= until).await;
    };
    wrote(50).await;
    project.ok(&["backfill", "people", "--batch-size", "100"]);
    first.kill();
    wrote(50).await;
    let third = Follower::start(&project);
    // Beside writers: what the journal knows of is no difference.
    project.ok(&["verify", "people"]).says(&["0 differing, 0 missing, 0 orphaned"]);
    wrote(50).await;
    over.store(true, Ordering::Relaxed);
    for writer in writers {
        writer.await.expect("every writer gets through");
    }
    let waiting = || {
        let status = project.json(&["capture", "status", "people"], 0);
        status["journal"]["keys"].as_u64().expect("a number")
    };
    eventually("the journal is worked off", async || waiting() == 0).await;
    project.ok(&["verify", "people"]).says(&["0 differing, 0 missing, 0 orphaned"]);
    let legacy = People::legacy(&db).all().await.expect("Legacy");
    assert_eq!(legacy, People::new(&db).all().await.expect("New"));
    project.ok(&["stage", "people", "live"]);

    // In `live` the journal goes on: New follows within moments.
    plain(&db, "insert into people values (-1, 'in live')").await.expect("written");
    eventually("New follows", async || {
        People::new(&db).get(-1).await.expect("New answers").as_deref() == Some("in live")
    })
    .await;
    let mut repaired = 0;
    for follower in [second, third] {
        let report = follower.stop().await;
        assert_eq!(report["interrupted"], true);
        repaired += report["repaired"].as_u64().expect("a number");
    }
    assert!(repaired > 0, "the followers did it");
    project.ok(&["verify", "people"]);
    project.drop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_without_the_sdk_on_postgres() {
    carried(Engine::Postgres).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_without_the_sdk_on_mariadb() {
    carried(Engine::Mysql).await;
}
