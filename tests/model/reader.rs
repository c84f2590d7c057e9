//! A reader: snapshot, flag and plan in one step; the row, the lease and the answer in another.
//!
//! A read whose lease lapsed is begun again, which here is a new read: it may answer no more than
//! the old one. What its flag says is anything, since rule sets arrive late.

use crossfade_core::{ReadFacts, Side, Stage, answer_counts, read_plan};

use crate::actors::ReaderPhase;
use crate::protocol::{Action, Protocol, row};
use crate::rules::Rule;
use crate::state::{Lease, State};

impl Protocol {
    pub(crate) fn reader_actions(&self, state: &State, actions: &mut Vec<Action>) {
        for n in 0..self.config.readers {
            let reader = &state.readers[usize::from(n)];
            match reader.phase {
                ReaderPhase::Idle if reader.answered < self.config.reads => {
                    for key in 0..self.config.keys {
                        for flag in [false, true] {
                            actions.push(Action::Read { reader: n, key, flag });
                        }
                    }
                }
                ReaderPhase::Idle => {}
                ReaderPhase::Decided => {
                    actions.push(Action::Reader(n));
                    actions.push(Action::NewFails(n));
                }
            }
        }
    }

    pub(crate) fn read(&self, state: &mut State, n: u8, key: u8, flag: bool) -> Option<()> {
        let instance = state.instances[self.instance_of_reader(n)];
        if instance.lease != Lease::Held && self.has(Rule::ReadChecksLease) {
            return None;
        }
        let snapshot = instance.snapshot;
        let stage = state.epochs.stage_of(snapshot.epoch);
        let facts = ReadFacts {
            stage,
            previous_open: snapshot.previous_open && self.has(Rule::ReadWaitsForClose),
            flag: Some(flag),
            quarantined: snapshot.marks.has(key) && self.has(Rule::ReadAvoidsMarks),
            sampled: false,
        };
        let mut plan = read_plan(facts);
        if stage == Stage::RampDown && !self.has(Rule::RampDownReadsNew) {
            plan.answer = Side::Legacy;
        }
        let truth = state.truth[usize::from(key)];
        let reader = &mut state.readers[usize::from(n)];
        reader.decides(plan.answer, key, snapshot.epoch, truth);
        reader.falls_back = plan.fallback.is_some();
        Some(())
    }

    pub(crate) fn reader(&self, state: &mut State, n: u8) -> Option<()> {
        let reader = state.readers[usize::from(n)];
        let side = if reader.from_new { Side::New } else { Side::Legacy };
        let value = row(state, side, reader.key);
        let instance = state.instances[self.instance_of_reader(n)];
        // The lease that it began under had not lapsed.
        let ended = (instance.lease == Lease::Held).then_some(reader.lapsed);
        let counts = answer_counts(Some(false), ended) || !self.has(Rule::ReadChecksLease);
        let dropped = state.epochs.stage() == Stage::Contracted && !state.epochs.previous_open();
        if counts && side == Side::Legacy && dropped {
            state.faults.read_of_gone = true;
        } else if counts {
            state.faults.stale_read |= !reader.may_answer(value);
        }
        state.readers[usize::from(n)].ends(counts);
        Some(())
    }

    pub(crate) fn new_fails(&self, state: &mut State, n: u8) -> Option<()> {
        let reader = &mut state.readers[usize::from(n)];
        if !reader.falls_back {
            return None;
        }
        reader.from_new = false;
        reader.falls_back = false;
        Some(())
    }
}
