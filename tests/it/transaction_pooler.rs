//! A pooler in transaction mode in front of PostgreSQL is refused by name; one in session mode, and
//! the server itself, are not.

use std::fs;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use crossfade::{Database, Engine};
use crossfade_store::StoreErrorKind;
use sqlx::Connection;
use sqlx::postgres::PgConnection;

use crate::support::{Project, eventually};

/// A PgBouncer of a test's own.
struct Pooler {
    process: Child,
    url: String,
}

impl Drop for Pooler {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn pgbouncer() -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let mut folders: Vec<PathBuf> = std::env::split_paths(&path).collect();
    folders.push("/usr/sbin".into());
    folders.into_iter().map(|folder| folder.join("pgbouncer")).find(|file| file.exists())
}

/// Starts one in front of `url`, with `size` connections to the server.
async fn start(binary: &Path, folder: &Path, url: &str, mode: &str, size: u32) -> Pooler {
    let (base, name) = url.rsplit_once('/').expect("a database");
    let (user, server) =
        base.split_once("//").expect("a scheme").1.split_once('@').expect("a user");
    let (host, port) = server.split_once(':').expect("a port");
    let free = TcpListener::bind("127.0.0.1:0").expect("a port is free");
    let listen = free.local_addr().expect("an address").port();
    drop(free);
    let file = folder.join(format!("{mode}_{size}.ini"));
    let text = format!(
        "[databases]\n* = host={host} port={port} user={user}\n[pgbouncer]\n\
         listen_addr = 127.0.0.1\nlisten_port = {listen}\nunix_socket_dir =\nauth_type = any\n\
         pool_mode = {mode}\ndefault_pool_size = {size}\n\
         ignore_startup_parameters = extra_float_digits,options\n"
    );
    fs::write(&file, text).expect("written");
    let process = Command::new(binary)
        .args(["-q", "-u", "nobody"])
        .arg(&file)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("it starts");
    let url = format!("postgres://{user}@127.0.0.1:{listen}/{name}");
    let pooler = Pooler { process, url };
    eventually("the pooler answers", async || match PgConnection::connect(&pooler.url).await {
        Ok(connection) => connection.close().await.is_ok(),
        Err(_) => false,
    })
    .await;
    pooler
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pooler_in_transaction_mode_is_named() {
    let Some(binary) = pgbouncer() else { return };
    let project = Project::with_people(Engine::Postgres, "pooled", "").await;
    let folder = tempfile::tempdir().expect("a folder");
    for (mode, size, refused) in
        [("transaction", 1, true), ("transaction", 4, true), ("session", 4, false)]
    {
        let pooler = start(&binary, folder.path(), &project.database.url, mode, size).await;
        for connected in [
            Database::connect_to_operate(&pooler.url).await,
            Database::connect_to_install(&pooler.url).await,
        ] {
            match (connected, refused) {
                (Ok(_), false) => {}
                (Err(error), true) => {
                    assert_eq!(error.kind, StoreErrorKind::Invalid);
                    assert!(error.to_string().contains("pooler in transaction mode"), "{error}");
                    let hint = error.hint.unwrap_or_default();
                    assert!(hint.contains("pool_mode = session"), "{hint}");
                }
                (connected, _) => panic!("{mode} with {size}: {:?}", connected.map(drop)),
            }
        }
        let answer = project
            .command(&["expand", "people", "--dry-run"])
            .env("DATABASE_URL", &pooler.url)
            .output()
            .expect("the binary starts");
        assert_eq!(answer.status.success(), !refused, "{mode} with {size}: {answer:?}");
    }
    project.drop().await;
}

/// Beside many others that come and go, a direct connection keeps its process.
#[tokio::test(flavor = "multi_thread")]
async fn a_direct_connection_is_not_taken_for_a_pooler() {
    let project = Project::with_people(Engine::Postgres, "direct", "").await;
    let url = project.database.url.clone();
    let many = (0..8).map(|_| {
        let url = url.clone();
        tokio::spawn(async move { Database::connect_to_operate(&url).await.map(drop) })
    });
    for connected in many.collect::<Vec<_>>() {
        connected.await.expect("no panic").expect("direct");
    }
    project.drop().await;
}

/// The control tables are found from another search path, and made where the path says.
#[tokio::test(flavor = "multi_thread")]
async fn control_tables_are_found_from_another_search_path() {
    let project = Project::with_people(Engine::Postgres, "elsewhere", "").await;
    project.sql("create schema other").await;
    let url = format!("{}?options[search_path]=other", project.database.url);
    let run = |args: &[&str]| {
        let output = project.command(args).env("DATABASE_URL", &url).output();
        crate::support::Answer::of(output.expect("the binary starts"))
    };
    project.ok(&["expand", "people"]);
    let _ = run(&["status", "people"]).expect(0).says(&["people"]);
    let _ = run(&["stage", "people", "delete_only"]).expect(0);
    // `init` makes a second set, which makes the first ambiguous only where neither is on the path.
    let _ = run(&["init"]).expect(0);
    let _ = run(&["status", "people"]).expect(1).says(&["unknown migration"]);
    project.drop().await;
}
