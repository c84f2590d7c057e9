//! A writer: snapshot, fence, base, Legacy, New, commit.

use crossfade_core::{NewWrite, Side, Stage, WritePlan, write_plan};

use crate::actors::{Operation, Writer, WriterPhase};
use crate::protocol::{Action, Protocol, row};
use crate::rules::Rule;
use crate::state::{ABSENT, Actor, MarkChange, Marks, REFUSED_FROM, State, Tx, Value};

/// The first number that a write gets; initial rows are 1.
const FIRST_VALUE: Value = 2;

/// What a statement does to the row of one side.
enum Effect {
    /// The call fails, for there is no row.
    Fails,
    /// It finds nothing to do.
    Nothing,
    /// It leaves this row.
    Leaves { value: Value, replaced: bool },
}

/// Whether the statement may insert, and so waits for another insert of the key.
fn inserts(operation: Operation) -> bool {
    !matches!(operation, Operation::Update | Operation::Delete)
}

fn effect(operation: Operation, there: bool, value: Value) -> Effect {
    match operation {
        Operation::Update if !there => Effect::Fails,
        Operation::Delete if !there => Effect::Nothing,
        Operation::Delete => Effect::Leaves { value: ABSENT, replaced: true },
        Operation::Replace => Effect::Leaves { value, replaced: there },
        _ => Effect::Leaves { value, replaced: false },
    }
}

impl Protocol {
    pub(crate) fn writer_actions(&self, state: &State, actions: &mut Vec<Action>) {
        for n in 0..self.config.writers {
            let writer = &state.writers[usize::from(n)];
            if writer.phase == WriterPhase::Idle {
                if writer.ended < self.config.writes {
                    for &operation in self.config.operations {
                        for key in 0..self.config.keys {
                            actions.push(Action::Write { writer: n, operation, key });
                        }
                    }
                }
                continue;
            }
            actions.push(Action::Writer(n));
            if self.config.held_up {
                actions.push(Action::NewHoldsUp(n));
            }
            if self.config.crashes {
                actions.push(Action::WriterDies(n));
            }
        }
    }

    pub(crate) fn write(
        &self,
        state: &mut State,
        n: u8,
        operation: Operation,
        key: u8,
    ) -> Option<()> {
        let ended = state.writers[usize::from(n)].ended;
        let number = FIRST_VALUE + n * self.config.writes + ended;
        let value = match operation {
            Operation::Delete => ABSENT,
            Operation::UpsertRefused => number + REFUSED_FROM,
            _ => number,
        };
        let writer = Writer { ended, operation, key, value, ..Writer::default() };
        state.writers[usize::from(n)] = writer;
        self.begin(state, n);
        Some(())
    }

    /// Takes the snapshot that the instance has, for a try.
    fn begin(&self, state: &mut State, n: u8) {
        let snapshot = state.instances[self.instance_of_writer(n)].snapshot;
        let was_open = !self.has(Rule::CheckIsFresh) && state.epochs.lets_in(snapshot.epoch);
        let writer = &mut state.writers[usize::from(n)];
        writer.phase = WriterPhase::Begun;
        writer.epoch = snapshot.epoch;
        writer.marks = snapshot.marks;
        writer.was_open = was_open;
    }

    pub(crate) fn writer(&self, state: &mut State, n: u8) -> Option<()> {
        let writer = state.writers[usize::from(n)];
        match writer.phase {
            WriterPhase::Idle => return None,
            WriterPhase::Begun => {
                let writer = &mut state.writers[usize::from(n)];
                writer.tx = Tx { epoch: writer.epoch, key: writer.key, ..Tx::default() };
                writer.phase = WriterPhase::Locked;
            }
            WriterPhase::Locked => return self.enter(state, n),
            WriterPhase::Entered if writer.operation == Operation::Modify => {
                self.read_base(state, n);
            }
            WriterPhase::Entered | WriterPhase::Based => return self.write_legacy(state, n),
            WriterPhase::LegacyWritten => return self.write_new(state, n),
            WriterPhase::NewWritten => self.commit_write(state, n),
            WriterPhase::Again => self.begin(state, n),
            WriterPhase::MarkOwed => {
                state.marks.set(writer.key);
                state.writers[usize::from(n)].ends();
            }
        }
        Some(())
    }

    /// The second half of the fence: epoch, then key.
    fn enter(&self, state: &mut State, n: u8) -> Option<()> {
        let writer = state.writers[usize::from(n)];
        let open = match (self.has(Rule::WriterChecksEpoch), self.has(Rule::CheckIsFresh)) {
            (false, _) => true,
            (true, true) => state.epochs.lets_in(writer.epoch),
            (true, false) => writer.was_open,
        };
        if !open {
            // The next epoch decides anew whether New may be left out.
            state.writers[usize::from(n)].rolls_back(false);
            return Some(());
        }
        let locks_key = self.has(Rule::KeyLock);
        if locks_key && state.key_is_locked(Actor::Writer(n), writer.key) {
            return None;
        }
        let writer = &mut state.writers[usize::from(n)];
        writer.tx.key_lock = locks_key;
        writer.was_open = false;
        writer.phase = WriterPhase::Entered;
        Some(())
    }

    fn plan(&self, state: &State, writer: &Writer) -> WritePlan {
        let stage = state.epochs.stage_of(writer.epoch);
        let plan = write_plan(stage);
        let base = match self.has(Rule::BaseIsAuthoritative) {
            true => plan.base,
            false => Side::Legacy,
        };
        let new = match plan.new {
            NewWrite::Remove if !self.has(Rule::DeleteOnlyRemoves) => NewWrite::None,
            NewWrite::Required if stage == Stage::Live && !self.has(Rule::RefusalFailsInLive) => {
                NewWrite::OrQuarantine
            }
            new => new,
        };
        WritePlan { base, new, ..plan }
    }

    fn read_base(&self, state: &mut State, n: u8) {
        let writer = state.writers[usize::from(n)];
        let base = row(state, self.plan(state, &writer).base, writer.key);
        let writer = &mut state.writers[usize::from(n)];
        if base == ABSENT {
            writer.ends();
        } else {
            writer.base = base;
            writer.phase = WriterPhase::Based;
        }
    }

    fn write_legacy(&self, state: &mut State, n: u8) -> Option<()> {
        let writer = state.writers[usize::from(n)];
        let plan = self.plan(state, &writer);
        let mut tx = writer.tx;
        if plan.legacy {
            if state.legacy_write_waits(Actor::Writer(n), writer.key, inserts(writer.operation)) {
                return None;
            }
            let there = row(state, Side::Legacy, writer.key) != ABSENT;
            match effect(writer.operation, there, writer.value) {
                Effect::Fails => {
                    state.writers[usize::from(n)].ends();
                    return Some(());
                }
                Effect::Nothing => {}
                Effect::Leaves { value, replaced } => {
                    tx.legacy = Some(value);
                    tx.replaced = replaced;
                }
            }
        }
        let writer = &mut state.writers[usize::from(n)];
        writer.tx = tx;
        writer.phase = match plan.new {
            NewWrite::None => WriterPhase::NewWritten,
            _ => WriterPhase::LegacyWritten,
        };
        Some(())
    }

    fn write_new(&self, state: &mut State, n: u8) -> Option<()> {
        let writer = state.writers[usize::from(n)];
        let plan = self.plan(state, &writer);
        let mut tx = writer.tx;
        let on_new = match plan.new {
            new if writer.refused && new.tolerates_refusal() => {
                if self.has(Rule::MarkWithRow) {
                    tx.mark = MarkChange::Set;
                }
                // New's row is behind, and goes with the entry.
                if new == NewWrite::OrQuarantine && row(state, Side::New, writer.key) != ABSENT {
                    if state.new_write_waits(Actor::Writer(n), writer.key, false) {
                        return None;
                    }
                    tx.new = Some(ABSENT);
                }
                None
            }
            NewWrite::None => None,
            NewWrite::Remove => Some(Operation::Delete),
            // The full row is written, so an update is an upsert here; alone, it needs a row.
            NewWrite::OrQuarantine | NewWrite::Required => match writer.operation {
                Operation::Update if plan.legacy => Some(Operation::Upsert),
                operation => Some(operation),
            },
        };
        if let Some(operation) = on_new {
            if state.new_write_waits(Actor::Writer(n), writer.key, inserts(operation)) {
                return None;
            }
            let there = row(state, Side::New, writer.key) != ABSENT;
            match effect(operation, there, writer.value) {
                Effect::Fails => {
                    state.writers[usize::from(n)].ends();
                    return Some(());
                }
                Effect::Leaves { value, .. } if value >= REFUSED_FROM => {
                    state.writers[usize::from(n)].is_refused(plan.new);
                    return Some(());
                }
                Effect::Nothing => {}
                Effect::Leaves { value, .. } => tx.new = Some(value),
            }
            if plan.new != NewWrite::Remove && writer.marks.has(writer.key) {
                tx.mark = MarkChange::Clear;
            }
        }
        let writer = &mut state.writers[usize::from(n)];
        writer.tx = tx;
        writer.phase = WriterPhase::NewWritten;
        Some(())
    }

    fn commit_write(&self, state: &mut State, n: u8) {
        let writer = state.writers[usize::from(n)];
        let (tx, key) = (writer.tx, writer.key);
        let plan = self.plan(state, &writer);
        if writer.operation == Operation::Modify {
            state.faults.lost_update |= writer.base != state.truth[usize::from(key)];
        }
        state.writers[usize::from(n)].ends();
        state.commit(tx);
        let answer = match plan.answer {
            Side::Legacy => tx.legacy,
            Side::New => tx.new,
        };
        if let Some(value) = answer {
            state.acknowledge(key, value);
        }
        let tolerated = writer.refused && plan.new.tolerates_refusal();
        if tolerated && !self.has(Rule::MarkWithRow) {
            let ended = writer.ended;
            let phase = WriterPhase::MarkOwed;
            state.writers[usize::from(n)] = Writer { phase, ended, key, ..Writer::default() };
        }
    }

    /// New is locked by somebody for longer than a write may wait, where it must not matter.
    pub(crate) fn new_holds_up(&self, state: &mut State, n: u8) -> Option<()> {
        let writer = state.writers[usize::from(n)];
        if writer.phase != WriterPhase::LegacyWritten || writer.refused {
            return None;
        }
        let new = self.plan(state, &writer).new;
        if !new.tolerates_refusal() {
            return None;
        }
        state.writers[usize::from(n)].is_refused(new);
        Some(())
    }

    pub(crate) fn writer_dies(&self, state: &mut State, n: u8) -> Option<()> {
        let writer = &mut state.writers[usize::from(n)];
        *writer = Writer { ended: writer.ended, ..Writer::default() };
        Some(())
    }
}

impl Writer {
    /// The operation is over, whether or not it did anything.
    fn ends(&mut self) {
        *self = Self { ended: self.ended + 1, ..Self::default() };
    }

    /// Its transaction is over and the operation is not.
    fn rolls_back(&mut self, refused: bool) {
        self.phase = WriterPhase::Again;
        self.tx = Tx::default();
        self.epoch = 0;
        self.marks = Marks::default();
        self.base = ABSENT;
        self.was_open = false;
        self.refused = refused;
    }

    fn is_refused(&mut self, new: NewWrite) {
        if new.tolerates_refusal() { self.rolls_back(true) } else { self.ends() }
    }
}
