//! The model: what may happen, and where each step is taken.

use std::sync::atomic::{AtomicBool, Ordering};

use crossfade_core::{Definition, Side, Stage};
use stateright::{Model, Property};

use crate::actors::{Operation, Reader, Verifier, Worker, Writer};
use crate::config::{Config, definition};
use crate::properties;
use crate::rules::Rule;
use crate::state::{
    ABSENT, Epochs, Faults, Instance, Lease, Marks, PAIR, Parity, Run, RunStatus, Snapshot, State,
};

/// A configuration of the protocol.
#[derive(Debug)]
pub(crate) struct Protocol {
    pub(crate) config: Config,
    pub(crate) definition: Definition,
    /// Whether a violation was found.
    broken: AtomicBool,
}

/// One step. Numbers are those of the actor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Action {
    /// An instance looks stage and marks up.
    LookUp(u8),
    /// An instance looks the second half up and swaps both in.
    SwapIn(u8),
    /// An instance renews its lease and tells what it acknowledges.
    Heartbeat(u8),
    /// The lease of an instance lapses.
    Lapse(u8),
    /// A writer begins.
    Write { writer: u8, operation: Operation, key: u8 },
    /// A writer takes its next step.
    Writer(u8),
    /// New cannot be touched in time.
    NewHoldsUp(u8),
    /// A writer's transaction vanishes.
    WriterDies(u8),
    /// A reader begins, with what its flag says.
    Read { reader: u8, key: u8, flag: bool },
    /// A reader reads and answers.
    Reader(u8),
    /// Reading New fails.
    NewFails(u8),
    /// A backfill worker takes its next step.
    Worker(u8),
    /// A backfill worker asks for the end of the run.
    Finish(u8),
    /// A backfill worker and its transaction vanish.
    WorkerDies(u8),
    /// A verification begins.
    Verify { repairs: bool },
    /// The verification takes its next step.
    Verifier,
    /// The verification and its transaction vanish.
    VerifierDies,
    /// An operator asks for a stage.
    Change { operator: u8, to: Stage },
    /// An operator takes the next step.
    Operator(u8),
    /// An operator gives up, or dies.
    OperatorStops(u8),
    /// An operator's transaction fails behind the fence that it has moved.
    ChangeFails(u8),
    /// An operator puts every read back on Legacy.
    RollBack(u8),
    /// An operator closes what another one left open.
    Resume(u8),
    /// An operator turns the read flag.
    Flag(bool),
}

impl Protocol {
    pub(crate) fn new(config: Config) -> Self {
        Self { config, definition: definition(), broken: AtomicBool::new(false) }
    }

    /// Whether a condition holds, or broke somewhere before. stateright replaces a violation by
    /// those it finds a little later; the first of them has the shortest trace.
    pub(crate) fn first(&self, holds: bool) -> bool {
        holds || self.broken.swap(true, Ordering::Relaxed)
    }

    pub(crate) fn has(&self, rule: Rule) -> bool {
        self.config.has(rule)
    }

    /// The instance that a writer belongs to.
    pub(crate) fn instance_of_writer(&self, writer: u8) -> usize {
        usize::from(writer % self.config.instances)
    }

    /// The instance that a reader belongs to; another than the first writer's where there are two.
    pub(crate) fn instance_of_reader(&self, reader: u8) -> usize {
        usize::from((reader + 1) % self.config.instances)
    }
}

impl Model for Protocol {
    type State = State;
    type Action = Action;

    fn init_states(&self) -> Vec<State> {
        let start = self.config.start;
        let epochs = Epochs::up_to(start.stage);
        let marks = Marks::default();
        let snapshot = Snapshot { epoch: epochs.newest, previous_open: false, marks };
        let instance = Instance {
            snapshot,
            lease: Lease::Held,
            acknowledged: epochs.newest,
            looking: Snapshot::default(),
        };
        let mut instances = [Instance::default(); PAIR];
        instances[..usize::from(self.config.instances)].fill(instance);
        let (mut run, mut parity) = (Run::default(), Parity::default());
        if start.backfilled {
            let upper = self.config.keys;
            run =
                Run { id: 1, status: RunStatus::Done, upper, cut: true, cursor: upper, holder: 0 };
            let epoch = epochs.newest;
            parity = Parity { run: 1, after_run: true, epoch, differences: 0, repaired: 0 };
        }
        let new = if start.backfilled { start.legacy } else { [ABSENT; 2] };
        let flag = start.stage > Stage::Live;
        vec![State {
            legacy: start.legacy,
            new,
            truth: start.legacy,
            marks,
            epochs,
            run,
            parity,
            flag,
            faults: Faults::default(),
            instances,
            writers: [Writer::default(); PAIR],
            readers: [Reader::default(); PAIR],
            workers: [Worker::default(); PAIR],
            verifier: Verifier::default(),
            operators: Default::default(),
        }]
    }

    fn actions(&self, state: &State, actions: &mut Vec<Action>) {
        self.operator_actions(state, actions);
        self.instance_actions(state, actions);
        self.writer_actions(state, actions);
        self.reader_actions(state, actions);
        self.worker_actions(state, actions);
        self.verifier_actions(state, actions);
    }

    fn next_state(&self, last: &State, action: Action) -> Option<State> {
        let mut state = *last;
        let taken = match action {
            Action::LookUp(n) => self.look_up(&mut state, usize::from(n)),
            Action::SwapIn(n) => self.swap_in(&mut state, usize::from(n)),
            Action::Heartbeat(n) => self.heartbeat(&mut state, n),
            Action::Lapse(n) => self.lapse(&mut state, n),
            Action::Write { writer, operation, key } => {
                self.write(&mut state, writer, operation, key)
            }
            Action::Writer(n) => self.writer(&mut state, n),
            Action::NewHoldsUp(n) => self.new_holds_up(&mut state, n),
            Action::WriterDies(n) => self.writer_dies(&mut state, n),
            Action::Read { reader, key, flag } => self.read(&mut state, reader, key, flag),
            Action::Reader(n) => self.reader(&mut state, n),
            Action::NewFails(n) => self.new_fails(&mut state, n),
            Action::Worker(n) => self.worker(&mut state, n),
            Action::Finish(n) => self.finish(&mut state, n),
            Action::WorkerDies(n) => self.worker_dies(&mut state, n),
            Action::Verify { repairs } => self.verify(&mut state, repairs),
            Action::Verifier => self.verifier(&mut state),
            Action::VerifierDies => self.verifier_dies(&mut state),
            Action::Change { operator, to } => self.change(&mut state, operator, to),
            Action::Operator(n) => self.operator(&mut state, n),
            Action::OperatorStops(n) => self.operator_stops(&mut state, n),
            Action::ChangeFails(n) => self.change_fails(&mut state, n),
            Action::RollBack(n) => self.roll_back(&mut state, n),
            Action::Resume(n) => self.resume(&mut state, n),
            Action::Flag(on) => self.turn_flag(&mut state, on),
        };
        taken.filter(|()| state != *last).map(|()| state)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        properties::all()
    }
}

/// The rows of one side.
pub(crate) fn row(state: &State, side: Side, key: u8) -> u8 {
    match side {
        Side::Legacy => state.legacy[usize::from(key)],
        Side::New => state.new[usize::from(key)],
    }
}
