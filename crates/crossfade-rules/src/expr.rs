//! The form into which targeting rules are compiled.

use std::sync::Arc;

use serde_json::Value;

use crate::{fractional::Fractional, json::Json, short::Word};

/// A compiled targeting rule, or a part of one.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Expr {
    Null,
    Bool(bool),
    Number(f64),
    Text(Box<str>),
    /// An array or object that computes nothing.
    Json(Box<Value>),
    List(Box<[Expr]>),
    Var(Box<Var>),
    /// An entry of `$evaluators`, compiled once for all that refer to it.
    Ref(Arc<Expr>),
    If(Box<[Expr]>),
    And(Box<[Expr]>),
    Or(Box<[Expr]>),
    Truthy(Box<Expr>),
    Not(Box<Expr>),
    Equal {
        strict: bool,
        sides: Box<[Expr; 2]>,
    },
    Ordered {
        order: Order,
        items: Box<[Expr]>,
    },
    /// `==` and `===` with a literal text, which make a difference for other values only.
    IsText {
        strict: bool,
        value: Box<Expr>,
        text: Box<str>,
    },
    In(Box<[Expr; 2]>),
    /// `in` with a literal array of texts.
    InTexts {
        needle: Box<Expr>,
        texts: Box<[Box<str>]>,
    },
    /// A comparison of an attribute with texts.
    AttributeIn(Box<AttributeIn>),
    Cat(Box<[Expr]>),
    Substr(Box<[Expr]>),
    StartsWith(Box<[Expr; 2]>),
    EndsWith(Box<[Expr; 2]>),
    Compute {
        operation: Operation,
        items: Box<[Expr]>,
    },
    Merge(Box<[Expr]>),
    Missing(Box<[Expr]>),
    MissingSome(Box<[Expr; 2]>),
    Each(Box<Each>),
    Reduce(Box<Reduce>),
    SemVer(Box<[Expr; 3]>),
    Fractional(Box<Fractional>),
}

/// Whether an attribute is one of some texts, the condition of most rules.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct AttributeIn {
    pub(crate) name: Word,
    pub(crate) texts: Box<[Word]>,
    /// The same condition for every case: asked where there is no such attribute, or it is no text.
    pub(crate) general: Expr,
}

/// A `var`: what it reads, and what it answers where there is nothing.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Var {
    pub(crate) path: VarPath,
    pub(crate) default: Expr,
}

/// What a `var` reads.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum VarPath {
    /// The whole context, or the whole item inside of `map` and its kin.
    Whole,
    TargetingKey,
    FlagKey,
    Timestamp,
    /// A name, and the names below it. It is none of the names that the rule set supplies.
    Attribute {
        name: Box<str>,
        rest: Box<[Box<str>]>,
    },
    Computed(Expr),
}

/// The four comparisons by size.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Order {
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

/// What is done with numbers.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Operation {
    Add,
    Subtract,
    Multiply,
    Divide,
    Remainder,
    Max,
    Min,
}

/// A rule that is applied to every item of an array.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Each {
    pub(crate) purpose: Purpose,
    pub(crate) list: Expr,
    pub(crate) rule: Expr,
    /// How many steps one item takes.
    pub(crate) steps: u32,
}

/// What the answers for the items of an array are good for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Purpose {
    Map,
    Filter,
    All,
    None,
    Some,
}

/// A rule that folds an array into one value.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Reduce {
    pub(crate) list: Expr,
    pub(crate) rule: Expr,
    pub(crate) start: Expr,
    /// How many steps one item takes.
    pub(crate) steps: u32,
}

impl Expr {
    /// A rule that answers `value` as it stands.
    pub(crate) fn literal(value: &Json<'_>) -> Self {
        match value {
            Json::Null => Self::Null,
            Json::Bool(value) => Self::Bool(*value),
            Json::Number(number) => number.as_f64().map_or(Self::Null, Self::Number),
            Json::Text(text) => Self::Text(text.as_ref().into()),
            Json::Array(_) | Json::Object(_) => Self::Json(Box::new(value.to_value())),
        }
    }

    /// Whether the rule computes nothing.
    pub(crate) fn is_literal(&self) -> bool {
        matches!(self, Self::Null | Self::Bool(_) | Self::Number(_) | Self::Text(_) | Self::Json(_))
    }
}
