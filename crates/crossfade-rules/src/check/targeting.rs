//! Targeting rules: operators, their arguments, and the variants they name.

use serde_json::Value;

use super::Report;
use crate::{
    compile::is_operator,
    semver,
    source::{Form, Member, Node},
};

/// Looks through a rule and all its parts.
pub(super) fn rule(node: &Node, evaluators: &[Member], report: &mut Report<'_>) {
    match &node.form {
        Form::Array(items) => items.iter().for_each(|item| rule(item, evaluators, report)),
        Form::Object(members) => match members.as_slice() {
            [] => {}
            [member] => operator(member, evaluators, report),
            [first, ..] => report.warning(
                first.at,
                "an object with several members is no rule; it stands for itself",
            ),
        },
        Form::Scalar(_) => {}
    }
}

/// Looks for names that a rule answers with and that are no variants.
pub(super) fn answers(node: &Node, variants: &[Member], report: &mut Report<'_>) {
    let is_variant = |name: &str| variants.iter().any(|variant| variant.name == name);
    match &node.form {
        Form::Scalar(Value::Null) | Form::Array(_) => {}
        Form::Scalar(value) => {
            let name = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
            if !is_variant(&name) {
                report.warning(node.at, format!("targeting names \"{name}\", which is no variant"));
            }
        }
        Form::Object(members) => {
            let [member] = members.as_slice() else { return };
            let items = member.node.items().unwrap_or_default();
            match member.name.as_str() {
                "if" | "?:" => {
                    let chosen = items.chunks(2).filter_map(<[_]>::last);
                    chosen.for_each(|item| answers(item, variants, report));
                }
                "fractional" => {
                    let buckets = items.iter().filter_map(|item| item.items()?.first());
                    buckets.for_each(|item| answers(item, variants, report));
                }
                _ => {}
            }
        }
    }
}

fn operator(member: &Member, evaluators: &[Member], report: &mut Report<'_>) {
    let (name, node, at) = (member.name.as_str(), &member.node, member.at);
    if name == "$ref" {
        let known = |name: &str| evaluators.iter().any(|evaluator| evaluator.name == name);
        match node.as_str() {
            Some(name) if known(name) => {}
            Some(name) => report.error(at, format!("$ref names no evaluator: \"{name}\"")),
            None => report.error(at, "$ref takes the name of an evaluator"),
        }
        return;
    }
    if !is_operator(name) {
        return report.error(at, format!("unknown operator \"{name}\""));
    }
    let items = node.items().unwrap_or(std::slice::from_ref(node));
    if node.items().is_none() && name != "var" {
        report.warning(at, format!("\"{name}\" takes a list of arguments"));
    }
    let (least, most) = arity(name);
    if !(least..=most).contains(&items.len()) {
        let expect = match most {
            usize::MAX => format!("at least {least}"),
            most if most == least => least.to_string(),
            most => format!("{least} to {most}"),
        };
        let found = items.len();
        report.warning(at, format!("\"{name}\" takes {expect} arguments, not {found}"));
    }
    match name {
        "var" => var(items, at, report),
        "starts_with" | "ends_with" => {
            let wrong = items.iter().filter(|item| item.scalar().is_some_and(|v| !v.is_string()));
            for item in wrong {
                report.warning(item.at, format!("\"{name}\" compares strings"));
            }
        }
        "sem_ver" => sem_ver(items, report),
        "fractional" => return fractional(items, evaluators, report),
        _ => {}
    }
    items.iter().for_each(|item| rule(item, evaluators, report));
}

/// How many arguments an operator takes.
fn arity(name: &str) -> (usize, usize) {
    match name {
        "!" | "!!" => (1, 1),
        "==" | "===" | "!=" | "!==" | ">" | ">=" | "%" | "/" | "map" | "filter" | "all"
        | "none" | "some" | "in" | "starts_with" | "ends_with" | "missing_some" => (2, 2),
        "if" | "?:" | "substr" | "<" | "<=" | "reduce" => (2, 3),
        "sem_ver" => (3, 3),
        "var" | "-" => (1, 2),
        "+" | "*" => (2, usize::MAX),
        "missing" => (0, usize::MAX),
        _ => (1, usize::MAX),
    }
}

fn var(items: &[Node], at: usize, report: &mut Report<'_>) {
    let Some(path) = items.first() else { return };
    match path.as_str() {
        Some("") => report.warning(at, "\"var\" with an empty name reads the whole context"),
        Some("$flagd.flagKey" | "$flagd.timestamp") => {}
        Some(name) if name.starts_with("$flagd.") => {
            report.warning(
                at,
                format!("there is no \"{name}\"; flagd supplies flagKey and timestamp"),
            );
        }
        Some(_) => {}
        None => report.warning(at, "\"var\" takes the name of an attribute"),
    }
}

fn sem_ver(items: &[Node], report: &mut Report<'_>) {
    for (n, item) in items.iter().enumerate() {
        let Some(value) = item.scalar() else { continue };
        if n == 1 {
            if !value.as_str().is_some_and(semver::is_operator) {
                let message = format!("{value} is none of = != < <= > >= ^ ~");
                report.warning(item.at, message);
            }
        } else if !semver::is_version(&value.into()) {
            report.warning(item.at, format!("{value} is no version"));
        }
    }
}

fn fractional(items: &[Node], evaluators: &[Member], report: &mut Report<'_>) {
    let (key, buckets) = match items {
        [first, ..] if first.items().is_some() => (None, items),
        [key, buckets @ ..] => (Some(key), buckets),
        [] => return,
    };
    if let Some(key) = key {
        rule(key, evaluators, report);
        if buckets.is_empty() {
            report.warning(key.at, "\"fractional\" has no buckets");
        }
    }
    let (mut total, mut is_fixed) = (0_u64, true);
    for bucket in buckets {
        let Some(parts @ [variant, rest @ ..]) = bucket.items() else {
            report.warning(bucket.at, "a bucket is an array of a variant and a weight");
            is_fixed = false;
            continue;
        };
        if parts.len() > 2 {
            report.warning(bucket.at, "a bucket is an array of a variant and a weight");
        }
        rule(variant, evaluators, report);
        let Some(weight) = rest.first() else {
            total += 1;
            continue;
        };
        match weight.scalar() {
            Some(value) => match value.as_f64().filter(|number| number.fract() == 0.0) {
                Some(number) if number < 0.0 => {
                    report.warning(weight.at, format!("the weight {value} counts as 0"));
                }
                Some(number) => total = total.saturating_add(number as u64),
                None => {
                    report.warning(weight.at, format!("the weight {value} is not a whole number"))
                }
            },
            None => {
                is_fixed = false;
                rule(weight, evaluators, report);
            }
        }
    }
    if let (true, [first, ..]) = (is_fixed, buckets) {
        match total {
            0 => report.warning(first.at, "the weights add up to nothing, so no bucket is picked"),
            total if total > i32::MAX as u64 => {
                report
                    .warning(first.at, format!("the weights add up to {total}, beyond 2147483647"));
            }
            _ => {}
        }
    }
}
