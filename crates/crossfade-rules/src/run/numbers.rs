//! Arithmetic, in doubles as JavaScript does it.

use crate::{
    expr::{Expr, Operation},
    run::{Env, Scope},
    val::Val,
};

pub(super) fn compute<'a>(
    operation: Operation,
    items: &'a [Expr],
    env: &Env<'a>,
    scope: Scope<'_, 'a>,
) -> Val<'a> {
    let mut items = items.iter().map(|item| item.eval(env, scope));
    let result = match operation {
        Operation::Add => items.fold(0.0, |sum, item| sum + item.leading_number()),
        Operation::Multiply => match (items.next(), items.next()) {
            (None, _) => return Val::Null,
            // A single factor is left as it is, whatever it is.
            (Some(only), None) => return only,
            (Some(first), Some(second)) => items
                .fold(first.leading_number() * second.leading_number(), |product, item| {
                    product * item.leading_number()
                }),
        },
        Operation::Subtract => match (items.next(), items.next()) {
            (Some(left), Some(right)) => left.to_number() - right.to_number(),
            (Some(only), None) => -only.to_number(),
            (None, _) => f64::NAN,
        },
        Operation::Divide => pair(&mut items, |left, right| left / right),
        Operation::Remainder => pair(&mut items, |left, right| left % right),
        Operation::Max => extreme(items, f64::NEG_INFINITY, f64::max),
        Operation::Min => extreme(items, f64::INFINITY, f64::min),
    };
    Val::Number(result)
}

fn pair<'a>(items: &mut impl Iterator<Item = Val<'a>>, compute: fn(f64, f64) -> f64) -> f64 {
    match (items.next(), items.next()) {
        (Some(left), Some(right)) => compute(left.to_number(), right.to_number()),
        _ => f64::NAN,
    }
}

/// JavaScript's `Math.max` and `Math.min`: one item that is no number makes all of it none.
fn extreme<'a>(
    items: impl Iterator<Item = Val<'a>>,
    start: f64,
    choose: fn(f64, f64) -> f64,
) -> f64 {
    items.fold(start, |best, item| match item.to_number() {
        number if number.is_nan() || best.is_nan() => f64::NAN,
        number => choose(best, number),
    })
}
