//! Which variant, reason and error a flag answers with.

use serde_json::{Value, json};

use super::evaluate;
use crate::{Context, ErrorCode, Evaluation, FlagType, Reason, RuleSet};

const ON_OFF: &str = r#""variants": {"on": true, "off": false}"#;

#[track_caller]
fn check(definition: &str, variant: Option<&str>, reason: Reason, error: Option<ErrorCode>) {
    let text = format!(r#"{{"flags": {{"f": {{{definition}}}}}}}"#);
    let answer = RuleSet::parse(&text).unwrap().evaluate("f", &Context::user("u1"));
    assert_eq!(answer.variant.as_deref(), variant, "{answer:?}");
    assert_eq!((answer.reason, answer.error), (reason, error));
    assert_eq!(answer.value.is_some(), variant.is_some());
}

#[test]
fn flags_without_targeting_are_static() {
    for rest in ["", r#", "targeting": {}"#, r#", "targeting": null"#] {
        let definition = format!(r#"{ON_OFF}, "state": "ENABLED", "defaultVariant": "on"{rest}"#);
        check(&definition, Some("on"), Reason::Static, None);
    }
}

#[test]
fn without_a_default_variant_the_code_decides() {
    check(ON_OFF, None, Reason::Default, None);
    check(&format!(r#"{ON_OFF}, "defaultVariant": null"#), None, Reason::Default, None);
    let undecided = format!(r#"{ON_OFF}, "targeting": {{"if": [false, "on"]}}"#);
    check(&undecided, None, Reason::Default, None);
}

#[test]
fn disabled_flags_leave_the_answer_to_the_code() {
    let definition = format!(r#"{ON_OFF}, "state": "DISABLED", "defaultVariant": "on""#);
    check(&definition, None, Reason::Disabled, None);
}

#[test]
fn targeting_names_a_variant() {
    for (targeting, variant, reason, error) in [
        (json!({"if": [true, "b"]}), Some("b"), Reason::TargetingMatch, None),
        (json!({"==": [1, 1]}), Some("true"), Reason::TargetingMatch, None),
        (json!({"==": [1, 2]}), Some("false"), Reason::TargetingMatch, None),
        (json!({"if": [false, "b"]}), Some("a"), Reason::Default, None),
        (json!({"if": [true, null]}), Some("a"), Reason::Default, None),
        (json!({"cat": ["no", "where"]}), None, Reason::Error, Some(ErrorCode::General)),
        (json!({"if": [true, ["b"]]}), None, Reason::Error, Some(ErrorCode::General)),
        (json!({"nonsense": [1]}), None, Reason::Error, Some(ErrorCode::ParseError)),
    ] {
        let answer = evaluate(&targeting, &Context::user("u1"));
        assert_eq!(answer.variant.as_deref(), variant, "{targeting}");
        assert_eq!((answer.reason, answer.error), (reason, error), "{targeting}");
    }
}

#[test]
fn an_unknown_operator_spoils_its_own_flag_only() {
    let rules = RuleSet::parse(
        r#"{"flags": {
            "bad": {"variants": {"on": true}, "defaultVariant": "on", "targeting": {"xyzzy": []}},
            "good": {"variants": {"on": true}, "defaultVariant": "on"}
        }}"#,
    )
    .unwrap();
    let context = Context::anonymous();
    assert_eq!(rules.evaluate_bool("bad", &context), Err(ErrorCode::ParseError));
    assert_eq!(rules.evaluate_bool("good", &context), Ok(Some(true)));
    let fault = rules.flag("bad").and_then(|flag| flag.fault().map(str::to_owned));
    assert_eq!(fault.as_deref(), Some("unknown operator \"xyzzy\""));
    assert_eq!(rules.keys().collect::<Vec<_>>(), ["bad", "good"]);
}

#[test]
fn values_are_answered_with_their_type() {
    let rules = RuleSet::parse(
        r#"{"flags": {
            "bool": {"variants": {"v": false}, "defaultVariant": "v"},
            "text": {"variants": {"v": "x"}, "defaultVariant": "v"},
            "number": {"variants": {"v": 1.5}, "defaultVariant": "v"},
            "object": {"variants": {"v": {"a": [1]}}, "defaultVariant": "v"}
        }}"#,
    )
    .unwrap();
    let context = Context::anonymous();
    for (key, value, kind, boolean) in [
        ("bool", json!(false), FlagType::Boolean, Ok(Some(false))),
        ("text", json!("x"), FlagType::String, Err(ErrorCode::TypeMismatch)),
        ("number", json!(1.5), FlagType::Float, Err(ErrorCode::TypeMismatch)),
        ("object", json!({"a": [1]}), FlagType::Object, Err(ErrorCode::TypeMismatch)),
    ] {
        let answer = rules.evaluate(key, &context);
        assert_eq!(answer.value, Some(value), "{key}");
        assert_eq!(answer.clone().require(kind), answer, "{key}");
        assert_eq!(rules.evaluate_bool(key, &context), boolean, "{key}");
        let other = if kind == FlagType::String { FlagType::Float } else { FlagType::String };
        assert_eq!(answer.require(other), Evaluation::failed(ErrorCode::TypeMismatch), "{key}");
    }
    assert_eq!(rules.evaluate_bool("none", &context), Err(ErrorCode::FlagNotFound));
}

#[test]
fn names_are_those_of_open_feature() {
    for (shown, expect) in [
        (Reason::Static.to_string(), "STATIC"),
        (Reason::Default.to_string(), "DEFAULT"),
        (Reason::TargetingMatch.to_string(), "TARGETING_MATCH"),
        (Reason::Disabled.to_string(), "DISABLED"),
        (Reason::Error.to_string(), "ERROR"),
        (ErrorCode::NotReady.to_string(), "PROVIDER_NOT_READY"),
        (ErrorCode::FlagNotFound.to_string(), "FLAG_NOT_FOUND"),
        (ErrorCode::ParseError.to_string(), "PARSE_ERROR"),
        (ErrorCode::TypeMismatch.to_string(), "TYPE_MISMATCH"),
        (ErrorCode::General.to_string(), "GENERAL"),
    ] {
        assert_eq!(shown, expect);
    }
}

#[test]
fn the_share_of_true_is_known_where_the_rule_alone_tells() {
    let fractional = |buckets: &str| format!(r#""targeting": {{"fractional": [{buckets}]}}"#);
    for (rest, expect) in [
        (r#""defaultVariant": "on""#.to_owned(), Some(100.0)),
        (r#""defaultVariant": "off""#.to_owned(), Some(0.0)),
        (r#""defaultVariant": "on", "state": "DISABLED""#.to_owned(), Some(0.0)),
        (r#""targeting": {}"#.to_owned(), None),
        (fractional(r#"["on", 12500], ["off", 87500]"#), Some(12.5)),
        (fractional(r#"["off"], ["on", 3]"#), Some(75.0)),
        (fractional(r#"["on", -5], ["off", 1]"#), Some(0.0)),
        (fractional(r#"{"cat": [{"var": "x"}]}, ["on", 1], ["off", 1]"#), Some(50.0)),
        (fractional(r#"{"var": "email"}, ["on", 1], ["off", 1]"#), None),
        (fractional(r#"["on", 0], ["off", 0]"#), None),
        (fractional(r#"["on", 1], ["elsewhere", 1]"#), None),
        (fractional(r#"["on", {"if": [true, 1]}], ["off", 1]"#), None),
        (r#""targeting": {"if": [{"var": "x"}, "on", "off"]}"#.to_owned(), None),
        (r#""targeting": {"xyzzy": []}"#.to_owned(), None),
    ] {
        let text = format!(r#"{{"flags": {{"f": {{{ON_OFF}, {rest}}}}}}}"#);
        assert_eq!(RuleSet::parse(&text).unwrap().true_percent("f"), expect, "{rest}");
    }
    assert_eq!(RuleSet::default().true_percent("f"), None);
}

#[test]
fn a_context_is_read_from_json() {
    let Value::Object(object) = json!({
        "targetingKey": "u1", "country": "DE", "user": {"tags": ["x", "y"]}
    }) else {
        unreachable!()
    };
    let context = Context::from_json(&object);
    assert_eq!(context.targeting_key(), Some("u1"));
    let rule = json!({"and": [
        {"$ref": "is_german"},
        {"==": [{"var": "user.tags.1"}, "y"]},
        {"==": [{"var": "targetingKey"}, "u1"]},
        {"==": [{"var": "$flagd.flagKey"}, "f"]},
    ]});
    assert_eq!(evaluate(&rule, &context).variant.as_deref(), Some("true"));
}
