//! Runs compiled rules.

mod arrays;
mod numbers;
mod texts;
mod variables;

use std::{cell::Cell, cmp::Ordering};

use crate::{
    Context,
    expr::{AttributeIn, Expr, Order},
    fractional::Seed,
    semver,
    short::{Outline, same},
    val::Val,
};

/// The deepest nesting of arrays and objects that a rule may build.
const MAX_BUILT_DEPTH: usize = 64;

/// What a rule can see while it runs.
#[derive(Debug)]
pub(crate) struct Env<'a> {
    pub(crate) seed: &'a Seed,
    pub(crate) context: &'a Context<'a>,
    /// How many steps are left; see `Limits::with_steps`.
    steps: Cell<u32>,
    exhausted: Cell<bool>,
}

/// What `var` reads from.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Scope<'s, 'a> {
    Context,
    /// An item of the array that `map` or its kin visit.
    Item(&'s Val<'a>),
    Reduce {
        current: &'s Val<'a>,
        accumulator: &'s Val<'a>,
    },
}

impl<'a> Env<'a> {
    #[inline]
    pub(crate) fn new(seed: &'a Seed, context: &'a Context<'a>) -> Self {
        let steps = Cell::new(seed.steps);
        Self { seed, context, steps, exhausted: Cell::new(false) }
    }

    /// Whether the rule asked for more steps than it has; its answer means nothing then.
    #[inline]
    pub(crate) fn is_exhausted(&self) -> bool {
        self.exhausted.get()
    }

    /// Takes steps; answers whether there were that many left.
    fn spend(&self, steps: usize) -> bool {
        let left = u32::try_from(steps).ok().and_then(|steps| self.steps.get().checked_sub(steps));
        match left {
            Some(left) => self.steps.set(left),
            None => self.exhausted.set(true),
        }
        !self.exhausted.get()
    }

    /// An array or object that the rule has built, unless it is nested too deeply.
    fn built(&self, value: Val<'a>) -> Val<'a> {
        if value.depth() > MAX_BUILT_DEPTH {
            self.exhausted.set(true);
            return Val::Null;
        }
        value
    }
}

impl Expr {
    /// Runs the rule. Recursion is bounded by the depth that compiling allows.
    pub(crate) fn eval<'a>(&'a self, env: &Env<'a>, scope: Scope<'_, 'a>) -> Val<'a> {
        match self {
            Self::Null => Val::Null,
            Self::Bool(value) => Val::Bool(*value),
            Self::Number(number) => Val::Number(*number),
            Self::Text(text) => Val::Text((**text).into()),
            Self::If(branches) => match branch(branches, env, scope) {
                Some(answer) => answer.eval(env, scope),
                None => Val::Null,
            },
            Self::Fractional(fractional) => match fractional.pick(env, scope) {
                Some(variant) => variant.eval(env, scope),
                None => Val::Null,
            },
            Self::Var(var) => var.eval(env, scope),
            _ => self.compute(env, scope),
        }
    }

    /// The operators that are rarely on the way of every request. Kept apart, so that running the
    /// others needs little stack.
    #[inline(never)]
    fn compute<'a>(&'a self, env: &Env<'a>, scope: Scope<'_, 'a>) -> Val<'a> {
        match self {
            Self::Json(value) => Val::Json(value),
            Self::List(items) => {
                env.spend(items.len());
                env.built(Val::list(items.iter().map(|item| item.eval(env, scope)).collect()))
            }
            Self::Ref(rule) => rule.eval(env, scope),
            Self::And(items) => first_that(items, env, scope, |value| !value.is_truthy()),
            Self::Or(items) => first_that(items, env, scope, Val::is_truthy),
            Self::Cat(items) => texts::cat(items, env, scope),
            Self::Substr(args) => texts::substr(args, env, scope),
            Self::StartsWith(args) => {
                texts::compare(args, env, scope, |text, part| text.starts_with(part))
            }
            Self::EndsWith(args) => {
                texts::compare(args, env, scope, |text, part| text.ends_with(part))
            }
            Self::Compute { operation, items } => numbers::compute(*operation, items, env, scope),
            Self::Merge(items) => arrays::merge(items, env, scope),
            Self::Missing(names) => variables::missing(names, env, scope),
            Self::MissingSome(args) => variables::missing_some(args, env, scope),
            Self::Each(each) => arrays::each(each, env, scope),
            Self::Reduce(reduce) => arrays::reduce(reduce, env, scope),
            Self::SemVer(args) => {
                let [left, operator, right] = args.each_ref().map(|arg| arg.eval(env, scope));
                semver::compare(&left, &operator, &right).map_or(Val::Null, Val::Bool)
            }
            _ => Val::Bool(self.test(env, scope)),
        }
    }

    /// Whether the rule's answer is truthy. Conditions ask only this, and need no value made.
    pub(crate) fn test<'a>(&'a self, env: &Env<'a>, scope: Scope<'_, 'a>) -> bool {
        match self {
            Self::And(items) => {
                let holds = |item: &'a Self| match item {
                    Self::AttributeIn(condition) => condition.test(env, scope),
                    _ => item.test(env, scope),
                };
                !items.is_empty() && items.iter().all(holds)
            }
            Self::Or(items) => items.iter().any(|item| item.test(env, scope)),
            Self::AttributeIn(condition) => condition.test(env, scope),
            Self::IsText { strict, value, text } => match value.text(env, scope) {
                Some(value) => same(value, text),
                None => value.is_text(*strict, text, env, scope),
            },
            Self::InTexts { needle, texts } => match needle.text(env, scope) {
                Some(needle) => texts.iter().any(|text| same(needle, text)),
                None => needle.is_in(texts, env, scope),
            },
            Self::Not(item) => !item.test(env, scope),
            Self::Truthy(item) => item.test(env, scope),
            Self::Ref(rule) => rule.test(env, scope),
            _ => self.judge(env, scope),
        }
    }

    /// The conditions that have to make values.
    #[inline(never)]
    fn judge<'a>(&'a self, env: &Env<'a>, scope: Scope<'_, 'a>) -> bool {
        match self {
            Self::Equal { strict, sides } => {
                let [left, right] = sides.each_ref().map(|side| side.eval(env, scope));
                match strict {
                    true => left.strictly_equals(&right),
                    false => left.loosely_equals(&right),
                }
            }
            Self::Ordered { order, items } => in_order(*order, items, env, scope),
            Self::In(args) => {
                let [needle, within] = args.each_ref().map(|arg| arg.eval(env, scope));
                // Searching a long list or text costs as much as visiting a few items.
                let size = within.as_text().map_or(within.len() / 16, |it| it.len() / 64);
                env.spend(size) && within.contains(&needle)
            }
            _ => self.eval(env, scope).is_truthy(),
        }
    }

    /// The rule's text, where it can be had without making a value.
    #[inline(always)]
    fn text<'a>(&'a self, env: &Env<'a>, scope: Scope<'_, 'a>) -> Option<&'a str> {
        match self {
            Self::Var(var) => var.text(env, scope),
            Self::Text(text) => Some(text),
            _ => None,
        }
    }

    #[inline(never)]
    fn is_text<'a>(
        &'a self,
        strict: bool,
        text: &'a str,
        env: &Env<'a>,
        scope: Scope<'_, 'a>,
    ) -> bool {
        match self.eval(env, scope) {
            Val::Text(value) => value == text,
            value => !strict && value.loosely_equals(&Val::Text(text.into())),
        }
    }

    #[inline(never)]
    fn is_in<'a>(&'a self, texts: &[Box<str>], env: &Env<'a>, scope: Scope<'_, 'a>) -> bool {
        match self.eval(env, scope) {
            Val::Text(needle) => texts.iter().any(|text| needle == **text),
            _ => false,
        }
    }
}

impl AttributeIn {
    #[inline(always)]
    fn test<'a>(&'a self, env: &Env<'a>, scope: Scope<'_, 'a>) -> bool {
        if let Scope::Context = scope
            && let Some(text) = env.context.text(&self.name)
        {
            let outline = Outline::of(text);
            return self.texts.iter().any(|word| word.is(text, outline));
        }
        self.general.test(env, scope)
    }
}

/// The branch that an `if` takes: condition, answer, condition, answer, …, otherwise.
pub(crate) fn branch<'a>(
    branches: &'a [Expr],
    env: &Env<'a>,
    scope: Scope<'_, 'a>,
) -> Option<&'a Expr> {
    let taken = branches.chunks(2).find(|branch| match branch {
        [condition, _] => condition.test(env, scope),
        _ => true,
    });
    taken?.last()
}

/// The first value that settles an `and` or an `or`, or else the last.
fn first_that<'a>(
    items: &'a [Expr],
    env: &Env<'a>,
    scope: Scope<'_, 'a>,
    settles: fn(&Val<'a>) -> bool,
) -> Val<'a> {
    let mut last = Val::Null;
    for item in items {
        last = item.eval(env, scope);
        if settles(&last) {
            break;
        }
    }
    last
}

fn in_order<'a>(order: Order, items: &'a [Expr], env: &Env<'a>, scope: Scope<'_, 'a>) -> bool {
    let mut items = items.iter().map(|item| item.eval(env, scope));
    let Some(mut left) = items.next() else { return false };
    for right in items {
        if !left.compare(&right).is_some_and(|ordering| order.admits(ordering)) {
            return false;
        }
        left = right;
    }
    true
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
