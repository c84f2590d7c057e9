//! The few kinds of values that Crossfade's own statements bind and return.

/// A bound or returned value. Keys travel as text and are cast inside the statement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Value {
    Int(Option<i64>),
    Text(Option<String>),
}

macro_rules! from {
    ($($type:ty => |$value:ident| $make:expr;)*) => {$(
        impl From<$type> for Value {
            fn from($value: $type) -> Self {
                $make
            }
        }
    )*};
}

from! {
    i64 => |value| Self::Int(Some(value));
    u32 => |value| Self::Int(Some(i64::from(value)));
    Option<i64> => |value| Self::Int(value);
    &str => |value| Self::Text(Some(value.to_owned()));
    String => |value| Self::Text(Some(value));
    Option<String> => |value| Self::Text(value);
}

/// Builds the argument list of a statement.
macro_rules! args {
    ($($value:expr),* $(,)?) => { vec![$($crate::value::Value::from($value)),*] };
}
pub(crate) use args;

/// A returned row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Row(pub(crate) Vec<Value>);

impl Row {
    /// The integer in column `index`; `None` for NULL and for text.
    pub(crate) fn opt_int(&self, index: usize) -> Option<i64> {
        match self.0.get(index) {
            Some(Value::Int(value)) => *value,
            _ => None,
        }
    }

    /// The integer in column `index`, 0 for NULL.
    pub(crate) fn int(&self, index: usize) -> i64 {
        self.opt_int(index).unwrap_or_default()
    }

    /// The text in column `index`; `None` for NULL. Integers are rendered.
    pub(crate) fn opt_text(&self, index: usize) -> Option<String> {
        match self.0.get(index) {
            Some(Value::Text(value)) => value.clone(),
            Some(Value::Int(value)) => value.map(|value| value.to_string()),
            None => None,
        }
    }

    /// The text in column `index`, empty for NULL.
    pub(crate) fn text(&self, index: usize) -> String {
        self.opt_text(index).unwrap_or_default()
    }
}
