//! The command `capture` and what hangs on it: gates, status, locks, stages, the last script.

use crossfade::{Engine, Stage};
use crossfade_control::CaptureChanged;
use crossfade_core::CaptureMode;
use crossfade_store::{CaptureStore, ControlStore, SchemaStore, Timeouts};
use serde_json::Value;

use super::{capture, capturing, change, dirty, plain};
use crate::support::{Bench, Project, TestDatabase, WAIT, definition, eventually};

#[tokio::test(flavor = "multi_thread")]
async fn sqlite_is_refused() {
    let project = Project::with_people(Engine::Sqlite, "no_capture", "").await;
    project.ok(&["expand", "people"]);
    let install = ["capture", "install", "people", "--mode", "observe"];
    project.run(&install).expect(1).says(&["cannot tell who writes", "hint: lead every writer"]);
    project.run(&["capture", "remove", "people"]).expect(1).says(&["cannot tell who writes"]);
    project.ok(&["capture", "status", "people"]).says(&["no capture", "journal: 0 keys"]);
    project.drop().await;
}

async fn installed_and_looked_at(engine: Engine) {
    let project = Project::with_people(engine, "capture_cli", "").await;
    project.ok(&["expand", "people"]);
    let install = ["capture", "install", "people", "--mode", "observe"];
    let plan = project.json(&[&install[..], &["--dry-run"]].concat(), 0);
    let statements = plan["statements"].as_array().expect("statements");
    assert!(statements.iter().any(|sql| sql.as_str().is_some_and(|sql| sql.contains("trigger"))));
    let status = || project.json(&["capture", "status", "people"], 0);
    assert_eq!(status()["mode"], Value::Null, "a plan changes nothing");
    project
        .ok(&[&install[..], &["--reason", "who writes?"]].concat())
        .says(&["`none` → `observe`"]);
    assert_eq!(project.json(&install, 0)["changed"], false);
    project.sql("insert into people values (1, 'one')").await;
    let found = status();
    assert_eq!((&found["mode"], &found["in_place"]), (&"observe".into(), &true.into()));
    assert_eq!(found["observed"], 1);
    assert_eq!(found["writers"][0]["operation"], "insert");
    project.ok(&["status", "people"]).says(&["capture      observe since"]);

    project.ok(&["capture", "install", "people", "--mode", "journal"]).says(&["repair people"]);
    project.sql("insert into people values (2, 'two')").await;
    let found = status();
    assert_eq!(found["journal"]["keys"], 1);
    assert!(found["journal"]["oldest_ms"].is_u64(), "{found}");
    assert_eq!(found["observed"], 2, "a change of mode keeps what was seen");
    project.ok(&["capture", "status", "people"]).says(&["mode `journal`", "journal: 1 key, "]);
    assert_eq!(project.json(&["status", "people"], 0)["capture"]["mode"], "journal");

    let on = if engine == Engine::Postgres { " on people" } else { "" };
    project.sql(&format!("drop trigger crossfade_people_ins{on}")).await;
    assert_eq!(status()["in_place"], false);
    project.ok(&["capture", "status", "people"]).says(&["not in place", "mends"]);
    project.ok(&["capture", "install", "people", "--mode", "journal"]);
    assert_eq!(status()["in_place"], true);

    project.ok(&["capture", "remove", "people"]).says(&["`journal` → `none`"]);
    project.sql("insert into people values (3, 'three')").await;
    assert_eq!(status()["journal"]["keys"], 1, "what was journaled waits for its repair");
    let audit = project.json(&["audit", "--limit", "20"], 0).to_string();
    for words in ["who writes?", "\"observe\"", "\"removed\""] {
        assert!(audit.contains(words), "{words} in {audit}");
    }
    project.drop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn installed_and_looked_at_on_postgres() {
    installed_and_looked_at(Engine::Postgres).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn installed_and_looked_at_on_mariadb() {
    installed_and_looked_at(Engine::Mysql).await;
}

/// A writer that began without the trigger has ended by the time the journal counts.
#[tokio::test(flavor = "multi_thread")]
async fn installing_waits_for_writers_in_flight() {
    capturing("install_waits", async |bench, _| {
        let hold = "begin; insert into people values (1, 'before')";
        let installing = |bench: &Bench| {
            let db = bench.db.clone();
            tokio::spawn(async move { change(&db, Some(CaptureMode::Journal)).await })
        };
        let state = bench.state().await;
        let is_installed = async || bench.db.capture(&state).await.expect("asked").is_some();
        let task = if let Some(pool) = bench.db.postgres() {
            let mut holder = pool.acquire().await.expect("a connection");
            sqlx::raw_sql(hold).execute(&mut *holder).await.expect("held");
            let task = installing(&bench);
            eventually("it waits", async || bench.sessions_waiting().await > 0).await;
            assert!(!is_installed().await);
            sqlx::raw_sql("commit").execute(&mut *holder).await.expect("committed");
            task
        } else {
            let mut holder = bench.db.mysql().expect("MariaDB").acquire().await.expect("one");
            sqlx::raw_sql(hold).execute(&mut *holder).await.expect("held");
            let task = installing(&bench);
            eventually("it waits", async || bench.sessions_waiting().await > 0).await;
            assert!(!is_installed().await);
            sqlx::raw_sql("commit").execute(&mut *holder).await.expect("committed");
            task
        };
        let changed = task.await.expect("no panic").expect("it is tried again");
        assert_eq!(changed, CaptureChanged::Changed { from: None });
        plain(&bench.db, "update people set name = 'after'").await.expect("written");
        assert_eq!(dirty(&bench).await, ["1"]);
    })
    .await;
}

/// Legacy that is never had costs the operator a wait, and the writers behind each try one bound.
#[tokio::test(flavor = "multi_thread")]
async fn a_try_ends_with_its_bound() {
    use crossfade_store::{CaptureChange, StoreErrorKind};
    let test = TestDatabase::create(Engine::Postgres, "install_bound").await;
    let bench = Bench::new(test.open().await).await;
    let mut holder = bench.db.postgres().expect("PostgreSQL").begin().await.expect("begin");
    sqlx::raw_sql("lock table people").execute(&mut *holder).await.expect("held");
    let state = bench.state().await;
    let to = Some(CaptureMode::Reject);
    let change = CaptureChange { state: &state, from: None, to, actor: "test", reason: "" };
    let bounds = Timeouts { lock: std::time::Duration::from_millis(50), statement: WAIT };
    let error = bench.db.change_capture(change, bounds).await.expect_err("Legacy is held");
    assert_eq!(error.kind, StoreErrorKind::LockTimeout, "{error:?}");
    holder.rollback().await.expect("rolled back");
    assert_eq!(bench.db.capture(&state).await.expect("asked"), None, "nothing was changed");
    test.drop().await;
}

/// New is empty on the way to `delete_only`, so nothing of it is behind. A writer in flight does not
/// hold the stage up.
#[tokio::test(flavor = "multi_thread")]
async fn the_journal_begins_anew_with_new() {
    capturing("journal_cleared", async |bench, _| {
        capture(&bench, CaptureMode::Journal).await;
        plain(&bench.db, "insert into people values (1, 'one'), (2, 'two')")
            .await
            .expect("written");
        assert_eq!(dirty(&bench).await, ["1", "2"]);
        bench.go(Stage::DualWrite).await;
        assert_eq!(dirty(&bench).await, Vec::<String>::new());
        plain(&bench.db, "update people set name = 'more'").await.expect("written");
        bench.go(Stage::DeleteOnly).await;
        assert_eq!(dirty(&bench).await, ["1", "2"], "New has rows, and they may be behind");
        bench.go(Stage::Off).await;
        bench.db.truncate_new(&definition(), super::BOUNDS).await.expect("emptied");
        bench.go(Stage::DeleteOnly).await;
        assert_eq!(dirty(&bench).await, Vec::<String>::new());
    })
    .await;
}

async fn gates(engine: Engine) {
    let project = Project::with_people(engine, "capture_gates", "").await;
    project.sql("insert into people values (1, 'one')").await;
    project.ok(&["expand", "people"]);
    let repair = ["repair", "people"];
    project.run(&repair).expect(3).says(&["not carried to New in `off`", "delete_only"]);
    for stage in ["delete_only", "dual_write"] {
        project.ok(&["stage", "people", stage]);
    }
    project.ok(&["backfill", "people"]);
    project.ok(&["verify", "people"]);
    project.ok(&["capture", "install", "people", "--mode", "journal"]);
    let live = ["stage", "people", "live"];
    project.run(&live).expect(3).says(&["since the capture was installed"]);
    project.sql("insert into people values (2, 'two')").await;
    project.ok(&["verify", "people"]);
    project.run(&live).expect(3).says(&["1 keys wait in the journal", "repair people --follow"]);
    project.ok(&repair).says(&["1 key repaired"]);
    project.ok(&["verify", "people"]);
    project.ok(&live);

    project.ok(&["flag", "on", "read_people_v2"]);
    project.ok(&["verify", "people"]);
    let ramp_down = ["stage", "people", "ramp_down"];
    project.run(&ramp_down).expect(3).says(&["the capture keeps a journal", "--mode reject"]);
    project.ok(&["capture", "install", "people", "--mode", "reject"]);
    project.run(&ramp_down).expect(3).says(&["since the capture was installed"]);
    project.ok(&["verify", "people"]);
    project.ok(&ramp_down);
    let journal = ["capture", "install", "people", "--mode", "journal"];
    project.run(&journal).expect(3).says(&["nothing carries journaled keys", "--mode observe"]);

    // The script of `contract` is no bypass.
    project.ok(&["verify", "people"]);
    project.ok(&["stage", "people", "complete", "--approved-by", "a", "--accept-loss", "people"]);
    let script = "delete from people where id > 1;\ndrop table people;\n";
    project.write("migrations/people/contract.sql", script);
    project.ok(&["expand", "people"]);
    project.ok(&["contract", "people"]);
    project.ok(&["capture", "status", "people"]).says(&["not in place"]);
    project.ok(&["capture", "remove", "people"]);
    project.ok(&["capture", "status", "people"]).says(&["no capture"]);
    project.drop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn gates_on_postgres() {
    gates(Engine::Postgres).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn gates_on_mariadb() {
    gates(Engine::Mysql).await;
}

/// A writer needs no right on the control tables.
#[tokio::test(flavor = "multi_thread")]
async fn writers_need_no_rights() {
    let test = TestDatabase::create(Engine::Postgres, "capture_rights").await;
    let bench = Bench::new(test.open().await).await;
    let role = format!("writer_{:08x}", rand::random::<u32>());
    for sql in [
        format!("create role {role}"),
        format!("grant select, insert, update, delete on people to {role}"),
    ] {
        bench.sql(&sql).await;
    }
    capture(&bench, CaptureMode::Journal).await;
    let mut writer = bench.db.postgres().expect("PostgreSQL").acquire().await.expect("one");
    let sql = format!("set role {role}; insert into people values (1, 'one'); reset role");
    sqlx::raw_sql(sqlx::AssertSqlSafe(sql)).execute(&mut *writer).await.expect("written");
    assert_eq!(dirty(&bench).await, ["1"]);
    drop(writer);
    bench.sql(&format!("drop owned by {role}; drop role {role}")).await;
    test.drop().await;
}

/// Rows that a foreign key takes away fire no trigger on MariaDB.
#[tokio::test(flavor = "multi_thread")]
async fn cascades_that_no_trigger_sees_are_refused() {
    let test = TestDatabase::create(Engine::Mysql, "cascades").await;
    let bench = Bench::new(test.open().await).await;
    bench.sql("create table town (id bigint primary key) engine = InnoDB").await;
    let foreign = "alter table people add column town bigint, add constraint lives \
                   foreign key (town) references town (id) on delete cascade";
    bench.sql(foreign).await;
    let error = change(&bench.db, Some(CaptureMode::Journal)).await.expect_err("it is not safe");
    assert!(error.to_string().contains("`lives`"), "{error}");
    assert!(error.hint().is_some());
    change(&bench.db, Some(CaptureMode::Observe)).await.expect("observing promises nothing");
    let state = bench.db.migration(&definition().name).await.expect("registered");
    assert!(bench.db.capture(&state).await.expect("asked").is_some_and(|found| found.in_place));
    test.drop().await;
}
