//! The changes an operator makes to a rule set, on the text of its document.
//!
//! Each function takes a document and returns a new one that [`RuleSet::parse`] accepts: pretty-printed
//! where that leaves it small enough, else without any spaces. Everything an edit does not name stays,
//! in the order in which it stood.
//!
//! All edits of a percentage share one total weight and list the `true` variant first, so turning a
//! flag up never takes a user back, and turning it down to an earlier percentage restores exactly the
//! users it had there.

use serde_json::{Map, Value, json};

use crate::{Flag, Limits, ParseError, RuleSet, parse};

/// A document without flags.
pub const EMPTY: &str = "{
  \"$schema\": \"https://flagd.dev/schema/v0/flags.json\",
  \"flags\": {}
}
";

/// The sum of the weights in every percentage: thousandths of a percent.
const TOTAL_WEIGHT: u32 = 100_000;

/// Why an edit is refused. The document is as it was.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum EditError {
    /// The document, or what the edit would make of it, is no rule set.
    #[error("the rule set cannot be read")]
    Unparsable(#[from] ParseError),
    /// The document does not define the flag.
    #[error("there is no flag \"{key}\"; known flags: {}", list(known))]
    UnknownFlag {
        /// The key that was asked for.
        key: String,
        /// The keys of all flags in the document.
        known: Vec<String>,
    },
    /// The flag lacks a variant that is `true` or one that is `false`, or has one of another type.
    #[error(
        "flag \"{key}\" is not boolean: it needs one variant that is true and one that is false"
    )]
    NotBoolean {
        /// The key of the flag.
        key: String,
    },
    /// The percentage is no number from 0 to 100 with at most three decimals.
    #[error("{percent} is not a percentage from 0 to 100 with at most three decimals")]
    BadPercent {
        /// What was asked for.
        percent: f64,
    },
}

/// Adds a boolean flag that is off for everybody, unless the document already has it.
///
/// # Errors
///
/// [`EditError::NotBoolean`] when the flag exists with variants of another type.
pub fn ensure_boolean(document: &str, key: &str) -> Result<String, EditError> {
    let rules = RuleSet::parse(document)?;
    let mut document = parse::document(document, &Limits::default())?;
    match rules.flag(key) {
        Some(flag) => {
            Switch::of(flag)?;
        }
        None => {
            let definition = json!({
                "state": "ENABLED",
                "variants": { "on": true, "off": false },
                "defaultVariant": "off",
            });
            if let Some(Value::Object(flags)) = document.get_mut("flags") {
                flags.insert(key.to_owned(), definition);
            }
        }
    }
    printed(document)
}

/// Gives `true` to `percent` of the users and `false` to everybody else, users without a targeting key
/// included. Replaces whatever targeting the flag had and enables it.
///
/// # Errors
///
/// [`EditError::BadPercent`], [`EditError::UnknownFlag`] or [`EditError::NotBoolean`].
pub fn set_percent(document: &str, key: &str, percent: f64) -> Result<String, EditError> {
    let weight = weight_of(percent)?;
    rewrite(document, key, |flag, switch| {
        let buckets = json!([[switch.on, weight], [switch.off, TOTAL_WEIGHT - weight]]);
        flag.insert("defaultVariant".to_owned(), switch.off.into());
        flag.insert("targeting".to_owned(), json!({ "fractional": buckets }));
    })
}

/// Gives `true` to everybody: enables the flag and removes its targeting.
///
/// # Errors
///
/// [`EditError::UnknownFlag`] or [`EditError::NotBoolean`].
pub fn set_on(document: &str, key: &str) -> Result<String, EditError> {
    rewrite(document, key, |flag, switch| settle(flag, switch.on))
}

/// Gives `false` to everybody: enables the flag and removes its targeting.
///
/// # Errors
///
/// [`EditError::UnknownFlag`] or [`EditError::NotBoolean`].
pub fn set_off(document: &str, key: &str) -> Result<String, EditError> {
    rewrite(document, key, |flag, switch| settle(flag, switch.off))
}

/// The names of a boolean flag's two variants.
struct Switch<'a> {
    on: &'a str,
    off: &'a str,
}

impl<'a> Switch<'a> {
    fn of(flag: &'a Flag) -> Result<Self, EditError> {
        let named = |wanted: bool| {
            flag.variants().find(|(_, value)| value.as_bool() == Some(wanted)).map(|(name, _)| name)
        };
        match (named(true), named(false)) {
            (Some(on), Some(off)) if flag.is_boolean() => Ok(Self { on, off }),
            _ => Err(EditError::NotBoolean { key: flag.key().to_owned() }),
        }
    }
}

fn settle(flag: &mut Map<String, Value>, variant: &str) {
    flag.insert("defaultVariant".to_owned(), variant.into());
    // `remove` would move the last member into the gap.
    flag.shift_remove("targeting");
}

fn rewrite(
    document: &str,
    key: &str,
    change: impl FnOnce(&mut Map<String, Value>, Switch<'_>),
) -> Result<String, EditError> {
    let rules = RuleSet::parse(document)?;
    let mut document = parse::document(document, &Limits::default())?;
    let definition = document.get_mut("flags").and_then(|flags| flags.get_mut(key));
    let (Some(flag), Some(Value::Object(definition))) = (rules.flag(key), definition) else {
        let known = rules.keys().map(str::to_owned).collect();
        return Err(EditError::UnknownFlag { key: key.to_owned(), known });
    };
    definition.insert("state".to_owned(), "ENABLED".into());
    change(definition, Switch::of(flag)?);
    printed(document)
}

/// Prints the document, and makes sure that whoever loads it will accept it.
fn printed(document: Map<String, Value>) -> Result<String, EditError> {
    let document = Value::Object(document);
    let mut text = format!("{document:#}\n");
    // A large document without spaces would become too large with them, and a flag in it could not be
    // turned off.
    if text.len() > Limits::default().document_bytes() {
        text = format!("{document}\n");
    }
    RuleSet::parse(&text)?;
    Ok(text)
}

pub(crate) fn weight_of(percent: f64) -> Result<u32, EditError> {
    let exact = percent * 1000.0;
    let whole = exact.round();
    let fits = (0.0..=100.0).contains(&percent) && (exact - whole).abs() < 1e-6;
    if fits { Ok(whole as u32) } else { Err(EditError::BadPercent { percent }) }
}

fn list(known: &[String]) -> String {
    if known.is_empty() { "none".to_owned() } else { known.join(", ") }
}
