//! What the request path and the flag client count, and that `docs/metrics.md` names it all. Each
//! test runs on one thread, whose recorder is its own.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use ::metrics::set_default_local_recorder as set_recorder;
use crossfade::flags::DatabaseSource;
use crossfade::{
    BreakerOptions, BreakerState, Crossfade, Database, Engine, Flags, Migration, Options,
    ReplicaReads, Stage, Tx, on_primary,
};
use crossfade_control::{FlagChange, FlagEdit, Stores, change_flag};
use crossfade_sql::Mechanism;
use crossfade_store::ControlStore;

use crate::support::{
    Bench, Labels, People, PeopleError, Recorded, ReplicaServer, TestDatabase, definition, engines,
    eventually, put, put_in, read_side,
};

async fn start(db: &Database, flags: &Flags, options: Options) -> (Crossfade, Migration) {
    let builder = Crossfade::builder_on(db.clone()).flags(flags.clone()).options(options);
    let app = builder.build().await.expect("starts");
    let migration = app.migration("people").expect("registered");
    (app, migration)
}

#[tokio::test]
async fn each_call_is_counted_and_each_name_is_documented() {
    engines("metrics", async |db, _| {
        let kept = Recorded::default();
        let _here = set_recorder(&kept);
        let bench = Bench::new(db).await;
        let flags = Flags::from_store(Arc::new(bench.db.clone())).await;
        eventually("the client has told", async || {
            kept.metrics().contains_key("crossfade_flags_version")
        })
        .await;
        drop(flags);

        let flags = Flags::forced::<&str, bool>([]);
        // Stage changes are noticed at the fence only.
        let unaware = bench.db.clone().without(Mechanism::Changes);
        bench.go(Stage::DualWrite).await;
        let (app, migration) = start(&unaware, &flags, Options::default()).await;
        let writes = |result| kept.people("crossfade_writes_total", &[("result", result)]);
        let parts = |side| kept.people("crossfade_write_seconds", &[("side", side)]);
        let alone = |metric: &str| kept.people(metric, &[]);

        put(&migration, 1, "one").await.expect("written");
        put(&migration, 2, "bad").await.expect("written on Legacy");
        assert_eq!(writes("ok"), 2.0);
        assert_eq!(parts("legacy"), 3.0, "a refusal is tried again");
        assert_eq!(parts("new"), 2.0);
        assert_eq!(alone("crossfade_write_call_seconds"), 2.0);
        assert_eq!(alone("crossfade_quarantined_total"), 1.0);
        assert_eq!(alone("crossfade_stage"), 2.0);
        assert_eq!(alone("crossfade_fence_refusals_total"), 0.0);
        assert_eq!(alone("crossfade_write_retries_total"), 0.0);

        // A connection that is lost is a try that the database rolled back.
        let lost = AtomicBool::new(true);
        let legacy = |tx| {
            let lost = lost.swap(false, Ordering::Relaxed);
            async move {
                if lost {
                    return Err(sqlx::Error::WorkerCrashed.into());
                }
                People::legacy(tx).put(1, "again").await
            }
        };
        let new = |tx| async move { People::new(tx).put(1, "again").await };
        migration.write(&1i64, legacy, new).await.expect("written at last");
        assert_eq!(alone("crossfade_write_retries_total"), 1.0);
        assert_eq!(writes("ok"), 3.0);

        // One in a transaction of the caller's counts before that commits.
        let mut transaction = app.begin().await.expect("begins");
        put_in(&migration, &mut transaction, 1, "never").await.expect("written");
        assert_eq!(writes("ok"), 4.0);
        transaction.rollback().await;

        let epoch = alone("crossfade_epoch");
        bench.go(Stage::Live).await;
        put(&migration, 1, "two").await.expect("written");
        assert_eq!(alone("crossfade_fence_refusals_total"), 1.0);
        assert_eq!(alone("crossfade_stage"), 3.0);
        assert_eq!(alone("crossfade_epoch"), epoch + 1.0);
        assert_eq!(alone("crossfade_quarantined_keys"), 1.0);
        put(&migration, 3, "bad").await.expect_err("New refuses it");
        assert_eq!(writes("new_failed"), 1.0);
        let reached = tokio::sync::Notify::new();
        let hangs = |_| async {
            reached.notify_one();
            std::future::pending::<Result<u64, PeopleError>>().await
        };
        let new = |tx| async move { People::new(tx).put(4, "dropped").await };
        tokio::select! {
            _ = migration.write(&4i64, hangs, new) => panic!("Legacy never answers"),
            () = reached.notified() => {}
        }
        assert_eq!(writes("dropped"), 1.0);

        read_side(&migration, 1).await.expect("read");
        flags.force("read_people_v2", true);
        read_side(&migration, 1).await.expect("read");
        let legacy = || async { Ok::<_, PeopleError>(()) };
        migration
            .read(&1, &1, legacy, || async { Err(PeopleError::Told) })
            .await
            .expect("falls back");
        let reads = |side, result| {
            kept.people("crossfade_reads_total", &[("side", side), ("result", result)])
        };
        assert_eq!(reads("legacy", "ok"), 2.0);
        assert_eq!(reads("new", "ok"), 1.0);
        assert_eq!(reads("new", "failed"), 1.0);
        assert_eq!(alone("crossfade_read_fallbacks_total"), 1.0);
        assert_eq!(kept.people("crossfade_read_seconds", &[("side", "new")]), 2.0);

        let documented = documented();
        let found: BTreeMap<_, _> =
            kept.metrics().into_iter().map(|(name, all)| (name, by_label(all))).collect();
        assert_eq!(found, documented);
        assert_eq!(kept.described(), documented.into_keys().collect::<BTreeSet<_>>());
    })
    .await;
}

#[tokio::test]
async fn a_part_of_news_that_was_interrupted_is_timed() {
    engines("metrics_cut", async |db, _| {
        let engine = db.engine();
        let slow = match engine {
            Engine::Mysql => "select sleep(60) from people",
            Engine::Postgres => "select pg_sleep(60)",
            // A statement runs to its end there.
            Engine::Sqlite => return,
        };
        let kept = Recorded::default();
        let _here = set_recorder(&kept);
        let bench = Bench::new(db).await;
        bench.go(Stage::DualWrite).await;
        let flags = Flags::forced::<&str, bool>([]);
        let options = Options::default().new_timeout(Duration::from_millis(200));
        let (_app, migration) = start(&bench.db, &flags, options).await;
        let legacy = |tx| async move { People::legacy(tx).put(1, "one").await };
        let new = |mut tx: Tx| async move {
            match tx.engine() {
                Engine::Mysql => sqlx::raw_sql(slow).execute(tx.mysql()?).await.map(drop)?,
                _ => sqlx::raw_sql(slow).execute(tx.postgres()?).await.map(drop)?,
            }
            Ok(0)
        };
        migration.write(&1i64, legacy, new).await.expect("Legacy is written alone");
        bench.expect(1, Some("one"), None).await;
        let parts = |side| kept.people("crossfade_write_seconds", &[("side", side)]);
        assert_eq!((parts("legacy"), parts("new")), (2.0, 1.0), "{engine}");
    })
    .await;
}

/// The values of each label; none where they are the application's.
type Values = BTreeMap<String, BTreeSet<String>>;

fn by_label(all: Vec<Labels>) -> Values {
    let mut values = Values::new();
    for (label, value) in all.into_iter().flatten() {
        let of = values.entry(label.clone()).or_default();
        if !matches!(label.as_str(), "migration" | "origin") {
            of.insert(value);
        }
    }
    values
}

/// The tables of `docs/metrics.md`: names, labels, and what values these have.
fn documented() -> BTreeMap<String, Values> {
    let page = include_str!("../../docs/metrics.md");
    let rows = page.lines().filter(|line| line.starts_with("| `crossfade_"));
    let row = |line: &str| {
        let cells: Vec<&str> = line.split('|').map(str::trim).collect();
        let (names, listed) = cells[3].split_once("`:").unwrap_or((cells[3], ""));
        let quoted = |text: &str| -> Vec<String> {
            let words = text.split(',').map(|word| word.trim().trim_matches('`').to_owned());
            words.filter(|word| !word.is_empty()).collect()
        };
        let names = quoted(names);
        let last = names.last().cloned();
        let of = |label: String| {
            let values = match label.as_str() {
                "side" => quoted("legacy, new"),
                label if last.as_deref() == Some(label) => quoted(listed),
                _ => Vec::new(),
            };
            (label, values.into_iter().collect())
        };
        (cells[1].trim_matches('`').to_owned(), names.into_iter().map(of).collect())
    };
    rows.map(row).collect()
}

#[tokio::test]
async fn what_becomes_of_comparisons_is_counted() {
    engines("metrics_shadow", async |db, _| {
        let kept = Recorded::default();
        let _here = set_recorder(&kept);
        let bench = Bench::new(db).await;
        bench.go(Stage::DualWrite).await;
        let options = Options::default()
            .shadow_sample(1.0)
            .shadow_in_flight(1)
            .shadow_timeout(Duration::from_millis(500));
        let (_app, migration) = start(&bench.db, &Flags::forced::<&str, bool>([]), options).await;
        let counted = |result| kept.people("crossfade_shadow_total", &[("result", result)]);
        let compare = async |new: fn() -> Result<&'static str, PeopleError>, result, times| {
            let read = migration.read_compared(
                &1i64,
                &1i64,
                || async { Ok("one") },
                move || async move { new() },
            );
            assert_eq!(read.await.expect("read"), "one");
            eventually(result, async || counted(result) >= times).await;
        };
        compare(|| Ok("one"), "compared", 1.0).await;
        assert_eq!(counted("mismatched"), 0.0);
        compare(|| Ok("two"), "mismatched", 1.0).await;
        compare(|| Err(PeopleError::Told), "failed", 1.0).await;
        compare(|| panic!("a comparison's own trouble"), "panicked", 1.0).await;

        let legacy = || async { Ok::<_, PeopleError>(()) };
        for _ in 0..2 {
            let hanging = || std::future::pending();
            migration.read_compared(&1i64, &1i64, legacy, hanging).await.expect("read");
        }
        assert_eq!(counted("dropped"), 1.0, "the one before is still under way");
        eventually("it has taken too long", async || counted("timed_out") > 0.0).await;
        let results = ["compared", "mismatched", "dropped", "failed", "timed_out", "panicked"];
        assert_eq!(results.map(counted), [2.0, 1.0, 1.0, 1.0, 1.0, 1.0]);
    })
    .await;
}

#[tokio::test]
async fn the_breaker_tells_its_state_and_its_openings() {
    engines("metrics_breaker", async |db, _| {
        let kept = Recorded::default();
        let _here = set_recorder(&kept);
        let bench = Bench::new(db).await;
        bench.go(Stage::Live).await;
        let breaker = BreakerOptions::default()
            .minimum(5)
            .cool_off(Duration::from_millis(50))
            .probes(3)
            .probe_interval(Duration::from_millis(1));
        let flags = Flags::forced([("read_people_v2", true)]);
        let (_app, migration) = start(&bench.db, &flags, Options::default().breaker(breaker)).await;
        let now = || kept.people("crossfade_breaker_state", &[]);
        let read = async |new: Result<(), ()>| {
            let legacy = || async { Ok(()) };
            let new = || async move { new.map_err(|()| PeopleError::Told) };
            migration.read(&1i64, &1i64, legacy, new).await.expect("read");
        };
        assert_eq!((now(), kept.people("crossfade_breaker_openings_total", &[])), (0.0, 0.0));
        for _ in 0..5 {
            read(Err(())).await;
        }
        let states = Mutex::new(vec![now()]);
        assert_eq!(kept.people("crossfade_breaker_openings_total", &[]), 1.0);
        eventually("probes close it", async || {
            read(Ok(())).await;
            states.lock().expect("not poisoned").push(now());
            migration.breaker().expect("there is one").state == BreakerState::Closed
        })
        .await;
        let mut states = states.into_inner().expect("not poisoned");
        states.dedup();
        assert_eq!(states, [1.0, 2.0, 0.0]);
    })
    .await;
}

#[tokio::test]
async fn routes_and_the_distance_of_a_replica_are_told() {
    engines("metrics_routes", async |primary, url| {
        let engine = primary.engine();
        let Some(server) = ReplicaServer::of(engine, &url).await else { return };
        let kept = Recorded::default();
        let _here = set_recorder(&kept);
        let bench = Bench::new(primary.clone()).await;
        let db = primary.with_replica(ReplicaServer::pool(engine, &server.url));
        let db = db.expect("an engine with replicas");
        let reads = ReplicaReads::default()
            .limit(Duration::from_secs(3600))
            .measured_every(Duration::from_millis(25));
        let options = Options::default().replica_reads(reads);
        let (_app, migration) = start(&db, &Flags::forced::<&str, bool>([]), options).await;
        let read = async || read_side(&migration, 1).await.expect("read");
        let counted = |route| kept.people("crossfade_read_routes_total", &[("route", route)]);
        eventually("a replica is read", async || {
            read().await;
            migration.routes().on_replica > 0
        })
        .await;
        assert_eq!((counted("replica"), counted("failed_over")), (1.0, 0.0));
        on_primary(read()).await;
        assert_eq!(counted("primary_asked"), 1.0);
        migration.forbid_replicas();
        read().await;
        assert_eq!(counted("off"), 1.0);
        let name = migration.routes().replicas[0].name.clone();
        let behind = kept.get("crossfade_replica_behind_seconds", &[("replica", &name)]);
        assert!((0.0..3600.0).contains(&behind), "{behind} s");
        drop(bench);
    })
    .await;
}

#[tokio::test]
async fn the_flag_client_tells_version_age_and_silence() {
    engines("metrics_flags", async |db, _| {
        let kept = Recorded::default();
        let _here = set_recorder(&kept);
        let bench = Bench::new(db).await;
        let flag = definition().read_flag;
        for edit in [FlagEdit::Ensure, FlagEdit::On] {
            let change = FlagChange { flag: &flag, edit, actor: "test", reason: "test" };
            change_flag(Stores::of(&bench.db), change).await.expect("changed");
        }
        let flags = Flags::from_store(Arc::new(bench.db.clone())).await;
        eventually("it has told", async || {
            kept.metrics().contains_key("crossfade_flags_version")
                && kept.get("crossfade_flags_version", &[]) == 2.0
        })
        .await;
        let moment = f64::EPSILON..60.0;
        let age = kept.get("crossfade_flags_age_seconds", &[]);
        assert!(moment.contains(&age), "{age} s");
        let origin = flags.status().sources()[0].origin().to_owned();
        let silence = kept.get("crossfade_flags_silence_seconds", &[("origin", &origin)]);
        assert!(moment.contains(&silence), "{silence} s");
        assert_eq!(kept.get("crossfade_flags_stale", &[]), 0.0);
        drop(flags);

        // Nobody asks so often that this is no silence.
        let source = DatabaseSource::new(Arc::new(bench.db.clone()));
        let strict = Flags::builder().source(source).stale_after(Duration::from_nanos(1));
        let _strict = strict.start().await;
        eventually("it is stale", async || kept.get("crossfade_flags_stale", &[]) == 1.0).await;
    })
    .await;
}

/// The runtime of the application stands still while another one watches its lease.
#[test]
fn a_lease_that_lapsed_is_counted() {
    let kept = Recorded::default();
    let _here = set_recorder(&kept);
    for engine in Engine::ALL {
        let runtime = || {
            let mut builder = tokio::runtime::Builder::new_current_thread();
            builder.enable_all().build().expect("a runtime")
        };
        let (still, watching) = (runtime(), runtime());
        let (test, bench) = watching.block_on(async {
            let test = TestDatabase::create(*engine, "metrics_lapse").await;
            let bench = Bench::new(test.open().await).await;
            (test, bench)
        });
        let (app, migration) = still.block_on(async {
            let options = Options::default().lease(Duration::from_millis(500));
            let flags = Flags::forced::<&str, bool>([]);
            let started = start(&test.open().await, &flags, options).await;
            read_side(&started.1, 1).await.expect("read");
            started
        });
        let before = kept.people("crossfade_lease_lapses_total", &[]);
        watching.block_on(eventually("the lease lapses", async || {
            let instances = bench.db.instances(&definition().name).await.expect("instances");
            instances.iter().any(|instance| instance.lease_left_ms < 0)
        }));
        still.block_on(async { read_side(&migration, 1).await }).expect("a new lease");
        let lapses = kept.people("crossfade_lease_lapses_total", &[]) - before;
        assert_eq!(lapses, 1.0, "{engine}");
        still.block_on(async { drop((app, migration)) });
        drop(still);
        watching.block_on(async {
            drop(bench);
            test.drop().await;
        });
    }
}
