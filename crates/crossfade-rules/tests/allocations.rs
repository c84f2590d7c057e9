//! Evaluating the rules that flags typically have allocates nothing. This is its own test program,
//! since counting replaces the allocator of the whole program.

use crossfade_rules::{Context, ErrorCode, RuleSet};
use serde_json::{Value, json};

/// Rules as they stand in many a rule set, with what they answer for the user below.
fn rules() -> Vec<(Value, Option<bool>)> {
    let half = json!({ "fractional": [["on", 50], ["off", 50]] });
    vec![
        (json!({}), Some(false)),
        (json!(null), Some(false)),
        (json!({ "fractional": [["on", 100], ["off", 0]] }), Some(true)),
        (json!({ "fractional": [{ "var": "targetingKey" }, ["on", 100], ["off", 0]] }), Some(true)),
        (
            json!({ "fractional": [
                { "cat": [{ "var": "$flagd.flagKey" }, { "var": "country" }, { "var": "age" }] },
                ["on", 1], ["off", 0],
            ]}),
            Some(true),
        ),
        (
            json!({ "if": [
                { "and": [
                    { "in": [{ "var": "country" }, ["DE", "AT", "CH"]] },
                    { "==": [{ "var": "plan" }, "pro"] },
                ]},
                half,
                "off",
            ]}),
            None,
        ),
        (
            json!({ "or": [{ "<": [18, { "var": "age" }, 65] }, { ">=": [{ "var": "age" }, "90"] }] }),
            None,
        ),
        (json!({ "if": [{ "starts_with": [{ "var": "plan" }, "p"] }, "on", "off"] }), Some(true)),
        (json!({ "if": [{ "ends_with": [{ "var": "plan" }, "x"] }, "on", "off"] }), Some(false)),
        (json!({ "if": [{ "!": { "var": "beta" } }, "off", "on"] }), Some(true)),
        (json!({ "if": [{ "!!": [{ "var": "nowhere" }] }, "on", "off"] }), Some(false)),
        (json!({ "if": [{ "!==": [{ "var": "age" }, 30] }, "on", "off"] }), Some(false)),
        (
            json!({ "if": [{ "sem_ver": [{ "var": "version" }, ">=", "1.2.0"] }, "on", "off"] }),
            Some(true),
        ),
        (json!({ "if": [{ ">": [{ "%": [{ "var": "age" }, 7] }, 1] }, "on", "off"] }), Some(true)),
        (json!({ "if": [{ ">": [{ "var": "$flagd.timestamp" }, 5] }, "on", "off"] }), Some(true)),
        (json!({ "if": [{ "$ref": "is_pro" }, "on", "off"] }), Some(true)),
        (json!({ "if": [{ "in": ["o", { "var": "plan" }] }, "on", "off"] }), Some(true)),
        (
            json!({ "if": [{ "sem_ver": [{ "var": "age" }, ">=", 30.5] }, "on", "off"] }),
            Some(false),
        ),
        (json!({ "if": [{ "sem_ver": [{ "var": "age" }, "^", 30] }, "on", "off"] }), Some(true)),
        (json!({ "-": [{ "var": "age" }, 29] }), Some(true)),
        (json!({ "if": [{ "in": [3, "1e+21 3"] }, "on", "off"] }), Some(true)),
        (json!({ "if": [{ "==": [{ "var": "age" }, "30"] }, "on", "off"] }), Some(true)),
        (
            json!({ "fractional": [
                ["off", { "if": [{ "var": "beta" }, 0, 1] }], ["on", { "var": "age" }],
            ]}),
            Some(true),
        ),
        (
            json!({ "if": [{ "some": [{ "var": "groups" }, { "==": [{ "var": "" }, "b"] }] }, "on"] }),
            Some(false),
        ),
    ]
}

/// Evaluates all rules under both metadata that pin a version of `fractional`.
fn check(context: &Context<'_>) {
    for version in ["v2", "v3"] {
        for (targeting, expect) in rules() {
            let document = json!({
                "metadata": { "crossfade.fractional": version },
                "$evaluators": { "is_pro": { "==": [{ "var": "plan" }, "pro"] } },
                "flags": { "f": {
                    "state": "ENABLED",
                    "variants": {
                        "on": true, "off": false, "true": true, "false": false, "1": true,
                    },
                    "defaultVariant": "off",
                    "targeting": targeting,
                }},
            });
            let set = RuleSet::parse(&document.to_string()).expect("the document is good");
            let index = set.index("f").expect("the flag is there");
            let mut answers = [Err(ErrorCode::NotReady); 2];
            let mut details = None;
            let counted = allocation_counter::measure(|| {
                answers[0] = set.evaluate_bool("f", context);
                answers[1] = set.flag_at(index).map_or(Ok(None), |flag| flag.value(context));
                details = Some(set.details("f", context, true));
            });
            assert_eq!(counted.count_total, 0, "{version} {targeting}");
            assert_eq!(answers[0], answers[1]);
            assert_eq!(answers[0], Ok(details.map(|details| details.value)));
            if expect.is_some() {
                assert_eq!(answers[0], Ok(expect), "{version} {targeting}");
            }
        }
    }
}

#[test]
fn a_borrowed_context() {
    let mut answer = None;
    let counted = allocation_counter::measure(|| {
        let context = Context::user("u1").at(10).with("country", "DE").with("plan", "pro");
        answer = context.with("age", 30).with("beta", true).targeting_key();
    });
    assert_eq!((counted.count_total, answer), (0, Some("u1")), "making the context");
    let context = Context::user("u1").at(10).with("country", "DE").with("plan", "pro");
    check(&context.with("age", 30).with("beta", true).with("version", "v1.2.3+7"));
}

#[test]
fn a_json_object() {
    let object = json!({
        "targetingKey": "u1", "country": "DE", "plan": "pro", "age": 30, "beta": true,
        "version": "1.2.3", "groups": ["a", "c"], "more": { "deep": [1] }, "x": 1, "y": 2,
    });
    let Value::Object(object) = object else { unreachable!() };
    let mut key = None;
    let counted = allocation_counter::measure(|| key = Context::from_json(&object).targeting_key());
    assert_eq!((counted.count_total, key), (0, Some("u1")), "making the context");
    check(&Context::from_json(&object).at(10));
}

/// The counter counts: a rule that builds a text does allocate.
#[test]
fn text_that_is_built_is_counted() {
    let document = r#"{"flags": {"f": {
        "variants": {"ab": true}, "targeting": {"cat": [{"var": "x"}, "b"]}
    }}}"#;
    let set = RuleSet::parse(document).unwrap();
    let context = Context::user("u1").with("x", "a");
    let mut answer = Ok(None);
    let counted = allocation_counter::measure(|| answer = set.evaluate_bool("f", &context));
    assert_eq!(answer, Ok(Some(true)));
    assert!(counted.count_total > 0);
}
