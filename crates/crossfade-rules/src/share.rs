//! How many users get `true`, as far as the rule alone tells.

use serde_json::Value;

use crate::{
    Flag,
    expr::Expr,
    flag::{Targeting, Variant},
    val::Val,
};

pub(crate) fn true_percent(flag: &Flag) -> Option<f64> {
    if !flag.is_boolean() {
        return None;
    }
    if !flag.is_enabled() {
        return Some(0.0);
    }
    match &flag.targeting {
        Targeting::None => boolean(flag.default()?).map(all_or_nobody),
        Targeting::Rule(Expr::Fractional(fractional)) => {
            let (mut yes, mut total) = (0, 0);
            for (variant, weight) in fractional.fixed_buckets()? {
                total += weight;
                if boolean(named(flag, variant)?)? {
                    yes += weight;
                }
            }
            // Both are below 2^31, so neither conversion rounds.
            Some(yes as f64 * 100.0 / total as f64)
        }
        Targeting::Rule(Expr::Literal(variant)) => {
            boolean(named(flag, variant)?).map(all_or_nobody)
        }
        Targeting::Rule(_) | Targeting::Broken(_) => None,
    }
}

fn named<'a>(flag: &'a Flag, variant: &Value) -> Option<&'a Variant> {
    match Val::from(variant) {
        Val::Null => flag.default(),
        Val::Json(_) | Val::List(_) => None,
        name => flag.variant(&name.to_text()),
    }
}

fn boolean(variant: &Variant) -> Option<bool> {
    variant.value.as_bool()
}

fn all_or_nobody(everybody: bool) -> f64 {
    if everybody { 100.0 } else { 0.0 }
}
