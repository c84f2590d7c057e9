//! A verification opens a gate while it is still true, and no longer.

use crossfade::Engine;

use crate::support::Project;

const ROWS: &str = "insert into people (id, name) values (1, 'one')";
const LIVE: [&str; 3] = ["stage", "people", "live"];

/// A migration in `dual_write` whose rows are copied.
async fn copied(engine: Engine, name: &str) -> Project {
    let project = Project::with_people(engine, name, ROWS).await;
    project.ok(&["expand", "people"]);
    for stage in ["delete_only", "dual_write"] {
        project.ok(&["stage", "people", stage]);
    }
    project.ok(&["backfill", "people"]);
    project
}

/// Both engines that capture.
async fn observed(engine: Engine, name: &str) {
    let project = copied(engine, name).await;
    project.ok(&["verify", "people"]);
    project
        .run(&["stage", "people", "live", "--dry-run"])
        .expect(0)
        .says(&["warning: no capture is installed", "capture install people --mode observe"]);
    project.ok(&["capture", "install", "people", "--mode", "observe"]);
    project.run(&LIVE).expect(3).says(&["since the capture was installed"]);
    project.ok(&["verify", "people"]);
    project.sql("update people set name = 'around' where id = 1").await;
    project.run(&LIVE).expect(3).says(&["1 writes bypassed the SDK", "capture status people"]);
    project.ok(&["status", "people"]).says(&["1 writes bypassed the SDK"]);
    project.ok(&["verify", "people", "--repair"]);
    project.run(&LIVE).expect(3).says(&["repaired 1 keys"]);
    project.ok(&["verify", "people"]);
    project.ok(&LIVE);
    project.drop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_write_that_bypassed_the_sdk_ends_a_proof_on_postgres() {
    observed(Engine::Postgres, "proof_seen").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_write_that_bypassed_the_sdk_ends_a_proof_on_mariadb() {
    observed(Engine::Mysql, "proof_seen").await;
}

/// Whether or not they were switched on again.
#[tokio::test(flavor = "multi_thread")]
async fn triggers_that_were_disabled_end_a_proof() {
    let project = copied(Engine::Postgres, "proof_disabled").await;
    project.ok(&["capture", "install", "people", "--mode", "observe"]);
    let gate = ["stage", "people", "live", "--dry-run"];
    for (spoil, mend) in [
        (
            "alter table people disable trigger crossfade_people_upd",
            "alter table people enable always trigger crossfade_people_upd",
        ),
        ("drop trigger crossfade_people_upd on people", ""),
        (
            "create or replace function crossfade_count_people() returns trigger language plpgsql \
             security definer as 'begin return null; end'",
            "",
        ),
    ] {
        project.ok(&["verify", "people"]);
        project.ok(&gate);
        project.sql(spoil).await;
        project.run(&gate).expect(3).says(&["missing, disabled or changed"]);
        project.ok(&["status", "people"]).says(&["missing, disabled or changed"]);
        if mend.is_empty() {
            project.ok(&["capture", "install", "people", "--mode", "observe"]);
        } else {
            project.sql(mend).await;
        }
        project.run(&gate).expect(3).says(&["since the capture was installed, changed"]);
    }
    project.drop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_trigger_with_another_body_ends_a_proof_on_mariadb() {
    let project = copied(Engine::Mysql, "proof_body").await;
    project.ok(&["capture", "install", "people", "--mode", "observe"]);
    project.ok(&["verify", "people"]);
    project.ok(&["stage", "people", "live", "--dry-run"]);
    let empty = "create or replace trigger crossfade_people_upd after update on people \
                 for each row begin end";
    project.sql(empty).await;
    project.run(&LIVE).expect(3).says(&["missing, disabled or changed"]);
    project.drop().await;
}

async fn old(engine: Engine, name: &str) {
    let project = copied(engine, name).await;
    project.ok(&["verify", "people"]);
    const DAYS_31_MS: i64 = 31 * 24 * 60 * 60 * 1000;
    for table in ["epochs set opened_ms = opened_ms", "runs set finished_ms = finished_ms"] {
        project.sql(&format!("update crossfade_{table} - {DAYS_31_MS}")).await;
    }
    let verified = "update crossfade_verifications set started_ms = started_ms";
    project.sql(&format!("{verified} - {DAYS_31_MS}")).await;
    project.run(&LIVE).expect(3).says(&["began 31 days ago", "counts for 24 h"]);
    project.ok(&["verify", "people"]);
    project.ok(&LIVE);
    project.drop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_proof_grows_old_on_sqlite() {
    old(Engine::Sqlite, "proof_old").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_proof_grows_old_on_postgres() {
    old(Engine::Postgres, "proof_old").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_proof_grows_old_on_mariadb() {
    old(Engine::Mysql, "proof_old").await;
}
