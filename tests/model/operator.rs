//! An operator: look, gate, append, close; and the read flag.

use std::time::Duration;

use crossfade_core::{
    Approval, Direction, Epoch, Facts, FlagFacts, InstanceFacts, Leases, Parity, RunFacts, RunId,
    RunState, Stage, Witness, direction, refusals, rollback_stage, stage_effects,
};

use crate::actors::{Operator, OperatorPhase};
use crate::protocol::{Action, Protocol};
use crate::rules::Rule;
use crate::state::{ABSENT, EpochNumber, KEYS, Lease, Marks, RunStatus, State};
use crate::worker::run_state;

/// Two moments, of which gates ask which came first.
const EARLIER_MS: i64 = 1;
const LATER_MS: i64 = 2;

impl Protocol {
    pub(crate) fn operator_actions(&self, state: &State, actions: &mut Vec<Action>) {
        for n in 0..self.config.operators {
            let operator = &state.operators[usize::from(n)];
            if operator.phase == OperatorPhase::Idle {
                for to in Stage::ALL.into_iter().take_while(|to| *to <= self.config.last) {
                    actions.push(Action::Change { operator: n, to });
                }
                if state.epochs.previous_open() {
                    actions.push(Action::Resume(n));
                }
                if self.config.back {
                    actions.push(Action::RollBack(n));
                }
                continue;
            }
            actions.push(Action::Operator(n));
            if self.config.crashes {
                actions.push(Action::ChangeFails(n));
            }
            if self.config.crashes || operator.phase == OperatorPhase::Looked {
                actions.push(Action::OperatorStops(n));
            }
        }
        if self.config.operators > 0 && self.config.last > Stage::Live {
            actions.push(Action::Flag(!state.flag));
        }
    }

    /// Which way a change leads, if it is legal.
    fn way(&self, from: Stage, to: Stage) -> Option<Direction> {
        match (from, to) {
            (Stage::Off, Stage::DeleteOnly) if !self.has(Rule::DeleteOnlyBetween) => None,
            (Stage::Off, Stage::DualWrite) if !self.has(Rule::DeleteOnlyBetween) => {
                Some(Direction::Forward)
            }
            (Stage::Live, Stage::DualWrite) if !self.has(Rule::LiveHasNoStepBack) => {
                Some(Direction::Back)
            }
            _ => direction(from, to).ok(),
        }
    }

    pub(crate) fn change(&self, state: &mut State, n: u8, to: Stage) -> Option<()> {
        let way = self.way(state.epochs.stage(), to)?;
        let room = state.epochs.newest < self.config.epochs;
        if !room || way == Direction::Back && !self.config.back {
            return None;
        }
        let epoch = state.epochs.newest;
        let phase = OperatorPhase::Looked;
        state.operators[usize::from(n)] = Operator { phase, epoch, to };
        Some(())
    }

    pub(crate) fn operator(&self, state: &mut State, n: u8) -> Option<()> {
        let operator = state.operators[usize::from(n)];
        let phase = match operator.phase {
            OperatorPhase::Idle => return None,
            OperatorPhase::Looked => self.ask(state, operator)?,
            OperatorPhase::Emptied => self.empty_new(state)?,
            OperatorPhase::Passed => self.append(state, operator),
            OperatorPhase::Appended => {
                self.close(state, operator.epoch)?;
                OperatorPhase::Idle
            }
        };
        state.operators[usize::from(n)] = match phase {
            OperatorPhase::Idle => Operator::default(),
            phase => Operator { phase, ..operator },
        };
        Some(())
    }

    /// Closes what is left open, sees to it that New is empty, and asks the gate.
    fn ask(&self, state: &mut State, operator: Operator) -> Option<OperatorPhase> {
        let previous = operator.epoch - 1;
        if self.has(Rule::AppendWaitsForClose) && state.epochs.is_open(previous) {
            self.close(state, previous)?;
            return Some(OperatorPhase::Looked);
        }
        let from = state.epochs.stage_of(operator.epoch);
        if self.way(from, operator.to) == Some(Direction::Forward) {
            let holds_rows = state.new != [ABSENT; KEYS];
            if operator.to == Stage::DeleteOnly && holds_rows && self.has(Rule::NewIsEmptied) {
                return Some(OperatorPhase::Emptied);
            }
            let facts = self.facts(state, operator);
            if !refusals(&self.definition, operator.to, &facts).is_empty() {
                return None;
            }
        }
        Some(OperatorPhase::Passed)
    }

    /// Empties New under the lock that stage changes take, once nobody writes it.
    fn empty_new(&self, state: &mut State) -> Option<OperatorPhase> {
        if self.has(Rule::EmptiedInOff) && !state.epochs.stage().may_empty_new() {
            return Some(OperatorPhase::Idle);
        }
        if state.new_is_written() {
            return None;
        }
        state.new = [ABSENT; KEYS];
        Some(OperatorPhase::Looked)
    }

    /// Appends the epoch if nobody else has meanwhile.
    fn append(&self, state: &mut State, operator: Operator) -> OperatorPhase {
        if !self.may_append(state, operator) {
            return OperatorPhase::Idle;
        }
        let (from, to) = (state.epochs.stage(), operator.to);
        let effects = stage_effects(from, to);
        if effects.voids_run && self.has(Rule::RollbackVoidsRun) && state.run.counts() {
            let id = state.run.id;
            state.run = crate::state::Run { id, status: RunStatus::Void, ..Default::default() };
        }
        let goes_back = from == Stage::DualWrite && to == Stage::DeleteOnly;
        if effects.clears_marks || goes_back && !self.has(Rule::MarksStayOnRollback) {
            state.marks = Marks::default();
        }
        state.epochs.append(to);
        OperatorPhase::Appended
    }

    /// Whether the epoch that the change was decided in is the newest, and the only one open.
    fn may_append(&self, state: &State, operator: Operator) -> bool {
        let sole = state.epochs.open_count() == 1 || !self.has(Rule::AppendWaitsForClose);
        state.epochs.newest == operator.epoch && sole
    }

    /// Closes an epoch once no transaction shares its lock.
    fn close(&self, state: &mut State, epoch: EpochNumber) -> Option<()> {
        if state.is_shared(epoch) && self.has(Rule::CloserTakesLock) {
            return None;
        }
        if !self.has(Rule::LateCloserKeepsFence) {
            state.epochs.shut_fence(epoch);
        }
        state.epochs.close(epoch);
        Some(())
    }

    /// Closes what a change that was cut short has left open.
    pub(crate) fn resume(&self, state: &mut State, n: u8) -> Option<()> {
        let idle = state.operators[usize::from(n)].phase == OperatorPhase::Idle;
        if !idle || !state.epochs.previous_open() {
            return None;
        }
        self.close(state, state.epochs.newest - 1)
    }

    /// An operator's emergency: the flag goes off, and `ramp_down` is left for `live`.
    pub(crate) fn roll_back(&self, state: &mut State, n: u8) -> Option<()> {
        let stage = state.epochs.stage();
        let to = rollback_stage(stage, state.epochs.previous_open()).ok()?;
        state.flag = false;
        match to {
            Some(to) if to != stage => self.change(state, n, to),
            Some(_) => self.resume(state, n),
            None => Some(()),
        }
    }

    /// The transaction that appends or closes an epoch fails once it has moved the fence.
    pub(crate) fn change_fails(&self, state: &mut State, n: u8) -> Option<()> {
        let operator = state.operators[usize::from(n)];
        match operator.phase {
            OperatorPhase::Passed if self.may_append(state, operator) => state.epochs.open_fence(),
            OperatorPhase::Appended
                if state.epochs.is_open(operator.epoch) && !state.is_shared(operator.epoch) =>
            {
                state.epochs.shut_fence(operator.epoch);
            }
            _ => return None,
        }
        self.operator_stops(state, n)
    }

    pub(crate) fn operator_stops(&self, state: &mut State, n: u8) -> Option<()> {
        state.operators[usize::from(n)] = Operator::default();
        Some(())
    }

    /// The flag is turned in `live`, where it has its say.
    pub(crate) fn turn_flag(&self, state: &mut State, on: bool) -> Option<()> {
        (state.epochs.stage() == Stage::Live).then(|| state.flag = on)
    }

    /// What the gate is told.
    fn facts(&self, state: &State, operator: Operator) -> Facts {
        let after = |is: bool| if is { EARLIER_MS } else { LATER_MS };
        let parity = &state.parity;
        let mut run = state.run.counts().then(|| RunFacts {
            id: RunId::new(state.run.id.into()),
            state: run_state(state.run.status).unwrap_or(RunState::Running),
            finished_ms: (state.run.status == RunStatus::Done).then(|| after(parity.after_run)),
        });
        let mut verified = (parity.epoch > 0).then(|| Parity {
            run: (parity.run > 0).then(|| RunId::new(parity.run.into())),
            started_ms: EARLIER_MS,
            differences: parity.differences.into(),
            repaired: parity.repaired.into(),
            witness: None,
        });
        // Another verifier may have passed while the modelled one is in the midst of a repair. What it
        // finds is what both sides hold as the gate is asked.
        if operator.to == Stage::Complete && state.legacy == state.new {
            verified = Some(Parity {
                run: run.as_ref().map(|run| run.id),
                started_ms: LATER_MS,
                differences: 0,
                repaired: 0,
                witness: None,
            });
        }
        if !self.has(Rule::LiveWaitsForBackfill) {
            let (id, state) = (RunId::new(1), RunState::Done);
            run = Some(RunFacts { id, state, finished_ms: Some(EARLIER_MS) });
        }
        if !self.has(Rule::LiveWaitsForBackfill) || !self.has(Rule::LiveWaitsForParity) {
            verified = Some(Parity {
                run: run.as_ref().map(|run| run.id),
                started_ms: LATER_MS,
                differences: 0,
                repaired: 0,
                witness: None,
            });
        }
        Facts {
            epoch: Epoch::new(operator.epoch.into()),
            // It was closed before the gate is asked.
            previous_open: false,
            stage_opened_ms: after(parity.epoch >= operator.epoch),
            stage_for: Duration::ZERO,
            new_has_rows: Some(state.new != [ABSENT; KEYS] && self.has(Rule::NewIsEmptied)),
            findings: Vec::new(),
            mapping_problems: Vec::new(),
            run,
            parity: verified,
            quarantined: if self.has(Rule::GateCountsMarks) { state.marks.count() } else { 0 },
            journaled: 0,
            capture: None,
            can_capture: false,
            witness: Witness::default(),
            leases: Leases::default(),
            flag: Some(FlagFacts {
                percent: Some(if state.flag { 100.0 } else { 0.0 }),
                full_for: state.flag.then_some(Duration::ZERO),
            }),
            instances: self.instance_facts(state),
            legacy_quiet_for: None,
            approval: Approval { approved_by: Some("operator".to_owned()), accepted_loss: None },
        }
    }

    fn instance_facts(&self, state: &State) -> Vec<InstanceFacts> {
        if !self.has(Rule::GateWaitsForAcknowledgements) {
            return Vec::new();
        }
        let instances = &state.instances[..usize::from(self.config.instances)];
        let live = instances.iter().filter(|instance| instance.lease != Lease::Lapsed);
        live.map(|instance| InstanceFacts {
            id: String::new(),
            acknowledged: Epoch::new(instance.acknowledged.into()),
            capable_of: Stage::Contracted,
            read_legacy: false,
        })
        .collect()
    }
}
