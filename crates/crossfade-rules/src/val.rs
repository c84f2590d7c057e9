//! The values that targeting rules compute with, and JavaScript's conversions between them, which
//! JsonLogic prescribes.

use std::{borrow::Cow, cmp::Ordering};

use serde_json::Value;

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
    List(Vec<Val<'a>>),
}

impl<'a> From<&'a Value> for Val<'a> {
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
    /// The same value, borrowing its text.
    pub(crate) fn borrowed(&'a self) -> Self {
        match self {
            Self::Text(text) => Self::Text(Cow::Borrowed(text)),
            other => other.clone(),
        }
    }

    /// JsonLogic's truth: as in JavaScript, but an empty array is false.
    pub(crate) fn is_truthy(&self) -> bool {
        match self {
            Self::Null => false,
            Self::Bool(value) => *value,
            Self::Number(number) => *number != 0.0 && !number.is_nan(),
            Self::Text(text) => !text.is_empty(),
            Self::Json(value) => value.as_array().is_none_or(|items| !items.is_empty()),
            Self::List(items) => !items.is_empty(),
        }
    }

    /// JavaScript's `===`. Arrays and objects equal nothing, not even themselves.
    pub(crate) fn strictly_equals(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Null, Self::Null) => true,
            (Self::Bool(left), Self::Bool(right)) => left == right,
            (Self::Number(left), Self::Number(right)) => left == right,
            (Self::Text(left), Self::Text(right)) => left == right,
            _ => false,
        }
    }

    /// JavaScript's `==`: `null` equals only itself, other mixed types are compared as numbers.
    pub(crate) fn loosely_equals(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Null, _) | (_, Self::Null) | (Self::Text(_), Self::Text(_)) => {
                self.strictly_equals(other)
            }
            _ => self.to_number() == other.to_number(),
        }
    }

    /// JavaScript's `<` and `>`: two texts by their characters, everything else as numbers. `None`
    /// when one of them is not a number; every comparison is false then.
    pub(crate) fn compare(&self, other: &Self) -> Option<Ordering> {
        match (self, other) {
            (Self::Text(left), Self::Text(right)) => Some(left.cmp(right)),
            _ => self.to_number().partial_cmp(&other.to_number()),
        }
    }

    /// Whether `self` holds `needle`: as a part of a text, or as an item of an array.
    pub(crate) fn contains(&self, needle: &Self) -> bool {
        match self {
            Self::Text(text) => match needle {
                Self::Text(part) => text.contains(&**part),
                Self::Number(number) => text.contains(&number.to_string()),
                // A missing attribute must not be found in every text.
                _ => false,
            },
            Self::Json(Value::Array(items)) => {
                items.iter().any(|item| Val::from(item).strictly_equals(needle))
            }
            Self::List(items) => items.iter().any(|item| item.strictly_equals(needle)),
            _ => false,
        }
    }

    /// The text of a string; `None` for everything else.
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
            Self::Number(number) => number.to_string().into(),
            Self::Text(text) => text.as_ref().into(),
            Self::Json(Value::Array(items)) => join(items.iter().map(Val::from)).into(),
            Self::Json(_) => "[object Object]".into(),
            Self::List(items) => join(items.iter().cloned()).into(),
        }
    }

    fn to_number(&self) -> f64 {
        match self {
            Self::Null => 0.0,
            Self::Bool(value) => f64::from(u8::from(*value)),
            Self::Number(number) => *number,
            Self::Text(text) => number_in(text),
            Self::Json(_) | Self::List(_) => f64::NAN,
        }
    }
}

fn join<'a>(items: impl Iterator<Item = Val<'a>>) -> String {
    items.map(|item| item.to_text().into_owned()).collect::<Vec<_>>().join(",")
}

/// JavaScript's `Number(text)` for decimal numbers. Rust's parser alone would take "inf" and "nan".
fn number_in(text: &str) -> f64 {
    let text = text.trim();
    if text.is_empty() {
        return 0.0;
    }
    if text.bytes().any(|byte| !matches!(byte, b'0'..=b'9' | b'+' | b'-' | b'.' | b'e' | b'E')) {
        return f64::NAN;
    }
    text.parse().unwrap_or(f64::NAN)
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
        ] {
            let (a, b) = (Val::from(&left), Val::from(&right));
            assert_eq!(a.loosely_equals(&b), loose, "{left} == {right}");
            assert_eq!(a.strictly_equals(&b), strict, "{left} === {right}");
        }
    }

    #[test]
    fn only_decimal_numbers_are_numbers() {
        for (text, expect) in [(" 42 ", Some(42.0)), ("-1e2", Some(-100.0)), ("", Some(0.0))] {
            assert_eq!(number_in(text), expect.unwrap_or(f64::NAN), "{text:?}");
        }
        for text in ["inf", "nan", "12px", "1 2", "e"] {
            assert!(number_in(text).is_nan(), "{text:?}");
        }
    }
}
