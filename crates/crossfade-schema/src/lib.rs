//! Manifests, and the scripts they hold, run with bounds on locks and time.
//!
//! A [`Manifest`] is the folder that describes a migration. [`expand()`] runs its `expand.sql` and
//! registers it; [`run_script`] runs `contract.sql` once its gate is open. Each statement is
//! recorded when it is done, so that running a script again goes on where it stopped.

mod manifest;
mod mapping;
mod script;

mod check;
mod expand;
mod lint;
mod registered;
mod resolve;
mod run;
mod scaffold;

mod splitter;
mod words;

pub use check::{Checked, check};
pub use expand::{ExpandError, ExpandReport, UnsafeScript, expand, safe, safe_contract};
pub use lint::{Finding, Severity, lint};
pub use manifest::{Manifest, ManifestError, MappingFile};
pub use mapping::analyse;
pub use registered::Unregistered;
pub use resolve::{Shadowed, as_registered, shadowed};
pub use run::{DEFAULT_TIMEOUTS, Mode, RunError, StepOutcome, StepReport, run_script};
pub use scaffold::{ScaffoldError, Scaffolded, init, scaffold};
pub use script::{Purpose, Script, ScriptStatement};
pub use splitter::SplitError;

#[cfg(test)]
mod tests;
