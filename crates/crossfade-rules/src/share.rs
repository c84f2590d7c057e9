//! How many users get `true`, as far as the rule alone tells.

use crate::{
    Flag,
    expr::Expr,
    flag::{Named, Targeting, Variant},
    fractional::Seed,
    run::{Env, Scope},
};

pub(crate) fn true_percent(flag: &Flag) -> Option<f64> {
    if !flag.is_boolean() {
        return None;
    }
    if !flag.is_enabled() {
        return Some(0.0);
    }
    let rule: &Expr = match &flag.targeting {
        Targeting::None => return boolean(flag.default()?).map(all_or_nobody),
        Targeting::Broken(_) => return None,
        Targeting::Rule(rule) => rule,
    };
    let Expr::Fractional(fractional) = rule else {
        return boolean(named(flag, rule)?).map(all_or_nobody);
    };
    if !fractional.covers_every_user() {
        return None;
    }
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

/// The variant that users get for an answer that computes nothing.
pub(crate) fn named<'a>(flag: &'a Flag, answer: &Expr) -> Option<&'a Variant> {
    if !answer.is_literal() {
        return None;
    }
    let (seed, nobody) = (Seed::new("", flag.seed.version(), 0), crate::Context::anonymous());
    match flag.named_by(&answer.eval(&Env::new(&seed, &nobody), Scope::Context)) {
        Named::Nothing => flag.default(),
        Named::Variant(variant) => flag.at(variant),
        Named::Unknown => None,
    }
}

fn boolean(variant: &Variant) -> Option<bool> {
    variant.value.as_bool()
}

fn all_or_nobody(everybody: bool) -> f64 {
    if everybody { 100.0 } else { 0.0 }
}
