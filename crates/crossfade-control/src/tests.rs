//! The verbs against ports in memory.

mod advance;
mod fake;
mod flag;
mod rollback;
mod rule_sets;
