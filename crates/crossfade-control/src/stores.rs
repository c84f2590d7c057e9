//! The ports that the stage machine works through.

use crossfade_store::{CatalogStore, ControlStore, RuleSetStore, SchemaStore};

/// The ports of one database, borrowed.
#[derive(Clone, Copy, Debug)]
pub struct Stores<'a> {
    /// Stages, epochs, instances and audit.
    pub control: &'a dyn ControlStore,
    /// The tables themselves.
    pub schema: &'a dyn SchemaStore,
    /// What the catalog shows of them.
    pub catalog: &'a dyn CatalogStore,
    /// The rule sets that hold the read flags.
    pub rules: &'a dyn RuleSetStore,
}

impl<'a> Stores<'a> {
    /// The ports of an adapter that implements all of them.
    #[must_use]
    pub fn of<S: ControlStore + SchemaStore + CatalogStore + RuleSetStore>(store: &'a S) -> Self {
        Self { control: store, schema: store, catalog: store, rules: store }
    }
}
