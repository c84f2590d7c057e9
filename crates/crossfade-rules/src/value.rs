//! The types in which a flag can be asked for.

use std::fmt;

use serde_json::Value;

/// The largest integer that doubles, and with them every other provider, count up to without gaps.
const MAX_SAFE: i128 = (1 << 53) - 1;

/// The types in which a flag can be asked for.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum FlagType {
    /// `true` or `false`.
    Boolean,
    /// Text.
    String,
    /// A whole number, also one written as `10.0`, from -(2^53 - 1) to 2^53 - 1.
    Integer,
    /// A number; one written without a fraction only within -(2^53 - 1) to 2^53 - 1.
    Float,
    /// An object or an array.
    Object,
}

impl FlagType {
    const ALL: [Self; 5] = [Self::Boolean, Self::String, Self::Integer, Self::Float, Self::Object];

    /// The type with this name, such as `integer`.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }

    /// The name of the type, such as `integer`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Boolean => "boolean",
            Self::String => "string",
            Self::Integer => "integer",
            Self::Float => "float",
            Self::Object => "object",
        }
    }

    /// The value in this type; `None` when it is of another, or a number that would be rounded.
    #[must_use]
    pub fn convert(self, value: &Value) -> Option<Value> {
        match self {
            Self::Boolean => bool::read(value).map(Value::from),
            Self::String => <&str>::read(value).map(Value::from),
            Self::Integer => i64::read(value).map(Value::from),
            Self::Float => f64::read(value).map(Value::from),
            Self::Object => <&Value>::read(value).cloned(),
        }
    }
}

impl fmt::Display for FlagType {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.name())
    }
}

/// A type in which a flag's value can be read: `bool`, `&str`, `i64`, `f64`, and `&Value` for objects
/// and arrays.
pub trait FlagValue<'a>: Sized + sealed::Sealed {
    /// Reads the value; `None` when it is of another type, or a number that would be rounded.
    fn read(value: &'a Value) -> Option<Self>;
}

mod sealed {
    pub trait Sealed {}

    impl Sealed for bool {}
    impl Sealed for &str {}
    impl Sealed for i64 {}
    impl Sealed for f64 {}
    impl Sealed for &serde_json::Value {}
}

impl<'a> FlagValue<'a> for bool {
    #[inline]
    fn read(value: &'a Value) -> Option<Self> {
        value.as_bool()
    }
}

impl<'a> FlagValue<'a> for &'a str {
    fn read(value: &'a Value) -> Option<Self> {
        value.as_str()
    }
}

impl<'a> FlagValue<'a> for i64 {
    fn read(value: &'a Value) -> Option<Self> {
        let number = crate::val::integer(value).filter(is_safe)?;
        number.try_into().ok()
    }
}

impl<'a> FlagValue<'a> for f64 {
    fn read(value: &'a Value) -> Option<Self> {
        if value.is_f64() {
            return value.as_f64();
        }
        crate::val::integer(value).filter(is_safe).map(|number| number as f64)
    }
}

impl<'a> FlagValue<'a> for &'a Value {
    fn read(value: &'a Value) -> Option<Self> {
        (value.is_object() || value.is_array()).then_some(value)
    }
}

fn is_safe(number: &i128) -> bool {
    number.unsigned_abs() <= MAX_SAFE.unsigned_abs()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[track_caller]
    fn check(value: Value, integer: Option<i64>, float: Option<f64>) {
        assert_eq!((i64::read(&value), f64::read(&value)), (integer, float), "{value}");
    }

    #[test]
    fn numbers_convert_without_loss_or_not_at_all() {
        check(json!(10), Some(10), Some(10.0));
        check(json!(10.0), Some(10), Some(10.0));
        check(json!(-0.0), Some(0), Some(-0.0));
        check(json!(0.5), None, Some(0.5));
        check(json!(2_147_483_647), Some(2_147_483_647), Some(2_147_483_647.0));
        check(json!(9_007_199_254_740_991_i64), Some((1 << 53) - 1), Some(9_007_199_254_740_991.0));
        check(
            json!(-9_007_199_254_740_991_i64),
            Some(1 - (1 << 53)),
            Some(-9_007_199_254_740_991.0),
        );
        check(json!(9_007_199_254_740_992_i64), None, None);
        check(json!(-9_007_199_254_740_993_i64), None, None);
        check(json!(u64::MAX), None, None);
        check(json!(1e300), None, Some(1e300));
        check(json!(true), None, None);
        check(json!("1"), None, None);
        check(json!(null), None, None);
    }

    #[test]
    fn each_type_takes_its_own_values_only() {
        let values =
            [json!(false), json!("x"), json!(7), json!(1.5), json!({"a": [1]}), json!([1])];
        for (kind, takes) in FlagType::ALL.into_iter().zip([0b1, 0b10, 0b100, 0b1100, 0b11_0000]) {
            assert_eq!(FlagType::named(&kind.to_string()), Some(kind));
            for (n, value) in values.iter().enumerate() {
                assert_eq!(kind.convert(value).is_some(), takes >> n & 1 == 1, "{value} as {kind}");
            }
            assert_eq!(kind.convert(&Value::Null), None);
        }
        assert_eq!(FlagType::named("number"), None);
    }
}
