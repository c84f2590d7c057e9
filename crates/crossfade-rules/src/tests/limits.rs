//! What keeps a document, or a context, from costing too much. None of it may panic.

use proptest::prelude::*;
use serde_json::{Map, Value, json};

use super::document;
use crate::{Context, ErrorCode, Limits, RuleSet};

#[track_caller]
fn check(rule: &Value, steps: u32, context: &Value, expect: Option<ErrorCode>) {
    let limits = Limits::default().with_steps(steps);
    let rules = RuleSet::parse_within(&document(rule), &limits).unwrap();
    let Value::Object(context) = context else { unreachable!() };
    assert_eq!(rules.evaluate("f", &Context::from_json(context)).error, expect, "{rule}");
}

#[test]
fn visiting_items_takes_steps() {
    let xs: Vec<_> = (0..100).collect();
    let context = json!({ "xs": xs });
    let nested = |inner: Value| json!({"some": [{"var": "xs"}, {"!": inner}]});
    for rule in [
        json!({"!": {"map": [{"var": "xs"}, 1]}}),
        json!({"!": {"filter": [{"var": "xs"}, true]}}),
        json!({"!": {"reduce": [{"var": "xs"}, 1, 0]}}),
        json!({"all": [{"var": "xs"}, true]}),
        json!({"none": [{"var": "xs"}, false]}),
        nested(json!(1)),
        json!({"!": {"merge": [{"var": "xs"}]}}),
    ] {
        check(&rule, 400, &context, None);
        check(&rule, 50, &context, Some(ErrorCode::General));
    }
}

#[test]
fn what_grows_by_doubling_ends_early() {
    let context = json!({ "xs": vec![0; 5000] });
    let fold = |rule: Value| json!({"!": {"reduce": [{"var": "xs"}, rule, "x"]}});
    for rule in [
        json!({"cat": [{"var": "accumulator"}, {"var": "accumulator"}]}),
        json!({"merge": [{"var": "accumulator"}, {"var": "accumulator"}]}),
        json!([{"var": "accumulator"}]),
        json!({"map": [[1], {"var": ""}]}),
    ] {
        let expect = rule.get("map").is_none().then_some(ErrorCode::General);
        check(&fold(rule), 100_000, &context, expect);
    }
    let all = json!({"all": [{"var": "xs"}, true]});
    let product = |inner: Value| json!({"all": [[0, 0, 0, 0, 0, 0, 0, 0, 0, 0], inner]});
    let tower = product(product(product(product(product(product(json!(true)))))));
    check(&tower, 100_000, &json!({}), Some(ErrorCode::General));
    check(&all, 100_000, &context, None);
}

/// Text that many references repeat counts as often as it is used.
#[test]
fn long_texts_count_as_parts() {
    let long = "x".repeat(100_000);
    let many = vec![json!({"$ref": "long"}); 1000];
    let document = json!({
        "$evaluators": { "long": long },
        "flags": { "f": { "variants": {}, "targeting": { "cat": many } } },
    });
    let rules = RuleSet::parse(&document.to_string()).unwrap();
    let fault = rules.flag("f").and_then(|flag| flag.fault().map(str::to_owned));
    assert_eq!(fault.as_deref(), Some("more than 20000 parts"));
}

#[test]
fn the_size_of_a_document_can_be_set() {
    let text = r#"{"flags": {}}"#;
    for (bytes, is_read) in [(text.len(), true), (text.len() - 1, false), (0, false)] {
        let limits = Limits::default().with_document_bytes(bytes);
        assert_eq!(RuleSet::parse_within(text, &limits).is_ok(), is_read, "{bytes}");
        assert_eq!(crate::check_within(text, &limits).is_empty(), is_read, "{bytes}");
    }
}

/// Any JSON, with names that mean something more often than chance would have it.
fn any_json() -> impl Strategy<Value = Value> {
    let name = prop_oneof![
        4 => proptest::sample::select(vec![
            "if", "and", "or", "!", "!!", "==", "===", "!=", "!==", "<", "<=", ">", ">=", "in", "cat",
            "substr", "var", "missing", "missing_some", "map", "filter", "reduce", "all", "none",
            "some", "merge", "+", "-", "*", "/", "%", "max", "min", "fractional", "sem_ver",
            "starts_with", "ends_with", "$ref",
        ])
        .prop_map(str::to_owned),
        1 => "[a-z$.]{0,6}",
    ];
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        (-3..4).prop_map(Value::from),
        proptest::sample::select(vec![
            "",
            "a",
            "b",
            "e",
            "list",
            "current",
            "accumulator",
            "targetingKey",
            "$flagd",
            "1.2.3",
            "^",
            "$flagd.timestamp",
            "list.0",
            "9e99",
            "-1",
            "é",
        ])
        .prop_map(Value::from),
        "\\PC{0,8}".prop_map(Value::from),
    ];
    leaf.prop_recursive(5, 40, 4, move |inner| {
        let args = proptest::collection::vec(inner.clone(), 0..4).prop_map(Value::from);
        prop_oneof![
            1 => args.clone(),
            6 => (name.clone(), args).prop_map(|(name, args)| json!({ name: args })),
            1 => (name.clone(), inner.clone()).prop_map(|(name, arg)| json!({ name: arg })),
            1 => proptest::collection::vec((name.clone(), inner), 0..3)
                .prop_map(|members| Value::Object(members.into_iter().collect::<Map<_, _>>())),
        ]
    })
}

proptest! {
    /// Rules and contexts of any shape evaluate, are checked and are compared without a panic; and
    /// what the checks find no error in can be evaluated.
    #[test]
    fn no_rule_and_no_context_panics(
        rules in proptest::collection::vec(any_json(), 2),
        context in any_json(),
        key in "\\PC{0,8}",
    ) {
        let parsed: Vec<_> = rules.iter().map(|rule| {
            let text = json!({
                "$evaluators": { "e": rules[1], "a": { "$ref": "e" } },
                "flags": { "f": { "variants": { "a": 1, "b": true }, "targeting": rule } },
            })
            .to_string();
            (RuleSet::parse(&text).unwrap(), crate::check(&text))
        }).collect();
        let object = json!({ "list": [1, "a", context], "a": context, "targetingKey": key });
        let Value::Object(object) = &object else { unreachable!() };
        for (set, problems) in &parsed {
            for context in [Context::from_json(object), Context::user(&key), Context::anonymous()] {
                let answer = set.evaluate("f", &context);
                prop_assert_eq!(answer.error.is_some(), answer.reason == crate::Reason::Error);
                let details = set.details("f", &context, 0_i64);
                prop_assert!(details.error.is_none() || details.value == 0);
            }
            let is_broken = set.flag("f").and_then(crate::Flag::fault).is_some();
            let in_flag = |problem: &crate::Problem| problem.flag.as_deref() == Some("f");
            let is_reported = problems.iter()
                .any(|problem| in_flag(problem) && problem.severity == crate::Severity::Error);
            prop_assert!(is_reported || !is_broken, "{:?}", problems);
        }
        for difference in crate::diff(&parsed[0].0, &parsed[1].0) {
            let crate::Share { least, most } = difference.share;
            prop_assert!((0.0..=most).contains(&least) && most <= 100.0, "{:?}", difference);
        }
    }

    /// No text makes reading it panic, whatever it is cut from.
    #[test]
    fn no_text_panics(cut in 0..2000_usize, with in "[\\[\\]{}\":,a-z0-9\\\\ \n.-]{0,8}") {
        let text = include_str!("semantics.json");
        let cut = (0..=cut).rev().find(|at| text.is_char_boundary(*at)).unwrap_or_default();
        let text = format!("{}{with}", &text[..cut]);
        prop_assert_eq!(RuleSet::parse(&text).is_err(), crate::check(&text).iter()
            .any(|problem| problem.severity == crate::Severity::Error && problem.flag.is_none()));
    }
}
