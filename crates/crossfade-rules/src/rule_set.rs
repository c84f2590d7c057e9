//! All flags of one document, compiled.

use std::{
    collections::{HashMap, hash_map::Entry},
    sync::Arc,
};

use foldhash::fast::FixedState;
use serde_json::{Map, Value};

use crate::{
    Context, Details, ErrorCode, Evaluation, Flag, FlagValue, FractionalVersion, Limits,
    ParseError, Reason, parse,
};

/// All flag definitions of one document, compiled; immutable.
///
/// [`RuleSet::parse`] refuses a document that is not JSON or that has a flag whose `defaultVariant`
/// names no variant, so that a typing mistake never replaces a working set. Anything else that is
/// wrong with a flag spoils that flag only, which then answers [`ErrorCode::ParseError`]; [`check`]
/// lists it.
///
/// [`check`]: crate::check()
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RuleSet {
    flags: Vec<Flag>,
    by_key: HashMap<Arc<str>, FlagIndex, FixedState>,
    metadata: Option<Arc<Map<String, Value>>>,
    /// `None` when the metadata pin a version that does not exist.
    fractional: Option<FractionalVersion>,
}

/// Where a flag stands in one rule set. It means nothing in any other set, nor in a later one that
/// was made from the same document: look the key up again for each.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct FlagIndex(u32);

impl FlagIndex {
    /// The index as a number, so that it can be kept in an atomic. It is the index of another flag,
    /// or none at all, wherever it is used for another set.
    #[inline]
    #[must_use]
    pub const fn number(self) -> u32 {
        self.0
    }

    /// The index that [`FlagIndex::number`] answered.
    #[inline]
    #[must_use]
    pub const fn of_number(number: u32) -> Self {
        Self(number)
    }
}

/// A change of the version by which `fractional` assigns users, and with it of most assignments.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct FractionalChange {
    /// The version of the set in use.
    pub from: FractionalVersion,
    /// The version of the set that would follow.
    pub to: FractionalVersion,
}

impl RuleSet {
    /// Parses and compiles a document in flagd's definition format, within the default [`Limits`].
    ///
    /// # Errors
    ///
    /// Refuses the whole document when it is larger than [`MAX_DOCUMENT_BYTES`] or nested deeper
    /// than [`MAX_NESTING`], is not JSON, has no `flags` object, or holds a flag whose
    /// `defaultVariant` names none of its variants.
    ///
    /// [`MAX_DOCUMENT_BYTES`]: crate::MAX_DOCUMENT_BYTES
    /// [`MAX_NESTING`]: crate::MAX_NESTING
    pub fn parse(text: &str) -> Result<Self, ParseError> {
        Self::parse_within(text, &Limits::default())
    }

    /// Parses and compiles a document as [`RuleSet::parse`] does, within other limits.
    ///
    /// # Errors
    ///
    /// As [`RuleSet::parse`].
    pub fn parse_within(text: &str, limits: &Limits) -> Result<Self, ParseError> {
        let parse::Parsed { flags, metadata, fractional } = parse::rule_set(text, limits)?;
        let keys = flags.iter().map(|flag| flag.seed.shared_key());
        let by_key = keys.zip((0..).map(FlagIndex)).collect();
        Ok(Self { flags, by_key, metadata, fractional })
    }

    /// Evaluates one flag, whatever the type of its variants.
    ///
    /// Never fails: what went wrong is in [`Evaluation::error`], and the caller then goes on with the
    /// default in its code.
    #[must_use]
    pub fn evaluate(&self, key: &str, context: &Context<'_>) -> Evaluation {
        match self.flag(key) {
            Some(flag) => flag.evaluate(context),
            None => Evaluation {
                metadata: self.metadata().cloned().unwrap_or_default(),
                ..Evaluation::failed(ErrorCode::FlagNotFound)
            },
        }
    }

    /// Evaluates one boolean flag without copying anything; see [`RuleSet::value`].
    ///
    /// # Errors
    ///
    /// As [`RuleSet::value`].
    #[inline]
    pub fn evaluate_bool(
        &self,
        key: &str,
        context: &Context<'_>,
    ) -> Result<Option<bool>, ErrorCode> {
        self.value(key, context)
    }

    /// Evaluates one flag in one type, without copying anything.
    ///
    /// `Ok(None)` means that the flag leaves the answer to the default in the code: it is `DISABLED`,
    /// or neither its targeting nor its `defaultVariant` picks a variant.
    ///
    /// # Errors
    ///
    /// [`ErrorCode::FlagNotFound`], [`ErrorCode::ParseError`] or [`ErrorCode::General`] as in
    /// [`RuleSet::evaluate`]; [`ErrorCode::TypeMismatch`] when the variant's value is of another type.
    #[inline]
    pub fn value<'a, T: FlagValue<'a>>(
        &'a self,
        key: &str,
        context: &Context<'_>,
    ) -> Result<Option<T>, ErrorCode> {
        self.flag(key).ok_or(ErrorCode::FlagNotFound)?.value(context)
    }

    /// Evaluates one flag in one type. The default is answered wherever the flag has no value.
    #[inline]
    #[must_use]
    pub fn value_or<'a, T: FlagValue<'a>>(
        &'a self,
        key: &str,
        context: &Context<'_>,
        default: T,
    ) -> T {
        self.value(key, context).ok().flatten().unwrap_or(default)
    }

    /// Evaluates one flag in one type, and says how the answer came about.
    #[must_use]
    pub fn details<'a, T: FlagValue<'a>>(
        &'a self,
        key: &str,
        context: &Context<'_>,
        default: T,
    ) -> Details<'a, T> {
        match self.flag(key) {
            Some(flag) => flag.details(context, default),
            None => Details {
                value: default,
                variant: None,
                reason: Reason::Error,
                error: Some(ErrorCode::FlagNotFound),
                metadata: self.metadata(),
            },
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
    #[inline]
    #[must_use]
    pub fn flag(&self, key: &str) -> Option<&Flag> {
        self.by_key.get(key).and_then(|&index| self.flag_at(index))
    }

    /// Where a flag stands in this set, so that its key has to be looked up only once; `None` when
    /// the document does not define it.
    #[must_use]
    pub fn index(&self, key: &str) -> Option<FlagIndex> {
        self.by_key.get(key).copied()
    }

    /// The flag at an index of this set; `None` for an index that lies beyond its end.
    #[inline]
    #[must_use]
    pub fn flag_at(&self, index: FlagIndex) -> Option<&Flag> {
        self.flags.get(index.0 as usize)
    }

    /// The metadata of the set itself.
    #[must_use]
    pub fn metadata(&self) -> Option<&Map<String, Value>> {
        self.metadata.as_deref()
    }

    /// The version by which `fractional` assigns users: `crossfade.fractional` in the set's metadata.
    /// `None` when that names no version, whereupon flags that use `fractional` cannot be evaluated.
    #[must_use]
    pub fn fractional_version(&self) -> Option<FractionalVersion> {
        self.fractional
    }

    /// Whether going on with `next` would change the version of `fractional`, and so assign most
    /// users anew. A set without flags assigned nobody.
    #[must_use]
    pub fn fractional_change(&self, next: &Self) -> Option<FractionalChange> {
        let (from, to) = (self.fractional?, next.fractional?);
        (from != to && !self.flags.is_empty()).then_some(FractionalChange { from, to })
    }

    /// The keys of the flags that `next` adds, removes or defines differently: those of this set in
    /// their order, then those that are new.
    ///
    /// A definition is all that its flag says: state, variants, default variant, rule, evaluators and
    /// metadata, those of the set included. [`diff()`](crate::diff()) tells in addition how many users
    /// a difference concerns, which takes longer.
    #[must_use]
    pub fn changed_keys(&self, next: &Self) -> Vec<String> {
        // Most flags stand where they stood, and need not be looked up.
        let differs = |&(n, flag): &(usize, &Flag)| match next.flags.get(n) {
            Some(other) if other.key() == flag.key() => flag != other,
            _ => next.flag(flag.key()).is_none_or(|other| flag != other),
        };
        let is_new = |&(n, flag): &(usize, &Flag)| {
            let is_in_place = self.flags.get(n).is_some_and(|other| other.key() == flag.key());
            !is_in_place && self.flag(flag.key()).is_none()
        };
        let changed = self.flags.iter().enumerate().filter(differs);
        let added = next.flags.iter().enumerate().filter(is_new);
        changed.chain(added).map(|(_, flag)| flag.key().to_owned()).collect()
    }

    /// Lays this set over another: its own flags, and behind them those of `lower` whose keys it does
    /// not define.
    ///
    /// Each flag stays what it was, with the evaluators, the version of `fractional` and the metadata
    /// of the set it comes from. Of the sets' own metadata, and with them
    /// [`RuleSet::fractional_version`], this set's count, or those of `lower` where it has none; ask
    /// [`RuleSet::fractional_change`] of the sets one by one, before they are put together.
    #[must_use]
    pub fn over(mut self, lower: &Self) -> Self {
        self.flags.reserve(lower.flags.len());
        self.by_key.reserve(lower.flags.len());
        for flag in &lower.flags {
            let Ok(next) = u32::try_from(self.flags.len()) else { break };
            if let Entry::Vacant(place) = self.by_key.entry(flag.seed.shared_key()) {
                place.insert(FlagIndex(next));
                self.flags.push(flag.clone());
            }
        }
        if self.metadata.is_none() {
            self.metadata.clone_from(&lower.metadata);
            self.fractional = lower.fractional;
        }
        self
    }

    /// The share of users, 0.0 to 100.0, that get `true` from a boolean flag; see
    /// [`Flag::true_percent`]. `None` for an unknown flag as well.
    #[must_use]
    pub fn true_percent(&self, key: &str) -> Option<f64> {
        self.flag(key)?.true_percent()
    }
}
