//! Feature-flag rule sets in flagd's definition format: parse, compile, evaluate, check, compare, edit.
//!
//! [`RuleSet::parse`] turns the text of a document into compiled flags, or refuses it whole with the
//! line and the reason. [`RuleSet::value`] and its kin then answer for one flag and one [`Context`];
//! [`RuleSet::index`] looks a key up once for many answers. [`check()`] lists all that is wrong with a
//! document, [`diff()`] tells what users two sets treat differently, and the [`edit`] module makes the
//! changes an operator asks for ("25 % of the users") to the document text. [`RuleSet::over`] lays one
//! set over another, and [`RuleSet::changed_keys`] names the flags that a reload changes.
//!
//! Nothing here awaits, reads a file, asks a clock or draws a random number: the same rule set and
//! the same context give the same answer in every process, which is what keeps a user on one side.
//! An evaluation allocates only where a rule builds a text or an array.
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
mod limits;
mod request;
mod value;

pub mod edit;

mod check;
mod diff;

mod cbor;
mod compile;
mod expr;
mod fractional;
mod js;
mod json;
mod murmur;
mod parse;
mod run;
mod semver;
mod share;
mod short;
mod source;
mod val;

#[cfg(test)]
mod tests;

pub use check::{Problem, Severity, check, check_within};
pub use context::{Attribute, Context};
pub use diff::{FlagChange, FlagDiff, Share, diff};
pub use error::{ParseError, ParseErrorKind};
pub use evaluation::{Details, ErrorCode, Evaluation, Reason, Resolution, VariantIndex};
pub use flag::Flag;
pub use fractional::FractionalVersion;
pub use limits::{Limits, MAX_DOCUMENT_BYTES, MAX_NESTING, MAX_STEPS};
pub use request::{Request, RequestError};
pub use rule_set::{FlagIndex, FractionalChange, RuleSet};
pub use value::{FlagType, FlagValue};
