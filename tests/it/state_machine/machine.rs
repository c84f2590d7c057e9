//! The real thing: a database, two instances of an application, an operator and a backfill.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::LazyLock;
use std::time::Duration;

use crossfade::{Crossfade, Flags, Migration, Side, Stage, ToKey, WriteError};
use crossfade_reconcile::{
    BackfillHooks, BackfillSettings, Cancel, VerifyHooks, VerifyMode, VerifySettings, backfill,
    verify,
};
use crossfade_store::{
    Batch, BatchRequest, ControlStore, ReconcileStore, Run, SchemaStore, Segment, Timeouts,
};
use proptest_state_machine::StateMachineTest;
use tokio::runtime::Runtime;

use super::model::{BAD, Model, Transition, modified};
use crate::support::{
    Bench, People, PeopleError, TestDatabase, definition, delete, eventually, put,
};

const WORKER: &str = "worker";
const LEASE: Duration = Duration::from_secs(60);
const FLAG: &str = "read_people_v2";

static RUNTIME: LazyLock<Runtime> = LazyLock::new(|| Runtime::new().expect("a runtime starts"));

pub(super) struct Machine {
    test: TestDatabase,
    bench: Bench,
    flags: Flags,
    instances: [Crossfade; 2],
    run: Option<(Run, Option<Segment>)>,
}

impl StateMachineTest for Machine {
    type SystemUnderTest = Self;
    type Reference = Model;

    fn init_test(model: &Model) -> Self {
        RUNTIME.block_on(async {
            let test = TestDatabase::create(model.engine, "machine").await;
            let db = test.open_unsynced().await;
            let db = match model.without {
                Some(mechanism) => db.without(mechanism),
                None => db,
            };
            let bench = Bench::new(db).await;
            let flags = Flags::forced([(FLAG, false)]);
            let instances = [bench.app(&flags).await, bench.app(&flags).await];
            Self { test, bench, flags, instances, run: None }
        })
    }

    fn apply(mut machine: Self, model: &Model, transition: Transition) -> Self {
        RUNTIME.block_on(machine.carry_out(model, transition));
        machine
    }

    fn check_invariants(machine: &Self, model: &Model) {
        RUNTIME.block_on(machine.check(model));
    }

    fn teardown(machine: Self, _: Model) {
        RUNTIME.block_on(async {
            drop(machine.instances);
            drop(machine.bench);
            machine.test.drop().await;
        });
    }
}

impl Machine {
    fn migration(&self, by: usize) -> Migration {
        self.instances[by].migration("people").expect("registered")
    }

    /// `model` is what both sides ought to hold afterwards.
    async fn carry_out(&mut self, model: &Model, transition: Transition) {
        match transition {
            Transition::Put { id, name, by } => {
                let written = put(&self.migration(by), id, &name).await;
                match model.refuses(Some(&name)) {
                    true => assert!(matches!(written, Err(WriteError::New(_))), "{written:?}"),
                    // Invariant 5: New's trouble is no outage before `live`.
                    false => drop(written.expect("written")),
                }
            }
            Transition::Delete { id, by } => {
                delete(&self.migration(by), id).await.expect("deleted");
            }
            Transition::Modify { id, part, by } => self.modify(by, id, part).await,
            Transition::Read { id, by } => self.read(model, by, id).await,
            Transition::Flag { id, on } => self.flags.force_for(FLAG, id.to_string(), on),
            Transition::Forward => self.forward(model.stage).await,
            Transition::Back => {
                self.acknowledged().await;
                self.run = None;
                self.bench.go(model.stage).await;
            }
            Transition::Batch => self.batch().await,
            Transition::Repair { id } => {
                let state = self.bench.state().await;
                self.bench.db.repair(&state, &id.to_key()).await.expect("repaired");
            }
        }
    }

    async fn modify(&self, by: usize, id: i64, part: u8) {
        let load = |side, tx| async move { People::on(side, tx).get(id).await };
        let change = |name: Option<String>| Ok(name.map(|name| modified(&name, part)));
        let store = |side, tx, name: Option<String>| async move {
            let people = People::on(side, tx);
            match name {
                Some(name) => people.put(id, &name).await,
                None => people.delete(id).await,
            }
        };
        let done: Result<u64, WriteError<PeopleError>> =
            self.migration(by).modify(&id, load, change, store).await;
        done.expect("modified");
    }

    /// Invariants 3 and 4: a read sees the last write that was acknowledged, whichever side it
    /// goes to, and goes to Legacy from the moment on that the flag is off.
    async fn read(&self, model: &Model, by: usize, id: i64) {
        let (legacy, new) = (&self.bench.legacy(), &self.bench.new_side());
        let migration = self.migration(by);
        let read = migration.read(
            &id,
            &id,
            || async move { Ok::<_, PeopleError>((Side::Legacy, legacy.get(id).await?)) },
            || async move { Ok((Side::New, new.get(id).await?)) },
        );
        let (side, name) = read.await.expect("read");
        let expected = match model.stage {
            Stage::Complete => model.new.get(&id),
            _ => model.legacy.get(&id),
        };
        assert_eq!(name.as_ref(), expected, "key {id}, read from {side} in {}", model.stage);
        let legacy_only = match model.stage {
            Stage::Live => !model.flagged.contains(&id),
            stage => stage < Stage::Live,
        };
        // Another instance may still know of `ramp_down` alone, where the flag has no say.
        let knows = migration.stage() == model.stage;
        assert!(!legacy_only || !knows || side == Side::Legacy, "read from {side}");
    }

    /// The gates' part: instances have acknowledged, New is empty before `delete_only`, and both
    /// sides are equal before `live`.
    async fn forward(&mut self, to: Stage) {
        self.acknowledged().await;
        let (db, name) = (&self.bench.db, definition().name);
        match to {
            Stage::DeleteOnly => {
                let bounds = Timeouts { lock: LEASE, statement: LEASE };
                db.truncate_new(&definition(), bounds).await.expect("emptied");
            }
            Stage::Live => {
                let hooks = BackfillHooks { progress: &|_| {}, cancel: Cancel::never() };
                let settings =
                    BackfillSettings { delay: Some(Duration::ZERO), ..Default::default() };
                // A batch of one row may have left its segment to somebody else.
                if let Some((run, _)) = &self.run {
                    db.release_segments(run.id, WORKER).await.expect("given back");
                }
                backfill(db, db, &name, settings, hooks).await.expect("copied");
                for (mode, clean) in [(VerifyMode::Repair, false), (VerifyMode::Compare, true)] {
                    let hooks = VerifyHooks { progress: &|_| {}, cancel: Cancel::never() };
                    let settings = VerifySettings { mode, ..Default::default() };
                    let report = verify(db, db, &name, settings, hooks).await.expect("compared");
                    assert!(!clean || report.remaining == 0, "the gate to live: {report:?}");
                }
            }
            _ => {}
        }
        self.run = None;
        self.bench.go(to).await;
    }

    async fn acknowledged(&self) {
        let state = self.bench.state().await;
        for by in 0..self.instances.len() {
            eventually("the stage is known", async || {
                let known = self.migration(by).state();
                known.epoch == state.epoch && known.previous_open == state.previous_open
            })
            .await;
        }
    }

    async fn batch(&mut self) {
        let db = &self.bench.db;
        let state = self.bench.state().await;
        if self.run.is_none() {
            let run = db.open_run(&state).await.expect("opens");
            let segment = db.claim_segment(&state, &run, WORKER, 1000, LEASE).await;
            self.run = Some((run, segment.expect("the control tables answer")));
        }
        let Some((run, Some(segment))) = &mut self.run else { return };
        let request = BatchRequest {
            state: &state,
            run: run.id,
            segment,
            worker: WORKER,
            rows: 1,
            refusals: u64::MAX,
            lease: LEASE,
        };
        let over = match db.backfill_batch(request).await.expect("the epoch is open") {
            Batch::Written { cursor, done, .. } => {
                segment.cursor = Some(cursor);
                done
            }
            other => panic!("{other:?}"),
        };
        if over {
            db.finish_run(&state, run).await.expect("finished");
            self.run = Some((run.clone(), None));
        }
    }

    /// Invariants 1 and 2: each side holds what the model says, but for keys in quarantine.
    async fn check(&self, model: &Model) {
        let legacy: BTreeMap<_, _> =
            self.bench.legacy().all().await.expect("Legacy").into_iter().collect();
        assert_eq!(legacy, model.legacy, "Legacy in {}", model.stage);
        let marks = self.bench.db.quarantine(&definition().name, 100).await.expect("marks");
        let marks: BTreeSet<i64> =
            marks.iter().map(|(key, _)| key.parse().expect("a number")).collect();
        assert!(marks.is_superset(&model.marked), "{marks:?} lacks some of {:?}", model.marked);
        assert!(marks.is_subset(&model.may_be_marked), "{marks:?}: {:?}", model.may_be_marked);
        let counts = |id: &i64| !marks.contains(id);
        let new = self.bench.new_side().all().await.expect("New");
        let new: BTreeMap<_, _> = new.into_iter().filter(|(id, _)| counts(id)).collect();
        let expected: BTreeMap<_, _> =
            model.new.clone().into_iter().filter(|(id, _)| counts(id)).collect();
        assert_eq!(new, expected, "New in {}", model.stage);
        if matches!(model.stage, Stage::Live | Stage::RampDown) {
            assert_eq!((&new, marks.len()), (&legacy, 0), "both or neither in {}", model.stage);
            assert!(new.values().all(|name| name != BAD));
        }
    }
}
