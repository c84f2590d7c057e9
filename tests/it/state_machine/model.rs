//! The slow obvious implementation: a map for each side and a set of marks.

use std::collections::{BTreeMap, BTreeSet};

use crossfade::{Engine, Stage};
use crossfade_core::direction;
use crossfade_sql::Mechanism;
use proptest::prelude::*;
use proptest_state_machine::ReferenceStateMachine;

/// The name that New refuses.
pub(super) const BAD: &str = "bad";

/// Keys that are played with.
const KEYS: std::ops::Range<i64> = 1..5;

/// What is done to the pair. `by` is the instance that does it.
#[derive(Clone, Debug)]
pub(super) enum Transition {
    Put {
        id: i64,
        name: String,
        by: usize,
    },
    Delete {
        id: i64,
        by: usize,
    },
    /// Changes a part of the name, if there is one.
    Modify {
        id: i64,
        part: u8,
        by: usize,
    },
    Read {
        id: i64,
        by: usize,
    },
    Flag {
        id: i64,
        on: bool,
    },
    Forward,
    Back,
    /// One batch of one row.
    Batch,
    Repair {
        id: i64,
    },
}

/// What both sides ought to hold.
#[derive(Clone, Debug)]
pub(super) struct Model {
    /// Where it is played, and what is taken out there.
    pub(super) engine: Engine,
    pub(super) without: Option<Mechanism>,
    pub(super) stage: Stage,
    pub(super) legacy: BTreeMap<i64, String>,
    pub(super) new: BTreeMap<i64, String>,
    /// Keys that must be in quarantine.
    pub(super) marked: BTreeSet<i64>,
    /// Keys that may be: marks go only once an instance knows of them.
    pub(super) may_be_marked: BTreeSet<i64>,
    /// Users who read New in `live`.
    pub(super) flagged: BTreeSet<i64>,
    pub(super) run: Option<Run>,
}

/// The run of the current `dual_write`.
#[derive(Clone, Copy, Debug)]
pub(super) struct Run {
    cursor: i64,
    upper: i64,
}

impl Model {
    pub(super) fn new(engine: Engine, without: Option<Mechanism>) -> Self {
        Self {
            engine,
            without,
            stage: Stage::Off,
            legacy: BTreeMap::new(),
            new: BTreeMap::new(),
            marked: BTreeSet::new(),
            may_be_marked: BTreeSet::new(),
            flagged: BTreeSet::new(),
            run: None,
        }
    }

    /// What a read-modify-write begins with.
    fn base(&self, id: i64) -> Option<&String> {
        match self.stage {
            Stage::Off | Stage::DeleteOnly | Stage::DualWrite | Stage::Live => self.legacy.get(&id),
            Stage::RampDown | Stage::Complete | Stage::Contracted => self.new.get(&id),
        }
    }

    /// What a [`Transition::Modify`] leaves.
    pub(super) fn modified(&self, id: i64, part: u8) -> Option<String> {
        self.base(id).map(|name| modified(name, part))
    }

    /// Whether a write of this name is one that fails.
    pub(super) fn refuses(&self, name: Option<&str>) -> bool {
        name == Some(BAD) && self.stage >= Stage::Live
    }

    fn write(&mut self, id: i64, name: Option<String>) {
        if self.refuses(name.as_deref()) {
            return;
        }
        if self.stage < Stage::Complete {
            set(&mut self.legacy, id, name.clone());
        }
        match self.stage {
            Stage::Off => {}
            Stage::DeleteOnly => set(&mut self.new, id, None),
            _ if name.as_deref() == Some(BAD) => {
                self.marked.insert(id);
                self.may_be_marked.insert(id);
            }
            _ => {
                set(&mut self.new, id, name);
                self.marked.remove(&id);
            }
        }
    }

    fn batch(&mut self) {
        let upper = self.legacy.keys().next_back().copied();
        let run = self.run.unwrap_or(Run { cursor: i64::MIN, upper: upper.unwrap_or(i64::MIN) });
        let rows = self.legacy.iter().find(|(id, _)| **id > run.cursor && **id <= run.upper);
        let mut cursor = run.upper;
        if let Some((id, name)) = rows {
            cursor = *id;
            match self.new.get(id) {
                Some(_) => {}
                None if name == BAD => {
                    self.marked.insert(*id);
                    self.may_be_marked.insert(*id);
                }
                None => set(&mut self.new, *id, Some(name.clone())),
            }
        }
        self.run = Some(Run { cursor, ..run });
    }

    /// Copies and repairs everything, as the gate to `live` asks for.
    fn make_equal(&mut self) {
        self.new = self.legacy.clone();
        self.marked.clear();
        self.may_be_marked.clear();
    }

    fn forward(&mut self) {
        match self.stage {
            Stage::Off => {
                self.new.clear();
                self.marked.clear();
                self.may_be_marked.clear();
            }
            Stage::DualWrite => self.make_equal(),
            _ => {}
        }
        self.run = None;
        self.stage = self.stage.next().expect("asked for where there is one");
    }
}

fn set(side: &mut BTreeMap<i64, String>, id: i64, name: Option<String>) {
    match name {
        Some(name) => side.insert(id, name),
        None => side.remove(&id),
    };
}

/// Part of the name is kept.
pub(super) fn modified(name: &str, part: u8) -> String {
    format!("{}+{part}", name.split('+').next().unwrap_or_default())
}

impl ReferenceStateMachine for Model {
    type State = Self;
    type Transition = Transition;

    fn init_state() -> BoxedStrategy<Self> {
        Just(Self::new(Engine::Sqlite, None)).boxed()
    }

    fn transitions(_: &Self) -> BoxedStrategy<Transition> {
        let name = prop_oneof![
            5 => (0..100u8).prop_map(|n| format!("name {n}")),
            1 => Just(BAD.to_owned()),
        ];
        let by = 0..2usize;
        prop_oneof![
            8 => (KEYS, name, by.clone())
                .prop_map(|(id, name, by)| Transition::Put { id, name, by }),
            4 => (KEYS, by.clone()).prop_map(|(id, by)| Transition::Delete { id, by }),
            4 => (KEYS, any::<u8>(), by.clone())
                .prop_map(|(id, part, by)| Transition::Modify { id, part, by }),
            3 => (KEYS, by).prop_map(|(id, by)| Transition::Read { id, by }),
            1 => (KEYS, any::<bool>()).prop_map(|(id, on)| Transition::Flag { id, on }),
            5 => Just(Transition::Forward),
            3 => Just(Transition::Back),
            3 => Just(Transition::Batch),
            1 => KEYS.prop_map(|id| Transition::Repair { id }),
        ]
        .boxed()
    }

    fn preconditions(state: &Self, transition: &Transition) -> bool {
        match transition {
            // No row may be one that New refuses, and none of `contracted` has Legacy to look at.
            Transition::Forward => match state.stage {
                Stage::DualWrite => state.legacy.values().all(|name| name != BAD),
                stage => stage < Stage::Complete,
            },
            Transition::Back => {
                state.stage.previous().is_some_and(|back| direction(state.stage, back).is_ok())
            }
            Transition::Batch => state.stage == Stage::DualWrite,
            Transition::Repair { .. } => state.stage.reconciles(),
            _ => true,
        }
    }

    fn apply(mut state: Self, transition: &Transition) -> Self {
        match transition {
            Transition::Put { id, name, .. } => state.write(*id, Some(name.clone())),
            Transition::Delete { id, .. } => state.write(*id, None),
            Transition::Modify { id, part, .. } => state.write(*id, state.modified(*id, *part)),
            Transition::Read { .. } => {}
            Transition::Flag { id, on: true } => drop(state.flagged.insert(*id)),
            Transition::Flag { id, on: false } => drop(state.flagged.remove(id)),
            Transition::Forward => state.forward(),
            Transition::Back => {
                state.stage = state.stage.previous().expect("asked for where there is one");
                state.run = None;
            }
            Transition::Batch => state.batch(),
            Transition::Repair { id } => match state.legacy.get(id).cloned() {
                Some(name) if name == BAD => {
                    state.marked.insert(*id);
                    state.may_be_marked.insert(*id);
                }
                name => {
                    set(&mut state.new, *id, name);
                    state.marked.remove(id);
                    state.may_be_marked.remove(id);
                }
            },
        }
        state
    }
}
