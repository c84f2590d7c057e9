//! A wrapped write costs the round trips of the same write by hand: begin, Legacy, New, commit. One
//! in a transaction of the caller's costs two more than its statements.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use crossfade::{
    AnyPool, Crossfade, Database, Engine, Flags, Migration, Once, OperationId, Options, Stage,
};
use crossfade_sql::Mechanism;
use crossfade_store::ControlStore;
use sqlx::AssertSqlSafe;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream, tcp::OwnedReadHalf, tcp::OwnedWriteHalf};

use crate::declared::upserts;
use crate::support::{Bench, People, TestDatabase, definition, eventually, put, put_in};

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

/// The database behind a counting proxy, by the pool that the documentation asks for, of one
/// connection.
pub(crate) async fn counted(test: &TestDatabase, trips: &Arc<AtomicU64>) -> Database {
    let (scheme, rest) = test.url.split_once("//").expect("a server's URL");
    let (authority, path) = rest.split_once('/').expect("a database");
    let (user, server) = authority.rsplit_once('@').expect("a user");
    let port = counting_proxy(server.to_owned(), Arc::clone(trips)).await;
    let url = format!("{scheme}//{user}@127.0.0.1:{port}/{path}");
    let pool: AnyPool = match test.engine {
        Engine::Mysql => {
            let pool = Database::mysql_pool_options().max_connections(1);
            pool.connect(&url).await.expect("the proxy answers").into()
        }
        _ => {
            let pool = Database::postgres_pool_options().max_connections(1);
            pool.connect(&url).await.expect("the proxy answers").into()
        }
    };
    // Nobody looks for changes on this connection meanwhile.
    Database::open(pool).await.expect("opens").without(Mechanism::Changes)
}

async fn by_hand(db: &Database, name: &str) {
    let statements = upserts(db.engine());
    if let Some(pool) = db.mysql() {
        let mut tx = pool.begin().await.expect("begin");
        for sql in statements {
            let sql = sql.replace("$1", "?").replace("$2", "?");
            let query = sqlx::query(AssertSqlSafe(sql)).bind(1i64).bind(name);
            query.execute(&mut *tx).await.expect("written");
        }
        tx.commit().await.expect("commit");
    } else {
        let mut tx = db.postgres().expect("PostgreSQL").begin().await.expect("begin");
        for sql in statements {
            let query = sqlx::query(AssertSqlSafe(sql)).bind(1i64).bind(name);
            query.execute(&mut *tx).await.expect("written");
        }
        tx.commit().await.expect("commit");
    }
}

async fn once(migration: &Migration, name: &str) {
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

/// Two writes in one transaction of the caller's.
async fn joined(app: &Crossfade, migration: &Migration, name: &str) {
    let mut transaction = app.begin().await.expect("begins");
    for id in [1, 2] {
        put_in(migration, &mut transaction, id, name).await.expect("written");
    }
    transaction.commit().await.expect("commits");
}

const TURNS: u64 = 50;

/// How many round trips each turn took. One or two of the instance's own may come in between; one
/// more a turn would be 50.
async fn each(trips: &AtomicU64, turn: impl AsyncFn(String)) -> u64 {
    turn("prepares its statements".to_owned()).await;
    let before = trips.load(Ordering::SeqCst);
    for number in 0..TURNS {
        turn(format!("turn {number}")).await;
    }
    let found = trips.load(Ordering::SeqCst) - before;
    let each = (found + TURNS / 2) / TURNS;
    assert!(found.abs_diff(each * TURNS) <= 10, "{found} round trips in {TURNS} turns");
    each
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrapped_write_adds_none() {
    for engine in [Engine::Mysql, Engine::Postgres] {
        let test = TestDatabase::create(engine, "round_trips").await;
        let bench = Bench::new(test.open().await).await;
        for stage in [Stage::DualWrite, Stage::Live] {
            bench.go(stage).await;
            let trips = Arc::new(AtomicU64::new(0));
            let db = counted(&test, &trips).await;
            // Only the instance's own tasks use this connection beside the writes; the lease is so
            // long and the state so still that they rest while it counts.
            let options = Options::default().lease(Duration::from_secs(3600));
            let app = Crossfade::builder_on(db.clone())
                .flags(Flags::forced::<&str, bool>([]))
                .options(options)
                .build()
                .await
                .expect("starts");
            let migration = app.migration("people").expect("registered");
            let epoch = bench.state().await.epoch;
            eventually("the lease is taken", async || {
                let instances = bench.db.instances(&definition().name).await.expect("instances");
                instances.iter().any(|it| it.id == app.instance_id() && it.acknowledged == epoch)
            })
            .await;

            let (db, app, migration) = (&db, &app, &migration);
            let hand_written = each(&trips, async |name| by_hand(db, &name).await).await;
            let wrapped = each(&trips, async |name| {
                put(migration, 1, &name).await.expect("written");
            });
            let wrapped = wrapped.await;
            let with_id = each(&trips, async |name| once(migration, &name).await).await;
            let in_two = each(&trips, async |name| joined(app, migration, &name).await).await;
            // Begin, Legacy, New, commit, and the ping by which the pool takes the connection back.
            assert_eq!(hand_written, 5, "{engine}, {stage}: by hand");
            // Begin, commit and ping; and for each write two statements, and two more around them.
            let in_two_expected = 3 + 2 * 4;
            assert_eq!(
                [wrapped, with_id, in_two],
                [5, 5, in_two_expected],
                "{engine}, {stage}: wrapped, with an id, two in a transaction of the caller's"
            );
        }
        test.drop().await;
    }
}
