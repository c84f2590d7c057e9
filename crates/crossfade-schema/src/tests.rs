//! Scripts, manifests and the runner, as tables.

mod expand;
mod fake;
mod manifest;
mod scaffold;
mod script;

use crossfade_core::{BackfillOptions, Definition, GateOptions, SideTable};

/// A migration from `users` to `user_settings`, without a mapping.
pub(crate) fn definition() -> Definition {
    let side =
        |table: &str| SideTable { table: table.parse().unwrap(), key: vec!["id".parse().unwrap()] };
    Definition {
        name: "m".parse().unwrap(),
        read_flag: "f".parse().unwrap(),
        legacy: side("users"),
        legacy_columns: Vec::new(),
        new: side("user_settings"),
        mapping: String::new(),
        backfill: BackfillOptions::default(),
        gates: GateOptions::default(),
        accepted: Vec::new(),
        pinned: crossfade_core::Pinned::default(),
    }
}
