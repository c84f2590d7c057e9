//! All flags of one document, compiled.

use std::collections::HashMap;

use crate::{Context, ErrorCode, Evaluation, Flag, ParseError, evaluation::Outcome, parse};

/// All flag definitions of one document, compiled; immutable.
///
/// A rule set is all or nothing: [`RuleSet::parse`] refuses a document with one unusable flag, so
/// that a typing mistake never replaces a working set. The one exception is flagd's own: a targeting
/// rule that uses an operator this crate does not know spoils its own flag only.
#[derive(Clone, Debug, Default)]
pub struct RuleSet {
    flags: Vec<Flag>,
    by_key: HashMap<String, usize>,
}

impl RuleSet {
    /// Parses and compiles a document in flagd's definition format.
    ///
    /// # Errors
    ///
    /// Refuses the whole document when it is larger than [`MAX_DOCUMENT_BYTES`] or nested deeper
    /// than [`MAX_NESTING`], is not JSON, has no `flags` object, or holds a flag whose shape cannot be
    /// read: a `defaultVariant` that names none of its variants, for one.
    ///
    /// [`MAX_DOCUMENT_BYTES`]: crate::MAX_DOCUMENT_BYTES
    /// [`MAX_NESTING`]: crate::MAX_NESTING
    pub fn parse(text: &str) -> Result<Self, ParseError> {
        parse::rule_set(text).map(Self::from_flags)
    }

    fn from_flags(flags: Vec<Flag>) -> Self {
        let by_key =
            flags.iter().enumerate().map(|(index, flag)| (flag.key().to_owned(), index)).collect();
        Self { flags, by_key }
    }

    /// Evaluates one flag, whatever the type of its variants.
    ///
    /// Never fails: what went wrong is in [`Evaluation::error`], and the caller then goes on with the
    /// default in its code.
    #[must_use]
    pub fn evaluate(&self, key: &str, context: &Context<'_>) -> Evaluation {
        self.outcome(key, context).into()
    }

    /// Evaluates one boolean flag without copying anything.
    ///
    /// `Ok(None)` means that the flag leaves the answer to the default in the code: it is `DISABLED`,
    /// or neither its targeting nor its `defaultVariant` picks a variant.
    ///
    /// # Errors
    ///
    /// [`ErrorCode::FlagNotFound`], [`ErrorCode::ParseError`] or [`ErrorCode::General`] as in
    /// [`RuleSet::evaluate`]; [`ErrorCode::TypeMismatch`] when the variant's value is no boolean.
    pub fn evaluate_bool(
        &self,
        key: &str,
        context: &Context<'_>,
    ) -> Result<Option<bool>, ErrorCode> {
        let outcome = self.outcome(key, context);
        if let Some(error) = outcome.error {
            return Err(error);
        }
        match outcome.variant {
            None => Ok(None),
            Some(variant) => variant.value.as_bool().map(Some).ok_or(ErrorCode::TypeMismatch),
        }
    }

    /// The keys of all flags, in the order of the document.
    pub fn keys(&self) -> impl Iterator<Item = &str> {
        self.flags.iter().map(Flag::key)
    }

    /// All flags, in the order of the document.
    pub fn flags(&self) -> impl Iterator<Item = &Flag> {
        self.flags.iter()
    }

    /// One flag; `None` when the document does not define it.
    #[must_use]
    pub fn flag(&self, key: &str) -> Option<&Flag> {
        self.by_key.get(key).and_then(|&index| self.flags.get(index))
    }

    /// The share of users, 0.0 to 100.0, that get `true` from a boolean flag; see
    /// [`Flag::true_percent`]. `None` for an unknown flag as well.
    #[must_use]
    pub fn true_percent(&self, key: &str) -> Option<f64> {
        self.flag(key)?.true_percent()
    }

    fn outcome<'a>(&'a self, key: &str, context: &'a Context<'a>) -> Outcome<'a> {
        match self.flag(key) {
            Some(flag) => flag.outcome(context),
            None => Outcome::error(ErrorCode::FlagNotFound),
        }
    }
}
