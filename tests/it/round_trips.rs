//! A wrapped write costs the round trips of the same write by hand: begin, Legacy, New, commit.

use std::str::FromStr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use crossfade::{Crossfade, Database, Engine, Flags, Once, OperationId, Options, Stage};
use crossfade_store::ControlStore;
use sqlx::postgres::{PgConnectOptions, PgPool, PgPoolOptions};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream, tcp::OwnedReadHalf, tcp::OwnedWriteHalf};

use crate::support::{Bench, People, TestDatabase, definition, eventually, put};

/// Passes bytes on and counts round trips: how often the client speaks after the server did. What
/// travels with something else counts once.
pub(crate) async fn counting_proxy(server: String, trips: Arc<AtomicU64>) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let port = listener.local_addr().expect("bound").port();
    tokio::spawn(async move {
        while let Ok((client, _)) = listener.accept().await {
            let upstream = TcpStream::connect(&server).await.expect("the server answers");
            client.set_nodelay(true).expect("a socket");
            upstream.set_nodelay(true).expect("a socket");
            let (from_client, to_client) = client.into_split();
            let (from_server, to_server) = upstream.into_split();
            let answered = Arc::new(AtomicBool::new(true));
            let trips = Arc::clone(&trips);
            let asks = {
                let answered = Arc::clone(&answered);
                move || {
                    if answered.swap(false, Ordering::SeqCst) {
                        trips.fetch_add(1, Ordering::SeqCst);
                    }
                }
            };
            tokio::spawn(pass_on(from_client, to_server, asks));
            let answers = move || answered.store(true, Ordering::SeqCst);
            tokio::spawn(pass_on(from_server, to_client, answers));
        }
    });
    port
}

/// Passes bytes on, telling of each piece, until either side hangs up.
async fn pass_on(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, tell: impl Fn() + Send) {
    let mut buffer = vec![0; 64 * 1024];
    while let Ok(length) = from.read(&mut buffer).await {
        tell();
        if length == 0 || to.write_all(&buffer[..length]).await.is_err() {
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
        .flags(Flags::forced::<&str, bool>([]))
        .options(Options::default().lease(Duration::from_secs(3600)))
        .build()
        .await
        .expect("starts");
    let migration = app.migration("people").expect("registered");
    eventually("the lease is taken", async || {
        !bench.db.instances(&definition().name).await.expect("instances").is_empty()
    })
    .await;

    by_hand(&pool, "prepares its statements").await;
    put(&migration, 1, "prepares its statements").await.expect("written");
    let turns = 50;
    let before = trips.load(Ordering::SeqCst);
    for turn in 0..turns {
        by_hand(&pool, &format!("by hand {turn}")).await;
    }
    let between = trips.load(Ordering::SeqCst);
    for turn in 0..turns {
        put(&migration, 1, &format!("wrapped {turn}")).await.expect("written");
    }
    let after = trips.load(Ordering::SeqCst);
    for turn in 0..turns {
        let name = &format!("once {turn}");
        let done = migration
            .write_once(
                &OperationId::random(),
                &1i64,
                |tx| async move { People::legacy(tx).put(1, name).await },
                |tx| async move { People::new(tx).put(1, name).await },
            )
            .await;
        assert!(matches!(done, Ok(Once::Applied(_))), "{done:?}");
    }
    let once = trips.load(Ordering::SeqCst) - after;
    // Begin, Legacy, New, commit, and the ping by which the pool takes the connection back. A look
    // of the instance at the control tables may come in between; one more a write would be 50.
    let (hand_written, wrapped) = (between - before, after - between);
    assert!(hand_written.abs_diff(turns * 5) <= 10, "{hand_written} round trips by hand");
    assert!(wrapped.abs_diff(hand_written) <= 10, "{wrapped}, by hand {hand_written}");
    assert!(once.abs_diff(hand_written) <= 10, "{once} with an id, by hand {hand_written}");
    test.drop().await;
}
