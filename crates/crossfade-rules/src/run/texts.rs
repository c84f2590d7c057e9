//! Operators on text.

use crate::{
    expr::Expr,
    run::{Env, Scope},
    val::Val,
};

/// Built text costs one step for so many bytes.
const BYTES_PER_STEP: usize = 64;

/// `cat`: the texts of all items, one behind the other.
pub(super) fn cat<'a>(items: &'a [Expr], env: &Env<'a>, scope: Scope<'_, 'a>) -> Val<'a> {
    let mut text = String::new();
    for item in items {
        let before = text.len();
        // Writing to a `String` cannot fail.
        let _ = item.eval(env, scope).write_text(&mut text);
        if !env.spend((text.len() - before) / BYTES_PER_STEP) {
            return Val::Null;
        }
    }
    Val::Text(text.into())
}

/// `substr`: from a start, counted from the end when negative, for a length, which when negative
/// says how many characters are left off at the end.
pub(super) fn substr<'a>(args: &'a [Expr], env: &Env<'a>, scope: Scope<'_, 'a>) -> Val<'a> {
    let mut args = args.iter().map(|arg| arg.eval(env, scope));
    let text = args.next().unwrap_or(Val::Null);
    let text = match &text {
        // As JavaScript's `String(null)` has it.
        Val::Null => "null".into(),
        value => value.to_text(),
    };
    if !env.spend(text.len() / BYTES_PER_STEP) {
        return Val::Null;
    }
    let length = text.chars().count();
    let start = whole(args.next().map_or(0.0, |start| start.to_number()));
    let start = if start < 0 { length.saturating_sub(distance(start)) } else { distance(start) };
    let rest = length.saturating_sub(start);
    let take = match args.next() {
        None => rest,
        Some(take) => match whole(take.to_number()) {
            take if take < 0 => rest.saturating_sub(distance(take)),
            take => rest.min(distance(take)),
        },
    };
    Val::Text(text.chars().skip(start).take(take).collect::<String>().into())
}

/// flagd's string operators answer `null` when either argument is not a string.
pub(super) fn compare<'a>(
    args: &'a [Expr; 2],
    env: &Env<'a>,
    scope: Scope<'_, 'a>,
    test: fn(&str, &str) -> bool,
) -> Val<'a> {
    if let [Some(text), Some(part)] = args.each_ref().map(|arg| arg.text(env, scope)) {
        return Val::Bool(test(text, part));
    }
    let [text, part] = args.each_ref().map(|arg| arg.eval(env, scope));
    match (text.as_text(), part.as_text()) {
        (Some(text), Some(part)) => Val::Bool(test(text, part)),
        _ => Val::Null,
    }
}

/// A number without its fraction; zero when it is none.
fn whole(number: f64) -> i64 {
    number as i64
}

fn distance(number: i64) -> usize {
    usize::try_from(number.unsigned_abs()).unwrap_or(usize::MAX)
}
