//! The types in which a client answers.

use serde_json::Value;

/// A type in which a flag can be asked for: `bool`, `i64`, `f64`, `String`, and [`Value`] for objects
/// and arrays.
///
/// Numbers are answered without loss or not at all: see [`crossfade_rules::FlagType`].
pub trait FlagValue: Sized + sealed::Sealed {
    /// The same value, borrowed from the rule set.
    type Borrowed<'a>: crossfade_rules::FlagValue<'a>;

    /// Takes the value out of the rule set.
    fn own(borrowed: Self::Borrowed<'_>) -> Self;
}

mod sealed {
    pub trait Sealed {}

    impl Sealed for bool {}
    impl Sealed for i64 {}
    impl Sealed for f64 {}
    impl Sealed for String {}
    impl Sealed for serde_json::Value {}
}

impl FlagValue for bool {
    type Borrowed<'a> = bool;

    #[inline]
    fn own(borrowed: bool) -> Self {
        borrowed
    }
}

impl FlagValue for i64 {
    type Borrowed<'a> = i64;

    #[inline]
    fn own(borrowed: i64) -> Self {
        borrowed
    }
}

impl FlagValue for f64 {
    type Borrowed<'a> = f64;

    #[inline]
    fn own(borrowed: f64) -> Self {
        borrowed
    }
}

impl FlagValue for String {
    type Borrowed<'a> = &'a str;

    fn own(borrowed: &str) -> Self {
        borrowed.to_owned()
    }
}

impl FlagValue for Value {
    type Borrowed<'a> = &'a Value;

    fn own(borrowed: &Value) -> Self {
        borrowed.clone()
    }
}

/// Reads a JSON value as `T`; `None` when it is of another type, or a number that would be rounded.
pub(crate) fn read<T: FlagValue>(value: &Value) -> Option<T> {
    <T::Borrowed<'_> as crossfade_rules::FlagValue<'_>>::read(value).map(T::own)
}
