//! Reads on replicas, with real replication: which are routed there, and which never.

use std::time::{Duration, Instant};

use crossfade::{
    Crossfade, Database, Db, Engine, Flags, Migration, Options, ReplicaReads, ReplicaRefusal,
    Stage, ToKey, on_primary,
};
use crossfade_testkit::Proxy;
use sqlx::Row;

use crate::support::{
    Bench, People, PeopleError, ReplicaServer, TestDatabase, engines, eventually, put, put_in,
};

/// Farther behind than any test lets a replica fall.
const FAR: Duration = Duration::from_secs(3600);

/// An application whose database has a replica.
struct Scene {
    bench: Bench,
    server: ReplicaServer,
    /// With the replica.
    db: Database,
    app: Crossfade,
    migration: Migration,
}

fn replica_reads() -> ReplicaReads {
    ReplicaReads::default().limit(FAR).measured_every(Duration::from_millis(25))
}

/// The lease outlives every pause.
fn options() -> Options {
    Options::default().lease(Duration::from_secs(600))
}

impl Scene {
    async fn new(bench: Bench, server: ReplicaServer, db: Database, options: Options) -> Self {
        let app = Crossfade::builder_on(db.clone())
            .flags(Flags::forced([("read_people_v2", true)]))
            .options(options)
            .build()
            .await
            .expect("the application starts");
        let migration = app.migration("people").expect("registered");
        Self { bench, server, db, app, migration }
    }

    /// A wrapped read of a name, and whether a replica answered.
    async fn read(&self, id: i64) -> (Option<String>, bool) {
        self.read_for(id, &id).await
    }

    async fn read_for(&self, id: i64, user: &(impl ToKey + ?Sized)) -> (Option<String>, bool) {
        let read = async |side: People| {
            let on_replica = on_replica(&Db::from(&self.db)).await?;
            Ok::<_, PeopleError>((side.get(id).await?, on_replica))
        };
        let sides = || (read(People::legacy(&self.db)), read(People::new(&self.db)));
        self.migration.read(&id, user, || sides().0, || sides().1).await.expect("read")
    }

    async fn reads_replica(&self, id: i64) -> bool {
        self.read(id).await.1
    }

    async fn until_replica(&self, id: i64) {
        eventually("a replica is read", async || self.reads_replica(id).await).await;
    }

    fn refused(&self, reason: ReplicaRefusal) -> u64 {
        self.migration.routes().refused.get(&reason).copied().unwrap_or_default()
    }
}

/// Whether this connection leads to a replica, as the server itself says.
async fn on_replica(db: &Db) -> Result<bool, PeopleError> {
    let mut conn = db.conn().await?;
    Ok(match conn.engine() {
        Engine::Mysql => {
            let row = sqlx::query("select @@global.read_only = 1").fetch_one(conn.mysql()?).await?;
            row.get::<i64, _>(0) == 1
        }
        _ => {
            let sql = "select pg_is_in_recovery()";
            sqlx::query(sql).fetch_one(conn.postgres()?).await?.get::<bool, _>(0)
        }
    })
}

/// Runs a test on each engine that has replicas, with `options` of the application's.
async fn replicated(test: &str, options: Options, body: impl AsyncFn(Scene)) {
    engines(test, async |primary, url| {
        let engine = primary.engine();
        let Some(server) = ReplicaServer::of(engine, &url).await else { return };
        let bench = Bench::new(primary.clone()).await;
        let pool = ReplicaServer::pool(engine, &server.url);
        let db = primary.with_replica(pool).expect("an engine with replicas");
        body(Scene::new(bench, server, db, options.clone()).await).await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_read_goes_to_the_replica_and_nothing_else_does() {
    let options = options().replica_reads(replica_reads());
    replicated("replica_used", options, async |scene| {
        scene.until_replica(1).await;
        assert!(scene.migration.routes().on_replica > 0);
        let db = Db::from(&scene.db);
        assert!(!on_replica(&db).await.expect("asked"), "outside a read");
        let asked = on_primary(scene.reads_replica(1)).await;
        assert!(!asked && scene.refused(ReplicaRefusal::PrimaryAsked) == 1);
        // What a closure spawns may outlive the read, and is no read of the migration's.
        let elsewhere = || async {
            let db = db.clone();
            let here = on_replica(&db).await?;
            let spawned = tokio::spawn(async move { on_replica(&db).await });
            Ok::<_, PeopleError>((here, spawned.await.expect("it ends")?))
        };
        let found = scene.migration.read(&1i64, &1i64, elsewhere, elsewhere).await.expect("read");
        assert_eq!(found, (true, false));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn replicas_are_used_while_they_are_allowed() {
    replicated("replica_allowed", options(), async |scene| {
        assert!(!scene.reads_replica(1).await);
        assert_eq!(scene.refused(ReplicaRefusal::Off), 1, "off until somebody asks");
        scene.migration.allow_replicas();
        scene.until_replica(1).await;
        scene.migration.forbid_replicas();
        let before = scene.refused(ReplicaRefusal::Off);
        assert!(!scene.reads_replica(1).await);
        assert_eq!(scene.refused(ReplicaRefusal::Off), before + 1);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_read_after_a_write_sees_it_whatever_the_replica_lacks() {
    let options = options().replica_reads(replica_reads());
    replicated("replica_pin", options, async |scene| {
        put(&scene.migration, 1, "before").await.expect("written");
        scene.until_replica(1).await;
        scene.server.pause().await;
        put(&scene.migration, 1, "after").await.expect("written");
        assert_eq!(scene.read(1).await, (Some("after".to_owned()), false));
        assert_eq!(scene.read(2).await, (None, true), "a key that nobody wrote");
        // A write whose future is dropped may be on its way.
        let never = scene.migration.write(
            &2i64,
            |_| std::future::pending::<Result<u64, PeopleError>>(),
            |_| std::future::pending(),
        );
        let dropped = tokio::time::timeout(Duration::from_millis(50), never).await;
        assert!(dropped.is_err() && !scene.reads_replica(2).await, "its outcome is not known");
        assert!(scene.refused(ReplicaRefusal::Pinned) >= 2);
        scene.server.resume().await;
        scene.until_replica(1).await;
        assert_eq!(scene.read(1).await, (Some("after".to_owned()), true));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pin_is_the_keys_and_not_the_users() {
    let options = options().replica_reads(replica_reads());
    replicated("replica_pin_user", options, async |scene| {
        scene.until_replica(1).await;
        scene.server.pause().await;
        put(&scene.migration, 1, "after").await.expect("written");
        let written = (Some("after".to_owned()), false);
        assert_eq!(scene.read_for(1, "ada").await, written);
        assert_eq!(scene.read_for(1, "bob").await, written, "whoever wrote it");
        assert_eq!(scene.read_for(2, "ada").await, (None, true), "another key of the user's");
        assert_eq!(scene.read_for(2, &1).await, (None, true), "a user is no key");
        scene.server.resume().await;
    })
    .await;
}

/// A write in a caller's transaction is not there before that commits, so it pins its key then.
#[tokio::test(flavor = "multi_thread")]
async fn a_read_after_a_callers_transaction_sees_what_that_wrote() {
    // No margin: a pin of the write's own end would not outlast the wait below.
    let reads = replica_reads().pin_margin(Duration::ZERO);
    replicated("replica_pin_in", options().replica_reads(reads), async |scene| {
        put(&scene.migration, 1, "before").await.expect("written");
        scene.until_replica(1).await;
        let mut transaction = scene.app.begin().await.expect("begins");
        put_in(&scene.migration, &mut transaction, 1, "after").await.expect("written");
        // The replica has all there was until now, so it covers the write's own end.
        scene.until_replica(1).await;
        scene.server.pause().await;
        transaction.commit().await.expect("commits");
        assert_eq!(scene.read(1).await, (Some("after".to_owned()), false));
        scene.server.resume().await;
        scene.until_replica(1).await;
    })
    .await;
}

/// What New takes on a replica counts for the breaker like what it takes on the primary.
#[tokio::test(flavor = "multi_thread")]
async fn a_replicas_answers_are_the_breakers() {
    let options = options().replica_reads(replica_reads());
    replicated("replica_breaker", options, async |scene| {
        let state = scene.bench.go(Stage::Live).await;
        eventually("it is known", async || *scene.migration.state() == state).await;
        scene.until_replica(1).await;
        for _ in 0..20 {
            scene.until_replica(1).await;
        }
        let routes = scene.migration.routes();
        let on_primary = routes.refused.values().sum::<u64>() + routes.failed_over;
        let counts = scene.migration.breaker().expect("there is one").counts;
        assert!(u64::from(counts.calls) > on_primary, "{counts:?}, {routes:?}");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replica_that_lags_is_left_out_until_it_has_caught_up() {
    let options = options().replica_reads(replica_reads().limit(Duration::from_millis(1500)));
    replicated("replica_lag", options, async |scene| {
        scene.until_replica(1).await;
        scene.server.pause().await;
        // By another process, so that no pin keeps the read on the primary.
        scene.bench.legacy().put(1, "elsewhere").await.expect("put");
        eventually("it lags", async || !scene.reads_replica(1).await).await;
        eventually("for that reason", async || {
            scene.reads_replica(1).await;
            scene.refused(ReplicaRefusal::Lagging) > 0
        })
        .await;
        assert_eq!(scene.read(1).await, (Some("elsewhere".to_owned()), false));
        let behind = scene.migration.routes().replicas[0].behind;
        assert!(behind.is_none_or(|behind| behind > Duration::from_millis(1500)), "{behind:?}");
        scene.server.resume().await;
        scene.until_replica(1).await;
    })
    .await;
}

/// In `live` a replica from before the backfill would show New empty.
#[tokio::test(flavor = "multi_thread")]
async fn a_replica_behind_the_state_is_not_used() {
    let options = options().replica_reads(replica_reads());
    replicated("replica_state", options, async |scene| {
        scene.bench.legacy().put(1, "Ada").await.expect("put");
        scene.bench.go(Stage::DualWrite).await;
        scene.until_replica(1).await;
        scene.server.pause().await;
        scene.bench.new_side().put(1, "Ada").await.expect("put");
        let live = scene.bench.go(Stage::Live).await;
        eventually("the stage is known", async || *scene.migration.state() == live).await;
        assert_eq!(scene.read(1).await, (Some("Ada".to_owned()), false));
        assert!(scene.refused(ReplicaRefusal::BehindState) > 0);
        scene.server.resume().await;
        scene.until_replica(1).await;
        assert_eq!(scene.read(1).await, (Some("Ada".to_owned()), true), "New on the replica");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replica_that_is_down_or_silent_costs_only_the_try() {
    engines("replica_down", async |primary, url| {
        let engine = primary.engine();
        let Some(server) = ReplicaServer::of(engine, &url).await else { return };
        let (_, address) = server.url.rsplit_once('@').expect("a user");
        let (address, _) = address.split_once('/').expect("a path");
        let proxy = Proxy::start(address).await.expect("a proxy");
        let bench = Bench::new(primary.clone()).await;
        let pool = ReplicaServer::pool(engine, &proxy.url(&server.url));
        let db = primary.with_replica(pool).expect("an engine with replicas");
        // Seldom measured, so that a read is the first to meet the trouble.
        let reads = replica_reads()
            .measured_every(Duration::from_secs(2))
            .patience(Duration::from_millis(300));
        let scene = Scene::new(bench, server, db, options().replica_reads(reads)).await;
        let failed_over = || scene.migration.routes().failed_over;
        for trouble in [Proxy::refuse, Proxy::stall] {
            // Once more where the measurement came first.
            loop {
                proxy.admit();
                scene.until_replica(1).await;
                let before = failed_over();
                trouble(&proxy);
                let tried = Instant::now();
                let read = tokio::time::timeout(Duration::from_secs(5), scene.read(1)).await;
                assert!(!read.expect("it goes on to the primary in time").1);
                if failed_over() == before {
                    continue;
                }
                assert!(!scene.reads_replica(1).await);
                // A machine that stood still for so long has let the replica rest long enough.
                let in_time = tried.elapsed() < Duration::from_secs(1);
                assert!(!in_time || failed_over() == before + 1, "the next read does not try");
                break;
            }
        }
        proxy.admit();
        scene.until_replica(1).await;
    })
    .await;
}

/// A URL of the wrong database on the right server.
#[tokio::test(flavor = "multi_thread")]
async fn a_replica_of_another_database_is_never_used() {
    engines("replica_other", async |primary, url| {
        let engine = primary.engine();
        let Some(server) = ReplicaServer::of(engine, &url).await else { return };
        let other = TestDatabase::create(engine, "replica_wrong").await;
        let elsewhere = Bench::new(other.open().await).await;
        elsewhere.legacy().put(1, "elsewhere").await.expect("put");
        let bench = Bench::new(primary.clone()).await;
        let mut db = primary;
        for url in [server.url_of(&other.url), server.url.clone()] {
            let pool = ReplicaServer::pool(engine, &url);
            db = db.with_replica(pool).expect("an engine with replicas");
        }
        let options = options().replica_reads(replica_reads());
        let scene = Scene::new(bench, server, db, options).await;
        scene.bench.legacy().put(1, "here").await.expect("put");
        eventually("the other one is read", async || {
            let (name, _) = scene.read(1).await;
            assert_ne!(name.as_deref(), Some("elsewhere"), "the wrong database was read");
            scene.migration.routes().on_replica >= 50
        })
        .await;
        let behind = scene.migration.routes().replicas.into_iter().map(|replica| replica.behind);
        let behind: Vec<_> = behind.collect();
        assert!(matches!(behind[..], [None, Some(_)]), "{behind:?}");
        scene.app.sign_off().await.expect("signed off");
        drop((scene, elsewhere));
        other.drop().await;
    })
    .await;
}

#[tokio::test]
async fn what_cannot_follow_is_refused() {
    let memory = || async { sqlx::SqlitePool::connect("sqlite::memory:").await.expect("opens") };
    let database = Database::open(memory().await).await.expect("opens");
    let error = database.with_replica(memory().await).expect_err("SQLite has none");
    assert_eq!(error.to_string(), "SQLite has no replicas");
    let database = Database::open(memory().await).await.expect("opens");
    let pool = ReplicaServer::pool(Engine::Postgres, "postgres://nobody@127.0.0.1/none");
    let error = database.with_replica(pool).expect_err("another engine");
    assert_eq!(error.to_string(), "a replica on postgres cannot follow a primary on sqlite");
}
