//! A database that goes away midway, or that nobody may write to.

use std::process::Stdio;
use std::str::FromStr;
use std::sync::Mutex;
use std::time::Duration;

use crossfade::{Database, Engine, Flags, Stage};
use crossfade_store::{ControlStore, ReconcileStore};
use sqlx::mysql::{MySqlConnection, MySqlPool};
use sqlx::postgres::{PgConnectOptions, PgPool};
use sqlx::{AssertSqlSafe, Pool};

use crate::support::{Answer, Bench, People, Project, TestDatabase, eventually, put, put_in};

const ROWS: i64 = 3000;

#[tokio::test(flavor = "multi_thread")]
async fn a_backfill_outlives_its_connections() {
    let rows = format!(
        "insert into people (id, name) select n, 'name ' || n from generate_series(1, {ROWS}) n"
    );
    let project = Project::with_people(Engine::Postgres, "lost", &rows).await;
    project.ok(&["expand", "people"]);
    project.ok(&["stage", "people", "delete_only"]);
    project.ok(&["stage", "people", "dual_write"]);
    let bench = Bench { db: project.database.open().await };
    let read = async || {
        let state = bench.state().await;
        let progress = bench.db.run_progress(&state).await.expect("progress");
        progress.map_or(0, |progress| progress.read)
    };
    let child = project
        .command(&["backfill", "people", "--batch-size", "50", "--delay", "5ms"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the binary starts");
    let pool = bench.db.postgres().expect("PostgreSQL");
    for target in [100, 1000] {
        eventually("the run is far enough", async || read().await >= target).await;
        // A batch that waits for these rows is in the middle of its transaction.
        let mut held = pool.begin().await.expect("a transaction");
        sqlx::raw_sql("select id from people for update")
            .execute(&mut *held)
            .await
            .expect("the rows are locked");
        eventually("a batch waits", async || bench.sessions_waiting().await > 0).await;
        sqlx::raw_sql(
            "select pg_terminate_backend(pid) from pg_stat_activity \
             where datname = current_database() and pid <> pg_backend_pid()",
        )
        .execute(&mut *held)
        .await
        .expect("every other session ends");
        held.rollback().await.expect("let go");
    }
    let ended = tokio::task::spawn_blocking(move || child.wait_with_output());
    let output = tokio::time::timeout(Duration::from_secs(60), ended)
        .await
        .expect("it ends")
        .expect("no panic")
        .expect("it ends");
    Answer::of(output).expect(0);
    project.ok(&["backfill", "people"]);
    project.ok(&["verify", "people"]);
    assert_eq!(read().await, ROWS.cast_unsigned(), "no row is counted twice");
    let legacy = People::legacy(&bench.db).all().await.expect("Legacy");
    assert_eq!(legacy, People::new(&bench.db).all().await.expect("New"));
    project.drop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_read_only_file_is_told() {
    let project = Project::with_people(Engine::Sqlite, "read_only", "").await;
    project.ok(&["expand", "people"]);
    let url = format!("{}?mode=ro", project.database.url);
    for args in
        [&["init"][..], &["stage", "people", "delete_only"], &["flag", "on", "read_people_v2"]]
    {
        let output = project.command(args).env("DATABASE_URL", &url).output().expect("it starts");
        let answer = Answer::of(output);
        if args[0] == "init" {
            // Nothing is left to install, so nothing has to be written.
            assert!([0, 1].contains(&answer.code), "{answer:?}");
            continue;
        }
        answer.expect(1).says(&["read-only"]);
    }
    assert_eq!(project.stage(), "off");
    let db = project.database.open().await;
    assert!(db.audit_trail(10).await.expect("the trail").iter().all(|line| line.action != "stage"));
    project.drop().await;
}

/// The pool that the documentation asks for does not ping before it lends a connection out. So a
/// restart of the server leaves it full of dead ones, which no caller of the wrapper may notice.
#[tokio::test(flavor = "multi_thread")]
async fn connections_that_died_in_the_pool_are_nobodys_trouble() {
    let test = TestDatabase::create(Engine::Postgres, "dead_pool").await;
    let admin = Bench::new(test.open().await).await;
    let options = PgConnectOptions::from_str(&test.url).expect("a PostgreSQL URL");
    let pool = Database::postgres_pool_options().max_connections(8);
    let pool = pool.connect_with(options.application_name("dead pool")).await.expect("connects");
    let bench = Bench { db: Database::open(pool.clone()).await.expect("opens") };
    nobody_notices(&bench, &admin, async || fill_and_kill(&pool, &admin).await).await;
    test.drop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nor_are_those_to_mariadb() {
    let test = TestDatabase::create(Engine::Mysql, "dead_pool").await;
    let admin = Bench::new(test.open().await).await;
    let pool = Database::mysql_pool_options().max_connections(8);
    let pool = pool.connect(&test.url).await.expect("connects");
    let bench = Bench { db: Database::open(pool.clone()).await.expect("opens") };
    nobody_notices(&bench, &admin, async || fill_and_kill_on_mariadb(&pool, &admin).await).await;
    test.drop().await;
}

async fn nobody_notices(bench: &Bench, admin: &Bench, fill_and_kill: impl AsyncFn()) {
    admin.go(Stage::DualWrite).await;
    let app = bench.app(&Flags::forced::<&str, bool>([])).await;
    let migration = app.migration("people").expect("registered");
    put(&migration, 1, "before").await.expect("written");

    fill_and_kill().await;
    put(&migration, 1, "after").await.expect("a write begins on a connection that lives");

    fill_and_kill().await;
    let mut transaction = app.begin().await.expect("so does a transaction of the caller's");
    put_in(&migration, &mut transaction, 1, "in one").await.expect("written");
    transaction.commit().await.expect("committed");

    fill_and_kill().await;
    let (legacy, new) = (bench.legacy(), bench.new_side());
    let read = migration.read(&1i64, &1i64, || legacy.get(1), || new.get(1)).await;
    assert_eq!(read.expect("a read is repeated").as_deref(), Some("in one"));
}

/// Opens every connection of the pool, asks something of each, and waits until they are back.
async fn filled<DB: sqlx::Database, T>(
    pool: &Pool<DB>,
    ask: impl AsyncFn(&mut DB::Connection) -> T,
) -> Vec<T> {
    let most = pool.options().get_max_connections() as usize;
    let answers = Mutex::default();
    eventually("the pool is full and idle", async || {
        let mut held = Vec::new();
        let mut found = Vec::new();
        while let Ok(Ok(mut connection)) =
            tokio::time::timeout(Duration::from_millis(200), pool.acquire()).await
        {
            found.push(ask(&mut connection).await);
            held.push(connection);
        }
        *answers.lock().expect("not poisoned") = found;
        held.len() == most
    })
    .await;
    eventually("they are back", async || pool.num_idle() == most).await;
    answers.into_inner().expect("not poisoned")
}

/// Ends the session of every connection of the pool on the server.
async fn fill_and_kill_on_mariadb(pool: &MySqlPool, admin: &Bench) {
    let id = async |connection: &mut MySqlConnection| -> u64 {
        let id = sqlx::query_scalar("select connection_id()");
        id.fetch_one(connection).await.expect("it lives")
    };
    let ids: Vec<String> = filled(pool, id).await.iter().map(u64::to_string).collect();
    for id in &ids {
        admin.sql(&format!("kill {id}")).await;
    }
    let left = format!(
        "select count(*) from information_schema.processlist where id in ({})",
        ids.join(", ")
    );
    eventually("their sessions end", async || {
        let server = admin.db.mysql().expect("MariaDB");
        let left: i64 = sqlx::query_scalar(AssertSqlSafe(left.as_str()))
            .fetch_one(server)
            .await
            .expect("asked");
        left == 0
    })
    .await;
}

/// Opens every connection of the pool, and ends their sessions on the server, by the name `dead
/// pool`.
pub(crate) async fn fill_and_kill(pool: &PgPool, admin: &Bench) {
    filled(pool, async |_| ()).await;
    admin
        .sql(
            "select pg_terminate_backend(pid) from pg_stat_activity \
             where datname = current_database() and application_name = 'dead pool'",
        )
        .await;
}
