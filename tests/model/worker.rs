//! A backfill worker: the run, the segment, batches of one key, the end.

use crossfade_core::{
    BatchFacts, BatchPermit, Epoch, Opening, OpeningFacts, RunState, Stage, after_segments,
    batch_permit, opening,
};

use crate::actors::{Worker, WorkerPhase};
use crate::protocol::{Action, Protocol};
use crate::rules::Rule;
use crate::state::{ABSENT, Actor, MarkChange, REFUSED_FROM, Run, RunStatus, State, Tx};

/// A run's state as the core knows it.
pub(crate) fn run_state(status: RunStatus) -> Option<RunState> {
    match status {
        RunStatus::None => None,
        RunStatus::Running => Some(RunState::Running),
        RunStatus::Done => Some(RunState::Done),
        RunStatus::Void => Some(RunState::Void),
    }
}

impl Protocol {
    pub(crate) fn worker_actions(&self, state: &State, actions: &mut Vec<Action>) {
        for n in 0..self.config.workers {
            let worker = &state.workers[usize::from(n)];
            actions.push(Action::Worker(n));
            if worker.phase == WorkerPhase::Ready {
                actions.push(Action::Finish(n));
            }
            if self.config.crashes && worker.phase != WorkerPhase::Idle {
                actions.push(Action::WorkerDies(n));
            }
        }
    }

    pub(crate) fn worker(&self, state: &mut State, n: u8) -> Option<()> {
        match state.workers[usize::from(n)].phase {
            WorkerPhase::Idle => self.enter_to_open(state, n),
            WorkerPhase::Opening => self.open_run(state, n),
            WorkerPhase::Ready => self.claim(state, n),
            WorkerPhase::Claimed => self.enter_batch(state, n),
            WorkerPhase::Entered => self.permit(state, n),
            WorkerPhase::Permitted | WorkerPhase::Waiting => self.copy(state, n),
            WorkerPhase::Copied => self.insert(state, n),
            WorkerPhase::Inserted => self.commit_batch(state, n),
        }
    }

    /// Looks the stage up and enters its epoch.
    fn enter_to_open(&self, state: &mut State, n: u8) -> Option<()> {
        let epochs = &state.epochs;
        let right_stage = epochs.stage() == Stage::DualWrite
            || !self.has(Rule::BackfillInDualWrite) && epochs.stage() == Stage::DeleteOnly;
        let barrier = !epochs.previous_open() || !self.has(Rule::RunWaitsForBarrier);
        if !right_stage || !barrier {
            return None;
        }
        let epoch = epochs.newest;
        let tx = Tx { epoch, ..Tx::default() };
        state.workers[usize::from(n)] =
            Worker { phase: WorkerPhase::Opening, epoch, tx, ..Worker::default() };
        Some(())
    }

    fn open_run(&self, state: &mut State, n: u8) -> Option<()> {
        let worker = state.workers[usize::from(n)];
        let facts = OpeningFacts {
            believed: Epoch::new(worker.epoch.into()),
            stage: self.stage_for_backfill(state, worker.epoch),
            newest: Epoch::new(state.epochs.newest.into()),
            previous_open: state.epochs.previous_open() && self.has(Rule::RunWaitsForBarrier),
            run_exists: state.run.counts(),
        };
        match opening(facts) {
            Opening::Begin => {
                let id = state.run.id + 1;
                let rows = &state.legacy[..usize::from(self.config.keys)];
                let last = rows.iter().rposition(|row| *row != ABSENT);
                let upper = last.map_or(0, |key| key as u8 + 1);
                state.run = Run { id, status: RunStatus::Running, upper, ..Run::default() };
            }
            Opening::Existing if state.run.status == RunStatus::Running => {}
            _ => {
                state.workers[usize::from(n)] = Worker::default();
                return Some(());
            }
        }
        let (phase, run) = (WorkerPhase::Ready, state.run.id);
        state.workers[usize::from(n)] =
            Worker { phase, epoch: worker.epoch, run, ..Worker::default() };
        Some(())
    }

    fn stage_for_backfill(&self, state: &State, epoch: u8) -> Stage {
        match self.has(Rule::BackfillInDualWrite) {
            true => state.epochs.stage_of(epoch),
            false => Stage::DualWrite,
        }
    }

    /// Cuts the segment off, or takes it over from a worker whose lease has lapsed. Leases lapse
    /// at any time.
    fn claim(&self, state: &mut State, n: u8) -> Option<()> {
        let worker = &mut state.workers[usize::from(n)];
        if state.run.id != worker.run || state.run.status != RunStatus::Running {
            *worker = Worker::default();
            return Some(());
        }
        if state.run.cursor >= state.run.upper {
            return None;
        }
        if state.run.cut && self.segment_is_locked(state, n) {
            return None;
        }
        state.run.cut = true;
        state.run.holder = n + 1;
        let worker = &mut state.workers[usize::from(n)];
        worker.cursor = state.run.cursor;
        worker.phase = WorkerPhase::Claimed;
        Some(())
    }

    fn segment_is_locked(&self, state: &State, n: u8) -> bool {
        let others = state.workers.iter().zip(0..).filter(|(_, other)| *other != n);
        let run = state.run.id;
        others.into_iter().any(|(other, _)| other.run == run && other.holds_segment())
    }

    pub(crate) fn finish(&self, state: &mut State, n: u8) -> Option<()> {
        if state.run.id != state.workers[usize::from(n)].run {
            return None;
        }
        let ends = self.has(Rule::RunEndsWithSegments);
        let all_cut = state.run.cut || state.run.upper == 0 || !ends;
        let unfinished = state.run.cut && state.run.cursor < state.run.upper && ends;
        let run = run_state(state.run.status)?;
        if after_segments(run, all_cut, unfinished.into()) == RunState::Done {
            state.run.status = RunStatus::Done;
            state.run.holder = 0;
            state.workers[usize::from(n)] = Worker::default();
        }
        Some(())
    }

    fn enter_batch(&self, state: &mut State, n: u8) -> Option<()> {
        let worker = state.workers[usize::from(n)];
        let enters = self.has(Rule::BatchEntersEpoch);
        if enters && !state.epochs.lets_in(worker.epoch) {
            let goes_on = state.epochs.stage().reconciles();
            let newest = state.epochs.newest;
            let worker = &mut state.workers[usize::from(n)];
            if goes_on {
                worker.epoch = newest
            } else {
                *worker = Worker::default()
            }
            return Some(());
        }
        let worker = &mut state.workers[usize::from(n)];
        let epoch = if enters { worker.epoch } else { 0 };
        worker.tx = Tx { epoch, key: worker.cursor, ..Tx::default() };
        worker.phase = WorkerPhase::Entered;
        Some(())
    }

    /// Locks the segment's row, then looks at the run.
    fn permit(&self, state: &mut State, n: u8) -> Option<()> {
        let worker = state.workers[usize::from(n)];
        let own = state.run.id == worker.run;
        if own && self.has(Rule::BatchChecksSegment) && self.segment_is_locked(state, n) {
            return None;
        }
        let status = if own { state.run.status } else { RunStatus::Void };
        let void = run_state(status) == Some(RunState::Void);
        let ignores_run = void && !self.has(Rule::BatchChecksRun);
        let held = state.run.holder == n + 1 && state.run.cursor == worker.cursor;
        let facts = BatchFacts {
            stage: self.stage_for_backfill(state, worker.epoch),
            run: if ignores_run { Some(RunState::Running) } else { run_state(status) },
            segment_held: held || ignores_run || !self.has(Rule::BatchChecksSegment),
        };
        let permit = batch_permit(facts);
        let worker = &mut state.workers[usize::from(n)];
        match permit {
            BatchPermit::Write => worker.phase = WorkerPhase::Permitted,
            BatchPermit::WrongStage | BatchPermit::RunOver => *worker = Worker::default(),
            BatchPermit::SegmentLost => {
                worker.leaves_batch();
                worker.phase = WorkerPhase::Ready;
                worker.cursor = 0;
                worker.refused = false;
            }
        }
        if permit == BatchPermit::Write && !self.has(Rule::CursorWithRows) {
            let cursor = state.workers[usize::from(n)].cursor;
            state.run.cursor = cursor + 1;
        }
        Some(())
    }

    /// Locks and reads the source row. One that was deleted while it waited is gone, even where
    /// the same transaction has inserted it again.
    fn copy(&self, state: &mut State, n: u8) -> Option<()> {
        let worker = state.workers[usize::from(n)];
        let key = worker.tx.key;
        let locks = self.has(Rule::BatchLocksSource);
        if locks && state.legacy_lock_waits(Actor::Worker(n), key) {
            let waits = worker.phase == WorkerPhase::Permitted;
            state.workers[usize::from(n)].phase = WorkerPhase::Waiting;
            return waits.then_some(());
        }
        let row = if worker.found_gone { ABSENT } else { state.legacy[usize::from(key)] };
        let worker = &mut state.workers[usize::from(n)];
        worker.row = row;
        worker.tx.share = locks && row != ABSENT;
        worker.found_gone = false;
        worker.phase = WorkerPhase::Copied;
        Some(())
    }

    fn insert(&self, state: &mut State, n: u8) -> Option<()> {
        let worker = state.workers[usize::from(n)];
        let key = usize::from(worker.tx.key);
        if worker.row >= REFUSED_FROM {
            return self.refuse_batch(state, n);
        }
        let mut new = None;
        if worker.row != ABSENT {
            if state.new_write_waits(Actor::Worker(n), worker.tx.key, true) {
                return None;
            }
            let absent = state.new[key] == ABSENT || !self.has(Rule::BatchKeepsRows);
            new = absent.then_some(worker.row);
        }
        let worker = &mut state.workers[usize::from(n)];
        worker.tx.new = new;
        worker.phase = WorkerPhase::Inserted;
        Some(())
    }

    /// A row that New refuses is tried again in a transaction that locks the source row before its
    /// first savepoint, and then marked; New's row, which is behind, goes with it. Going back to a
    /// savepoint that is older than the lock would give the source row free.
    fn refuse_batch(&self, state: &mut State, n: u8) -> Option<()> {
        let keeps_source = self.has(Rule::RefusalKeepsSourceLock);
        let worker = state.workers[usize::from(n)];
        let stale = state.new[usize::from(worker.tx.key)] != ABSENT;
        if worker.refused && stale && state.new_write_waits(Actor::Worker(n), worker.tx.key, false)
        {
            return None;
        }
        let worker = &mut state.workers[usize::from(n)];
        if !worker.refused {
            worker.leaves_batch();
            worker.refused = true;
        } else {
            worker.tx.share &= keeps_source;
            worker.tx.new = stale.then_some(ABSENT);
            worker.tx.mark = MarkChange::Set;
            worker.phase = WorkerPhase::Inserted;
        }
        Some(())
    }

    fn commit_batch(&self, state: &mut State, n: u8) -> Option<()> {
        let worker = state.workers[usize::from(n)];
        let cursor = worker.cursor + 1;
        state.commit(worker.tx);
        let own = state.run.id == worker.run && state.run.counts();
        if own && self.has(Rule::CursorWithRows) {
            state.faults.went_back |= cursor < state.run.cursor;
            state.run.cursor = cursor;
        }
        let done = cursor >= state.run.upper;
        let worker = &mut state.workers[usize::from(n)];
        worker.leaves_batch();
        worker.refused = false;
        worker.cursor = cursor;
        if done {
            worker.phase = WorkerPhase::Ready;
            worker.cursor = 0;
        }
        Some(())
    }

    pub(crate) fn worker_dies(&self, state: &mut State, n: u8) -> Option<()> {
        state.workers[usize::from(n)] = Worker::default();
        Some(())
    }
}
