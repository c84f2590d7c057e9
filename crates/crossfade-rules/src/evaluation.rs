//! What evaluating a flag answers.

use std::fmt;

use serde_json::{Map, Value};

use crate::FlagType;

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
    /// The metadata of the rule set, overlaid by that of the flag. An unknown flag has the set's.
    pub metadata: Map<String, Value>,
}

impl Evaluation {
    /// An answer that depends on no rule, as when a test forces a flag.
    #[must_use]
    pub fn fixed(value: impl Into<Value>) -> Self {
        Self {
            value: Some(value.into()),
            variant: None,
            reason: Reason::Static,
            error: None,
            metadata: Map::new(),
        }
    }

    /// No answer, because of `error`.
    #[must_use]
    pub fn failed(error: ErrorCode) -> Self {
        Self {
            value: None,
            variant: None,
            reason: Reason::Error,
            error: Some(error),
            metadata: Map::new(),
        }
    }

    /// The value when it is a boolean.
    #[must_use]
    pub fn as_bool(&self) -> Option<bool> {
        self.value.as_ref().and_then(Value::as_bool)
    }

    /// Converts the value to `kind`, or answers [`ErrorCode::TypeMismatch`] where that would lose
    /// anything.
    #[must_use]
    pub fn require(mut self, kind: FlagType) -> Self {
        let Some(value) = &self.value else { return self };
        match kind.convert(value) {
            Some(value) => {
                self.value = Some(value);
                self
            }
            None => Self { metadata: self.metadata, ..Self::failed(ErrorCode::TypeMismatch) },
        }
    }
}

/// The answer for one flag and one context in one type, borrowed from the rule set.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Details<'a, T> {
    /// What the caller goes on with: the variant's value, or the default that was handed in.
    pub value: T,
    /// The name of the variant whose value this is; `None` when it is the default.
    pub variant: Option<&'a str>,
    /// Why this answer was given.
    pub reason: Reason,
    /// What went wrong; `value` is the default then.
    pub error: Option<ErrorCode>,
    /// The metadata of the rule set, overlaid by that of the flag. `None` when both have none.
    pub metadata: Option<&'a Map<String, Value>>,
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
    /// The flag's definition cannot be evaluated; [`Flag::fault`](crate::Flag::fault) says why.
    #[error("PARSE_ERROR")]
    ParseError,
    /// The variant's value is not of the type that was asked for.
    #[error("TYPE_MISMATCH")]
    TypeMismatch,
    /// Targeting answered with the name of a variant that the flag does not have, or took more steps
    /// than it may.
    #[error("GENERAL")]
    General,
}

/// The answer for one flag and one context as positions in the flag: it borrows nothing, so that it
/// can be kept beside the rule set it came from.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct Resolution {
    /// Which variant was picked, for [`Flag::variant_at`](crate::Flag::variant_at); `None` means "use
    /// the default in the code".
    pub variant: Option<VariantIndex>,
    /// Why this answer was given.
    pub reason: Reason,
    /// What went wrong; `variant` is `None` then.
    pub error: Option<ErrorCode>,
}

/// Where a variant stands in one flag. It means nothing in any other flag, nor in the same flag of
/// another rule set.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct VariantIndex(pub(crate) u32);

impl Resolution {
    /// No answer, because of `error`.
    #[must_use]
    pub const fn failed(error: ErrorCode) -> Self {
        Self { variant: None, reason: Reason::Error, error: Some(error) }
    }

    #[inline]
    pub(crate) fn picked(variant: Option<VariantIndex>, reason: Reason) -> Self {
        Self { variant, reason, error: None }
    }
}
