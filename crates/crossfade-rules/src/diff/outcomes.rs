//! What values a flag gives to what share of users.

use serde_json::Value;

use super::Share;
use crate::{Flag, FractionalVersion, expr::Expr, flag::Targeting, fractional::BucketKey, share};

/// How many conditions are told apart. Every one more doubles the number of cases.
const MAX_CONDITIONS: usize = 10;

/// The share of users that two flags answer differently.
pub(super) fn difference(before: &Flag, after: &Flag) -> Share {
    let mut conditions = Conditions::default();
    let [before, after] = [before, after].map(|flag| Outcomes::of(flag, &mut conditions));
    compare(&before, &after, &conditions)
}

/// The share of users that get anything but the default in the code.
pub(super) fn beyond_the_default(flag: &Flag) -> Share {
    let mut conditions = Conditions::default();
    let outcomes = Outcomes::of(flag, &mut conditions);
    compare(&outcomes, &Outcomes::Value(None), &conditions)
}

/// What the answers depend on. The same condition in both flags is one.
#[derive(Debug, Default)]
struct Conditions<'a>(Vec<Condition<'a>>);

#[derive(Debug, PartialEq)]
enum Condition<'a> {
    /// This is truthy.
    Rule(&'a Expr),
    /// There is something to hash.
    Hash(Hash<'a>),
}

/// By what users are divided.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Hash<'a> {
    version: FractionalVersion,
    key: &'a BucketKey,
    flag: &'a str,
}

impl<'a> Conditions<'a> {
    /// The number of a condition. Those that are too many to be told apart have one together.
    fn number(&mut self, condition: Condition<'a>) -> usize {
        if self.are_too_many() {
            return MAX_CONDITIONS;
        }
        let known = self.0.iter().position(|known| *known == condition);
        known.unwrap_or_else(|| {
            self.0.push(condition);
            self.0.len() - 1
        })
    }

    fn are_too_many(&self) -> bool {
        self.0.len() > MAX_CONDITIONS
    }
}

/// What users get. `None` is the default in the code.
#[derive(Debug)]
enum Outcomes<'a> {
    Value(Option<&'a Value>),
    /// By the user's hash; parts of the line of all hashes, one behind the other.
    Split {
        by: Hash<'a>,
        parts: Vec<(f64, Option<&'a Value>)>,
    },
    /// By what the context holds.
    Choice {
        condition: usize,
        met: Box<Outcomes<'a>>,
        otherwise: Box<Outcomes<'a>>,
    },
    Unknown,
}

impl<'a> Outcomes<'a> {
    fn of(flag: &'a Flag, conditions: &mut Conditions<'a>) -> Self {
        let default = Self::Value(flag.default().map(|variant| &variant.value));
        match &flag.targeting {
            _ if !flag.is_enabled() => Self::Value(None),
            Targeting::None => default,
            Targeting::Broken(_) => Self::Value(None),
            Targeting::Rule(rule) => Self::of_rule(flag, rule, conditions),
        }
    }

    fn of_rule(flag: &'a Flag, rule: &'a Expr, conditions: &mut Conditions<'a>) -> Self {
        match rule {
            Expr::Ref(rule) => Self::of_rule(flag, rule, conditions),
            Expr::If(branches) => Self::of_branches(flag, branches, conditions),
            Expr::Not(_)
            | Expr::Truthy(_)
            | Expr::Equal { .. }
            | Expr::IsText { .. }
            | Expr::Ordered { .. }
            | Expr::In(_)
            | Expr::InTexts { .. }
            | Expr::AttributeIn(_) => {
                let [met, otherwise] = [true, false].map(|met| Self::named(flag, &Expr::Bool(met)));
                Self::choice(rule, met, otherwise, conditions)
            }
            Expr::Fractional(fractional) => {
                let Some(buckets) = fractional.fixed_buckets() else { return Self::Unknown };
                let buckets: Vec<_> = buckets.collect();
                let total: u64 = buckets.iter().map(|(_, weight)| weight).sum();
                let mut parts = Vec::new();
                for (variant, weight) in buckets {
                    let Self::Value(value) = Self::named(flag, variant) else {
                        return Self::Unknown;
                    };
                    parts.push((weight as f64 / total as f64, value));
                }
                let version = flag.seed.version();
                let by = Hash { version, key: &fractional.key, flag: flag.key() };
                let split = Self::Split { by, parts };
                match fractional.covers_every_user() {
                    true => split,
                    false => Self::Choice {
                        condition: conditions.number(Condition::Hash(by)),
                        met: Box::new(split),
                        otherwise: Box::new(Self::named(flag, &Expr::Null)),
                    },
                }
            }
            rule => Self::named(flag, rule),
        }
    }

    fn of_branches(flag: &'a Flag, branches: &'a [Expr], conditions: &mut Conditions<'a>) -> Self {
        match branches {
            [] => Self::named(flag, &Expr::Null),
            [otherwise] => Self::of_rule(flag, otherwise, conditions),
            [condition, answer, rest @ ..] => {
                let met = Self::of_rule(flag, answer, conditions);
                let otherwise = Self::of_branches(flag, rest, conditions);
                Self::choice(condition, met, otherwise, conditions)
            }
        }
    }

    fn choice(
        condition: &'a Expr,
        met: Self,
        otherwise: Self,
        conditions: &mut Conditions<'a>,
    ) -> Self {
        match condition {
            Expr::Bool(true) => met,
            Expr::Bool(false) | Expr::Null => otherwise,
            _ => Self::Choice {
                condition: conditions.number(Condition::Rule(condition)),
                met: Box::new(met),
                otherwise: Box::new(otherwise),
            },
        }
    }

    /// What a rule that computes nothing stands for.
    fn named(flag: &'a Flag, rule: &Expr) -> Self {
        match rule {
            Expr::Null => Self::Value(flag.default().map(|variant| &variant.value)),
            // An unknown variant is an error, and leaves it to the default in the code.
            rule if rule.is_literal() => {
                Self::Value(share::named(flag, rule).map(|variant| &variant.value))
            }
            _ => Self::Unknown,
        }
    }

    /// What is left once it is said which conditions are met.
    fn under(&self, met_conditions: u32) -> &Self {
        match self {
            Self::Choice { condition, met, otherwise } => {
                match met_conditions >> condition & 1 == 1 {
                    true => met.under(met_conditions),
                    false => otherwise.under(met_conditions),
                }
            }
            settled => settled,
        }
    }
}

fn compare(before: &Outcomes<'_>, after: &Outcomes<'_>, conditions: &Conditions<'_>) -> Share {
    if conditions.are_too_many() {
        return Share::ANY;
    }
    let cases =
        (0..1_u32 << conditions.0.len()).map(|met| settled(before.under(met), after.under(met)));
    let widest =
        |a: Share, b: Share| Share { least: a.least.min(b.least), most: a.most.max(b.most) };
    cases.reduce(widest).unwrap_or(Share::ANY)
}

/// Compares outcomes that no longer depend on the context.
fn settled(before: &Outcomes<'_>, after: &Outcomes<'_>) -> Share {
    use Outcomes::{Split, Value};
    Share::exactly(match (before, after) {
        (Value(before), Value(after)) if before == after => 0.0,
        (Value(_), Value(_)) => 100.0,
        (Value(value), Split { parts, .. }) | (Split { parts, .. }, Value(value)) => {
            percent(parts.iter().filter(|(_, part)| part != value).map(|(width, _)| *width))
        }
        (Split { by, parts }, Split { by: other_by, parts: others }) => match by == other_by {
            true => side_by_side(parts, others),
            // Two hashes have nothing to do with each other.
            false => percent(parts.iter().flat_map(|(width, value)| {
                let different = others.iter().filter(move |(_, other)| other != value);
                different.map(move |(other, _)| width * other)
            })),
        },
        _ => return Share::ANY,
    })
}

/// The width of the line on which two divisions of it hold different values.
fn side_by_side(left: &[(f64, Option<&Value>)], right: &[(f64, Option<&Value>)]) -> f64 {
    let spans = |parts: &[(f64, _)]| -> Vec<(f64, f64)> {
        let mut end = 0.0;
        let starts = parts.iter().map(|(width, _)| {
            let start = end;
            end += width;
            (start, end)
        });
        starts.collect()
    };
    let (left_spans, right_spans) = (spans(left), spans(right));
    percent(left.iter().zip(&left_spans).flat_map(|((_, value), (start, end))| {
        let different =
            right.iter().zip(&right_spans).filter(move |((_, other), _)| other != value);
        different.map(move |(_, (from, to))| (end.min(*to) - start.max(*from)).max(0.0))
    }))
}

fn percent(widths: impl Iterator<Item = f64>) -> f64 {
    let share: f64 = widths.sum();
    // Sums of binary fractions miss round numbers by a hair.
    (share * 1e11).round() / 1e9
}
