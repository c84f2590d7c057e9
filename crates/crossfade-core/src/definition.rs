//! What a migration moves: tables, keys, mapping and options.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use crate::check::Acceptance;
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
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BackfillOptions {
    /// Fixed number of rows in a batch; `None` lets the batch size follow the time it takes.
    pub batch_size: Option<u32>,
    /// Fixed pause after a batch; `None` pauses for max(20 ms, half the batch's time).
    pub delay: Option<Duration>,
    /// How many rows New may refuse before backfill stops and asks.
    pub max_refusals: MaxRefusals,
}

/// How many rows New may refuse before backfill stops and asks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum MaxRefusals {
    /// 1 % of Legacy's rows, at least 50 and at most 1,000.
    #[default]
    Default,
    /// This many rows.
    Rows(u64),
    /// This share of Legacy's rows, in parts of a million.
    PartsPerMillion(u32),
}

/// A text that is neither a number of rows nor a share of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected a number of rows, or a share such as `1%`")]
pub struct InvalidMaxRefusals;

impl FromStr for MaxRefusals {
    type Err = InvalidMaxRefusals;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let Some(percent) = text.strip_suffix('%') else {
            return text.trim().parse().map(Self::Rows).map_err(|_| InvalidMaxRefusals);
        };
        let percent: f64 = percent.trim().parse().map_err(|_| InvalidMaxRefusals)?;
        if !(0.0..=100.0).contains(&percent) {
            return Err(InvalidMaxRefusals);
        }
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "at most a million"
        )]
        Ok(Self::PartsPerMillion((percent * 10_000.0).round() as u32))
    }
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
    /// How old a proof may be. Default: 24 h.
    pub proof_age: Duration,
    /// Whether a gate that rests on a proof asks for a capture, which sees writes that bypass the
    /// SDK. Default: false, which warns.
    pub require_capture: bool,
}

impl Default for GateOptions {
    fn default() -> Self {
        Self {
            bake_time: Duration::from_secs(24 * 60 * 60),
            quiet_time: Duration::from_secs(60 * 60),
            invertible: false,
            proof_age: Duration::from_secs(24 * 60 * 60),
            require_capture: false,
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
    /// Findings that the manifest accepts.
    pub accepted: Vec<Acceptance>,
    /// What `expand` resolved once, and every later session runs with.
    pub pinned: Pinned,
}

/// Settings of a session that decide what the mapping and the scripts mean, resolved at `expand`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Pinned {
    /// PostgreSQL's search path as a quoted list; on MariaDB the default database. `None` before
    /// `expand`, and where the engine has none.
    pub search_path: Option<String>,
    /// The time zone in which the mapping converts between values with and without one.
    pub time_zone: Option<String>,
    /// Hash of the statements of `contract.sql`.
    pub contract: Option<String>,
}

/// A part of a definition that decides which rows move where, as the manifest calls it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// The read flag.
    ReadFlag,
    /// Legacy's table.
    LegacyTable,
    /// Legacy's key.
    LegacyKey,
    /// The columns of Legacy that `contract` drops.
    LegacyColumns,
    /// New's table.
    NewTable,
    /// New's key.
    NewKey,
    /// The mapping.
    Mapping,
    /// The search path that `expand` resolved.
    SearchPath,
    /// The time zone that `expand` resolved.
    TimeZone,
}

impl Part {
    /// The field of `migration.toml`, the file, or the words for what `expand` resolved.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::ReadFlag => "read_flag",
            Self::LegacyTable => "legacy.table",
            Self::LegacyKey => "legacy.key",
            Self::LegacyColumns => "legacy.columns",
            Self::NewTable => "new.table",
            Self::NewKey => "new.key",
            Self::Mapping => "mapping.sql",
            Self::SearchPath => "search path",
            Self::TimeZone => "time zone",
        }
    }
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl Definition {
    /// Whether `other` moves the same rows in the same way, so that a run or a parity pass of one
    /// counts for the other. Pace and gate options may differ.
    #[must_use]
    pub fn moves_like(&self, other: &Self) -> bool {
        self.name == other.name && self.differences(other).is_empty()
    }

    /// Every part in which `other` moves other rows, or moves them otherwise.
    #[must_use]
    pub fn differences(&self, other: &Self) -> Vec<Part> {
        [
            (Part::ReadFlag, self.read_flag == other.read_flag),
            (Part::LegacyTable, self.legacy.table == other.legacy.table),
            (Part::LegacyKey, self.legacy.key == other.legacy.key),
            (Part::LegacyColumns, self.legacy_columns == other.legacy_columns),
            (Part::NewTable, self.new.table == other.new.table),
            (Part::NewKey, self.new.key == other.new.key),
            (Part::Mapping, self.mapping == other.mapping),
            (Part::SearchPath, self.pinned.search_path == other.pinned.search_path),
            (Part::TimeZone, self.pinned.time_zone == other.pinned.time_zone),
        ]
        .into_iter()
        .filter_map(|(part, equal)| (!equal).then_some(part))
        .collect()
    }

    /// Takes what was resolved for `registered`: the schema of each table that this definition
    /// calls by the same name without one, the search path and the time zone.
    pub fn keep_resolved(&mut self, registered: &Self) {
        for (side, kept) in [
            (&mut self.legacy.table, &registered.legacy.table),
            (&mut self.new.table, &registered.new.table),
        ] {
            if side.schema.is_none() && side.name == kept.name {
                side.schema.clone_from(&kept.schema);
            }
        }
        self.pinned.search_path.clone_from(&registered.pinned.search_path);
        self.pinned.time_zone.clone_from(&registered.pinned.time_zone);
    }
}
