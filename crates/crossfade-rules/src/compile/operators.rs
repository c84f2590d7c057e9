//! The operators, by name.

use serde_json::Value;

use super::{Compiler, as_list};
use crate::{
    expr::{AttributeIn, Each, Expr, Operation, Order, Purpose, Reduce, VarPath},
    json::Json,
    short::Word,
};

/// Every operator that a targeting rule can use, in order.
const OPERATORS: [&str; 39] = [
    "!",
    "!!",
    "!=",
    "!==",
    "$ref",
    "%",
    "*",
    "+",
    "-",
    "/",
    "<",
    "<=",
    "==",
    "===",
    ">",
    ">=",
    "?:",
    "all",
    "and",
    "cat",
    "ends_with",
    "filter",
    "fractional",
    "if",
    "in",
    "map",
    "max",
    "merge",
    "min",
    "missing",
    "missing_some",
    "none",
    "or",
    "reduce",
    "sem_ver",
    "some",
    "starts_with",
    "substr",
    "var",
];

/// Whether a targeting rule can use an operator of this name.
pub(crate) fn is_operator(name: &str) -> bool {
    OPERATORS.binary_search(&name).is_ok()
}

impl<'a> Compiler<'a> {
    pub(super) fn operator(
        &mut self,
        name: &str,
        args: &'a Json<'a>,
        depth: usize,
    ) -> Result<Expr, String> {
        match name {
            "$ref" => return self.reference(args, depth),
            "var" => return self.var(args, depth),
            "fractional" => return self.fractional(args, depth),
            "map" | "filter" | "all" | "none" | "some" | "reduce" => {
                return self.visitor(name, as_list(args), depth);
            }
            _ => {}
        }
        // JsonLogic reads `{"!": x}` as `{"!": [x]}`.
        let args = self.exprs(as_list(args), depth)?;
        let compute = |operation, args: Vec<Expr>| Expr::Compute { operation, items: args.into() };
        Ok(match name {
            "if" | "?:" => Expr::If(args.into()),
            "and" => Expr::And(args.into()),
            "or" => Expr::Or(args.into()),
            "!" => Expr::Not(Box::new(first(args))),
            "!!" => Expr::Truthy(Box::new(first(args))),
            "==" => equal(false, args),
            "===" => equal(true, args),
            "!=" => Expr::Not(Box::new(equal(false, args))),
            "!==" => Expr::Not(Box::new(equal(true, args))),
            "<" => ordered(Order::Less, args, 3),
            "<=" => ordered(Order::LessOrEqual, args, 3),
            ">" => ordered(Order::Greater, args, 2),
            ">=" => ordered(Order::GreaterOrEqual, args, 2),
            "in" => within(leading(args)),
            "cat" => Expr::Cat(args.into()),
            "substr" => Expr::Substr(args.into()),
            "starts_with" | "ends_with" if args.len() != 2 => Expr::Null,
            "starts_with" => Expr::StartsWith(Box::new(leading(args))),
            "ends_with" => Expr::EndsWith(Box::new(leading(args))),
            "sem_ver" if args.len() != 3 => Expr::Null,
            "sem_ver" => Expr::SemVer(Box::new(leading(args))),
            "+" => compute(Operation::Add, args),
            "-" => compute(Operation::Subtract, args),
            "*" => compute(Operation::Multiply, args),
            "/" => compute(Operation::Divide, args),
            "%" => compute(Operation::Remainder, args),
            "max" => compute(Operation::Max, args),
            "min" => compute(Operation::Min, args),
            "merge" => Expr::Merge(args.into()),
            "missing" => {
                self.tally.reads_time = true;
                Expr::Missing(args.into())
            }
            "missing_some" => {
                self.tally.reads_time = true;
                Expr::MissingSome(Box::new(leading(args)))
            }
            _ => return Err(format!("unknown operator \"{name}\"")),
        })
    }

    /// An operator with a rule that is applied to every item of an array.
    fn visitor(&mut self, name: &str, args: &'a [Json<'a>], depth: usize) -> Result<Expr, String> {
        let arg = |compiler: &mut Self, n: usize| match args.get(n) {
            Some(arg) => compiler.expr(arg, depth + 1),
            None => Ok(Expr::Null),
        };
        let list = arg(self, 0)?;
        let before = self.tally.parts;
        let rule = arg(self, 1)?;
        let steps = (self.tally.parts - before).max(1);
        let purpose = match name {
            "map" => Purpose::Map,
            "filter" => Purpose::Filter,
            "all" => Purpose::All,
            "none" => Purpose::None,
            "some" => Purpose::Some,
            _ => {
                let start = arg(self, 2)?;
                return Ok(Expr::Reduce(Box::new(Reduce { list, rule, start, steps })));
            }
        };
        Ok(Expr::Each(Box::new(Each { purpose, list, rule, steps })))
    }
}

fn first(args: Vec<Expr>) -> Expr {
    args.into_iter().next().unwrap_or(Expr::Null)
}

/// The first arguments; `null` stands in for a missing one.
fn leading<const N: usize>(args: Vec<Expr>) -> [Expr; N] {
    let mut args = args.into_iter();
    std::array::from_fn(|_| args.next().unwrap_or(Expr::Null))
}

fn equal(strict: bool, args: Vec<Expr>) -> Expr {
    match leading(args) {
        [value, Expr::Text(text)] | [Expr::Text(text), value] => {
            let texts = [Word::from(&*text)];
            in_attribute(Expr::IsText { strict, value: Box::new(value), text }, texts.into())
        }
        sides => Expr::Equal { strict, sides: Box::new(sides) },
    }
}

fn within([needle, within]: [Expr; 2]) -> Expr {
    if let Expr::Json(list) = &within {
        let texts = list.as_array().and_then(|items| items.iter().map(Value::as_str).collect());
        let texts: Option<Vec<_>> = texts;
        if let Some(texts) = texts {
            let words = texts.iter().map(|text| Word::from(*text)).collect();
            let texts = texts.into_iter().map(Box::from).collect();
            return in_attribute(Expr::InTexts { needle: Box::new(needle), texts }, words);
        }
    }
    Expr::In(Box::new([needle, within]))
}

/// The condition in the form that an attribute of the context answers fastest, when it asks for one.
fn in_attribute(general: Expr, texts: Box<[Word]>) -> Expr {
    let (Expr::IsText { value: asked, .. } | Expr::InTexts { needle: asked, .. }) = &general else {
        return general;
    };
    match &**asked {
        Expr::Var(var) => match &var.path {
            VarPath::Attribute { name, rest } if rest.is_empty() => {
                let name = Word::from(&**name);
                Expr::AttributeIn(Box::new(AttributeIn { name, texts, general }))
            }
            _ => general,
        },
        _ => general,
    }
}

/// A comparison of at least two and at most so many items, each with the next.
fn ordered(order: Order, mut args: Vec<Expr>, at_most: usize) -> Expr {
    args.truncate(at_most);
    args.resize(args.len().max(2), Expr::Null);
    Expr::Ordered { order, items: args.into() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_of_operators_is_in_order_and_complete() {
        assert!(OPERATORS.is_sorted());
        for name in OPERATORS.into_iter().chain(["log", "", "IF"]) {
            let args = Json::Array(Vec::new());
            let mut compiler = Compiler::new(None, Ok(Default::default()));
            let fault = compiler.operator(name, &args, 0).err().unwrap_or_default();
            assert_eq!(!fault.starts_with("unknown operator"), is_operator(name), "{name}");
        }
    }
}
