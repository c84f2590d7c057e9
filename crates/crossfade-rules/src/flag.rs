//! One compiled flag.

use std::sync::Arc;

use serde_json::{Map, Value};

use crate::{
    Context, Details, ErrorCode, Evaluation, FlagValue, Reason,
    evaluation::Outcome,
    expr::Expr,
    fractional::Seed,
    run::{Env, Scope},
    share,
    val::Val,
};

/// One flag definition, compiled.
#[derive(Clone, Debug)]
pub struct Flag {
    pub(crate) seed: Seed,
    pub(crate) enabled: bool,
    pub(crate) variants: Vec<Variant>,
    /// An index into `variants`.
    pub(crate) default: Option<usize>,
    pub(crate) targeting: Targeting,
    pub(crate) reads_time: bool,
    pub(crate) metadata: Option<Arc<Map<String, Value>>>,
}

/// One named value of a flag.
#[derive(Clone, Debug)]
pub(crate) struct Variant {
    pub(crate) name: String,
    pub(crate) value: Value,
}

/// How a flag picks a variant.
#[derive(Clone, Debug)]
pub(crate) enum Targeting {
    /// Everybody gets the default variant.
    None,
    Rule(Expr),
    /// The flag cannot be evaluated, because of this.
    Broken(String),
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
        self.outcome(context).with_metadata(self.metadata())
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
        let outcome = self.outcome(context);
        match (outcome.error, outcome.variant) {
            (Some(error), _) => Err(error),
            (None, None) => Ok(None),
            (None, Some(variant)) => {
                T::read(&variant.value).map(Some).ok_or(ErrorCode::TypeMismatch)
            }
        }
    }

    /// Evaluates the flag in one type, and says how the answer came about.
    #[must_use]
    pub fn details<'a, T: FlagValue<'a>>(
        &'a self,
        context: &Context<'_>,
        default: T,
    ) -> Details<'a, T> {
        let Outcome { variant, reason, error } = self.outcome(context);
        let metadata = self.metadata();
        let Some(variant) = variant else {
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

    #[inline]
    pub(crate) fn outcome<'a>(&'a self, context: &Context<'_>) -> Outcome<'a> {
        if !self.enabled {
            return Outcome::picked(None, Reason::Disabled);
        }
        match &self.targeting {
            Targeting::None if self.default.is_some() => {
                Outcome::picked(self.default(), Reason::Static)
            }
            Targeting::None => Outcome::picked(None, Reason::Default),
            Targeting::Broken(_) => Outcome::error(ErrorCode::ParseError),
            Targeting::Rule(rule) => self.targeted(rule, context),
        }
    }

    fn targeted(&self, rule: &Expr, context: &Context<'_>) -> Outcome<'_> {
        let env = Env::new(&self.seed, context);
        let picked = rule.eval(&env, Scope::Context);
        if env.is_exhausted() {
            return Outcome::error(ErrorCode::General);
        }
        match self.named_by(&picked) {
            Named::Nothing => Outcome::picked(self.default(), Reason::Default),
            Named::Unknown => Outcome::error(ErrorCode::General),
            Named::Variant(variant) => Outcome::picked(Some(variant), Reason::TargetingMatch),
        }
    }

    /// The variant that a targeting rule means by its answer.
    pub(crate) fn named_by(&self, answer: &Val<'_>) -> Named<'_> {
        let variant = match answer {
            Val::Text(name) => self.variant(name),
            Val::Null => return Named::Nothing,
            // JSON has no such numbers; they turn into `null`.
            Val::Number(number) if !number.is_finite() => return Named::Nothing,
            Val::Bool(_) | Val::Number(_) => self.variant(&answer.to_text()),
            Val::Json(_) | Val::List(_) | Val::Object(_) => None,
        };
        variant.map_or(Named::Unknown, Named::Variant)
    }

    pub(crate) fn variant(&self, name: &str) -> Option<&Variant> {
        self.variants.iter().find(|variant| variant.name == name)
    }

    #[inline]
    pub(crate) fn default(&self) -> Option<&Variant> {
        self.default.and_then(|index| self.variants.get(index))
    }
}

/// What the answer of a targeting rule stands for.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Named<'a> {
    /// `null`: the rule leaves it to the default variant.
    Nothing,
    Variant(&'a Variant),
    /// No variant has this name.
    Unknown,
}
