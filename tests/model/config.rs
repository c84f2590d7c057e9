//! What is in a model: who takes part, and how much of it.

use std::time::Duration;

use crossfade_core::{BackfillOptions, Definition, GateOptions, SideTable, Stage};

use crate::actors::Operation;
use crate::rules::Rule;
use crate::state::{KEYS, Value};

/// Where a model begins.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Start {
    /// The stage, with its epoch alone open and every instance in it.
    pub(crate) stage: Stage,
    /// Whether New already holds what Legacy does, from a run that is done.
    pub(crate) backfilled: bool,
    /// The rows of Legacy.
    pub(crate) legacy: [Value; KEYS],
}

/// Who takes part and how much of it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Config {
    pub(crate) name: &'static str,
    pub(crate) start: Start,
    /// Keys, 1 or 2.
    pub(crate) keys: u8,
    /// Instances, 1 or 2; writers and readers are spread over them.
    pub(crate) instances: u8,
    /// Leases may lapse.
    pub(crate) leases: bool,
    /// Stage and marks are looked up in two statements.
    pub(crate) split_look_up: bool,
    pub(crate) writers: u8,
    /// Operations of each writer.
    pub(crate) writes: u8,
    pub(crate) operations: &'static [Operation],
    pub(crate) readers: u8,
    /// Answered reads of each reader.
    pub(crate) reads: u8,
    pub(crate) workers: u8,
    /// Verifications in all.
    pub(crate) passes: u8,
    /// Verifications may repair.
    pub(crate) repairs: bool,
    pub(crate) operators: u8,
    /// Most epochs.
    pub(crate) epochs: u8,
    /// The last stage that an operator goes to.
    pub(crate) last: Stage,
    /// Operators also go back.
    pub(crate) back: bool,
    /// Transactions, workers and operators die midway.
    pub(crate) crashes: bool,
    /// New may be held up by a lock that lasts longer than a write may wait.
    pub(crate) held_up: bool,
    /// The rule that is taken out.
    pub(crate) without: Option<Rule>,
}

impl Config {
    /// One key with a row, one writer with one upsert, and an operator on the way from `off`;
    /// nothing else.
    pub(crate) const SMALL: Self = Self {
        name: "small",
        start: Start { stage: Stage::Off, backfilled: false, legacy: [1, 0] },
        keys: 1,
        instances: 1,
        leases: false,
        split_look_up: false,
        writers: 1,
        writes: 1,
        operations: &[Operation::Upsert],
        readers: 0,
        reads: 0,
        workers: 0,
        passes: 0,
        repairs: false,
        operators: 1,
        epochs: 8,
        last: Stage::Complete,
        back: false,
        crashes: false,
        held_up: false,
        without: None,
    };

    /// Whether the rule holds in this model.
    pub(crate) fn has(&self, rule: Rule) -> bool {
        self.without != Some(rule)
    }
}

impl Start {
    pub(crate) const fn at(stage: Stage) -> Self {
        Self { stage, backfilled: stage as u8 >= Stage::Live as u8, legacy: [1, 0] }
    }

    /// `dual_write` whose backfill is done.
    pub(crate) const BACKFILLED: Self =
        Self { stage: Stage::DualWrite, backfilled: true, legacy: [1, 0] };

    pub(crate) const fn with_legacy(self, legacy: [Value; KEYS]) -> Self {
        Self { legacy, ..self }
    }
}

/// The migration that the gates are asked about: no waiting times, and a mapping that can be
/// inverted.
pub(crate) fn definition() -> Definition {
    let side = |table: &str| SideTable {
        table: table.parse().expect("a table's name"),
        key: vec!["id".parse().expect("a column's name")],
    };
    Definition {
        name: "settings".parse().expect("a migration's name"),
        read_flag: "read_settings_v2".parse().expect("a flag's name"),
        legacy: side("settings_v1"),
        legacy_columns: Vec::new(),
        new: side("settings_v2"),
        mapping: "select * from settings_v1".to_owned(),
        backfill: BackfillOptions::default(),
        gates: GateOptions {
            bake_time: Duration::ZERO,
            quiet_time: Duration::ZERO,
            invertible: true,
            ..GateOptions::default()
        },
        accepted: Vec::new(),
        pinned: crossfade_core::Pinned::default(),
    }
}
