//! Operators on arrays.

use crate::{
    expr::{Each, Expr, Purpose, Reduce},
    run::{Env, Scope},
    val::Val,
};

/// `merge`: one array of all items; what is no array counts as an item.
pub(super) fn merge<'a>(items: &'a [Expr], env: &Env<'a>, scope: Scope<'_, 'a>) -> Val<'a> {
    let mut merged = Vec::new();
    for item in items {
        let value = item.eval(env, scope);
        if !env.spend(1 + value.len()) {
            return Val::Null;
        }
        match value.is_array() {
            true => merged.extend(value.items().into_iter().flatten()),
            false => merged.push(value),
        }
    }
    env.built(Val::list(merged))
}

/// `map`, `filter`, `all`, `none` and `some`. What is no array has no items.
pub(super) fn each<'a>(each: &'a Each, env: &Env<'a>, scope: Scope<'_, 'a>) -> Val<'a> {
    let list = each.list.eval(env, scope);
    let mut kept = Vec::new();
    for item in list.items().into_iter().flatten() {
        if !env.spend(each.steps as usize) {
            return Val::Null;
        }
        let inside = Scope::Item(&item);
        match each.purpose {
            Purpose::Map => kept.push(each.rule.eval(env, inside)),
            Purpose::Filter => {
                if each.rule.test(env, inside) {
                    kept.push(item);
                }
            }
            Purpose::All => {
                if !each.rule.test(env, inside) {
                    return Val::Bool(false);
                }
            }
            Purpose::None | Purpose::Some => {
                if each.rule.test(env, inside) {
                    return Val::Bool(each.purpose == Purpose::Some);
                }
            }
        }
    }
    match each.purpose {
        Purpose::Map | Purpose::Filter => env.built(Val::list(kept)),
        // Of no items it is not said that all pass.
        Purpose::All => Val::Bool(list.len() > 0),
        Purpose::None => Val::Bool(true),
        Purpose::Some => Val::Bool(false),
    }
}

/// `reduce`: the rule sees the item as `current` and its last answer as `accumulator`.
pub(super) fn reduce<'a>(reduce: &'a Reduce, env: &Env<'a>, scope: Scope<'_, 'a>) -> Val<'a> {
    let list = reduce.list.eval(env, scope);
    let mut accumulator = reduce.start.eval(env, scope);
    for current in list.items().into_iter().flatten() {
        if !env.spend(reduce.steps as usize) {
            return Val::Null;
        }
        let inside = Scope::Reduce { current: &current, accumulator: &accumulator };
        accumulator = reduce.rule.eval(env, inside);
    }
    accumulator
}
