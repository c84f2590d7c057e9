//! What a migration moves: tables, keys, mapping and options.

use std::time::Duration;

use crate::{FlagKey, Identifier, MigrationName, TableName};

/// Name under which the mapping's rows appear inside Crossfade's own statements. A mapping must
/// not use it.
pub const MAPPED_ALIAS: &str = "crossfade_mapped";

/// One side's table and the columns of its key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SideTable {
    /// The table.
    pub table: TableName,
    /// Its key columns, in the order in which both sides list them.
    pub key: Vec<Identifier>,
}

/// How backfill paces itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BackfillOptions {
    /// Fixed number of rows in a batch; `None` lets the batch size follow the time it takes.
    pub batch_size: Option<u32>,
    /// Fixed pause after a batch; `None` pauses for max(20 ms, half the batch's time).
    pub delay: Option<Duration>,
}

/// What the gates ask for beyond the facts that Crossfade measures.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GateOptions {
    /// How long the read flag must have stood at 100 % before `ramp_down`, and `ramp_down` must
    /// have lasted before `complete`. Default: 24 h.
    pub bake_time: Duration,
    /// How long the database's statistics must have shown no use of Legacy before `contracted`.
    /// Default: 1 h. Only databases that count uses are asked.
    pub quiet_time: Duration,
    /// Whether Legacy can be derived from New. Where it can not, `complete` asks for the loss to
    /// be accepted by name. Default: false.
    pub invertible: bool,
}

impl Default for GateOptions {
    fn default() -> Self {
        Self {
            bake_time: Duration::from_secs(24 * 60 * 60),
            quiet_time: Duration::from_secs(60 * 60),
            invertible: false,
        }
    }
}

/// A migration: one named expand/contract change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Definition {
    /// Its name.
    pub name: MigrationName,
    /// The boolean flag that picks the New side while the stage is `live`.
    pub read_flag: FlagKey,
    /// The table it leaves.
    pub legacy: SideTable,
    /// Columns of Legacy that `contract` drops while the table itself stays. Empty: the whole
    /// table goes.
    pub legacy_columns: Vec<Identifier>,
    /// The table it moves to.
    pub new: SideTable,
    /// One `select` from the Legacy table whose output columns are New's. Rows that it does not
    /// select must be absent on New.
    pub mapping: String,
    /// Pace of backfill.
    pub backfill: BackfillOptions,
    /// What the gates ask for.
    pub gates: GateOptions,
}

impl Definition {
    /// Whether `other` moves the same rows in the same way, so that a run or a parity pass of one
    /// counts for the other. Pace and gate options may differ.
    #[must_use]
    pub fn moves_like(&self, other: &Self) -> bool {
        self.name == other.name
            && self.read_flag == other.read_flag
            && self.legacy == other.legacy
            && self.legacy_columns == other.legacy_columns
            && self.new == other.new
            && self.mapping == other.mapping
    }
}
