//! One compiled flag.

use serde_json::Value;

use crate::{
    Context, ErrorCode, Reason,
    evaluation::Outcome,
    expr::{Env, Expr},
    share,
    val::Val,
};

/// One flag definition, compiled.
#[derive(Clone, Debug)]
pub struct Flag {
    pub(crate) key: String,
    pub(crate) enabled: bool,
    pub(crate) variants: Vec<Variant>,
    /// An index into `variants`.
    pub(crate) default: Option<usize>,
    pub(crate) targeting: Targeting,
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
    /// The rule cannot be compiled, because of this.
    Broken(String),
}

impl Flag {
    /// The key by which applications ask for the flag.
    #[must_use]
    pub fn key(&self) -> &str {
        &self.key
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

    /// Whether all variants are booleans, and there is at least one.
    #[must_use]
    pub fn is_boolean(&self) -> bool {
        !self.variants.is_empty() && self.variants.iter().all(|variant| variant.value.is_boolean())
    }

    /// Why the targeting rule cannot be evaluated; `None` when it can.
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

    pub(crate) fn outcome<'a>(&'a self, context: &'a Context<'a>) -> Outcome<'a> {
        if !self.enabled {
            return Outcome::picked(None, Reason::Disabled);
        }
        let rule = match &self.targeting {
            Targeting::None if self.default.is_some() => {
                return Outcome::picked(self.default(), Reason::Static);
            }
            Targeting::None => return Outcome::picked(None, Reason::Default),
            Targeting::Broken(_) => return Outcome::error(ErrorCode::ParseError),
            Targeting::Rule(rule) => rule,
        };
        let named = match rule.eval(Env { flag_key: &self.key, context }) {
            Val::Null => return Outcome::picked(self.default(), Reason::Default),
            Val::Json(_) | Val::List(_) => None,
            name => self.variant(&name.to_text()),
        };
        match named {
            Some(variant) => Outcome::picked(Some(variant), Reason::TargetingMatch),
            None => Outcome::error(ErrorCode::General),
        }
    }

    pub(crate) fn variant(&self, name: &str) -> Option<&Variant> {
        self.variants.iter().find(|variant| variant.name == name)
    }

    pub(crate) fn default(&self) -> Option<&Variant> {
        self.default.and_then(|index| self.variants.get(index))
    }
}
