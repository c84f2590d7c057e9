//! A verification: compares key by key, repairs where it may, and records what it found.

use crossfade_core::Stage;

use crate::actors::{Verifier, VerifierPhase};
use crate::protocol::{Action, Protocol};
use crate::rules::Rule;
use crate::state::{ABSENT, Actor, MarkChange, Parity, REFUSED_FROM, RunStatus, State, Tx};

impl Protocol {
    pub(crate) fn verifier_actions(&self, state: &State, actions: &mut Vec<Action>) {
        let verifier = &state.verifier;
        if verifier.phase != VerifierPhase::Idle {
            actions.push(Action::Verifier);
            if self.config.crashes {
                actions.push(Action::VerifierDies);
            }
        } else if verifier.passes < self.config.passes {
            actions.push(Action::Verify { repairs: false });
            if self.config.repairs {
                actions.push(Action::Verify { repairs: true });
            }
        }
    }

    pub(crate) fn verify(&self, state: &mut State, repairs: bool) -> Option<()> {
        let stage = state.epochs.stage();
        if !stage.compares() || repairs && !self.is_repaired(stage) {
            return None;
        }
        let epoch = state.epochs.newest;
        state.verifier = Verifier {
            phase: VerifierPhase::Comparing,
            passes: state.verifier.passes,
            repairs,
            epoch: if repairs { epoch } else { 0 },
            run: if state.run.counts() { state.run.id } else { 0 },
            after_run: state.run.status == RunStatus::Done,
            begun_in: epoch,
            ..Verifier::default()
        };
        Some(())
    }

    fn is_repaired(&self, stage: Stage) -> bool {
        stage.reconciles() || !self.has(Rule::RepairChecksStage) && stage.compares()
    }

    pub(crate) fn verifier(&self, state: &mut State) -> Option<()> {
        match state.verifier.phase {
            VerifierPhase::Idle => None,
            VerifierPhase::Comparing if state.verifier.key == self.config.keys => {
                self.record(state);
                Some(())
            }
            VerifierPhase::Comparing => self.compare(state),
            VerifierPhase::RepairEntered => self.read_source(state),
            VerifierPhase::RepairRead => self.write_repair(state),
            VerifierPhase::RepairWritten => {
                self.commit_repair(state);
                Some(())
            }
        }
    }

    /// Compares one key in one snapshot, without those in quarantine. A repair follows where the
    /// key differs or is in quarantine.
    fn compare(&self, state: &mut State) -> Option<()> {
        let verifier = state.verifier;
        let key = usize::from(verifier.key);
        let marked = state.marks.has(verifier.key);
        let differs = !marked && state.legacy[key] != state.new[key];
        if !verifier.repairs || !differs && !marked {
            state.verifier.differences += u8::from(differs);
            state.verifier.key += 1;
            return Some(());
        }
        let enters = self.has(Rule::RepairEntersEpoch);
        if enters && !state.epochs.lets_in(verifier.epoch) {
            let goes_on = self.is_repaired(state.epochs.stage());
            let newest = state.epochs.newest;
            if goes_on {
                state.verifier.epoch = newest
            } else {
                state.verifier.ends()
            }
            return Some(());
        }
        let locks_key = self.has(Rule::RepairTakesKeyLock);
        if locks_key && state.key_is_locked(Actor::Verifier, verifier.key) {
            return None;
        }
        let epoch = if enters { verifier.epoch } else { 0 };
        state.verifier.tx = Tx { epoch, key: verifier.key, key_lock: locks_key, ..Tx::default() };
        state.verifier.differs = differs;
        state.verifier.phase = VerifierPhase::RepairEntered;
        Some(())
    }

    fn read_source(&self, state: &mut State) -> Option<()> {
        let key = state.verifier.tx.key;
        let locks = self.has(Rule::RepairLocksSource);
        if locks && state.legacy_lock_waits(Actor::Verifier, key) {
            return None;
        }
        let row = state.legacy[usize::from(key)];
        state.verifier.row = row;
        state.verifier.tx.share = locks && row != ABSENT;
        state.verifier.phase = VerifierPhase::RepairRead;
        Some(())
    }

    /// Makes New's row the mapped one, or finds it refused. Going back to the savepoint gives the
    /// source row free.
    fn write_repair(&self, state: &mut State) -> Option<()> {
        let Verifier { row, mut tx, .. } = state.verifier;
        if row >= REFUSED_FROM {
            tx.share = false;
            tx.mark = MarkChange::Set;
        } else {
            if state.new_write_waits(Actor::Verifier, tx.key, row != ABSENT) {
                return None;
            }
            let there = state.new[usize::from(tx.key)] != ABSENT;
            tx.new = (there || row != ABSENT).then_some(row);
            tx.mark = MarkChange::Clear;
        }
        state.verifier.tx = tx;
        state.verifier.phase = VerifierPhase::RepairWritten;
        Some(())
    }

    fn commit_repair(&self, state: &mut State) {
        let tx = state.verifier.tx;
        state.verifier.tx = Tx::default();
        state.commit(tx);
        let verifier = &mut state.verifier;
        verifier.differences += u8::from(verifier.differs);
        verifier.repaired += u8::from(tx.mark != MarkChange::Set);
        verifier.differs = false;
        verifier.row = ABSENT;
        verifier.key += 1;
        verifier.phase = VerifierPhase::Comparing;
    }

    fn record(&self, state: &mut State) {
        let verifier = state.verifier;
        let run = if state.run.counts() { state.run.id } else { 0 };
        if state.epochs.stage().compares() && (verifier.run == 0 || run == verifier.run) {
            state.parity = Parity {
                run: verifier.run,
                after_run: verifier.after_run,
                epoch: verifier.begun_in,
                differences: verifier.differences,
                repaired: verifier.repaired,
            };
        }
        state.verifier.ends();
    }

    pub(crate) fn verifier_dies(&self, state: &mut State) -> Option<()> {
        state.verifier = Verifier { passes: state.verifier.passes, ..Verifier::default() };
        Some(())
    }
}

impl Verifier {
    fn ends(&mut self) {
        *self = Self { passes: self.passes + 1, ..Self::default() };
    }
}
