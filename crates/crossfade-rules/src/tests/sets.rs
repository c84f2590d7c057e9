//! Two rule sets: what changed from one to the other, and one laid over the other.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::{Context, FractionalVersion, RuleSet};

const OLD: &str = r#"{
    "metadata": {"team": "a"},
    "$evaluators": {"e": {"==": [{"var": "x"}, 1]}, "deep": {"!": [{"$ref": "e"}]}},
    "flags": {
        "same": {"variants": {"on": true, "off": {"m": 1, "n": [2]}}, "defaultVariant": "on"},
        "gone": {"variants": {"on": true}},
        "refers": {"variants": {"on": true}, "targeting": {"if": [{"$ref": "deep"}, "on"]}},
        "value": {"variants": {"on": 1}, "defaultVariant": "on"},
        "rule": {"variants": {"on": 1}, "targeting": {"fractional": [["on", 1], ["off", 2]]}},
        "own": {"variants": {"on": 1}, "metadata": {"team": "b"}},
        "moved": {"variants": {"on": true}, "targeting": {"fractional": [["on", 1]]}}
    }
}"#;

/// The old document after an edit of its text.
fn edited(from: &str, to: &str) -> RuleSet {
    assert_eq!(OLD.matches(from).count(), 1, "{from}");
    RuleSet::parse(&OLD.replace(from, to)).unwrap()
}

#[track_caller]
fn check_changed(from: &str, to: &str, expect: &[&str]) {
    let (old, new) = (RuleSet::parse(OLD).unwrap(), edited(from, to));
    assert_eq!(old.changed_keys(&new), expect, "{from} to {to}");
    assert_eq!(old == new, expect.is_empty(), "{from} to {to}");
    let mut told: Vec<_> = crate::diff(&old, &new).into_iter().map(|diff| diff.key).collect();
    assert_eq!(told, expect, "{from} to {to}");
    let mut back = new.changed_keys(&old);
    told.sort();
    back.sort();
    assert_eq!(back, told, "{to} to {from}");
}

#[test]
fn keys_change_with_all_that_their_flags_say() {
    check_changed("\"gone\": {", "\"gone\" : {", &[]);
    check_changed(r#""m": 1, "n": [2]"#, r#""n": [2], "m": 1"#, &[]);
    check_changed(r#""n": [2]"#, r#""n": [3]"#, &["same"]);
    check_changed(r#""variants": {"on": 1}, "def"#, r#""variants": {"on": 1.0}, "def"#, &["value"]);
    check_changed(r#"["off", 2]"#, r#"["off", 3]"#, &["rule"]);
    check_changed(r#"{"team": "b"}"#, r#"{"team": "c"}"#, &["own"]);
    check_changed("\"gone\"", "\"come\"", &["gone", "come"]);
    check_changed(r#""gone": {"variants": {"on": true}},"#, "", &["gone"]);
    check_changed(r#""flags": {"#, r#""flags": {"first": {},"#, &["first"]);
    check_changed(
        r#""gone": {"variants": {"on": true}}"#,
        r#""gone": {"variants": {"on": true}, "state": "DISABLED"}"#,
        &["gone"],
    );
}

/// What a `$ref` stands for decides, not what it is called.
#[test]
fn keys_change_with_their_evaluators_and_the_metadata_of_their_set() {
    check_changed(r#"{"var": "x"}, 1"#, r#"{"var": "x"}, 2"#, &["refers"]);
    let renamed = OLD.replace("deep", "other");
    let (old, renamed) = (RuleSet::parse(OLD).unwrap(), RuleSet::parse(&renamed).unwrap());
    assert_eq!(old.changed_keys(&renamed), [""; 0]);
    let all_but_own = ["same", "gone", "refers", "value", "rule", "moved"];
    check_changed(r#"{"team": "a"}"#, r#"{"team": "x"}"#, &all_but_own);
}

#[test]
fn ten_thousand_flags_are_compared_at_once() {
    let flag = |n: usize| {
        let weights = [n % 7 + 1, n % 11 + 1];
        json!({
            "variants": { "on": true, "off": false }, "defaultVariant": "off",
            "targeting": { "if": [
                { "in": [{ "var": "country" }, ["DE", "AT"]] },
                { "fractional": [["on", weights[0]], ["off", weights[1]]] },
            ]},
        })
    };
    let flags: serde_json::Map<_, _> =
        (0..10_000).map(|n| (format!("flag_{n}"), flag(n))).collect();
    let text = json!({ "flags": flags }).to_string();
    let limits = crate::Limits::default().with_document_bytes(8 * 1024 * 1024);
    let [old, new] = [&text, &text.replace("flag_7777\"", "flag_x\"")]
        .map(|text| RuleSet::parse_within(text, &limits).unwrap());
    let started = Instant::now();
    let changed = old.changed_keys(&new);
    let took = started.elapsed();
    assert_eq!(changed, ["flag_7777", "flag_x"]);
    // Some ten times what an unoptimized build takes.
    assert!(took < Duration::from_millis(250), "{took:?}");
}

fn set(fractional: Option<&str>, evaluator: &str, keys: &[&str], metadata: &Value) -> RuleSet {
    let mut document = json!({
        "$evaluators": { "who": evaluator },
        "metadata": metadata,
        "flags": {},
    });
    if let Some(version) = fractional {
        document["metadata"]["crossfade.fractional"] = version.into();
    }
    for key in keys {
        document["flags"][key] = json!({
            "variants": { "upper": "U", "lower": "L" },
            "targeting": { "if": [{ "var": "split" },
                { "fractional": [["upper"], ["lower"]] }, { "$ref": "who" }] },
        });
    }
    RuleSet::parse(&document.to_string()).unwrap()
}

#[test]
fn flags_of_the_upper_set_hide_those_of_the_lower() {
    let upper = set(None, "upper", &["a", "b"], &json!({ "from": "upper" }));
    let lower = set(Some("v3"), "lower", &["x", "b", "y"], &json!({ "from": "lower" }));
    let merged = upper.clone().over(&lower);
    assert_eq!(merged.keys().collect::<Vec<_>>(), ["a", "b", "x", "y"]);
    for (key, from) in [("a", &upper), ("b", &upper), ("x", &lower), ("y", &lower)] {
        assert_eq!(merged.flag(key), from.flag(key));
        assert_eq!(merged.index(key).and_then(|index| merged.flag_at(index)), from.flag(key));
        for n in 0..100 {
            let user = format!("user-{n}");
            for context in [Context::user(&user), Context::user(&user).with("split", true)] {
                assert_eq!(merged.evaluate(key, &context), from.evaluate(key, &context), "{key}");
            }
        }
    }
    assert_eq!(merged.metadata(), upper.metadata());
    assert_eq!(merged.fractional_version(), Some(FractionalVersion::V2));
    assert_eq!(lower.changed_keys(&merged), ["b", "a"]);
}

/// Laying a set of a few flags over one of many, and comparing the result with the last, is done at
/// every reload of either.
#[test]
fn merged_sets_share_their_flags() {
    let many: serde_json::Map<_, _> = (0..100)
        .map(|n| {
            let items = vec![json!({ "$ref": "part" }); 100];
            (format!("f{n}"), json!({ "variants": {}, "targeting": { "and": items } }))
        })
        .collect();
    let part = vec![json!(1); 190];
    let document = json!({ "$evaluators": { "part": { "or": part } }, "flags": many });
    let lower = RuleSet::parse(&document.to_string()).unwrap();
    assert!(lower.flags().all(|flag| flag.fault().is_none()));
    let upper = set(None, "upper", &["a"], &json!({}));
    let started = Instant::now();
    let [first, second] = [upper.clone(), upper].map(|upper| upper.over(&lower));
    for _ in 0..100 {
        assert_eq!(first.changed_keys(&second), [""; 0]);
    }
    let took = started.elapsed();
    // Without sharing, two hundred million parts of rules are compared.
    assert!(took < Duration::from_millis(500), "{took:?}");
}

#[test]
fn a_set_without_metadata_takes_those_below_it() {
    let upper = set(None, "upper", &["a"], &json!({}));
    let lower = set(Some("v3"), "lower", &["x"], &json!({ "from": "lower" }));
    let merged = upper.over(&lower);
    assert_eq!(merged.metadata(), lower.metadata());
    assert_eq!(merged.fractional_version(), Some(FractionalVersion::V3));
    assert_eq!(RuleSet::default().over(&lower), lower);
    assert_eq!(lower.clone().over(&RuleSet::default()), lower);
}
