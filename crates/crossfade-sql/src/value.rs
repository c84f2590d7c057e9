//! The few kinds of values that Crossfade's own statements bind and return.

use sqlx::{Arguments, Column, TypeInfo, ValueRef};

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

/// Values as the arguments of an engine's statement.
pub(crate) fn bind<A>(values: Vec<Value>) -> Result<A, sqlx::Error>
where
    A: Arguments + Default,
    i64: for<'q> sqlx::Encode<'q, A::Database> + sqlx::Type<A::Database>,
    String: for<'q> sqlx::Encode<'q, A::Database> + sqlx::Type<A::Database>,
    Option<i64>: for<'q> sqlx::Encode<'q, A::Database> + sqlx::Type<A::Database>,
    Option<String>: for<'q> sqlx::Encode<'q, A::Database> + sqlx::Type<A::Database>,
{
    let mut args = A::default();
    for value in values {
        match value {
            Value::Int(value) => args.add(value),
            Value::Text(value) => args.add(value),
        }
        .map_err(sqlx::Error::Encode)?;
    }
    Ok(args)
}

/// An engine's row as one of these.
pub(crate) fn decode<R>(row: &R) -> Result<Row, sqlx::Error>
where
    R: sqlx::Row,
    usize: sqlx::ColumnIndex<R>,
    for<'r> i64: sqlx::Decode<'r, R::Database> + sqlx::Type<R::Database>,
    for<'r> i32: sqlx::Decode<'r, R::Database> + sqlx::Type<R::Database>,
    for<'r> bool: sqlx::Decode<'r, R::Database> + sqlx::Type<R::Database>,
    for<'r> String: sqlx::Decode<'r, R::Database> + sqlx::Type<R::Database>,
{
    let values = (0..row.columns().len()).map(|index| {
        let raw = row.try_get_raw(index)?;
        let kind = if raw.is_null() {
            return Ok(match row.column(index).type_info().name() {
                "INT8" | "INT4" | "INTEGER" | "INT" | "BIGINT" | "BOOL" => Value::Int(None),
                _ => Value::Text(None),
            });
        } else {
            raw.type_info().name().to_owned()
        };
        Ok(match kind.as_str() {
            "INT8" | "INTEGER" | "BIGINT" | "INT" | "BOOLEAN" => {
                Value::Int(Some(row.try_get::<i64, _>(index)?))
            }
            "INT4" => Value::Int(Some(i64::from(row.try_get::<i32, _>(index)?))),
            "BOOL" => Value::Int(Some(i64::from(row.try_get::<bool, _>(index)?))),
            _ => Value::Text(Some(row.try_get::<String, _>(index)?)),
        })
    });
    values.collect::<Result<Vec<_>, sqlx::Error>>().map(Row)
}
