//! What values a flag gives to what share of users.

use std::collections::BTreeSet;

use serde_json::Value;

use super::Share;
use crate::{Flag, expr::Expr, flag::Targeting, share};

/// How many conditions are told apart. Every one more doubles the number of cases.
const MAX_CONDITIONS: usize = 10;

/// The share of users that two flags answer differently.
pub(super) fn difference(before: &Flag, after: &Flag) -> Share {
    compare(&Outcomes::of(before), &Outcomes::of(after))
}

/// The share of users that get anything but the default in the code.
pub(super) fn beyond_the_default(flag: &Flag) -> Share {
    compare(&Outcomes::of(flag), &Outcomes::Value(None))
}

/// What users get. `None` is the default in the code.
#[derive(Debug)]
enum Outcomes<'a> {
    Value(Option<&'a Value>),
    /// By the user's hash; parts of the line of all hashes, one behind the other.
    Split {
        by: String,
        parts: Vec<(f64, Option<&'a Value>)>,
    },
    /// By what the context holds.
    Choice {
        condition: String,
        met: Box<Outcomes<'a>>,
        otherwise: Box<Outcomes<'a>>,
    },
    Unknown,
}

impl<'a> Outcomes<'a> {
    fn of(flag: &'a Flag) -> Self {
        let default = Self::Value(flag.default().map(|variant| &variant.value));
        match &flag.targeting {
            _ if !flag.is_enabled() => Self::Value(None),
            Targeting::None => default,
            Targeting::Broken(_) => Self::Value(None),
            Targeting::Rule(rule) => Self::of_rule(flag, rule),
        }
    }

    fn of_rule(flag: &'a Flag, rule: &Expr) -> Self {
        match rule {
            Expr::Ref(rule) => Self::of_rule(flag, rule),
            Expr::If(branches) => Self::of_branches(flag, branches),
            Expr::Not(_)
            | Expr::Truthy(_)
            | Expr::Equal { .. }
            | Expr::IsText { .. }
            | Expr::Ordered { .. }
            | Expr::In(_)
            | Expr::InTexts { .. } => {
                let [met, otherwise] = [true, false].map(|met| Self::named(flag, &Expr::Bool(met)));
                Self::choice(rule, met, otherwise)
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
                let by =
                    format!("{} of {:?} in {}", flag.seed.version(), fractional.key, flag.key());
                let split = Self::Split { by: by.clone(), parts };
                match fractional.covers_every_user() {
                    true => split,
                    false => Self::Choice {
                        condition: by,
                        met: Box::new(split),
                        otherwise: Box::new(Self::named(flag, &Expr::Null)),
                    },
                }
            }
            rule => Self::named(flag, rule),
        }
    }

    fn of_branches(flag: &'a Flag, branches: &[Expr]) -> Self {
        match branches {
            [] => Self::named(flag, &Expr::Null),
            [otherwise] => Self::of_rule(flag, otherwise),
            [condition, answer, rest @ ..] => {
                Self::choice(condition, Self::of_rule(flag, answer), Self::of_branches(flag, rest))
            }
        }
    }

    fn choice(condition: &Expr, met: Self, otherwise: Self) -> Self {
        match condition {
            Expr::Bool(true) => met,
            Expr::Bool(false) | Expr::Null => otherwise,
            _ => Self::Choice {
                condition: format!("{condition:?}"),
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

    fn conditions(&self, found: &mut BTreeSet<String>) {
        if let Self::Choice { condition, met, otherwise } = self {
            found.insert(condition.clone());
            met.conditions(found);
            otherwise.conditions(found);
        }
    }

    /// What is left once it is said which conditions are met.
    fn under(&self, met_conditions: &BTreeSet<&String>) -> &Self {
        match self {
            Self::Choice { condition, met, otherwise } => {
                match met_conditions.contains(condition) {
                    true => met.under(met_conditions),
                    false => otherwise.under(met_conditions),
                }
            }
            settled => settled,
        }
    }
}

fn compare(before: &Outcomes<'_>, after: &Outcomes<'_>) -> Share {
    let mut conditions = BTreeSet::new();
    before.conditions(&mut conditions);
    after.conditions(&mut conditions);
    if conditions.len() > MAX_CONDITIONS {
        return Share::ANY;
    }
    let cases = (0..1_u32 << conditions.len()).map(|case| {
        let met = conditions.iter().enumerate().filter(|(n, _)| case >> n & 1 == 1);
        let met: BTreeSet<_> = met.map(|(_, condition)| condition).collect();
        settled(before.under(&met), after.under(&met))
    });
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
