//! Reading the context: `var`, `missing` and `missing_some`.

use crate::{
    context::TARGETING_KEY,
    expr::{Expr, Var, VarPath},
    run::{Env, Scope},
    val::Val,
};

impl Var {
    /// The text that is read, where it can be had without making a value: most rules compare an
    /// attribute with a text.
    #[inline(always)]
    pub(super) fn text<'a>(&self, env: &Env<'a>, scope: Scope<'_, 'a>) -> Option<&'a str> {
        match (&self.path, scope) {
            (VarPath::Attribute { name, rest }, Scope::Context) if rest.is_empty() => {
                env.context.attribute(name)?.as_text()
            }
            (VarPath::TargetingKey, Scope::Context) => env.context.targeting_key(),
            _ => None,
        }
    }

    #[inline]
    pub(crate) fn eval<'a>(&'a self, env: &Env<'a>, scope: Scope<'_, 'a>) -> Val<'a> {
        let found = match (&self.path, scope) {
            (VarPath::TargetingKey, Scope::Context) => targeting_key(env),
            (VarPath::FlagKey, Scope::Context) => Some(Val::Text(env.seed.key().into())),
            (VarPath::Timestamp, Scope::Context) => timestamp(env),
            (VarPath::Whole, _) => Some(whole(env, scope)),
            (VarPath::Attribute { name, rest }, Scope::Context) => {
                let found = env.context.attribute(name).map(Val::from);
                below(found, rest.iter().map(AsRef::as_ref))
            }
            (VarPath::Attribute { name, rest }, _) => {
                below(top(name, env, scope), rest.iter().map(AsRef::as_ref))
            }
            (VarPath::TargetingKey, _) => top(TARGETING_KEY, env, scope),
            (VarPath::FlagKey, _) => read("$flagd.flagKey", env, scope),
            (VarPath::Timestamp, _) => read("$flagd.timestamp", env, scope),
            (VarPath::Computed(path), _) => {
                let path = path.eval(env, scope);
                read(&path.to_text(), env, scope)
            }
        };
        match found {
            Some(value) => value,
            None => self.default.eval(env, scope),
        }
    }
}

/// `missing`: those of the names under which there is nothing. A first argument that is an array
/// holds the names.
pub(super) fn missing<'a>(names: &'a [Expr], env: &Env<'a>, scope: Scope<'_, 'a>) -> Val<'a> {
    let names: Vec<_> = names.iter().map(|name| name.eval(env, scope)).collect();
    let listed = names.first().and_then(Val::items).map(Iterator::collect);
    absent(listed.unwrap_or(names), env, scope)
}

/// `missing_some`: nothing when at least so many of the names are there, else those that are not.
pub(super) fn missing_some<'a>(
    args: &'a [Expr; 2],
    env: &Env<'a>,
    scope: Scope<'_, 'a>,
) -> Val<'a> {
    let [need, names] = args.each_ref().map(|arg| arg.eval(env, scope));
    let names: Vec<_> = names.items().into_iter().flatten().collect();
    let asked = names.len();
    let absent = absent(names, env, scope);
    if (asked - absent.len().min(asked)) as f64 >= need.to_number() {
        return Val::list(Vec::new());
    }
    absent
}

fn absent<'a>(mut names: Vec<Val<'a>>, env: &Env<'a>, scope: Scope<'_, 'a>) -> Val<'a> {
    if !env.spend(names.len()) {
        return Val::Null;
    }
    names.retain(|name| match read(&name.to_text(), env, scope) {
        None | Some(Val::Null) => true,
        Some(value) => value.as_text() == Some(""),
    });
    env.built(Val::list(names))
}

/// Reads a dotted path that is known only now.
fn read<'a>(path: &str, env: &Env<'a>, scope: Scope<'_, 'a>) -> Option<Val<'a>> {
    if path.is_empty() {
        return Some(whole(env, scope));
    }
    let mut names = path.split('.');
    let first = names.next().unwrap_or_default();
    below(top(first, env, scope), names)
}

/// The value of the outermost name of a path.
fn top<'a>(name: &str, env: &Env<'a>, scope: Scope<'_, 'a>) -> Option<Val<'a>> {
    match scope {
        Scope::Context if name == "$flagd" => Some(supplied(env)),
        Scope::Context if name == TARGETING_KEY => targeting_key(env),
        Scope::Context => env.context.attribute(name).map(Val::from),
        Scope::Item(item) => item.get(name),
        Scope::Reduce { current, .. } if name == "current" => Some(current.clone()),
        Scope::Reduce { accumulator, .. } if name == "accumulator" => Some(accumulator.clone()),
        Scope::Reduce { .. } => None,
    }
}

#[inline]
fn below<'a, 'n>(
    found: Option<Val<'a>>,
    mut names: impl Iterator<Item = &'n str>,
) -> Option<Val<'a>> {
    names.try_fold(found?, |value, name| value.get(name))
}

fn targeting_key<'a>(env: &Env<'a>) -> Option<Val<'a>> {
    match env.context.targeting_key() {
        Some(key) => Some(Val::Text(key.into())),
        // A key that is no text is still there to be read.
        None => env.context.attribute(TARGETING_KEY).map(Val::from),
    }
}

fn timestamp<'a>(env: &Env<'a>) -> Option<Val<'a>> {
    env.context.unix_seconds().map(|at| Val::Number(at as f64))
}

/// What the rule set itself puts into the context, under `$flagd`.
fn supplied<'a>(env: &Env<'a>) -> Val<'a> {
    let mut members = vec![("flagKey".into(), Val::Text(env.seed.key().into()))];
    members.extend(timestamp(env).map(|at| ("timestamp".into(), at)));
    Val::object(members)
}

fn whole<'a>(env: &Env<'a>, scope: Scope<'_, 'a>) -> Val<'a> {
    let value = match scope {
        Scope::Item(item) => item.clone(),
        Scope::Reduce { current, accumulator } => Val::object(vec![
            ("current".into(), current.clone()),
            ("accumulator".into(), accumulator.clone()),
        ]),
        Scope::Context => {
            let own = env.context.attributes().map(|(name, value)| (name.into(), value.into()));
            let mut members: Vec<_> = own.collect();
            members.extend(targeting_key(env).map(|key| (TARGETING_KEY.into(), key)));
            members.push(("$flagd".into(), supplied(env)));
            Val::object(members)
        }
    };
    env.spend(value.members().into_iter().flatten().count());
    env.built(value)
}
