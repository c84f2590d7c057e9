//! Scripts, manifests and the runner, as tables.

mod expand;
mod fake;
mod manifest;
mod scaffold;
mod script;
