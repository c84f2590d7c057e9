//! Several workers, interrupted passes, parts of the keys, and databases that take no writes.

use std::time::Duration;

use crossfade::{Engine, Stage};
use crossfade_core::ToKey;
use crossfade_reconcile::{
    Cancel, Reach, Recorded, Sample, VerifyHooks, VerifyProgress, VerifyReport, VerifySettings,
    cancellation, verify,
};
use crossfade_store::{ControlStore, VerifyStore};

use crate::support::{Bench, Project, definition, engines};

/// Keys 1 to 500 on both sides, in `dual_write`.
async fn equal(bench: &Bench) {
    for first in (1..=500).step_by(100) {
        let rows = (first..first + 100).map(|id| format!("({id}, 'name {id}')"));
        let rows = rows.collect::<Vec<_>>().join(", ");
        bench.sql(&format!("insert into people values {rows}")).await;
        bench.sql(&format!("insert into people_v2 values {rows}")).await;
    }
    bench.go(Stage::DualWrite).await;
}

fn small() -> VerifySettings {
    VerifySettings { chunk_rows: Some(20), ..VerifySettings::default() }
}

async fn pass(bench: &Bench, settings: VerifySettings) -> VerifyReport {
    let hooks = VerifyHooks { progress: &|_| {}, cancel: Cancel::never() };
    verify(&bench.db, &bench.db, &definition().name, settings, hooks).await.expect("verified")
}

#[tokio::test(flavor = "multi_thread")]
async fn workers_share_a_pass_and_find_the_same() {
    engines("workers", async |db, _| {
        let engine = db.engine();
        let bench = Bench::new(db).await;
        equal(&bench).await;
        bench.sql("update people_v2 set name = 'other' where person_id in (1, 20, 21, 333)").await;
        bench.sql("delete from people_v2 where person_id in (2, 500)").await;
        bench.sql("insert into people_v2 values (0, 'x'), (501, 'x'), (1000, 'x')").await;
        for workers in [1, 2, 5] {
            let report = pass(&bench, VerifySettings { workers, ..small() }).await;
            let found = report.found;
            let found = (found.differing, found.missing, found.orphaned);
            assert_eq!((found, report.compared), ((4, 2, 3), 503), "{engine}, {workers} workers");
        }
    })
    .await;
}

/// An interrupted pass is gone on with by the next: with its keys, and its begin as the proof's. The
/// stage's end makes it void.
#[tokio::test(flavor = "multi_thread")]
async fn an_interrupted_pass_is_gone_on_with() {
    engines("resumed", async |db, _| {
        let engine = db.engine();
        let bench = Bench::new(db).await;
        equal(&bench).await;
        let interrupted = async |workers| {
            let (canceller, cancel) = cancellation();
            let stop = move |progress: VerifyProgress| {
                if progress.compared >= 200 {
                    canceller.cancel();
                }
            };
            let hooks = VerifyHooks { progress: &stop, cancel };
            let settings = VerifySettings { workers, ..small() };
            let name = definition().name;
            let report = verify(&bench.db, &bench.db, &name, settings, hooks).await;
            let report = report.expect("verified");
            assert!(report.interrupted && report.recorded == Recorded::Interrupted, "{engine}");
            bench.db.pass_progress(&bench.state().await).await.expect("read").expect("saved")
        };
        for workers in [1, 3] {
            let saved = interrupted(workers).await;
            assert!((140..=300).contains(&saved.compared), "{engine}: {saved:?}");
            assert_eq!(saved.upto, saved.compared.to_key(), "{engine}");
            // What was compared is not compared again.
            bench.sql("update people_v2 set name = 'late' where person_id = 1").await;
            let report = pass(&bench, small()).await;
            assert_eq!((report.found.total(), report.compared), (0, 500), "{engine}");
            let resumed = report.resumed.expect("it went on");
            let expected = (saved.compared, saved.started_ms);
            assert_eq!((resumed.compared, resumed.started_ms), expected, "{engine}");
            let left = bench.db.pass_progress(&bench.state().await).await.expect("read");
            assert_eq!(left, None, "{engine}: a finished pass is not gone on with");
            assert_eq!(pass(&bench, small()).await.found.differing, 1, "{engine}");
            bench.sql("update people_v2 set name = 'name 1' where person_id = 1").await;
        }
        interrupted(1).await;
        bench.go(Stage::Live).await;
        assert_eq!(pass(&bench, small()).await.resumed, None, "{engine}: another stage");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_part_of_the_keys_makes_no_proof() {
    engines("parts", async |db, _| {
        let engine = db.engine();
        let bench = Bench::new(db).await;
        equal(&bench).await;
        bench.sql("update people_v2 set name = 'other' where person_id in (100, 200)").await;
        let key = |key: i64| Some(key.to_key());
        for (from, to, sample, compared, differing) in [
            (key(100), key(199), None, 100..=100, Some(1)),
            (key(101), None, None, 400..=400, Some(1)),
            (None, key(100), None, 100..=100, Some(1)),
            (key(100), key(100), None, 1..=1, Some(1)),
            (None, None, Some(Sample::PartsPerMillion(200_000)), 60..=140, None),
            (None, None, Some(Sample::Rows(50)), 40..=60, None),
        ] {
            let reach = Reach { from, to, sample };
            let report = pass(&bench, VerifySettings { reach: reach.clone(), ..small() }).await;
            assert!(compared.contains(&report.compared), "{engine} {reach:?} {}", report.compared);
            let found = report.found.total();
            assert!(differing.is_none_or(|differing| differing == found), "{engine} {reach:?}");
            assert_eq!(report.recorded, Recorded::Partial, "{engine} {reach:?}");
        }
        let facts = bench.db.facts(&bench.state().await).await.expect("facts");
        assert!(facts.parity.is_none(), "{engine}: a part was recorded as a proof");
    })
    .await;
}

/// Entries of the quarantine count as compared, on New or not, and are not named.
#[tokio::test(flavor = "multi_thread")]
async fn quarantined_keys_are_counted_and_not_named() {
    engines("entries", async |db, _| {
        let engine = db.engine();
        let bench = Bench::new(db).await;
        equal(&bench).await;
        bench.sql("update people set name = 'bad' where id in (7, 300)").await;
        let state = bench.state().await;
        for key in [7i64, 300] {
            use crossfade_store::ReconcileStore;
            let refused = bench.db.repair(&state, &key.to_key()).await.expect("repaired");
            assert!(refused.is_some(), "{engine}");
        }
        bench.sql("delete from people_v2 where person_id = 300").await;
        for chunk_rows in [Some(20), None] {
            let report = pass(&bench, VerifySettings { chunk_rows, ..small() }).await;
            assert_eq!((report.found.total(), report.compared), (0, 500), "{engine}");
            assert_eq!((report.quarantined, report.remaining), (2, 2), "{engine}");
        }
    })
    .await;
}

/// A session that takes no writes finds what differs, says that it is not a proof, and records none.
#[tokio::test(flavor = "multi_thread")]
async fn a_read_only_session_only_looks() {
    for &engine in Engine::ALL {
        let project =
            Project::with_people(engine, "look", "insert into people values (1, 'Ada')").await;
        project.ok(&["expand", "people"]);
        project.ok(&["stage", "people", "delete_only"]);
        project.ok(&["stage", "people", "dual_write"]);
        project.ok(&["backfill", "people"]);
        project.sql("update people_v2 set name = 'Eva'").await;
        let url = project.database.url.clone();
        let (read_only, undo) = match engine {
            Engine::Postgres => {
                let name = url.rsplit('/').next().expect("a name").to_owned();
                let set =
                    format!("alter database \"{name}\" set default_transaction_read_only = on");
                project.sql(&set).await;
                (url, None)
            }
            Engine::Sqlite => {
                let separator = if url.contains('?') { '&' } else { '?' };
                (format!("{url}{separator}mode=ro"), None)
            }
            Engine::Mysql => {
                let name = url.rsplit('/').next().expect("a name").to_owned();
                let user = format!("look_{}", std::process::id());
                project.sql(&format!("create or replace user {user}@'%' identified by 'x'")).await;
                project.sql(&format!("grant select on `{name}`.* to {user}@'%'")).await;
                let (_, server) = url.split_once('@').expect("a user");
                (format!("mysql://{user}:x@{server}"), Some(format!("drop user {user}@'%'")))
            }
        };
        let mut command = project.command(&["verify", "people"]);
        let output = command.env("DATABASE_URL", &read_only).output().expect("it starts");
        let answer = crate::support::Answer::of(output).expect(4);
        answer.says(&["1 differing", "not recorded, so no gate opens by it"]);
        if let Some(undo) = undo {
            project.sql(&undo).await;
        }
        project.drop().await;
    }
}

/// However many entries the quarantine has, a chunk takes about the same time.
#[tokio::test(flavor = "multi_thread")]
async fn a_chunk_does_not_wait_for_the_quarantines_entries() {
    engines("many_entries", async |db, _| {
        let engine = db.engine();
        let bench = Bench::new(db).await;
        let numbers = |from: i64, to: i64| match engine {
            Engine::Mysql => format!("select seq as n from seq_{from}_to_{to}"),
            Engine::Postgres => format!("select n from generate_series({from}, {to}) as s (n)"),
            Engine::Sqlite => format!(
                "with recursive s (n) as (select {from} union all select n + 1 from s \
                 where n < {to}) select n from s"
            ),
        };
        for table in ["people", "people_v2"] {
            let rows = numbers(1, 20_000);
            bench.sql(&format!("insert into {table} select n, 'x' from ({rows}) as r")).await;
        }
        let state = bench.go(Stage::DualWrite).await;
        let settings = VerifySettings { chunk_rows: Some(20_000), ..VerifySettings::default() };
        let mut times = [Duration::MAX; 2];
        for round in 0..3 {
            for (index, entries) in [(0, 0), (1, 5_000)] {
                bench.sql("delete from crossfade_quarantine").await;
                if entries > 0 {
                    let text = if engine == Engine::Mysql { "char" } else { "text" };
                    let key = if engine == Engine::Mysql { "`key`" } else { "key" };
                    bench
                        .sql(&format!(
                            "insert into crossfade_quarantine \
                             (migration, {key}, reason, epoch, marked_ms) \
                             select 'people', cast(n as {text}), 'a test', {}, 0 from ({}) as r",
                            state.epoch.get(),
                            numbers(1, entries)
                        ))
                        .await;
                }
                let report = pass(&bench, settings.clone()).await;
                assert_eq!(report.compared, 20_000, "{engine} {round}");
                times[index] = times[index].min(report.elapsed);
            }
        }
        // One look-up of 5,000 entries for each of 20,000 rows takes hundreds of times as long.
        let bound = times[0] * 5 + Duration::from_millis(100);
        assert!(times[1] < bound, "{engine}: {:?} with entries, {:?} without", times[1], times[0]);
    })
    .await;
}
