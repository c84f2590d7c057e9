//! The stage machine: moving a migration from stage to stage, flipping its read flag, and rolling
//! it back.
//!
//! Each verb gathers facts through the ports, lets `crossfade-core` decide, and carries the answer
//! out. Running any of them a second time is harmless.

mod stores;

mod advance;
mod capture;
mod check;
mod flag;
mod rollback;
mod rule_sets;
mod sequences;
mod status;

mod close;
mod conflict;
mod facts;

pub use advance::{Advance, AdvanceError, Advanced, NewRows, advance, pass_gate};
pub use capture::{
    CaptureChanged, CaptureError, CaptureRequest, CaptureStatus, capture_status, change_capture,
    plan_capture,
};
pub use check::{Check, check};
pub use close::{CloseError, Patience, Stragglers};
pub use flag::{FlagChange, FlagChanged, FlagEdit, FlagError, change_flag};
pub use rollback::{FlagRollback, RollbackError, RolledBack, rollback, turn_read_flag_off};
pub use rule_sets::{
    Assignment, Replacement, RuleSetChange, RuleSetError, RuleSetPlan, RuleSetReplaced,
    plan_rule_set, replace_rule_set,
};
pub use sequences::advance_sequences;
pub use status::{Status, status};
pub use stores::Stores;

#[cfg(test)]
mod tests;
