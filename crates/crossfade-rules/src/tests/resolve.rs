//! Answers that borrow nothing, and answers that no context changes.

use serde_json::{Value, json};

use crate::{Context, ErrorCode, Flag, Reason, Resolution, RuleSet};

fn set(flag: Value) -> RuleSet {
    RuleSet::parse(&json!({ "flags": { "f": flag } }).to_string()).unwrap()
}

fn variants() -> Value {
    json!({ "one": 1, "two": 2, "text": "x" })
}

#[track_caller]
fn check(flag: Value, constant: Option<Result<Option<i64>, ErrorCode>>) {
    let set = set(flag);
    let flag: &Flag = set.flag("f").unwrap();
    assert_eq!(flag.constant::<i64>(), constant);
    for context in [Context::anonymous(), Context::user("u1").with("x", "two")] {
        let value = flag.value::<i64>(&context);
        assert!(constant.is_none_or(|constant| constant == value), "{value:?}");
        let Resolution { variant, reason, error } = flag.resolve(&context);
        let answer = flag.evaluate(&context);
        assert_eq!((answer.reason, answer.error), (reason, error));
        let found = variant.map(|index| flag.variant_at(index).unwrap());
        assert_eq!(found.map(|(name, _)| name), answer.variant.as_deref());
        assert_eq!(found.map(|(_, value)| value), answer.value.as_ref());
    }
}

#[test]
fn flags_without_a_rule_answer_everybody_alike() {
    let mut flag = json!({ "variants": variants(), "defaultVariant": "two" });
    check(flag.clone(), Some(Ok(Some(2))));
    flag["defaultVariant"] = "text".into();
    check(flag.clone(), Some(Err(ErrorCode::TypeMismatch)));
    flag["defaultVariant"] = Value::Null;
    check(flag.clone(), Some(Ok(None)));
    flag["targeting"] = json!({ "xyzzy": [] });
    check(flag.clone(), Some(Err(ErrorCode::ParseError)));
    flag["state"] = "DISABLED".into();
    check(flag, Some(Ok(None)));
}

#[test]
fn flags_with_a_rule_have_to_be_asked() {
    for rule in [json!({ "var": "x" }), json!({ "if": [true, "one"] }), json!({ "var": "" })] {
        check(json!({ "variants": variants(), "defaultVariant": "one", "targeting": rule }), None);
    }
}

/// The answer is kept while the set moves, and read from it later.
#[test]
fn a_resolution_outlives_what_it_was_asked_with() {
    let set = std::sync::Arc::new(set(json!({
        "variants": variants(), "targeting": { "var": "x" },
    })));
    let resolution = {
        let attribute = String::from("two");
        set.flag("f").unwrap().resolve(&Context::user("u1").with("x", &attribute))
    };
    let kept = (set, resolution);
    assert_eq!(kept.1.reason, Reason::TargetingMatch);
    let read = kept.1.variant.and_then(|index| kept.0.flag("f")?.variant_at(index));
    assert_eq!(read, Some(("two", &json!(2))));
    let failed = Resolution::failed(ErrorCode::FlagNotFound);
    assert_eq!((failed.variant, failed.reason), (None, Reason::Error));
    let other = RuleSet::parse(r#"{"flags": {"f": {"variants": {"a": 1}}}}"#).unwrap();
    assert_eq!(kept.1.variant.and_then(|index| other.flag("f")?.variant_at(index)), None);
}
