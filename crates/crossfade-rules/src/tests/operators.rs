//! What each operator answers.

use serde_json::{Value, json};

use super::evaluate;
use crate::{Context, ErrorCode};

/// Evaluates `rule` for a user in Germany; `None` stands for `null`, which leaves the default.
#[track_caller]
fn check(rule: Value, expect: Option<&str>) {
    let object = json!({"nested": {"list": [1, "two"]}, "age": 17, "empty": ""});
    let context = Context::user("u1")
        .with("country", "DE")
        .with("age", 30)
        .with("more", &object)
        .with("at", object.get("age").unwrap_or(&Value::Null));
    let answer = evaluate(&rule, &context);
    assert_eq!(answer.error, None, "{rule}");
    assert_eq!(answer.variant.as_deref().unwrap_or_default(), expect.unwrap_or("a"), "{rule}");
}

#[track_caller]
fn check_bool(rule: Value, expect: bool) {
    check(rule, Some(if expect { "true" } else { "false" }));
}

#[test]
fn var_reads_paths_and_falls_back() {
    check_bool(json!({"==": [{"var": "more.nested.list.1"}, "two"]}), true);
    check_bool(json!({"==": [{"var": "more.nested.list.9"}, null]}), true);
    check_bool(json!({"==": [{"var": "country.name"}, null]}), true);
    check_bool(json!({"==": [{"var": ["country"]}, "DE"]}), true);
    check(json!({"var": ["nowhere", "b"]}), Some("b"));
    check(json!({"var": ["nowhere", {"cat": "b"}]}), Some("b"));
    check(json!({"var": "nowhere"}), None);
    check(json!({"var": "$flagd.timestamp"}), None);
}

#[test]
fn conditions() {
    check(json!({"if": [false, "b"]}), None);
    check(json!({"if": ["b"]}), Some("b"));
    check(json!({"if": []}), None);
    check(json!({"if": [false, "x", 0, "y", "b"]}), Some("b"));
    check(json!({"if": ["", "x", "0", "b", "z"]}), Some("b"));
    check(json!({"or": [0, "", "b", "x"]}), Some("b"));
    check(json!({"or": [null, {"var": "nowhere"}]}), None);
    check(json!({"and": [1, "x", "b"]}), Some("b"));
    check_bool(json!({"and": [1, {"!": [1]}, "b"]}), false);
    check_bool(json!({"!": {"var": "nowhere"}}), true);
    check_bool(json!({"!!": [[]]}), false);
    check_bool(json!({"!!": ["0"]}), true);
}

#[test]
fn comparisons() {
    check_bool(json!({"==": [1, "1"]}), true);
    check_bool(json!({"===": [1, "1"]}), false);
    check_bool(json!({"!=": [1, "1"]}), false);
    check_bool(json!({"!==": [1, "1"]}), true);
    check_bool(json!({"<": [{"var": "at"}, 18]}), true);
    check_bool(json!({">=": [{"var": "age"}, "30"]}), true);
    check_bool(json!({">": [30, {"var": "age"}]}), false);
    check_bool(json!({"<=": [1, 1, 2]}), true);
    check_bool(json!({"<": [1, 3, 2]}), false);
    check_bool(json!({"<": ["10", "9"]}), true);
    check_bool(json!({"<": ["x", 9]}), false);
    check_bool(json!({">": ["x", 9]}), false);
    check_bool(json!({"<": []}), false);
}

#[test]
fn membership() {
    check_bool(json!({"in": [{"var": "country"}, ["AT", "DE"]]}), true);
    check_bool(json!({"in": ["two", {"var": "more.nested.list"}]}), true);
    check_bool(json!({"in": ["1", {"var": "more.nested.list"}]}), false);
    check_bool(json!({"in": ["E", {"var": "country"}]}), true);
    check_bool(json!({"in": [{"var": "nowhere"}, "abc"]}), false);
    check_bool(json!({"in": ["b", ["a", {"cat": ["b"]}]]}), true);
    check_bool(json!({"in": ["b"]}), false);
}

#[test]
fn texts() {
    check_bool(json!({"===": [{"cat": ["x", 1, 2.5, true, null, [1, 2]]}, "x12.5true1,2"]}), true);
    check_bool(json!({"starts_with": [{"var": "country"}, "D"]}), true);
    check_bool(json!({"ends_with": [{"var": "country"}, "D"]}), false);
    for misused in [
        json!({"starts_with": [{"var": "age"}, "3"]}),
        json!({"ends_with": [{"var": "country"}, 3]}),
        json!({"starts_with": ["abc"]}),
        json!({"ends_with": ["abc", "c", "x"]}),
    ] {
        check(misused, None);
    }
}

#[test]
fn misused_fractionals_answer_null() {
    for args in [
        json!("a"),
        json!([]),
        json!(["key"]),
        json!([["b", 1], "b"]),
        json!([["b", 1], []]),
        json!([["b", 1, 2]]),
        json!([["b", 1.5]]),
        json!([["b", "1"]]),
        json!([["b", null]]),
        json!([["b", 0]]),
        json!([["b", -3]]),
        json!([["b", 2_147_483_648_u64]]),
        json!([["b", 2_147_483_647], ["b", 1]]),
        json!([{"var": "age"}, ["b", 1]]),
        json!([{"var": "nowhere"}, ["b", 1]]),
    ] {
        check(json!({"fractional": args}), None);
    }
    check(json!({"fractional": [["b"]]}), Some("b"));
    check(json!({"fractional": [["b", 2_147_483_647]]}), Some("b"));
    check(json!({"fractional": [["x", 0], [{"cat": ["", "b"]}, {"if": [true, 5]}]]}), Some("b"));
    let anonymous = evaluate(&json!({"fractional": [["b"]]}), &Context::anonymous());
    assert_eq!(anonymous.variant.as_deref(), Some("a"));
}

#[test]
fn references_are_filled_in() {
    check(json!({"if": [{"$ref": "is_german"}, "b", "x"]}), Some("b"));
    for (rule, fault) in [
        (json!({"$ref": "nowhere"}), "$ref names no evaluator"),
        (json!({"$ref": ["is_german"]}), "$ref names no evaluator"),
        (json!({"$ref": "endless"}), "evaluator \"endless\" refers to itself"),
        (json!({"$ref": "twice"}), "evaluator \"twice\" refers to itself"),
        (json!({"if": [true, {"nonsense": []}]}), "unknown operator"),
    ] {
        let rules = crate::RuleSet::parse(&super::document(&rule)).unwrap();
        let fault_found = rules.flag("f").and_then(crate::Flag::fault).unwrap_or_default();
        assert!(fault_found.starts_with(fault), "{rule}: {fault_found}");
        let answer = rules.evaluate("f", &Context::user("u1"));
        assert_eq!(answer.error, Some(ErrorCode::ParseError), "{rule}");
    }
}

/// The fault of a flag that refers to the evaluator `start`, of `count` evaluators each made by `rule`
/// from a reference to the one before it.
fn fault_of_chain(start: usize, count: usize, rule: fn(Value) -> Value) -> Option<String> {
    let mut evaluators = serde_json::Map::new();
    evaluators.insert("e0".to_owned(), json!(true));
    for n in 1..count {
        let before = json!({"$ref": format!("e{}", n - 1)});
        evaluators.insert(format!("e{n}"), rule(before));
    }
    let mut flags = serde_json::Map::new();
    // Flags before and after must not change what is said of the one in question.
    for key in [count - 1, start, 0] {
        let targeting = json!({"$ref": format!("e{key}")});
        flags.insert(format!("f{key}"), json!({"variants": {}, "targeting": targeting}));
    }
    let document = json!({"$evaluators": evaluators, "flags": flags}).to_string();
    let rules = crate::RuleSet::parse(&document).unwrap();
    rules.flag(&format!("f{start}")).and_then(|flag| flag.fault().map(str::to_owned))
}

/// Evaluators that double one another stay shallow, so only the number of parts stops them.
#[test]
fn references_cannot_grow_without_bound() {
    let doubled = |before: Value| json!({"and": [before, before]});
    assert_eq!(fault_of_chain(5, 40, doubled), None);
    assert_eq!(fault_of_chain(30, 40, doubled).as_deref(), Some("more than 20000 parts"));
}

#[test]
fn chains_of_references_are_as_deep_as_other_rules_at_most() {
    let wrapped = |before: Value| json!({"!": before});
    assert_eq!(fault_of_chain(30, 1000, wrapped), None);
    let fault = fault_of_chain(70, 1000, wrapped);
    assert_eq!(fault.as_deref(), Some("nested deeper than 64 levels"));
}
