//! Who a flag is evaluated for.

use serde_json::{Map, Value};

use crate::val::Val;

/// The name under which OpenFeature contexts carry the targeting key.
pub(crate) const TARGETING_KEY: &str = "targetingKey";

/// Who a flag is evaluated for: the targeting key (usually the user's id) and borrowed attributes.
///
/// A context of a targeting key alone allocates nothing.
///
/// ```
/// use crossfade_rules::Context;
///
/// let context = Context::user("u1").with("country", "DE").with("beta", true);
/// assert_eq!(context.targeting_key(), Some("u1"));
/// ```
#[derive(Clone, Debug, Default)]
pub struct Context<'a> {
    targeting_key: Option<&'a str>,
    unix_seconds: Option<u64>,
    attributes: Vec<(&'a str, Attribute<'a>)>,
}

impl<'a> Context<'a> {
    /// A context without a targeting key. `fractional` in its short form picks nothing for it, so it
    /// gets the flag's default variant there.
    #[must_use]
    pub fn anonymous() -> Self {
        Self::default()
    }

    /// A context for the user with this targeting key.
    #[must_use]
    pub fn user(targeting_key: &'a str) -> Self {
        Self { targeting_key: Some(targeting_key), ..Self::default() }
    }

    /// A context from an OpenFeature-style JSON object: its `targetingKey` member, when it is a
    /// string, becomes the targeting key; every other member becomes an attribute.
    #[must_use]
    pub fn from_json(object: &'a Map<String, Value>) -> Self {
        let mut context = Self::default();
        for (name, value) in object {
            match value {
                Value::String(key) if name == TARGETING_KEY => context.targeting_key = Some(key),
                _ => context.attributes.push((name, value.into())),
            }
        }
        context
    }

    /// Adds an attribute that targeting rules read with `var`. A later value for the same name wins.
    #[must_use]
    pub fn with(mut self, name: &'a str, value: impl Into<Attribute<'a>>) -> Self {
        self.attributes.push((name, value.into()));
        self
    }

    /// Sets what `$flagd.timestamp` reads, in seconds since the Unix epoch. Default: `null`.
    #[must_use]
    pub fn at(mut self, unix_seconds: u64) -> Self {
        self.unix_seconds = Some(unix_seconds);
        self
    }

    /// The targeting key; `None` for an anonymous context.
    #[must_use]
    pub fn targeting_key(&self) -> Option<&'a str> {
        self.targeting_key
    }

    /// What `$flagd.timestamp` reads, in seconds since the Unix epoch; `None` when not set.
    #[must_use]
    pub fn unix_seconds(&self) -> Option<u64> {
        self.unix_seconds
    }

    pub(crate) fn attribute(&self, name: &str) -> Option<&Val<'a>> {
        let found = self.attributes.iter().rev().find(|(known, _)| *known == name);
        found.map(|(_, attribute)| &attribute.0)
    }
}

/// The value of one attribute of a [`Context`]. Made with `into()` from strings, booleans, numbers
/// and borrowed JSON values.
#[derive(Clone, Debug)]
pub struct Attribute<'a>(Val<'a>);

impl<'a> From<&'a str> for Attribute<'a> {
    fn from(text: &'a str) -> Self {
        Self(Val::Text(text.into()))
    }
}

impl From<String> for Attribute<'_> {
    fn from(text: String) -> Self {
        Self(Val::Text(text.into()))
    }
}

impl From<bool> for Attribute<'_> {
    fn from(value: bool) -> Self {
        Self(Val::Bool(value))
    }
}

impl<'a> From<&'a Value> for Attribute<'a> {
    fn from(value: &'a Value) -> Self {
        Self(value.into())
    }
}

macro_rules! from_number {
    ($($number:ty),*) => {$(
        impl From<$number> for Attribute<'_> {
            fn from(value: $number) -> Self {
                Self(Val::Number(value.into()))
            }
        }
    )*};
}

from_number!(i32, u32, f64);
