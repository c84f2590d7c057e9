//! A MariaDB server of a test's own.

use std::fs;
use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use sqlx::Connection;
use sqlx::mysql::MySqlConnection;

use super::eventually;

/// A MariaDB of a test's own, whose global settings are nobody else's.
pub(crate) struct OwnMariadb {
    process: Child,
    pub(crate) url: String,
}

impl Drop for OwnMariadb {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

impl OwnMariadb {
    /// Starts one with its files in `folder` and its system's time zone in Berlin.
    pub(crate) async fn start(folder: &Path, options: &[&str]) -> Self {
        let user = Command::new("id").arg("-un").output().expect("a user").stdout;
        let user = String::from_utf8_lossy(&user).trim().to_owned();
        let (data, temporary) = (folder.join("data"), folder.join("tmp"));
        fs::create_dir(&temporary).expect("a folder");
        let prepared = Command::new("mariadb-install-db")
            .args(["--no-defaults", "--skip-test-db", "--auth-root-authentication-method=normal"])
            .arg(format!("--datadir={}", data.display()))
            .arg(format!("--user={user}"))
            .env("TMPDIR", &temporary)
            .output()
            .expect("MariaDB is installed");
        assert!(prepared.status.success(), "{prepared:?}");
        let free = TcpListener::bind("127.0.0.1:0").expect("a port is free");
        let port = free.local_addr().expect("an address").port();
        drop(free);
        let process = Command::new("mariadbd")
            .args(["--no-defaults", "--bind-address=127.0.0.1", "--innodb-buffer-pool-size=16M"])
            .arg(format!("--datadir={}", data.display()))
            .arg(format!("--tmpdir={}", temporary.display()))
            .arg(format!("--socket={}", folder.join("s").display()))
            .arg(format!("--pid-file={}", folder.join("pid").display()))
            .arg(format!("--port={port}"))
            .arg(format!("--user={user}"))
            .args(options)
            .env("TZ", "Europe/Berlin")
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("MariaDB is installed");
        let server = Self { process, url: format!("mysql://root@127.0.0.1:{port}/mysql") };
        eventually("the server answers", async || {
            match MySqlConnection::connect(&server.url).await {
                Ok(connection) => connection.close().await.is_ok(),
                Err(_) => false,
            }
        })
        .await;
        server
    }
}
