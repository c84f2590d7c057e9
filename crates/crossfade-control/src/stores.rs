//! The ports that the stage machine works through.

use crossfade_store::{ControlStore, RuleSetStore, SchemaStore};

/// The three ports of one database, borrowed.
#[derive(Clone, Copy, Debug)]
pub struct Stores<'a> {
    /// Stages, epochs, instances and audit.
    pub control: &'a dyn ControlStore,
    /// The tables themselves.
    pub schema: &'a dyn SchemaStore,
    /// The rule sets that hold the read flags.
    pub rules: &'a dyn RuleSetStore,
}

impl<'a> Stores<'a> {
    /// The ports of an adapter that implements all three.
    #[must_use]
    pub fn of<S: ControlStore + SchemaStore + RuleSetStore>(store: &'a S) -> Self {
        Self { control: store, schema: store, rules: store }
    }
}
