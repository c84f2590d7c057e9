//! The document, its flags and their variants.

use std::collections::HashSet;

use serde_json::Value;

use super::{Report, targeting};
use crate::{
    Flag, FlagType, FractionalVersion,
    parse::FRACTIONAL,
    source::{Form, Member, Node},
};

pub(super) fn document(root: &Node, report: &mut Report<'_>) {
    duplicates(root, report);
    let evaluators = root.member("$evaluators");
    let known = match evaluators.map(|member| (member, member.node.members())) {
        Some((member, None)) => {
            report.warning(member.at, "\"$evaluators\" is not an object");
            None
        }
        Some((_, members)) => members,
        None => None,
    };
    let known = known.unwrap_or_default();
    for evaluator in known {
        targeting::rule(&evaluator.node, known, report);
    }
    if let Some(member) = root.member("metadata") {
        metadata(member, report);
        pinned(member, report);
        for name in ["flagSetId", "version"] {
            let Some(member) = member.node.member(name) else { continue };
            if member.node.as_str().is_none() {
                report.warning(member.at, format!("the metadata \"{name}\" is not a string"));
            }
        }
    }
    match root.member("flags") {
        None => report.error(root.at, "there is no \"flags\" object"),
        Some(member) => match member.node.members() {
            None => report.error(member.at, "\"flags\" is not an object"),
            Some(flags) => {
                for member in flags {
                    report.flag = Some(member.name.clone());
                    flag(member, known, report);
                    report.flag = None;
                }
            }
        },
    }
}

/// Faults that only compiling finds: rules too large, evaluators in a circle.
pub(super) fn faults(root: &Node, flags: &[Flag], report: &mut Report<'_>) {
    let Some(definitions) = root.member("flags") else { return };
    for flag in flags {
        let (Some(fault), Some(member)) = (flag.fault(), definitions.node.member(flag.key()))
        else {
            continue;
        };
        if !report.has_error(flag.key()) {
            report.flag = Some(flag.key().to_owned());
            let at = member.node.member("targeting").map_or(member.at, |member| member.at);
            report.error(at, fault);
            report.flag = None;
        }
    }
}

fn duplicates(node: &Node, report: &mut Report<'_>) {
    match &node.form {
        Form::Object(members) => {
            let mut last = HashSet::new();
            for member in members.iter().rev() {
                if !last.insert(&member.name) {
                    let name = &member.name;
                    report.warning(
                        member.at,
                        format!("\"{name}\" occurs again; only the last counts"),
                    );
                }
                duplicates(&member.node, report);
            }
        }
        Form::Array(items) => items.iter().for_each(|item| duplicates(item, report)),
        Form::Scalar(_) => {}
    }
}

fn metadata(member: &Member, report: &mut Report<'_>) {
    let Some(members) = member.node.members() else {
        return report.warning(member.at, "\"metadata\" is not an object");
    };
    for member in members {
        let is_simple = member.node.scalar().is_some_and(|value| !value.is_null());
        if !is_simple {
            let name = &member.name;
            report.warning(
                member.at,
                format!("the metadata \"{name}\" is neither a string, a number nor a boolean"),
            );
        }
    }
}

fn pinned(metadata: &Member, report: &mut Report<'_>) {
    let Some(member) = metadata.node.member(FRACTIONAL) else { return };
    if member.node.as_str().and_then(FractionalVersion::named).is_none() {
        report.error(member.at, format!("\"{FRACTIONAL}\" is neither \"v2\" nor \"v3\""));
    }
}

fn flag(member: &Member, evaluators: &[Member], report: &mut Report<'_>) {
    if member.name.is_empty() {
        report.warning(member.at, "the key is empty");
    }
    let node = &member.node;
    if node.members().is_none() {
        return report.error(member.at, "the definition is not an object");
    }
    match node.member("state") {
        None => report.warning(member.at, "there is no \"state\"; the flag counts as enabled"),
        Some(state) => match state.node.as_str() {
            Some("ENABLED" | "DISABLED") => {}
            _ => report.error(state.at, "\"state\" is neither \"ENABLED\" nor \"DISABLED\""),
        },
    }
    let odd_variants =
        node.member("variants").is_some_and(|member| member.node.members().is_none());
    let variants = match node.member("variants").map(|member| (member, member.node.members())) {
        None => {
            report
                .warning(member.at, "there are no \"variants\"; the code's default is all it has");
            &[]
        }
        Some((member, None)) => {
            report.error(member.at, "\"variants\" is not an object");
            &[][..]
        }
        Some((_, Some(members))) => members,
    };
    types(variants, report);
    if let Some(default) = node.member("defaultVariant") {
        match default.node.scalar() {
            Some(Value::Null) => {}
            Some(Value::String(name)) => {
                let is_known = variants.iter().any(|variant| variant.name == *name);
                if !is_known && !odd_variants {
                    let message =
                        format!("\"defaultVariant\" names \"{name}\", which is no variant");
                    report.error(default.at, message);
                }
            }
            _ => report.error(default.at, "\"defaultVariant\" is neither a string nor null"),
        }
    }
    if let Some(member) = node.member("metadata") {
        metadata(member, report);
        if let Some(member) = member.node.member(FRACTIONAL) {
            let message = format!("\"{FRACTIONAL}\" counts in the metadata of the whole set only");
            report.warning(member.at, message);
        }
    }
    match node.member("targeting") {
        None => {}
        Some(member) if member.node.members().is_none() => {
            report.warning(member.at, "\"targeting\" is not an object");
        }
        Some(member) if member.node.members().is_some_and(<[_]>::is_empty) => {}
        Some(member) => {
            targeting::rule(&member.node, evaluators, report);
            targeting::answers(&member.node, variants, report);
        }
    }
}

/// Variants are all of one type.
fn types(variants: &[Member], report: &mut Report<'_>) {
    let mut first: Option<(&str, &str)> = None;
    for variant in variants {
        let name = variant.name.as_str();
        if name.is_empty() {
            report.warning(variant.at, "a variant's name is empty");
        }
        let kind = match &variant.node.form {
            Form::Object(_) => "an object",
            Form::Array(_) => "an array",
            Form::Scalar(Value::Null) => "null",
            Form::Scalar(Value::Bool(_)) => "a boolean",
            Form::Scalar(Value::String(_)) => "a string",
            Form::Scalar(number) => {
                if number.as_f64().is_none() || FlagType::Float.convert(number).is_none() {
                    let message = format!("variant \"{name}\" is beyond 2^53 - 1");
                    report.warning(variant.at, message);
                }
                "a number"
            }
        };
        if matches!(kind, "null" | "an array") {
            report.warning(
                variant.at,
                format!("variant \"{name}\" is {kind}, not a boolean, string, number or object"),
            );
        }
        match first {
            None => first = Some((name, kind)),
            Some((other, expect)) if kind != expect => {
                let message = format!("variant \"{name}\" is {kind}, but \"{other}\" is {expect}");
                report.warning(variant.at, message);
            }
            Some(_) => {}
        }
    }
}
