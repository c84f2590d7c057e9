//! One compiled flag.

use std::sync::Arc;

use serde_json::{Map, Value};

use crate::{
    Context, Details, ErrorCode, Evaluation, FlagValue, Reason, Resolution, VariantIndex,
    expr::Expr,
    fractional::Seed,
    js::Digits,
    run::{self, Env, Scope},
    share,
    short::same,
    val::Val,
};

/// One flag definition, compiled.
///
/// Two are equal when they say the same, the evaluators that they refer to and the metadata of the
/// set included. The order of variants counts, that of members inside of a value does not. A clone
/// shares all that is large.
#[derive(Clone, Debug, PartialEq)]
pub struct Flag {
    pub(crate) seed: Seed,
    pub(crate) enabled: bool,
    pub(crate) variants: Shared<[Variant]>,
    pub(crate) default: Option<VariantIndex>,
    pub(crate) targeting: Targeting,
    pub(crate) reads_time: bool,
    pub(crate) metadata: Option<Shared<Map<String, Value>>>,
}

/// One named value of a flag.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Variant {
    pub(crate) name: String,
    pub(crate) value: Value,
}

/// How a flag picks a variant.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Targeting {
    /// Everybody gets the default variant.
    None,
    Rule(Shared<Expr>),
    /// The flag cannot be evaluated, because of this.
    Broken(Shared<str>),
}

/// A part of a flag that its clones share. Where two are one, comparing them costs nothing.
#[derive(Debug)]
pub(crate) struct Shared<T: ?Sized>(pub(crate) Arc<T>);

impl<T: ?Sized> Clone for Shared<T> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<T: ?Sized> std::ops::Deref for Shared<T> {
    type Target = T;

    #[inline]
    fn deref(&self) -> &T {
        &self.0
    }
}

impl<T: PartialEq + ?Sized> PartialEq for Shared<T> {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0) || self.0 == other.0
    }
}

impl Flag {
    /// The key by which applications ask for the flag.
    #[must_use]
    pub fn key(&self) -> &str {
        self.seed.key()
    }

    /// Whether the flag's state is `ENABLED`. A `DISABLED` flag answers with the default in the code.
    #[must_use]
    pub fn is_enabled(&self) -> bool {
        self.enabled
    }

    /// The names and values of the variants, in the order of the document.
    pub fn variants(&self) -> impl Iterator<Item = (&str, &Value)> {
        self.variants.iter().map(|variant| (variant.name.as_str(), &variant.value))
    }

    /// The name of the variant that is used when targeting picks none.
    #[must_use]
    pub fn default_variant(&self) -> Option<&str> {
        self.default().map(|variant| variant.name.as_str())
    }

    /// The metadata of the rule set, overlaid by that of the flag. `None` when both have none.
    #[must_use]
    pub fn metadata(&self) -> Option<&Map<String, Value>> {
        self.metadata.as_deref()
    }

    /// Whether all variants are booleans, and there is at least one.
    #[must_use]
    pub fn is_boolean(&self) -> bool {
        !self.variants.is_empty() && self.variants.iter().all(|variant| variant.value.is_boolean())
    }

    /// Whether the flag may read `$flagd.timestamp`, so that [`Context::at`] has to be set. Most
    /// flags do not, and need not wait for a clock.
    #[inline]
    #[must_use]
    pub fn reads_time(&self) -> bool {
        self.reads_time
    }

    /// Why the flag cannot be evaluated; `None` when it can.
    #[must_use]
    pub fn fault(&self) -> Option<&str> {
        match &self.targeting {
            Targeting::Broken(fault) => Some(fault),
            Targeting::None | Targeting::Rule(_) => None,
        }
    }

    /// The share of users with a targeting key, 0.0 to 100.0, that get `true`.
    ///
    /// Known for a boolean flag without targeting, and for one whose whole targeting is a `fractional`
    /// with fixed weights; `None` where it depends on attributes of the user. A `DISABLED` flag
    /// counts as 0.0, since the code's default for a read flag is `false`.
    #[must_use]
    pub fn true_percent(&self) -> Option<f64> {
        share::true_percent(self)
    }

    /// Evaluates the flag, whatever the type of its variants. What went wrong is in the answer.
    #[must_use]
    pub fn evaluate(&self, context: &Context<'_>) -> Evaluation {
        let Resolution { variant, reason, error } = self.resolve(context);
        let variant = variant.and_then(|index| self.at(index));
        Evaluation {
            value: variant.map(|variant| variant.value.clone()),
            variant: variant.map(|variant| variant.name.clone()),
            reason,
            error,
            metadata: self.metadata().cloned().unwrap_or_default(),
        }
    }

    /// Evaluates the flag in one type, without copying anything.
    ///
    /// `Ok(None)` means that the flag leaves the answer to the default in the code: it is `DISABLED`,
    /// or neither its targeting nor its `defaultVariant` picks a variant.
    ///
    /// # Errors
    ///
    /// [`ErrorCode::ParseError`], [`ErrorCode::General`], or [`ErrorCode::TypeMismatch`] when the
    /// variant's value is of another type.
    #[inline]
    pub fn value<'a, T: FlagValue<'a>>(
        &'a self,
        context: &Context<'_>,
    ) -> Result<Option<T>, ErrorCode> {
        self.read(self.resolve(context))
    }

    /// What the flag answers to everybody, whatever the context: [`Flag::value`] of a flag that is
    /// `DISABLED`, cannot be evaluated or has no targeting. `None` when it has a rule to ask.
    #[must_use]
    pub fn constant<'a, T: FlagValue<'a>>(&'a self) -> Option<Result<Option<T>, ErrorCode>> {
        self.settled().ok().map(|resolution| self.read(resolution))
    }

    /// Evaluates the flag in one type, and says how the answer came about.
    #[must_use]
    pub fn details<'a, T: FlagValue<'a>>(
        &'a self,
        context: &Context<'_>,
        default: T,
    ) -> Details<'a, T> {
        let Resolution { variant, reason, error } = self.resolve(context);
        let metadata = self.metadata();
        let Some(variant) = variant.and_then(|index| self.at(index)) else {
            return Details { value: default, variant: None, reason, error, metadata };
        };
        match T::read(&variant.value) {
            Some(value) => Details { value, variant: Some(&variant.name), reason, error, metadata },
            None => Details {
                value: default,
                variant: None,
                reason: Reason::Error,
                error: Some(ErrorCode::TypeMismatch),
                metadata,
            },
        }
    }

    /// Evaluates the flag to a variant that is not read yet, for who keeps the answer beside an
    /// `Arc` of the rule set. What a variant's type has to do with the caller is left to the caller.
    #[inline]
    #[must_use]
    pub fn resolve(&self, context: &Context<'_>) -> Resolution {
        self.settled().unwrap_or_else(|rule| self.targeted(rule, context))
    }

    /// The name and value of a variant that [`Flag::resolve`] picked; `None` for an index that lies
    /// beyond the flag's variants.
    #[inline]
    #[must_use]
    pub fn variant_at(&self, index: VariantIndex) -> Option<(&str, &Value)> {
        self.at(index).map(|variant| (variant.name.as_str(), &variant.value))
    }

    #[inline]
    fn read<'a, T: FlagValue<'a>>(&'a self, from: Resolution) -> Result<Option<T>, ErrorCode> {
        match (from.error, from.variant.and_then(|index| self.at(index))) {
            (Some(error), _) => Err(error),
            (None, None) => Ok(None),
            (None, Some(variant)) => {
                T::read(&variant.value).map(Some).ok_or(ErrorCode::TypeMismatch)
            }
        }
    }

    /// The answer that no context changes, or else the rule that gives it.
    #[inline]
    fn settled(&self) -> Result<Resolution, &Expr> {
        Ok(match &self.targeting {
            _ if !self.enabled => Resolution::picked(None, Reason::Disabled),
            Targeting::None if self.default.is_some() => {
                Resolution::picked(self.default, Reason::Static)
            }
            Targeting::None => Resolution::picked(None, Reason::Default),
            Targeting::Broken(_) => Resolution::failed(ErrorCode::ParseError),
            Targeting::Rule(rule) => return Err(rule),
        })
    }

    fn targeted(&self, rule: &Expr, context: &Context<'_>) -> Resolution {
        let env = Env::new(&self.seed, context);
        let named = self.decide(rule, &env);
        if env.is_exhausted() {
            return Resolution::failed(ErrorCode::General);
        }
        match named {
            Named::Nothing => Resolution::picked(self.default, Reason::Default),
            Named::Unknown => Resolution::failed(ErrorCode::General),
            Named::Variant(variant) => Resolution::picked(Some(variant), Reason::TargetingMatch),
        }
    }

    /// Runs a rule to the variant that it means. Most rules end in the name of one, which needs no
    /// value made.
    fn decide<'a>(&self, rule: &'a Expr, env: &Env<'a>) -> Named {
        let next = match rule {
            Expr::Text(name) => return self.named(name),
            Expr::If(branches) => run::branch(branches, env, Scope::Context),
            Expr::Fractional(fractional) => fractional.pick(env, Scope::Context),
            _ => return self.named_by(&rule.eval(env, Scope::Context)),
        };
        next.map_or(Named::Nothing, |next| self.decide(next, env))
    }

    /// The variant that a targeting rule means by its answer.
    pub(crate) fn named_by(&self, answer: &Val<'_>) -> Named {
        match answer {
            Val::Text(name) => self.named(name),
            Val::Null => Named::Nothing,
            // JSON has no such numbers; they turn into `null`.
            Val::Number(number) if !number.is_finite() => Named::Nothing,
            Val::Number(number) => self.named(Digits::of(*number).as_str()),
            Val::Bool(true) => self.named("true"),
            Val::Bool(false) => self.named("false"),
            Val::Json(_) | Val::List(_) | Val::Object(_) => Named::Unknown,
        }
    }

    fn named(&self, name: &str) -> Named {
        let mut variants = (0..).map(VariantIndex).zip(self.variants.iter());
        let found = variants.find(|(_, variant)| same(&variant.name, name));
        found.map_or(Named::Unknown, |(index, _)| Named::Variant(index))
    }

    #[inline]
    pub(crate) fn at(&self, index: VariantIndex) -> Option<&Variant> {
        self.variants.get(index.0 as usize)
    }

    pub(crate) fn default(&self) -> Option<&Variant> {
        self.default.and_then(|index| self.at(index))
    }
}

/// What the answer of a targeting rule stands for.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Named {
    /// `null`: the rule leaves it to the default variant.
    Nothing,
    Variant(VariantIndex),
    /// No variant has this name.
    Unknown,
}
