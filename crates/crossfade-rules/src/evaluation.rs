//! What evaluating a flag answers.

use std::fmt;

use serde_json::Value;

use crate::flag::Variant;

/// The answer for one flag and one context, in OpenFeature's terms.
#[derive(Clone, Debug, PartialEq)]
pub struct Evaluation {
    /// The variant's value; `None` means "use the default in the code".
    pub value: Option<Value>,
    /// The name of the variant that was picked.
    pub variant: Option<String>,
    /// Why this answer was given.
    pub reason: Reason,
    /// What went wrong; `value` is `None` then.
    pub error: Option<ErrorCode>,
}

impl Evaluation {
    /// An answer that depends on no rule, as when a test forces a flag.
    #[must_use]
    pub fn fixed(value: impl Into<Value>) -> Self {
        Self { value: Some(value.into()), variant: None, reason: Reason::Static, error: None }
    }

    /// No answer, because of `error`.
    #[must_use]
    pub fn failed(error: ErrorCode) -> Self {
        Self { value: None, variant: None, reason: Reason::Error, error: Some(error) }
    }

    /// The value when it is a boolean.
    #[must_use]
    pub fn as_bool(&self) -> Option<bool> {
        self.value.as_ref().and_then(Value::as_bool)
    }

    /// Turns an answer whose value is not of `kind` into [`ErrorCode::TypeMismatch`].
    #[must_use]
    pub fn require(self, kind: ValueKind) -> Self {
        match &self.value {
            Some(value) if ValueKind::of(value) != Some(kind) => {
                Self::failed(ErrorCode::TypeMismatch)
            }
            _ => self,
        }
    }
}

/// Why an answer was given. `Display` prints OpenFeature's name, such as `TARGETING_MATCH`.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Reason {
    /// The flag has no targeting; everybody gets its default variant.
    Static,
    /// Targeting picked nothing, or there is no default variant to answer with.
    Default,
    /// Targeting picked the variant.
    TargetingMatch,
    /// The flag is `DISABLED`.
    Disabled,
    /// There is no answer; [`Evaluation::error`] says why.
    Error,
}

impl fmt::Display for Reason {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Self::Static => "STATIC",
            Self::Default => "DEFAULT",
            Self::TargetingMatch => "TARGETING_MATCH",
            Self::Disabled => "DISABLED",
            Self::Error => "ERROR",
        })
    }
}

/// Why there is no answer. `Display` prints OpenFeature's name, such as `FLAG_NOT_FOUND`.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq, thiserror::Error)]
pub enum ErrorCode {
    /// There is no rule set yet.
    #[error("PROVIDER_NOT_READY")]
    NotReady,
    /// The rule set does not define the flag.
    #[error("FLAG_NOT_FOUND")]
    FlagNotFound,
    /// The flag's targeting rule cannot be compiled; [`Flag::fault`](crate::Flag::fault) says why.
    #[error("PARSE_ERROR")]
    ParseError,
    /// The variant's value is not of the type that was asked for.
    #[error("TYPE_MISMATCH")]
    TypeMismatch,
    /// Targeting answered with the name of a variant that the flag does not have.
    #[error("GENERAL")]
    General,
}

/// The types a variant's value can have.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum ValueKind {
    /// `true` or `false`.
    Boolean,
    /// Text.
    String,
    /// An integer or a fraction.
    Number,
    /// An object or an array.
    Object,
}

impl ValueKind {
    /// The kind of a value; `None` for `null`.
    #[must_use]
    pub fn of(value: &Value) -> Option<Self> {
        match value {
            Value::Null => None,
            Value::Bool(_) => Some(Self::Boolean),
            Value::String(_) => Some(Self::String),
            Value::Number(_) => Some(Self::Number),
            Value::Array(_) | Value::Object(_) => Some(Self::Object),
        }
    }
}

/// An answer that still borrows from the rule set.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Outcome<'a> {
    pub(crate) variant: Option<&'a Variant>,
    pub(crate) reason: Reason,
    pub(crate) error: Option<ErrorCode>,
}

impl<'a> Outcome<'a> {
    pub(crate) fn picked(variant: Option<&'a Variant>, reason: Reason) -> Self {
        Self { variant, reason, error: None }
    }

    pub(crate) fn error(error: ErrorCode) -> Self {
        Self { variant: None, reason: Reason::Error, error: Some(error) }
    }
}

impl From<Outcome<'_>> for Evaluation {
    fn from(outcome: Outcome<'_>) -> Self {
        Self {
            value: outcome.variant.map(|variant| variant.value.clone()),
            variant: outcome.variant.map(|variant| variant.name.clone()),
            reason: outcome.reason,
            error: outcome.error,
        }
    }
}
