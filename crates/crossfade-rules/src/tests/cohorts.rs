//! Who is assigned where: conformance with other providers, and the promises of a ramp.

use std::collections::HashMap;

use proptest::prelude::*;
use serde_json::json;

use crate::{Context, RuleSet, edit};

const FLAG: &str = "read_user_settings_v2";

fn at_percent(percent: f64) -> RuleSet {
    let document = edit::ensure_boolean(edit::EMPTY, FLAG).unwrap();
    RuleSet::parse(&edit::set_percent(&document, FLAG, percent).unwrap()).unwrap()
}

fn reads_new(rules: &RuleSet, user: &str) -> bool {
    rules.evaluate_bool(FLAG, &Context::user(user)).unwrap().unwrap()
}

/// Assignments listed in flagd's conformance suite for the integer bucketing.
#[test]
fn assignments_agree_with_other_providers() {
    let suits = json!([["clubs", 25], ["diamonds", 25], ["hearts", 25], ["spades", 25]]);
    let seeded = |seed: serde_json::Value| {
        let mut args = vec![json!({ "cat": [seed, { "var": "user.name" }] })];
        args.extend(suits.as_array().into_iter().flatten().cloned());
        let variants: HashMap<_, _> =
            ["clubs", "diamonds", "hearts", "spades"].map(|suit| (suit, suit)).into();
        json!({ "variants": variants, "targeting": { "fractional": args } })
    };
    let document = json!({ "flags": {
        "fractional-flag": seeded(json!({ "var": "$flagd.flagKey" })),
        "shared": seeded(json!("shared-seed")),
        "fractional-flag-shorthand": {
            "variants": { "heads": "heads", "tails": "tails" },
            "targeting": { "fractional": [["heads"], ["tails", 1]] },
        },
    }});
    let rules = RuleSet::parse(&document.to_string()).unwrap();
    for (flag, name, expect) in [
        ("fractional-flag", "jack", "hearts"),
        ("fractional-flag", "queen", "spades"),
        ("fractional-flag", "ten", "clubs"),
        ("fractional-flag", "nine", "diamonds"),
        ("fractional-flag", "3", "clubs"),
        ("shared", "seven", "hearts"),
        ("shared", "eight", "diamonds"),
        ("shared", "nine", "clubs"),
        ("shared", "two", "spades"),
        ("fractional-flag-shorthand", "jon@company.com", "heads"),
        ("fractional-flag-shorthand", "jane@company.com", "tails"),
    ] {
        let user = json!({ "name": name });
        let answer = rules.evaluate(flag, &Context::user(name).with("user", &user));
        assert_eq!(answer.variant.as_deref(), Some(expect), "{flag} for {name}");
    }
}

#[test]
fn shares_come_out_as_asked() {
    for percent in [0.0, 0.1, 1.0, 12.5, 50.0, 99.9, 100.0] {
        let rules = at_percent(percent);
        assert_eq!(rules.true_percent(FLAG), Some(percent));
        let users = 20_000;
        let new = (0..users).filter(|n| reads_new(&rules, &format!("user-{n}"))).count();
        let measured = new as f64 * 100.0 / f64::from(users);
        assert!((measured - percent).abs() < 1.0, "{measured} % instead of {percent} %");
        if percent == 0.0 || percent == 100.0 {
            assert_eq!(measured, percent);
        }
    }
}

proptest! {
    /// Whoever reads New at some percentage does at every higher one; and since the answer depends on
    /// nothing but the percentage, turning it back down restores exactly the earlier users.
    #[test]
    fn raising_a_percentage_never_drops_a_user(
        thousandths in proptest::array::uniform2(0_u32..=100_000),
        users in proptest::collection::vec("\\PC{0,24}", 1..50),
    ) {
        let [low, high] = {
            let [a, b] = thousandths.map(|thousandths| f64::from(thousandths) / 1000.0);
            [a.min(b), a.max(b)]
        };
        let [before, raised, lowered] = [low, high, low].map(at_percent);
        for user in &users {
            let at = [&before, &raised, &lowered].map(|rules| reads_new(rules, user));
            prop_assert!(!at[0] || at[1], "{user:?} dropped between {low} and {high}");
            prop_assert_eq!(at[0], at[2]);
        }
    }

    /// The buckets against the obvious implementation: a line with one entry per unit of weight.
    #[test]
    fn buckets_agree_with_a_drawn_line(
        weights in proptest::collection::vec(0_u32..20, 1..6),
        user in "[a-z0-9]{1,12}",
    ) {
        let names: Vec<_> = (0..weights.len()).map(|n| format!("v{n}")).collect();
        let buckets: Vec<_> = names.iter().zip(&weights).map(|(n, w)| json!([n, w])).collect();
        let variants: HashMap<_, _> = names.iter().map(|name| (name, name)).collect();
        let flag = json!({ "variants": variants, "targeting": { "fractional": buckets } });
        let rules = RuleSet::parse(&json!({ "flags": { "f": flag } }).to_string()).unwrap();
        let line: Vec<_> = names
            .iter()
            .zip(&weights)
            .flat_map(|(name, weight)| std::iter::repeat_n(name, *weight as usize))
            .collect();
        let mut hash = crate::murmur::Murmur3::default();
        hash.write(format!("f{user}").as_bytes());
        let hash = hash.finish();
        let point = (u128::from(hash) * line.len() as u128 / (1 << 32)) as usize;
        let answer = rules.evaluate("f", &Context::user(&user));
        prop_assert_eq!(answer.variant.as_ref(), line.get(point).copied());
    }

    /// No document makes parsing or evaluating panic.
    #[test]
    fn arbitrary_text_is_survived(text in "[\\[\\]{}\":,a-z0-9\\\\ \n.-]{0,80}") {
        if let Ok(rules) = RuleSet::parse(&text) {
            for key in rules.keys() {
                let answer = rules.evaluate(key, &Context::user("u1"));
                prop_assert!(answer.value.is_none() || answer.error.is_none());
            }
        }
    }
}
