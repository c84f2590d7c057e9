//! Whether the definition fits the tables that are there.

use super::{Check, Severity};
use crate::Stage;

/// The checks of this topic.
pub(super) const ALL: &[&Check] = &[&DEFINITION_MISFIT];

/// The definition names what is not there, or what cannot be worked with.
pub static DEFINITION_MISFIT: Check = Check {
    id: "definition-misfit",
    title: "tables, keys and mapping that do not fit together",
    severity: Severity::Refused,
    gate: Stage::Off,
    why: "No statement can be built from the definition: a table or column is missing, a key is not \
          unique, its type cannot serve, or the mapping does not parse.",
    remedy: "mend mapping.sql, migration.toml or the table",
};
