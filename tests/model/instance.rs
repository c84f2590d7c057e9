//! An instance: look-ups, acknowledgements and the lease.
//!
//! A look-up reads stage and epochs in one statement and the marks in a later one. A lapse is one
//! step for the instance and for the control tables: in between, gates would still wait for an
//! instance whose reads no longer count, which only forbids more.

use crate::protocol::{Action, Protocol};
use crate::rules::Rule;
use crate::state::{EpochNumber, Lease, Marks, Snapshot, State};

impl Protocol {
    pub(crate) fn instance_actions(&self, state: &State, actions: &mut Vec<Action>) {
        for n in 0..self.config.instances {
            let instance = &state.instances[usize::from(n)];
            if instance.looking.epoch > 0 {
                actions.push(Action::SwapIn(n));
            } else {
                actions.push(Action::LookUp(n));
            }
            actions.push(Action::Heartbeat(n));
            if self.config.leases {
                actions.push(Action::Lapse(n));
            }
        }
    }

    pub(crate) fn look_up(&self, state: &mut State, n: usize) -> Option<()> {
        let current = state.current();
        let instance = &mut state.instances[n];
        if !self.config.split_look_up {
            instance.swap(current);
        } else if instance.snapshot != current || instance.lease == Lease::Regaining {
            let marks = match self.has(Rule::MarksReadLast) {
                true => Marks::default(),
                false => current.marks,
            };
            instance.looking = Snapshot { marks, ..current };
        }
        Some(())
    }

    /// The second statement of a look-up, and the swap.
    pub(crate) fn swap_in(&self, state: &mut State, n: usize) -> Option<()> {
        let current = state.current();
        let instance = &mut state.instances[n];
        let first = std::mem::take(&mut instance.looking);
        instance.swap(match self.has(Rule::MarksReadLast) {
            true => Snapshot { marks: current.marks, ..first },
            false => Snapshot { marks: first.marks, ..current },
        });
        Some(())
    }

    /// Tells what is acknowledged. A lease that had lapsed counts once the stage was looked up
    /// behind this.
    pub(crate) fn heartbeat(&self, state: &mut State, n: u8) -> Option<()> {
        let acknowledged = self.acknowledged(state, n);
        let instance = &mut state.instances[usize::from(n)];
        instance.acknowledged = instance.acknowledged.max(acknowledged);
        if instance.lease == Lease::Lapsed {
            instance.lease = Lease::Regaining;
            let looks_up = self.has(Rule::LeaseLooksUp) && self.has(Rule::LookUpAfterHeartbeat);
            if looks_up {
                instance.looking = Snapshot::default();
            } else {
                instance.lease = Lease::Held;
            }
        }
        Some(())
    }

    pub(crate) fn lapse(&self, state: &mut State, n: u8) -> Option<()> {
        let instance = &mut state.instances[usize::from(n)];
        instance.lease = Lease::Lapsed;
        if !self.has(Rule::LookUpAfterHeartbeat) {
            // The look-up that regains the lease comes first, and the heartbeat some time later.
            let current = state.current();
            state.instances[usize::from(n)].swap(current);
        }
        for reader in 0..self.config.readers {
            if self.instance_of_reader(reader) == usize::from(n) {
                let reader = &mut state.readers[usize::from(reader)];
                reader.lapsed = reader.epoch > 0;
            }
        }
        Some(())
    }

    /// The newest epoch that no operation in flight is behind.
    fn acknowledged(&self, state: &State, n: u8) -> EpochNumber {
        let newest = state.instances[usize::from(n)].snapshot.epoch;
        if !self.has(Rule::AcknowledgementDrains) {
            return newest;
        }
        let n = usize::from(n);
        let writers = (0..self.config.writers)
            .filter(|writer| self.instance_of_writer(*writer) == n)
            .map(|writer| state.writers[usize::from(writer)].epoch);
        let readers = (0..self.config.readers)
            .filter(|reader| self.instance_of_reader(*reader) == n)
            .map(|reader| state.readers[usize::from(reader)].epoch);
        writers.chain(readers).filter(|epoch| *epoch > 0).fold(newest, EpochNumber::min)
    }
}

impl crate::state::Instance {
    /// Takes a newer snapshot in. One of an earlier epoch is dropped.
    fn swap(&mut self, snapshot: Snapshot) {
        if snapshot.epoch >= self.snapshot.epoch {
            self.snapshot = snapshot;
        }
        if self.lease == Lease::Regaining {
            self.lease = Lease::Held;
        }
    }
}
