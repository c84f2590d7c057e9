//! Who a flag is evaluated for.

use serde_json::{Map, Value};

use crate::{
    short::{Outline, Word, same},
    val::{self, Val},
};

/// The name under which OpenFeature contexts carry the targeting key.
pub(crate) const TARGETING_KEY: &str = "targetingKey";

/// How many attributes a context holds without allocating.
const INLINE: usize = 4;

/// Who a flag is evaluated for: the targeting key (usually the user's id) and borrowed attributes.
///
/// A context of up to four attributes allocates nothing, nor does one that borrows a JSON object.
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
    object: Option<&'a Map<String, Value>>,
    few: [(&'a str, Attribute<'a>); INLINE],
    filled: usize,
    more: Vec<(&'a str, Attribute<'a>)>,
}

impl<'a> Context<'a> {
    /// A context without a targeting key. `fractional` in its short form picks nothing for it, so it
    /// gets the flag's default variant there.
    #[must_use]
    pub fn anonymous() -> Self {
        Self::default()
    }

    /// A context for the user with this targeting key.
    #[inline]
    #[must_use]
    pub fn user(targeting_key: &'a str) -> Self {
        Self { targeting_key: Some(targeting_key), ..Self::default() }
    }

    /// A context from an OpenFeature-style JSON object: its `targetingKey` member, when it is a
    /// string, becomes the targeting key; every other member becomes an attribute. A member named
    /// `$flagd` is overlaid by what the rule set supplies under that name.
    #[must_use]
    pub fn from_json(object: &'a Map<String, Value>) -> Self {
        let targeting_key = object.get(TARGETING_KEY).and_then(Value::as_str);
        Self { targeting_key, object: Some(object), ..Self::default() }
    }

    /// Adds an attribute that targeting rules read with `var`. A later value for the same name wins,
    /// also over a member of the object in [`Context::from_json`].
    #[inline]
    #[must_use]
    pub fn with(mut self, name: &'a str, value: impl Into<Attribute<'a>>) -> Self {
        let attribute = (name, value.into());
        match self.few.get_mut(self.filled) {
            Some(place) => {
                *place = attribute;
                self.filled += 1;
            }
            None => self.more.push(attribute),
        }
        self
    }

    /// Sets what `$flagd.timestamp` reads, in seconds since the Unix epoch. Default: `null`.
    #[inline]
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

    #[inline(always)]
    pub(crate) fn attribute(&self, name: &str) -> Option<Attribute<'a>> {
        let named = |attributes: &[(&'a str, Attribute<'a>)]| {
            let found = attributes.iter().rev().find(|(known, _)| same(known, name));
            found.map(|(_, attribute)| *attribute)
        };
        named(&self.more)
            .or_else(|| named(&self.few[..self.filled]))
            .or_else(|| val::member(self.object?, name).map(Attribute::from))
    }

    /// The text of an attribute whose name is compared with again and again.
    #[inline(always)]
    pub(crate) fn text(&self, name: &Word) -> Option<&'a str> {
        if !self.more.is_empty() || self.object.is_some() {
            return self.attribute(name.as_str())?.as_text();
        }
        let named = |known: &str| name.is(known, Outline::of(known));
        let few = self.few[..self.filled].iter().rev();
        few.into_iter().find(|(known, _)| named(known))?.1.as_text()
    }

    /// Every attribute, those that win last.
    pub(crate) fn attributes(&self) -> impl Iterator<Item = (&'a str, Attribute<'a>)> {
        let members = self.object.into_iter().flatten();
        members
            .map(|(name, value)| (name.as_str(), Attribute::from(value)))
            .chain(self.few[..self.filled].iter().chain(&self.more).copied())
    }
}

/// The value of one attribute of a [`Context`]. Made with `into()` from text, booleans, numbers and
/// JSON values, all borrowed.
#[derive(Clone, Copy, Debug, Default)]
pub struct Attribute<'a>(Form<'a>);

#[derive(Clone, Copy, Debug, Default)]
enum Form<'a> {
    #[default]
    Null,
    Bool(bool),
    /// Kept whole: a 64-bit id is hashed exactly, although rules compute with doubles.
    Integer(i64),
    Unsigned(u64),
    Float(f64),
    Text(&'a str),
    Json(&'a Value),
}

impl<'a> Attribute<'a> {
    #[inline]
    pub(crate) fn as_text(self) -> Option<&'a str> {
        match self.0 {
            Form::Text(text) => Some(text),
            Form::Json(value) => value.as_str(),
            _ => None,
        }
    }

    /// The attribute as an exact integer, when it is one.
    pub(crate) fn as_integer(self) -> Option<i128> {
        match self.0 {
            Form::Integer(number) => Some(number.into()),
            Form::Unsigned(number) => Some(number.into()),
            Form::Json(value) => val::integer(value),
            _ => None,
        }
    }
}

impl<'a> From<Attribute<'a>> for Val<'a> {
    #[inline]
    fn from(attribute: Attribute<'a>) -> Self {
        match attribute.0 {
            Form::Null => Self::Null,
            Form::Bool(value) => Self::Bool(value),
            Form::Integer(number) => Self::Number(number as f64),
            Form::Unsigned(number) => Self::Number(number as f64),
            Form::Float(number) => Self::Number(number),
            Form::Text(text) => Self::Text(text.into()),
            Form::Json(value) => value.into(),
        }
    }
}

impl<'a> From<&'a str> for Attribute<'a> {
    #[inline]
    fn from(text: &'a str) -> Self {
        Self(Form::Text(text))
    }
}

impl<'a> From<&'a String> for Attribute<'a> {
    fn from(text: &'a String) -> Self {
        Self(Form::Text(text))
    }
}

impl From<bool> for Attribute<'_> {
    fn from(value: bool) -> Self {
        Self(Form::Bool(value))
    }
}

impl From<f64> for Attribute<'_> {
    fn from(number: f64) -> Self {
        Self(Form::Float(number))
    }
}

impl<'a> From<&'a Value> for Attribute<'a> {
    fn from(value: &'a Value) -> Self {
        Self(Form::Json(value))
    }
}

macro_rules! from_integer {
    ($($number:ty => $form:ident),*) => {$(
        impl From<$number> for Attribute<'_> {
            fn from(number: $number) -> Self {
                Self(Form::$form(number.into()))
            }
        }
    )*};
}

from_integer!(i32 => Integer, i64 => Integer, u32 => Unsigned, u64 => Unsigned);
