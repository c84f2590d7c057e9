//! Backfill beside writers: the interleavings that lose, resurrect or misplace rows where a lock,
//! a check or the order of steps is missing.

use std::time::Duration;

use crossfade::{Database, Engine, Flags, Stage};
use crossfade_core::MigrationState;
use crossfade_store::{
    Batch, BatchRequest, ControlStore, EnterError, ReconcileStore, Run, Segment,
};

use crate::support::{Apart, Bench, TestDatabase, delete, engines, eventually, put};

const LEASE: Duration = Duration::from_secs(60);

/// A run in progress, held by one worker.
struct Work {
    state: MigrationState,
    run: Run,
    segment: Segment,
}

impl Work {
    /// Begins the run of `dual_write` and takes its first segment.
    async fn begin(bench: &Bench) -> Self {
        let state = bench.go(Stage::DualWrite).await;
        let run = bench.db.open_run(&state).await.expect("the run opens");
        let segment = bench
            .db
            .claim_segment(&state, &run, "worker", 1000, LEASE)
            .await
            .expect("claimed")
            .expect("there is work");
        Self { state, run, segment }
    }

    async fn batch(&self, db: &Database, worker: &str, rows: u32) -> Result<Batch, EnterError> {
        let request = BatchRequest {
            state: &self.state,
            run: self.run.id,
            segment: &self.segment,
            worker,
            rows,
            refusals: u64::MAX,
            lease: LEASE,
        };
        db.backfill_batch(request).await
    }
}

/// Runs a test where rows are locked one by one.
async fn row_locks(test: &str, body: impl AsyncFn(Bench)) {
    for engine in [Engine::Mysql, Engine::Postgres] {
        let database = TestDatabase::create(engine, test).await;
        body(Bench::new(database.open().await).await).await;
        database.drop().await;
    }
}

/// A writer has deleted the row on both sides and not yet committed. Without the lock on source
/// rows the batch would insert what it still sees.
#[tokio::test(flavor = "multi_thread")]
async fn a_delete_in_flight_is_waited_for() {
    row_locks("race_delete", async |bench| {
        bench.legacy().put(1, "gone soon").await.expect("put");
        bench.legacy().put(2, "stays").await.expect("put");
        let work = Work::begin(&bench).await;
        let mut writer = Apart::of(&bench.db).await;
        writer
            .run(
                "begin; delete from people where id = 1; delete from people_v2 where person_id = 1",
            )
            .await;
        let batch = async {
            let batch = work.batch(&bench.db, "worker", 100).await.expect("the epoch is open");
            assert!(matches!(batch, Batch::Written { inserted: 1, .. }), "{batch:?}");
        };
        let commit = async {
            eventually("the batch waits for the row", async || bench.sessions_waiting().await == 1)
                .await;
            writer.run("commit").await;
        };
        tokio::join!(batch, commit);
        bench.expect(1, None, None).await;
        bench.expect(2, Some("stays"), Some("stays")).await;
    })
    .await;
}

/// The batch has read its rows and stands before its insert (another session holds New's key).
/// A wrapped delete must wait for it, or the insert would bring the row back.
#[tokio::test(flavor = "multi_thread")]
async fn a_delete_behind_the_batch_is_not_undone_by_it() {
    row_locks("race_resurrect", async |bench| {
        bench.legacy().put(1, "old").await.expect("put");
        let work = Work::begin(&bench).await;
        let app = bench.app(&Flags::forced::<&str, bool>([])).await;
        let migration = app.migration("people").expect("registered");
        let mut holder = Apart::of(&bench.db).await;
        holder.run("begin; insert into people_v2 (person_id, name) values (1, 'held')").await;

        let batch = async {
            work.batch(&bench.db, "worker", 100).await.expect("the epoch is open");
        };
        let deleting = async {
            eventually("the batch waits", async || bench.sessions_waiting().await == 1).await;
            let deleting = tokio::spawn({
                let migration = migration.clone();
                async move { delete(&migration, 1).await }
            });
            eventually("the delete waits or is done", async || {
                deleting.is_finished() || bench.sessions_waiting().await == 2
            })
            .await;
            holder.run("rollback").await;
            deleting.await.expect("no panic").expect("deleted");
        };
        tokio::join!(batch, deleting);
        bench.expect(1, None, None).await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_newer_write_is_never_overwritten() {
    engines("newer", async |db, _| {
        let bench = Bench::new(db).await;
        bench.legacy().put(1, "old").await.expect("put");
        let work = Work::begin(&bench).await;
        let app = bench.app(&Flags::forced::<&str, bool>([])).await;
        let migration = app.migration("people").expect("registered");
        put(&migration, 1, "newer").await.expect("written");
        let batch = work.batch(&bench.db, "worker", 100).await.expect("open");
        assert!(matches!(batch, Batch::Written { inserted: 0, done: true, .. }), "{batch:?}");
        bench.expect(1, Some("newer"), Some("newer")).await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn leaving_the_stage_voids_the_run() {
    engines("void", async |db, _| {
        let bench = Bench::new(db).await;
        bench.legacy().put(1, "x").await.expect("put");
        let old = Work::begin(&bench).await;
        bench.go(Stage::DeleteOnly).await;
        // The fence turns the zombie away …
        let zombie = old.batch(&bench.db, "worker", 100).await;
        assert!(matches!(zombie, Err(EnterError::Closed)), "{zombie:?}");
        let state = bench.go(Stage::DualWrite).await;
        // … and the run id one that has learnt the new epoch but not the new run.
        let stale = Work { state: state.clone(), ..old };
        let batch = stale.batch(&bench.db, "worker", 100).await.expect("the epoch is open");
        assert_eq!(batch, Batch::RunOver);
        bench.expect(1, Some("x"), None).await;
        let run = bench.db.open_run(&state).await.expect("a new run");
        assert!(run.id > stale.run.id, "a new attempt has a new id");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn no_run_begins_while_the_epoch_before_is_open() {
    engines("barrier", async |db, _| {
        let bench = Bench::new(db).await;
        bench.legacy().put(1, "x").await.expect("put");
        bench.go(Stage::DeleteOnly).await;
        let state = bench.append(Stage::DualWrite).await;
        bench.db.open_run(&state).await.expect_err("a writer of delete_only may be at work");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_segment_has_one_worker() {
    engines("segment", async |db, _| {
        let bench = Bench::new(db).await;
        for id in 1..=30 {
            bench.legacy().put(id, "x").await.expect("put");
        }
        let work = Work::begin(&bench).await;
        let batch = work.batch(&bench.db, "another", 10).await.expect("open");
        assert_eq!(batch, Batch::LeaseLost);
        let batch = work.batch(&bench.db, "worker", 10).await.expect("open");
        assert!(matches!(batch, Batch::Written { read: 10, inserted: 10, .. }), "{batch:?}");
        // A worker that forgot its cursor does not move it back.
        let again = work.batch(&bench.db, "worker", 10).await.expect("open");
        assert_eq!(again, Batch::LeaseLost);
        assert_eq!(bench.new_side().all().await.expect("New").len(), 10);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_row_goes_to_quarantine_and_stops_nothing() {
    engines("refused", async |db, _| {
        let bench = Bench::new(db).await;
        for (id, name) in [(-5, "a"), (0, "bad"), (3, "b")] {
            bench.legacy().put(id, name).await.expect("put");
        }
        let work = Work::begin(&bench).await;
        let batch = work.batch(&bench.db, "worker", 100).await.expect("open");
        let Batch::Written { read: 3, inserted: 2, quarantined: 1, done: true, .. } = batch else {
            panic!("{batch:?}");
        };
        let marks = bench.db.quarantine(&work.state.definition.name, 10).await.expect("marks");
        assert_eq!(marks.len(), 1);
        assert_eq!(marks[0].0, "0");
        let new = bench.new_side().all().await.expect("New");
        assert_eq!(new, [(-5, "a".to_owned()), (3, "b".to_owned())]);
        assert!(bench.db.finish_run(&work.state, &work.run).await.expect("asked"));
    })
    .await;
}

/// The batch has found row 1 refused and waits for New's key of row 2. A writer that mends row 1
/// must come after the entry, or the batch would take the mended row away from New.
#[tokio::test(flavor = "multi_thread")]
async fn a_refused_row_stays_locked_until_its_entry_is_there() {
    row_locks("race_refused", async |bench| {
        bench.legacy().put(1, "bad").await.expect("put");
        bench.legacy().put(2, "good").await.expect("put");
        let work = Work::begin(&bench).await;
        let app = bench.app(&Flags::forced::<&str, bool>([])).await;
        let migration = app.migration("people").expect("registered");
        let mut holder = Apart::of(&bench.db).await;
        holder.run("begin; insert into people_v2 (person_id, name) values (2, 'held')").await;

        let batch = async {
            let batch = work.batch(&bench.db, "worker", 100).await.expect("the epoch is open");
            // MariaDB looks for all of New's keys before it inserts the first row, so the writer is
            // there first.
            let quarantines = u64::from(bench.db.engine() == Engine::Postgres);
            let Batch::Written { read: 2, quarantined, done: true, .. } = batch else {
                panic!("{batch:?}");
            };
            assert_eq!(quarantined, quarantines);
        };
        let mending = async {
            eventually("the batch waits", async || bench.sessions_waiting().await == 1).await;
            let mending = tokio::spawn({
                let migration = migration.clone();
                async move { put(&migration, 1, "fine").await }
            });
            eventually("the writer waits or is done", async || {
                mending.is_finished() || bench.sessions_waiting().await == 2
            })
            .await;
            holder.run("rollback").await;
            mending.await.expect("no panic").expect("written");
        };
        tokio::join!(batch, mending);
        bench.expect(1, Some("fine"), Some("fine")).await;
        bench.expect(2, Some("good"), Some("good")).await;
    })
    .await;
}
