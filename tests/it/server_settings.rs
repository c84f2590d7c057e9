//! Settings of a server with which a migration stops midway are named by `init`, before anything is
//! made.

use std::fs;
use std::path::Path;
use std::process::Command;

use crossfade::{Database, Engine};
use sqlx::mysql::{MySqlConnection, MySqlPool};
use sqlx::{AssertSqlSafe, Connection, Executor};

use crate::support::{Answer, OwnMariadb, Project, ReplicaServer, eventually};

fn init(folder: &Path, url: &str) -> Answer {
    let mut command = Command::new(crate::support::binary());
    command.arg("init").current_dir(folder).env_remove("CROSSFADE_DATABASE_URL");
    Answer::of(command.env("DATABASE_URL", url).output().expect("the binary starts"))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mariadb_that_stops_a_migration_is_refused_at_init() {
    let (files, folder) = (tempfile::tempdir(), tempfile::tempdir());
    let (files, folder) = (files.expect("a folder"), folder.expect("a folder"));
    let server = OwnMariadb::start(files.path(), &["--log-bin=bin", "--server-id=1"]).await;
    let admin = MySqlPool::connect(&server.url).await.expect("connects");
    admin.execute("create database app").await.expect("made");
    let (base, _) = server.url.rsplit_once('/').expect("a database");
    let url = format!("{base}/app");
    for (name, unfit, fit) in [
        ("binlog_format", "STATEMENT", "MIXED"),
        ("autocommit", "0", "1"),
        ("completion_type", "CHAIN", "NO_CHAIN"),
        ("sql_mode", "ORACLE", "STRICT_TRANS_TABLES"),
        ("read_only", "1", "0"),
        ("innodb_default_row_format", "compact", "dynamic"),
        ("tx_read_only", "1", "0"),
    ] {
        let set = |value: &str| match value.parse::<u32>() {
            Ok(number) => AssertSqlSafe(format!("set global {name} = {number}")),
            Err(_) => AssertSqlSafe(format!("set global {name} = '{value}'")),
        };
        admin.execute(set(unfit)).await.expect("set");
        let answer = init(folder.path(), &url).expect(3);
        let _ = answer.says(&[name, "nothing was made"]);
        assert_eq!(fs::read_dir(folder.path()).expect("a folder").count(), 0, "{name}");
        let tables: i64 = sqlx::query_scalar(
            "select count(*) from information_schema.tables where table_schema = 'app'",
        )
        .fetch_one(&admin)
        .await
        .expect("counted");
        assert_eq!(tables, 0, "{name}");
        admin.execute(set(fit)).await.expect("set");
    }
    let _ = init(folder.path(), &url).expect(0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_postgres_that_stops_a_migration_is_refused_at_init() {
    let project = Project::create(Engine::Postgres, "unfit_pg").await;
    let name = project.database.url.rsplit_once('/').expect("a database").1.to_owned();
    for (setting, unfit) in
        [("default_transaction_read_only", "on"), ("session_replication_role", "replica")]
    {
        project.sql(&format!("alter database {name} set {setting} = {unfit}")).await;
        let _ = project.run(&["init"]).expect(3).says(&[setting, "nothing was made"]);
        assert_eq!(fs::read_dir(project.folder.path()).expect("a folder").count(), 0, "{setting}");
        let reset =
            format!("set transaction_read_only = off; alter database {name} reset {setting}");
        project.sql(&reset).await;
    }
    let standby = ReplicaServer::of(Engine::Postgres, &project.database.url).await.expect("one");
    eventually("the database has arrived", async || Database::connect(&standby.url).await.is_ok())
        .await;
    let answer = init(project.folder.path(), &standby.url).expect(3);
    let _ = answer.says(&["in_hot_standby", "primary"]);
    let _ = project.run(&["init"]).expect(0);
    drop(standby);
    project.drop().await;
}

/// What `binlog_format` is refused for: a fenced write fails on such a server.
#[tokio::test(flavor = "multi_thread")]
async fn a_statement_binlog_takes_no_fenced_write_and_a_mixed_one_does() {
    let files = tempfile::tempdir().expect("a folder");
    let server = OwnMariadb::start(files.path(), &["--log-bin=bin", "--server-id=1"]).await;
    let admin = MySqlPool::connect(&server.url).await.expect("connects");
    admin.execute("create table mysql.t (a int primary key) engine = InnoDB").await.expect("made");
    for (format, works) in [("STATEMENT", false), ("MIXED", true), ("ROW", true)] {
        let mut session = MySqlConnection::connect(&server.url).await.expect("connects");
        let set = format!("set session binlog_format = {format}");
        session.execute(AssertSqlSafe(set)).await.expect("set");
        session.execute("set transaction isolation level read committed").await.expect("set");
        session.execute("begin").await.expect("begins");
        let written = session.execute("insert into mysql.t values (1)").await;
        assert_eq!(written.is_ok(), works, "{format}: {written:?}");
        session.execute("rollback").await.expect("ends");
    }
}
