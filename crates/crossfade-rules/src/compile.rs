//! Compiles JsonLogic into [`Expr`].

mod operators;

pub(crate) use operators::is_operator;

use std::{collections::HashMap, sync::Arc};

use foldhash::fast::FixedState;

use crate::{
    FractionalVersion, MAX_NESTING,
    context::TARGETING_KEY,
    expr::{Expr, Var, VarPath},
    fractional::{BucketKey, Fractional},
    js::Digits,
    json::{Json, Members},
};

/// How many parts one rule may have once its `$ref`s are filled in: what one evaluation costs
/// without any array. Evaluators that refer to evaluators would otherwise grow without bound.
const MAX_PARTS: u32 = 20_000;

/// How many bytes of a literal text count as one part.
const BYTES_PER_PART: usize = 256;

/// Compiles the targeting rules of one document.
#[derive(Debug)]
pub(crate) struct Compiler<'a> {
    evaluators: HashMap<&'a str, &'a Json<'a>, FixedState>,
    compiled: HashMap<&'a str, Evaluator, FixedState>,
    /// How many evaluators are being compiled, each for the one before it.
    open: usize,
    /// The version of `fractional`, or why there is none.
    fractional: Result<FractionalVersion, String>,
    tally: Tally,
    /// How many values may still be compiled.
    work: usize,
}

/// A targeting rule that can run.
#[derive(Debug)]
pub(crate) struct Rule {
    pub(crate) expr: Expr,
    /// Whether it may read `$flagd.timestamp`.
    pub(crate) reads_time: bool,
}

/// What is known of the rule that is being compiled, `$ref`s included.
#[derive(Clone, Copy, Debug, Default)]
struct Tally {
    parts: u32,
    /// The deepest level so far.
    height: usize,
    reads_time: bool,
}

#[derive(Clone, Debug)]
enum Evaluator {
    /// Being compiled; who refers to it now goes in a circle.
    Open,
    Done(Arc<Expr>, Tally),
    Broken(String),
}

impl<'a> Compiler<'a> {
    pub(crate) fn new(
        evaluators: Option<&'a Members<'a>>,
        fractional: Result<FractionalVersion, String>,
    ) -> Self {
        let evaluators = evaluators.into_iter().flat_map(Members::iter).collect();
        let (compiled, tally) = (HashMap::default(), Tally::default());
        Self { evaluators, compiled, open: 0, fractional, tally, work: usize::MAX }
    }

    /// Limits what compiling costs to what a document of so many bytes can reasonably ask for.
    ///
    /// A document that is compiled once has a value for every two bytes at most. Evaluators that
    /// cannot be used at the end of a long chain are compiled anew for each chain, though.
    pub(crate) fn within(mut self, bytes: usize) -> Self {
        self.work = bytes.saturating_mul(4);
        self
    }

    /// Compiles one targeting rule. The error says what it uses that cannot be evaluated.
    pub(crate) fn targeting(&mut self, rule: &'a Json<'a>) -> Result<Rule, String> {
        self.tally = Tally::default();
        self.open = 0;
        let expr = self.expr(rule, 0)?;
        Ok(Rule { expr, reads_time: self.tally.reads_time })
    }

    fn expr(&mut self, value: &'a Json<'a>, depth: usize) -> Result<Expr, String> {
        self.count(1, depth)?;
        self.work =
            self.work.checked_sub(1).ok_or("the rules before it took too long to compile")?;
        match value {
            Json::Array(items) => {
                let items = self.exprs(items, depth)?;
                match items.iter().all(Expr::is_literal) {
                    true => Ok(Expr::literal(value)),
                    false => Ok(Expr::List(items.into())),
                }
            }
            Json::Object(object) => {
                let mut members = object.iter();
                match (members.next(), members.next()) {
                    (Some((name, args)), None) => self.operator(name, args, depth),
                    _ => self.literal(value, depth),
                }
            }
            Json::Text(text) => {
                self.count(text.len() / BYTES_PER_PART, depth)?;
                Ok(Expr::literal(value))
            }
            _ => Ok(Expr::literal(value)),
        }
    }

    fn exprs(&mut self, values: &'a [Json<'a>], depth: usize) -> Result<Vec<Expr>, String> {
        values.iter().map(|value| self.expr(value, depth + 1)).collect()
    }

    /// An object that is no operator stands for itself, with all that is in it.
    fn literal(&mut self, value: &Json<'_>, depth: usize) -> Result<Expr, String> {
        self.count(weight(value), depth)?;
        Ok(Expr::literal(value))
    }

    fn reference(&mut self, name: &'a Json<'a>, depth: usize) -> Result<Expr, String> {
        let found = name.as_str().and_then(|name| self.evaluators.get_key_value(name));
        let Some((&name, &rule)) = found else {
            return Err(format!("$ref names no evaluator: {name}"));
        };
        let evaluator = match self.compiled.get(name) {
            Some(known) => known.clone(),
            None => self.evaluator(name, rule, depth),
        };
        match evaluator {
            Evaluator::Open => Err(format!("evaluator \"{name}\" refers to itself")),
            Evaluator::Broken(fault) => Err(fault),
            Evaluator::Done(expr, tally) => {
                self.tally.reads_time |= tally.reads_time;
                self.count(tally.parts as usize, depth + tally.height)?;
                Ok(Expr::Ref(expr))
            }
        }
    }

    /// Compiles an evaluator that is referred to for the first time.
    fn evaluator(&mut self, name: &'a str, rule: &'a Json<'a>, depth: usize) -> Evaluator {
        // The first of a chain of evaluators counts its levels anew, so that it is too deep by itself
        // or not at all, wherever a flag uses it.
        let is_first = self.open == 0;
        let base = if is_first { 0 } else { depth + 1 };
        let outer = std::mem::replace(&mut self.tally, Tally { height: base, ..Tally::default() });
        self.compiled.insert(name, Evaluator::Open);
        self.open += 1;
        let compiled = self.expr(rule, base);
        self.open -= 1;
        let mut tally = std::mem::replace(&mut self.tally, outer);
        tally.height -= base;
        match compiled {
            Ok(expr) => {
                let done = Evaluator::Done(Arc::new(expr), tally);
                self.compiled.insert(name, done.clone());
                done
            }
            Err(fault) => {
                match is_first {
                    true => self.compiled.insert(name, Evaluator::Broken(fault.clone())),
                    // It may well compile where it does not stand at the end of a chain.
                    false => self.compiled.remove(name),
                };
                Evaluator::Broken(fault)
            }
        }
    }

    fn var(&mut self, args: &'a Json<'a>, depth: usize) -> Result<Expr, String> {
        let (path, default) = match as_list(args) {
            [] => (&Json::Null, Expr::Null),
            [path] => (path, Expr::Null),
            [path, default, ..] => (path, self.expr(default, depth + 1)?),
        };
        let path = match path {
            Json::Null => VarPath::Whole,
            Json::Text(path) => var_path(path),
            Json::Number(number) => {
                var_path(Digits::of(number.as_f64().unwrap_or_default()).as_str())
            }
            _ => VarPath::Computed(self.expr(path, depth + 1)?),
        };
        self.tally.reads_time |= match &path {
            VarPath::Whole | VarPath::Timestamp | VarPath::Computed(_) => true,
            VarPath::Attribute { .. } | VarPath::TargetingKey | VarPath::FlagKey => false,
        };
        Ok(Expr::Var(Box::new(Var { path, default })))
    }

    /// A misused `fractional` is no fault of the flag: it answers `null`, as in every provider.
    fn fractional(&mut self, args: &'a Json<'a>, depth: usize) -> Result<Expr, String> {
        self.fractional.clone()?;
        let Some(args) = args.as_array() else { return Ok(Expr::Null) };
        let (key, buckets) = match args {
            [] => return Ok(Expr::Null),
            [Json::Array(_), ..] => (BucketKey::FlagAndTargetingKey, args),
            [key, buckets @ ..] => match self.expr(key, depth + 1)? {
                Expr::Cat(parts) => (BucketKey::Cat(parts), buckets),
                key => (BucketKey::Computed(key), buckets),
            },
        };
        let mut compiled = Vec::with_capacity(buckets.len());
        for bucket in buckets {
            let (variant, weight) = match bucket.as_array() {
                Some([variant]) => (variant, Expr::Number(1.0)),
                Some([variant, weight]) => (variant, self.expr(weight, depth + 1)?),
                _ => return Ok(Expr::Null),
            };
            compiled.push((self.expr(variant, depth + 1)?, weight));
        }
        let fractional = Fractional::new(key, compiled);
        Ok(fractional.map_or(Expr::Null, |fractional| Expr::Fractional(Box::new(fractional))))
    }

    fn count(&mut self, parts: usize, depth: usize) -> Result<(), String> {
        let parts = u32::try_from(parts).unwrap_or(u32::MAX);
        self.tally.parts = self.tally.parts.saturating_add(parts);
        self.tally.height = self.tally.height.max(depth);
        if depth > MAX_NESTING {
            return Err(format!("nested deeper than {MAX_NESTING} levels"));
        }
        if self.tally.parts > MAX_PARTS {
            return Err(format!("more than {MAX_PARTS} parts"));
        }
        Ok(())
    }
}

fn var_path(path: &str) -> VarPath {
    match path {
        "" => VarPath::Whole,
        TARGETING_KEY => VarPath::TargetingKey,
        "$flagd.flagKey" => VarPath::FlagKey,
        "$flagd.timestamp" => VarPath::Timestamp,
        _ => {
            let mut names = path.split('.').map(Box::from);
            let name: Box<str> = names.next().unwrap_or_default();
            match &*name {
                "$flagd" | TARGETING_KEY => VarPath::Computed(Expr::Text(path.into())),
                _ => VarPath::Attribute { name, rest: names.collect() },
            }
        }
    }
}

/// How many parts a literal counts.
fn weight(value: &Json<'_>) -> usize {
    1 + match value {
        Json::Text(text) => text.len() / BYTES_PER_PART,
        Json::Array(items) => items.iter().map(weight).sum(),
        Json::Object(members) => {
            members.iter().map(|(name, value)| name.len() / BYTES_PER_PART + weight(value)).sum()
        }
        _ => 0,
    }
}

fn as_list<'j>(args: &'j Json<'j>) -> &'j [Json<'j>] {
    args.as_array().unwrap_or_else(|| std::slice::from_ref(args))
}
