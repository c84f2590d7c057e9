//! The values that targeting rules compute with, and JavaScript's comparisons of them, which
//! JsonLogic prescribes.

use std::{borrow::Cow, cmp::Ordering, fmt::Write, rc::Rc};

use serde_json::{Map, Value};

use crate::{
    js::{self, Digits, Printed},
    short::same,
};

/// A value while a rule runs. Text and JSON are borrowed from the rule set or the context.
#[derive(Clone, Debug)]
pub(crate) enum Val<'a> {
    Null,
    Bool(bool),
    Number(f64),
    Text(Cow<'a, str>),
    /// An array or object, as it stands in the document or the context.
    Json(&'a Value),
    /// An array with computed items.
    List(Rc<Items<'a>>),
    /// An object with computed members; of two with one name the later one counts.
    Object(Rc<Members<'a>>),
}

/// The items of a computed array.
#[derive(Debug)]
pub(crate) struct Items<'a> {
    pub(crate) items: Vec<Val<'a>>,
    depth: usize,
}

/// The members of a computed object.
#[derive(Debug)]
pub(crate) struct Members<'a> {
    members: Vec<(Cow<'a, str>, Val<'a>)>,
    depth: usize,
}

impl<'a> From<&'a Value> for Val<'a> {
    #[inline]
    fn from(value: &'a Value) -> Self {
        match value {
            Value::Null => Self::Null,
            Value::Bool(value) => Self::Bool(*value),
            Value::Number(number) => number.as_f64().map_or(Self::Null, Self::Number),
            Value::String(text) => Self::Text(text.as_str().into()),
            Value::Array(_) | Value::Object(_) => Self::Json(value),
        }
    }
}

impl<'a> Val<'a> {
    pub(crate) fn list(items: Vec<Self>) -> Self {
        let depth = 1 + items.iter().map(Self::depth).max().unwrap_or_default();
        Self::List(Rc::new(Items { items, depth }))
    }

    pub(crate) fn object(members: Vec<(Cow<'a, str>, Self)>) -> Self {
        let depth = 1 + members.iter().map(|(_, value)| value.depth()).max().unwrap_or_default();
        Self::Object(Rc::new(Members { members, depth }))
    }

    /// How deeply computed arrays and objects are nested here. What the context brought along, and
    /// is only borrowed, does not count.
    pub(crate) fn depth(&self) -> usize {
        match self {
            Self::List(list) => list.depth,
            Self::Object(object) => object.depth,
            _ => 0,
        }
    }

    /// The items of an array; `None` for everything else.
    pub(crate) fn items(&self) -> Option<impl Iterator<Item = Val<'a>> + '_> {
        let (json, computed): (&[Value], &[Val<'a>]) = match self {
            Self::Json(Value::Array(items)) => (items, &[]),
            Self::List(list) => (&[], &list.items),
            _ => return None,
        };
        Some(json.iter().map(Val::from).chain(computed.iter().cloned()))
    }

    pub(crate) fn is_array(&self) -> bool {
        matches!(self, Self::List(_) | Self::Json(Value::Array(_)))
    }

    pub(crate) fn len(&self) -> usize {
        match self {
            Self::Json(Value::Array(items)) => items.len(),
            Self::List(list) => list.items.len(),
            _ => 0,
        }
    }

    /// The members of an object; `None` for everything else.
    pub(crate) fn members(&self) -> Option<impl Iterator<Item = (&str, Val<'a>)>> {
        let (json, computed): (Option<&Map<_, _>>, &[_]) = match self {
            Self::Json(Value::Object(members)) => (Some(members), &[]),
            Self::Object(object) => (None, &object.members),
            _ => return None,
        };
        let json = json.into_iter().flatten().map(|(name, value)| (name.as_str(), value.into()));
        Some(json.chain(computed.iter().map(|(name, value)| (name.as_ref(), value.clone()))))
    }

    /// The member or item with this name; `None` where there is none.
    pub(crate) fn get(&self, name: &str) -> Option<Val<'a>> {
        match self {
            Self::Json(Value::Object(members)) => member(members, name).map(Val::from),
            Self::Json(Value::Array(items)) => items.get(index(name)?).map(Val::from),
            Self::List(list) => list.items.get(index(name)?).cloned(),
            Self::Object(object) => {
                let found = object.members.iter().rev().find(|(known, _)| known == name);
                found.map(|(_, value)| value.clone())
            }
            _ => None,
        }
    }

    /// JsonLogic's truth: as in JavaScript, but an empty array is false.
    #[inline]
    pub(crate) fn is_truthy(&self) -> bool {
        match self {
            Self::Null => false,
            Self::Bool(value) => *value,
            Self::Number(number) => *number != 0.0 && !number.is_nan(),
            Self::Text(text) => !text.is_empty(),
            Self::Json(value) => value.as_array().is_none_or(|items| !items.is_empty()),
            Self::List(list) => !list.items.is_empty(),
            Self::Object(_) => true,
        }
    }

    /// JavaScript's `===`. Arrays and objects equal nothing, not even themselves.
    #[inline]
    pub(crate) fn strictly_equals(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Text(left), Self::Text(right)) => left == right,
            (Self::Null, Self::Null) => true,
            (Self::Bool(left), Self::Bool(right)) => left == right,
            (Self::Number(left), Self::Number(right)) => left == right,
            _ => false,
        }
    }

    /// JavaScript's `==`: `null` equals only itself; an array or object is compared with anything
    /// else as its text; other mixed types are compared as numbers.
    #[inline]
    pub(crate) fn loosely_equals(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Null, _) | (_, Self::Null) | (Self::Text(_), Self::Text(_)) => {
                self.strictly_equals(other)
            }
            _ if self.is_structure() && other.is_structure() => false,
            _ => match (self.as_primitive_text(), other.as_primitive_text()) {
                (Some(left), Some(right)) => left == right,
                _ => self.to_number() == other.to_number(),
            },
        }
    }

    /// JavaScript's `<` and `>`: two texts by their characters, everything else as numbers. `None`
    /// when one of them is not a number; every comparison is false then.
    pub(crate) fn compare(&self, other: &Self) -> Option<Ordering> {
        match (self.as_primitive_text(), other.as_primitive_text()) {
            (Some(left), Some(right)) => Some(left.cmp(&right)),
            _ => self.to_number().partial_cmp(&other.to_number()),
        }
    }

    /// Whether `self` holds `needle`: as a part of a text, or as an item of an array.
    pub(crate) fn contains(&self, needle: &Self) -> bool {
        match self {
            Self::Text(text) => match needle {
                Self::Text(part) => text.contains(&**part),
                Self::Number(number) => text.contains(Digits::of(*number).as_str()),
                // A missing attribute must not be found in every text.
                _ => false,
            },
            Self::Json(Value::Array(items)) => {
                items.iter().any(|item| Val::from(item).strictly_equals(needle))
            }
            Self::List(list) => list.items.iter().any(|item| item.strictly_equals(needle)),
            _ => false,
        }
    }

    /// The text of a string; `None` for everything else.
    #[inline]
    pub(crate) fn as_text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            _ => None,
        }
    }

    /// The value as `cat` appends it: `null` is empty, items of an array are separated by commas.
    pub(crate) fn to_text(&self) -> Cow<'_, str> {
        match self {
            Self::Null => "".into(),
            Self::Bool(true) => "true".into(),
            Self::Bool(false) => "false".into(),
            Self::Text(text) => text.as_ref().into(),
            _ => {
                let mut text = String::new();
                // Writing to a `String` cannot fail.
                let _ = self.write_text(&mut text);
                text.into()
            }
        }
    }

    /// Writes what [`Val::to_text`] answers.
    pub(crate) fn write_text(&self, out: &mut impl Write) -> std::fmt::Result {
        match self {
            Self::Number(number) => write!(out, "{}", Printed(*number)),
            Self::Json(Value::Object(_)) | Self::Object(_) => out.write_str("[object Object]"),
            Self::Json(_) | Self::List(_) => {
                for (n, item) in self.items().into_iter().flatten().enumerate() {
                    if n > 0 {
                        out.write_char(',')?;
                    }
                    item.write_text(out)?;
                }
                Ok(())
            }
            simple => out.write_str(&simple.to_text()),
        }
    }

    /// JavaScript's `Number(value)`.
    pub(crate) fn to_number(&self) -> f64 {
        match self {
            Self::Null => 0.0,
            Self::Bool(value) => f64::from(u8::from(*value)),
            Self::Number(number) => *number,
            Self::Text(text) => js::number(text),
            Self::Json(_) | Self::List(_) | Self::Object(_) => js::number(&self.to_text()),
        }
    }

    /// JavaScript's `parseFloat(value)`, by which JsonLogic adds and multiplies.
    pub(crate) fn leading_number(&self) -> f64 {
        match self {
            Self::Number(number) => *number,
            Self::Null | Self::Bool(_) => f64::NAN,
            other => js::leading_number(&other.to_text()),
        }
    }

    fn is_structure(&self) -> bool {
        matches!(self, Self::Json(_) | Self::List(_) | Self::Object(_))
    }

    /// The text that stands for the value in comparisons, when it is not compared as a number.
    fn as_primitive_text(&self) -> Option<Cow<'_, str>> {
        (self.is_structure() || matches!(self, Self::Text(_))).then(|| self.to_text())
    }
}

/// A member by its name. Most objects are small, and comparing a few names is faster than hashing.
pub(crate) fn member<'a>(members: &'a Map<String, Value>, name: &str) -> Option<&'a Value> {
    if members.len() > 8 {
        return members.get(name);
    }
    members.iter().find(|(known, _)| same(known, name)).map(|(_, value)| value)
}

/// The exact value of an integer, also of one that is written with a fraction of zero.
pub(crate) fn integer(value: &Value) -> Option<i128> {
    let exact = value.as_i64().map(i128::from).or_else(|| value.as_u64().map(i128::from));
    exact.or_else(|| integral(value.as_f64()?))
}

/// The integer that a number is, within 64 bits.
pub(crate) fn integral(number: f64) -> Option<i128> {
    let fits = number.fract() == 0.0 && number >= -(2_f64.powi(63)) && number < 2_f64.powi(64);
    fits.then_some(number as i128)
}

fn index(name: &str) -> Option<usize> {
    name.parse().ok()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn truth_is_that_of_json_logic() {
        for (value, expect) in [
            (json!(null), false),
            (json!(0), false),
            (json!(-1), true),
            (json!(""), false),
            (json!("0"), true),
            (json!([]), false),
            (json!([0]), true),
            (json!({}), true),
        ] {
            assert_eq!(Val::from(&value).is_truthy(), expect, "{value}");
        }
    }

    #[test]
    fn loose_equality_converts_and_strict_equality_does_not() {
        for (left, right, loose, strict) in [
            (json!(1), json!(1.0), true, true),
            (json!(1), json!("1"), true, false),
            (json!(0), json!(""), true, false),
            (json!(true), json!("1"), true, false),
            (json!("a"), json!("a"), true, true),
            (json!("1"), json!("1.0"), false, false),
            (json!(null), json!(null), true, true),
            (json!(null), json!(0), false, false),
            (json!(null), json!(false), false, false),
            (json!("x"), json!(0), false, false),
            (json!([1]), json!([1]), false, false),
            (json!([1]), json!(1), true, false),
            (json!([1, 2]), json!("1,2"), true, false),
            (json!([]), json!(0), true, false),
            (json!({}), json!(0), false, false),
        ] {
            let (a, b) = (Val::from(&left), Val::from(&right));
            assert_eq!(a.loosely_equals(&b), loose, "{left} == {right}");
            assert_eq!(b.loosely_equals(&a), loose, "{right} == {left}");
            assert_eq!(a.strictly_equals(&b), strict, "{left} === {right}");
        }
    }

    #[test]
    fn integers_are_exact_within_64_bits() {
        for (value, expect) in [
            (json!(1.0), Some(1)),
            (json!(-0.0), Some(0)),
            (json!(u64::MAX), Some(u64::MAX.into())),
            (json!(i64::MIN), Some(i64::MIN.into())),
            (json!(1e19), Some(10_000_000_000_000_000_000)),
            (json!(1e20), None),
            (json!(0.5), None),
            (json!("1"), None),
        ] {
            assert_eq!(integer(&value), expect, "{value}");
        }
    }
}
