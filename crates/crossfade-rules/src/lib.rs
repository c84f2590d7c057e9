//! Feature-flag rule sets in flagd's definition format: parse, compile, evaluate, edit.
//!
//! [`RuleSet::parse`] turns the text of a document into compiled flags, or refuses it whole with the
//! line and the reason. [`RuleSet::evaluate`] then answers for one flag and one [`Context`]. The
//! [`edit`] module makes the changes an operator asks for ("25 % of the users") to the document text.
//!
//! Nothing here awaits, reads a file, asks a clock or draws a random number: the same rule set and
//! the same context give the same answer in every process, which is what keeps a user on one side.
//!
//! ```
//! use crossfade_rules::{Context, RuleSet, edit};
//!
//! let document = edit::ensure_boolean(edit::EMPTY, "read_user_settings_v2")?;
//! let document = edit::set_percent(&document, "read_user_settings_v2", 100.0)?;
//! let rules = RuleSet::parse(&document)?;
//! assert_eq!(rules.evaluate_bool("read_user_settings_v2", &Context::user("u1")), Ok(Some(true)));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod rule_set;

mod context;
mod error;
mod evaluation;
mod flag;

pub mod edit;

mod compile;
mod expr;
mod fractional;
mod murmur;
mod parse;
mod share;
mod source;
mod val;

#[cfg(test)]
mod tests;

pub use context::{Attribute, Context};
pub use error::{ParseError, ParseErrorKind};
pub use evaluation::{ErrorCode, Evaluation, Reason, ValueKind};
pub use flag::Flag;
pub use rule_set::RuleSet;

/// The largest document that is read, in bytes: 1 MiB.
pub const MAX_DOCUMENT_BYTES: usize = 1024 * 1024;

/// The deepest nesting of objects and arrays that is read, in a document and in a targeting rule
/// with its `$ref`s filled in.
pub const MAX_NESTING: usize = 64;
