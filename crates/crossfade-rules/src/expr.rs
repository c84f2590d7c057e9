//! Compiled targeting rules, and how they run.

use std::cmp::Ordering;

use serde_json::Value;

use crate::{Context, fractional::Fractional, val::Val};

/// A compiled targeting rule, or a part of one.
#[derive(Clone, Debug)]
pub(crate) enum Expr {
    Literal(Value),
    List(Vec<Expr>),
    Var { path: VarPath, default: Option<Box<Expr>> },
    If(Vec<Expr>),
    And(Vec<Expr>),
    Or(Vec<Expr>),
    Truthy(Box<Expr>),
    Not(Box<Expr>),
    Equal { strict: bool, sides: Box<[Expr; 2]> },
    Ordered { order: Order, items: Vec<Expr> },
    In { needle: Box<Expr>, within: Box<Expr> },
    Cat(Vec<Expr>),
    StartsWith(Box<[Expr; 2]>),
    EndsWith(Box<[Expr; 2]>),
    Fractional(Fractional),
}

/// What a `var` reads.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum VarPath {
    TargetingKey,
    FlagKey,
    Timestamp,
    Attribute { name: String, rest: Vec<String> },
}

/// The four comparisons by size.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Order {
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

/// What a rule can see while it runs.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Env<'a> {
    pub(crate) flag_key: &'a str,
    pub(crate) context: &'a Context<'a>,
}

impl Expr {
    /// The value that an operator answers when its arguments make no sense.
    pub(crate) const NULL: Self = Self::Literal(Value::Null);

    /// Runs the rule. Recursion is bounded by the depth that compiling allows.
    pub(crate) fn eval<'a>(&'a self, env: Env<'a>) -> Val<'a> {
        match self {
            Self::Literal(value) => value.into(),
            Self::List(items) => Val::List(items.iter().map(|item| item.eval(env)).collect()),
            Self::Var { path, default } => match (path.read(env), default) {
                (Val::Null, Some(default)) => default.eval(env),
                (value, _) => value,
            },
            Self::If(branches) => choose(branches, env),
            Self::And(items) => first_that(items, env, |value| !value.is_truthy()),
            Self::Or(items) => first_that(items, env, Val::is_truthy),
            Self::Truthy(item) => Val::Bool(item.eval(env).is_truthy()),
            Self::Not(item) => Val::Bool(!item.eval(env).is_truthy()),
            Self::Equal { strict, sides } => {
                let [left, right] = sides.each_ref().map(|side| side.eval(env));
                Val::Bool(match strict {
                    true => left.strictly_equals(&right),
                    false => left.loosely_equals(&right),
                })
            }
            Self::Ordered { order, items } => Val::Bool(in_order(*order, items, env)),
            Self::In { needle, within } => Val::Bool(within.eval(env).contains(&needle.eval(env))),
            Self::Cat(items) => {
                let text: String =
                    items.iter().map(|item| item.eval(env).to_text().into_owned()).collect();
                Val::Text(text.into())
            }
            Self::StartsWith(args) => on_texts(args, env, |text, part| text.starts_with(part)),
            Self::EndsWith(args) => on_texts(args, env, |text, part| text.ends_with(part)),
            Self::Fractional(fractional) => fractional.pick(env),
        }
    }

    /// The value of a rule that computes nothing.
    pub(crate) fn as_literal(&self) -> Option<&Value> {
        match self {
            Self::Literal(value) => Some(value),
            _ => None,
        }
    }
}

impl VarPath {
    fn read<'a>(&self, env: Env<'a>) -> Val<'a> {
        let found = match self {
            Self::TargetingKey => env.context.targeting_key().map(|key| Val::Text(key.into())),
            Self::FlagKey => Some(Val::Text(env.flag_key.into())),
            Self::Timestamp => env.context.unix_seconds().map(|at| Val::Number(at as f64)),
            Self::Attribute { name, rest } => {
                env.context.attribute(name).and_then(|value| descend(value, rest))
            }
        };
        found.unwrap_or(Val::Null)
    }
}

/// Follows the rest of a dotted path into an object or, by number, into an array.
fn descend<'a>(value: &'a Val<'a>, rest: &[String]) -> Option<Val<'a>> {
    if rest.is_empty() {
        return Some(value.borrowed());
    }
    let &Val::Json(mut value) = value else { return None };
    for name in rest {
        value = match value {
            Value::Array(items) => items.get(name.parse::<usize>().ok()?)?,
            other => other.get(name)?,
        };
    }
    Some(value.into())
}

/// `if`: condition, answer, condition, answer, …, otherwise.
fn choose<'a>(branches: &'a [Expr], env: Env<'a>) -> Val<'a> {
    for branch in branches.chunks(2) {
        match branch {
            [condition, answer] if condition.eval(env).is_truthy() => return answer.eval(env),
            [otherwise] => return otherwise.eval(env),
            _ => {}
        }
    }
    Val::Null
}

/// The first value that settles an `and` or an `or`, or else the last.
fn first_that<'a>(items: &'a [Expr], env: Env<'a>, settles: fn(&Val<'a>) -> bool) -> Val<'a> {
    let mut last = Val::Null;
    for item in items {
        last = item.eval(env);
        if settles(&last) {
            break;
        }
    }
    last
}

fn in_order(order: Order, items: &[Expr], env: Env<'_>) -> bool {
    let values: Vec<_> = items.iter().map(|item| item.eval(env)).collect();
    values.windows(2).all(|pair| match pair {
        [left, right] => left.compare(right).is_some_and(|ordering| order.admits(ordering)),
        _ => false,
    })
}

impl Order {
    fn admits(self, ordering: Ordering) -> bool {
        match self {
            Self::Less => ordering.is_lt(),
            Self::LessOrEqual => ordering.is_le(),
            Self::Greater => ordering.is_gt(),
            Self::GreaterOrEqual => ordering.is_ge(),
        }
    }
}

/// flagd's string operators answer `null` when either argument is not a string.
fn on_texts<'a>(args: &[Expr; 2], env: Env<'a>, test: fn(&str, &str) -> bool) -> Val<'a> {
    let [text, part] = args.each_ref().map(|arg| arg.eval(env));
    match (text.as_text(), part.as_text()) {
        (Some(text), Some(part)) => Val::Bool(test(text, part)),
        _ => Val::Null,
    }
}
