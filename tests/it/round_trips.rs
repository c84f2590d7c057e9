//! A wrapped write costs the round trips of the same write by hand: begin, Legacy, New, commit.

use std::str::FromStr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crossfade::{Crossfade, Database, Engine, Flags, Options, Stage};
use crossfade_store::ControlStore;
use sqlx::postgres::{PgConnectOptions, PgPool, PgPoolOptions};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream, tcp::OwnedReadHalf, tcp::OwnedWriteHalf};

use crate::support::{Bench, TestDatabase, definition, eventually, put};

/// Passes bytes on and counts the server's ReadyForQuery messages, which end each round trip.
async fn counting_proxy(server: String, trips: Arc<AtomicU64>) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let port = listener.local_addr().expect("bound").port();
    tokio::spawn(async move {
        while let Ok((client, _)) = listener.accept().await {
            let upstream = TcpStream::connect(&server).await.expect("the server answers");
            let (from_client, to_client) = client.into_split();
            let (from_server, to_server) = upstream.into_split();
            tokio::spawn(pass_on(from_client, to_server));
            tokio::spawn(count(from_server, to_client, Arc::clone(&trips)));
        }
    });
    port
}

async fn pass_on(mut from: OwnedReadHalf, mut to: OwnedWriteHalf) {
    // Either side may hang up; the connection is over then.
    let _ = tokio::io::copy(&mut from, &mut to).await;
}

async fn count(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, trips: Arc<AtomicU64>) {
    // Without TLS every message of the server is a type byte and a length that counts itself.
    while let Ok(kind) = from.read_u8().await {
        let Ok(length) = from.read_u32().await else { return };
        let mut message = vec![kind];
        message.extend(length.to_be_bytes());
        message.resize(1 + length as usize, 0);
        if from.read_exact(&mut message[5..]).await.is_err() {
            return;
        }
        if kind == b'Z' {
            trips.fetch_add(1, Ordering::SeqCst);
        }
        if to.write_all(&message).await.is_err() {
            return;
        }
    }
}

async fn by_hand(pool: &PgPool, name: &str) {
    let mut tx = pool.begin().await.expect("begin");
    for table in ["people (id", "people_v2 (person_id"] {
        let key = table.split('(').nth(1).expect("a key");
        let sql = format!(
            "insert into {table}, name) values ($1, $2) \
             on conflict ({key}) do update set name = excluded.name"
        );
        let query = sqlx::query(sqlx::AssertSqlSafe(sql)).bind(1i64).bind(name);
        query.execute(&mut *tx).await.expect("written");
    }
    tx.commit().await.expect("commit");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrapped_write_adds_none() {
    let test = TestDatabase::create(Engine::Postgres, "round_trips").await;
    let bench = Bench::new(test.open().await).await;
    bench.go(Stage::Live).await;

    let direct = PgConnectOptions::from_str(&test.url).expect("a URL");
    let trips = Arc::new(AtomicU64::new(0));
    let server = format!("{}:{}", direct.get_host(), direct.get_port());
    let port = counting_proxy(server, Arc::clone(&trips)).await;
    let options = direct.host("127.0.0.1").port(port).ssl_mode(sqlx::postgres::PgSslMode::Disable);
    let pool = PgPoolOptions::new()
        .max_connections(1)
        .test_before_acquire(false)
        .connect_with(options)
        .await
        .expect("the proxy answers");

    // Only the instance's own tasks use this connection beside the writes; the lease is so long
    // and the state so still that they rest while it counts.
    let database = Database::open(pool.clone()).await.expect("opens");
    let app = Crossfade::builder_on(database)
        .flags(Flags::forced::<&str>([]))
        .options(Options::default().lease(Duration::from_secs(3600)))
        .build()
        .await
        .expect("starts");
    let migration = app.migration("people").expect("registered");
    eventually("the lease is taken", async || {
        !bench.db.instances(&definition().name).await.expect("instances").is_empty()
    })
    .await;

    // The first turn of each prepares its statements, and a task of the instance may look at the
    // control tables in between: the least of several turns is the write's own.
    let (mut hand_written, mut wrapped) = (u64::MAX, u64::MAX);
    for turn in 0..10 {
        let before = trips.load(Ordering::SeqCst);
        by_hand(&pool, &format!("by hand {turn}")).await;
        let between = trips.load(Ordering::SeqCst);
        put(&migration, 1, &format!("wrapped {turn}")).await.expect("written");
        let after = trips.load(Ordering::SeqCst);
        hand_written = hand_written.min(between - before);
        wrapped = wrapped.min(after - between);
    }
    assert_eq!(hand_written, 5, "begin, Legacy, New, commit, and the pool's ping at the return");
    assert_eq!(wrapped, hand_written);
    test.drop().await;
}
