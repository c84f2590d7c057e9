//! What comparing two rule sets says, and that it agrees with evaluating users.

use proptest::prelude::*;
use serde_json::{Value, json};

use crate::{Context, FlagChange, RuleSet, diff};

fn set(definition: &Value) -> RuleSet {
    RuleSet::parse(&json!({ "flags": { "f": definition } }).to_string()).unwrap()
}

fn flag(targeting: Value) -> Value {
    json!({ "variants": { "on": true, "off": false, "no": false }, "defaultVariant": "off", "targeting": targeting })
}

fn at(percent: u32) -> Value {
    json!({ "fractional": [["on", percent], ["off", 100 - percent]] })
}

#[track_caller]
fn check(before: Value, after: Value, expect: &str) {
    let differences = diff(&set(&before), &set(&after));
    assert_eq!(differences.len(), 1, "{before} {after}");
    assert_eq!(differences[0].change, FlagChange::Changed);
    assert_eq!(differences[0].share.to_string(), expect, "{before} {after}");
}

#[test]
fn shares_are_exact_where_the_rules_alone_tell() {
    check(flag(at(5)), flag(at(25)), "20 %");
    check(flag(at(25)), flag(at(5)), "20 %");
    check(flag(json!({})), flag(at(12)), "12 %");
    check(flag(at(100)), flag(json!({})), "100 %");
    check(flag(at(0)), flag(json!({})), "0 %");
    check(flag(json!("on")), flag(json!({})), "100 %");
    check(flag(json!("no")), flag(json!({})), "0 %");
    let thirds = json!({ "fractional": [["off"], ["on"], ["no"]] });
    check(flag(thirds), flag(json!({})), "33.333 %");
    // The same users, on a line of another length.
    let halves = json!({ "fractional": [["on", 1], ["off", 1]] });
    check(flag(at(50)), flag(halves.clone()), "0 %");
    // Another hash divides each half in halves.
    let by_mail = json!({ "fractional": [{ "cat": ["s", { "var": "mail" }] }, ["on"], ["off"]] });
    check(flag(halves), flag(by_mail), "50 %");
    let mut disabled = flag(at(50));
    disabled["state"] = "DISABLED".into();
    check(flag(at(50)), disabled, "100 %");
    check(flag(json!({ "if": [true, "on"] })), flag(json!({})), "100 %");
}

#[test]
fn shares_are_bounded_where_attributes_have_a_say() {
    let german = json!({ "==": [{ "var": "country" }, "DE"] });
    let only = |answer: Value| flag(json!({ "if": [german, answer, "off"] }));
    check(only("off".into()), only(at(30)), "0 to 30 %");
    check(only("off".into()), only("on".into()), "0 to 100 %");
    check(flag(at(40)), flag(json!({ "if": [german, at(50), at(20)] })), "10 to 20 %");
    check(only(at(10)), only(at(30)), "0 to 20 %");
    let adult = json!({ ">=": [{ "var": "age" }, 18] });
    let both = json!({ "if": [german, "on", { "if": [adult, at(10), "off"] }] });
    check(only("on".into()), flag(both), "0 to 10 %");
    check(flag(json!({ "var": "x" })), flag(at(5)), "0 to 100 %");
}

#[test]
fn flags_come_and_go() {
    let before = RuleSet::parse(
        r#"{"flags": {
            "same": {"variants": {"on": true}, "defaultVariant": "on"},
            "gone": {"variants": {"on": true, "off": false}, "defaultVariant": "on"},
            "named": {"variants": {"on": true}, "defaultVariant": "on"}
        }}"#,
    );
    let after = RuleSet::parse(
        r#"{"flags": {
            "new": {"variants": {"on": true}, "state": "DISABLED", "defaultVariant": "on"},
            "named": {"variants": {"yes": true}, "defaultVariant": "yes"},
            "same": {"variants": {"on": true}, "defaultVariant": "on", "targeting": {}, "state": "ENABLED"}
        }}"#,
    );
    let (before, after) = (before.unwrap(), after.unwrap());
    let told = diff(&before, &after);
    let told: Vec<_> = told
        .iter()
        .map(|diff| (diff.key.as_str(), diff.change.to_string(), diff.share.to_string()))
        .collect();
    let expect =
        [("gone", "removed", "100 %"), ("named", "changed", "0 %"), ("new", "added", "0 %")];
    assert_eq!(told, expect.map(|(key, change, share)| (key, change.to_owned(), share.to_owned())));
    assert_eq!(diff(&before, &before), []);
}

/// Everybody changes sides by chance when the hash does.
#[test]
fn another_version_of_fractional_is_another_hash() {
    let pinned = |version: &str| {
        let document = json!({
            "metadata": { "crossfade.fractional": version },
            "flags": { "f": flag(at(50)) },
        });
        RuleSet::parse(&document.to_string()).unwrap()
    };
    assert_eq!(diff(&pinned("v2"), &pinned("v3"))[0].share.to_string(), "50 %");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, ..ProptestConfig::default() })]

    /// The share that is told is the share of users that are answered differently.
    #[test]
    fn shares_agree_with_counting_users(
        weights in proptest::array::uniform2(proptest::collection::vec(0..100_u32, 2..5)),
        versions in proptest::array::uniform2(proptest::sample::select(vec!["v2", "v3"])),
    ) {
        let sets: Vec<_> = weights.iter().zip(&versions).map(|(weights, version)| {
            let buckets: Vec<_> =
                weights.iter().enumerate().map(|(n, weight)| json!([format!("v{n}"), weight])).collect();
            let document = json!({
                "metadata": { "crossfade.fractional": version },
                "flags": { "f": {
                    "variants": { "v0": 0, "v1": 1, "v2": 0, "v3": 2 },
                    "targeting": { "fractional": buckets },
                }},
            });
            RuleSet::parse(&document.to_string()).unwrap()
        }).collect();
        let users = 10_000;
        let changed = (0..users).filter(|n| {
            let user = format!("user-{n}");
            let [before, after] =
                [0, 1].map(|n| sets[n].value::<i64>("f", &Context::user(&user)).unwrap());
            before != after
        });
        let counted = changed.count() as f64 * 100.0 / f64::from(users);
        let told = diff(&sets[0], &sets[1]).first().map_or(0.0, |diff| diff.share.least);
        prop_assert!((told - counted).abs() < 2.5, "{told} % told, {counted} % counted");
    }
}
