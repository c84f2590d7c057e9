//! Compiles JsonLogic into [`Expr`].

use serde_json::{Map, Value};

use crate::{
    MAX_NESTING,
    context::TARGETING_KEY,
    expr::{Expr, Order, VarPath},
    fractional::{Bucket, BucketKey, Fractional},
};

/// How many parts one rule may have once its `$ref`s are filled in. Evaluators that refer to
/// evaluators would otherwise grow without bound.
const MAX_PARTS: usize = 20_000;

/// Compiles one targeting rule. The error says what the rule uses that cannot be evaluated.
pub(crate) fn targeting(
    rule: &Value,
    evaluators: Option<&Map<String, Value>>,
) -> Result<Expr, String> {
    Compiler { evaluators, parts: 0 }.expr(rule, 0)
}

struct Compiler<'a> {
    evaluators: Option<&'a Map<String, Value>>,
    parts: usize,
}

impl Compiler<'_> {
    fn expr(&mut self, value: &Value, depth: usize) -> Result<Expr, String> {
        self.parts += 1;
        if depth > MAX_NESTING {
            return Err(format!("nested deeper than {MAX_NESTING} levels"));
        }
        if self.parts > MAX_PARTS {
            return Err(format!("more than {MAX_PARTS} parts"));
        }
        match value {
            Value::Array(items) => {
                let items = self.exprs(items, depth)?;
                let literals: Option<Vec<_>> =
                    items.iter().map(|item| item.as_literal().cloned()).collect();
                Ok(literals.map_or(Expr::List(items), |items| Expr::Literal(items.into())))
            }
            Value::Object(object) => {
                let mut members = object.iter();
                match (members.next(), members.next()) {
                    (Some((name, args)), None) => self.operator(name, args, depth),
                    _ => Ok(Expr::Literal(value.clone())),
                }
            }
            _ => Ok(Expr::Literal(value.clone())),
        }
    }

    fn exprs(&mut self, values: &[Value], depth: usize) -> Result<Vec<Expr>, String> {
        values.iter().map(|value| self.expr(value, depth + 1)).collect()
    }

    fn operator(&mut self, name: &str, args: &Value, depth: usize) -> Result<Expr, String> {
        match name {
            "$ref" => return self.reference(args, depth),
            "var" => return self.var(args, depth),
            "fractional" => return self.fractional(args, depth),
            _ => {}
        }
        // JsonLogic reads `{"!": x}` as `{"!": [x]}`.
        let args = self.exprs(as_list(args), depth)?;
        Ok(match name {
            "if" => Expr::If(args),
            "and" => Expr::And(args),
            "or" => Expr::Or(args),
            "!" => Expr::Not(Box::new(first(args))),
            "!!" => Expr::Truthy(Box::new(first(args))),
            "==" => equal(false, args),
            "===" => equal(true, args),
            "!=" => Expr::Not(Box::new(equal(false, args))),
            "!==" => Expr::Not(Box::new(equal(true, args))),
            "<" => Expr::Ordered { order: Order::Less, items: at_least_two(args, 3) },
            "<=" => Expr::Ordered { order: Order::LessOrEqual, items: at_least_two(args, 3) },
            ">" => Expr::Ordered { order: Order::Greater, items: at_least_two(args, 2) },
            ">=" => Expr::Ordered { order: Order::GreaterOrEqual, items: at_least_two(args, 2) },
            "in" => {
                let [needle, within] = pair(args).map(Box::new);
                Expr::In { needle, within }
            }
            "cat" => Expr::Cat(args),
            "starts_with" | "ends_with" if args.len() != 2 => Expr::NULL,
            "starts_with" => Expr::StartsWith(Box::new(pair(args))),
            "ends_with" => Expr::EndsWith(Box::new(pair(args))),
            _ => return Err(format!("unknown operator \"{name}\"")),
        })
    }

    fn reference(&mut self, name: &Value, depth: usize) -> Result<Expr, String> {
        let found = name.as_str().and_then(|name| self.evaluators?.get(name));
        let rule = found.ok_or_else(|| format!("$ref names no evaluator: {name}"))?;
        self.expr(rule, depth + 1)
    }

    fn var(&mut self, args: &Value, depth: usize) -> Result<Expr, String> {
        let (path, default) = match as_list(args) {
            [path] => (path, None),
            [path, default, ..] => (path, Some(self.expr(default, depth + 1)?)),
            [] => return Err("var without a path".to_owned()),
        };
        let path = match path {
            Value::String(path) if !path.is_empty() => var_path(path),
            Value::Number(number) => var_path(&number.to_string()),
            other => return Err(format!("var takes the name of an attribute, not {other}")),
        };
        Ok(Expr::Var { path, default: default.map(Box::new) })
    }

    /// A misused `fractional` is no fault of the flag: it answers `null`, as in every provider.
    fn fractional(&mut self, args: &Value, depth: usize) -> Result<Expr, String> {
        let Some(args) = args.as_array() else { return Ok(Expr::NULL) };
        let (key, buckets) = match args.as_slice() {
            [] => return Ok(Expr::NULL),
            [Value::Array(_), ..] => (BucketKey::FlagAndTargetingKey, args.as_slice()),
            [key, buckets @ ..] => {
                (BucketKey::Computed(Box::new(self.expr(key, depth + 1)?)), buckets)
            }
        };
        let mut compiled = Vec::with_capacity(buckets.len());
        for bucket in buckets {
            let (variant, weight) = match bucket.as_array().map(Vec::as_slice) {
                Some([variant]) => (variant, None),
                Some([variant, weight]) => (variant, Some(weight)),
                _ => return Ok(Expr::NULL),
            };
            compiled.push(Bucket {
                variant: self.expr(variant, depth + 1)?,
                weight: weight.map(|weight| self.expr(weight, depth + 1)).transpose()?,
            });
        }
        Ok(Expr::Fractional(Fractional::new(key, compiled)))
    }
}

fn var_path(path: &str) -> VarPath {
    match path {
        TARGETING_KEY => VarPath::TargetingKey,
        "$flagd.flagKey" => VarPath::FlagKey,
        "$flagd.timestamp" => VarPath::Timestamp,
        _ => {
            let mut names = path.split('.').map(str::to_owned);
            let name = names.next().unwrap_or_default();
            VarPath::Attribute { name, rest: names.collect() }
        }
    }
}

fn as_list(args: &Value) -> &[Value] {
    args.as_array().map_or_else(|| std::slice::from_ref(args), Vec::as_slice)
}

fn first(args: Vec<Expr>) -> Expr {
    args.into_iter().next().unwrap_or(Expr::NULL)
}

/// The first two arguments; `null` stands in for a missing one.
fn pair(args: Vec<Expr>) -> [Expr; 2] {
    let mut args = args.into_iter();
    [(); 2].map(|()| args.next().unwrap_or(Expr::NULL))
}

fn equal(strict: bool, args: Vec<Expr>) -> Expr {
    Expr::Equal { strict, sides: Box::new(pair(args)) }
}

fn at_least_two(mut args: Vec<Expr>, at_most: usize) -> Vec<Expr> {
    args.truncate(at_most);
    args.resize(args.len().max(2), Expr::NULL);
    args
}
