//! The versions of `fractional`: what each hashes, and how a set pins one.

use proptest::prelude::*;
use serde_json::{Value, json};

use crate::{Context, FractionalChange, FractionalVersion, RuleSet, murmur::Murmur3};

fn pinned(version: &Value, targeting: &Value) -> RuleSet {
    let variants: serde_json::Map<_, _> = (0..10).map(|n| (format!("v{n}"), n.into())).collect();
    let document = json!({
        "metadata": { "crossfade.fractional": version },
        "flags": { "f": { "variants": variants, "targeting": targeting } },
    });
    RuleSet::parse(&document.to_string()).unwrap()
}

fn ten_buckets(key: Option<Value>) -> Value {
    let buckets = (0..10).map(|n| json!([format!("v{n}"), 1]));
    json!({ "fractional": key.into_iter().chain(buckets).collect::<Vec<_>>() })
}

/// The bucket of ten in which the hash of these bytes lies.
fn bucket(bytes: &[u8]) -> i64 {
    let mut hash = Murmur3::default();
    hash.write(bytes);
    ((u64::from(hash.finish()) * 10) >> 32) as i64
}

#[track_caller]
fn check(key: Option<Value>, user: Option<&str>, attribute: &Value, bytes: Option<&[u8]>) {
    let rules = pinned(&json!("v3"), &ten_buckets(key.clone()));
    let context = user.map_or_else(Context::anonymous, Context::user).with("x", attribute);
    let expect = bytes.map(bucket);
    assert_eq!(rules.value::<i64>("f", &context), Ok(expect), "{key:?} {user:?} {attribute}");
}

#[test]
fn version_3_hashes_deterministic_cbor() {
    check(None, Some("u1"), &json!(null), Some(b"\x82\x61f\x62u1"));
    check(None, None, &json!(null), None);
    check(None, Some(""), &json!(null), None);
    let long = "u".repeat(300);
    let bytes = [b"\x82\x61f\x79\x01\x2c", long.as_bytes()].concat();
    check(None, Some(&long), &json!(null), Some(&bytes));
    let x = || Some(json!({ "var": "x" }));
    check(x(), None, &json!("abc"), Some(b"\x63abc"));
    check(x(), None, &json!(""), Some(b"\x60"));
    check(x(), None, &json!(7), Some(b"\x07"));
    check(x(), None, &json!(7.0), Some(b"\x07"));
    check(x(), None, &json!(-7), Some(b"\x26"));
    check(x(), None, &json!(1.5), Some(b"\xf9\x3e\x00"));
    check(x(), None, &json!(true), Some(b"\xf5"));
    check(x(), None, &json!({ "b": 1, "a": "x" }), Some(b"\xa2\x61a\x61x\x61b\x01"));
    let exact = 9_007_199_254_740_993_u64;
    check(x(), None, &json!(exact), Some(&[&[0x1b][..], &exact.to_be_bytes()].concat()));
    check(x(), None, &json!(null), None);
    check(x(), None, &json!([1]), None);
    let cat = || Some(json!({ "cat": [{ "var": "$flagd.flagKey" }, "-", { "var": "x" }] }));
    check(cat(), None, &json!(17), Some(b"\x64f-17"));
    check(cat(), None, &json!("ü"), Some(b"\x64f-\xc3\xbc"));
}

#[test]
fn version_2_hashes_text_alone() {
    for (version, user, attribute, expect) in [
        (json!("v2"), "u1", json!("abc"), Some(bucket(b"abc"))),
        (json!("v2"), "u1", json!(7), None),
    ] {
        let rules = pinned(&version, &ten_buckets(Some(json!({ "var": "x" }))));
        let context = Context::user(user).with("x", &attribute);
        assert_eq!(rules.value::<i64>("f", &context), Ok(expect), "{attribute}");
    }
    let rules = pinned(&json!("v2"), &ten_buckets(None));
    assert_eq!(rules.value("f", &Context::user("u1")), Ok(Some(bucket(b"fu1"))));
    assert_eq!(rules.value("f", &Context::user("")), Ok(Some(bucket(b"f"))));
}

#[test]
fn a_set_says_which_version_it_uses_and_whether_another_would_change_it() {
    use FractionalVersion::{V2, V3};
    let set = |metadata: &str| {
        RuleSet::parse(&format!(r#"{{{metadata}"flags": {{"f": {{}}}}}}"#)).unwrap()
    };
    let sets = [
        (set(""), Some(V2)),
        (set(r#""metadata": {"crossfade.fractional": "v2"}, "#), Some(V2)),
        (set(r#""metadata": {"crossfade.fractional": "v3"}, "#), Some(V3)),
        (set(r#""metadata": {"crossfade.fractional": 3}, "#), None),
    ];
    for (before, from) in &sets {
        assert_eq!(before.fractional_version(), *from);
        for (after, to) in &sets {
            let expect = match (*from, *to) {
                (Some(from), Some(to)) if from != to => Some(FractionalChange { from, to }),
                _ => None,
            };
            assert_eq!(before.fractional_change(after), expect);
        }
    }
    let empty = RuleSet::parse(r#"{"flags": {}}"#).unwrap();
    assert_eq!(empty.fractional_change(&sets[2].0), None);
    assert_eq!([V2, V3].map(|version| version.to_string()), ["v2", "v3"]);
}

proptest! {
    /// In both versions, whatever the key is and however large the sum: raising the first weight at
    /// the cost of the others drops nobody, and lowering it again leaves the earlier users.
    #[test]
    fn growing_the_first_bucket_never_drops_a_user(
        version in proptest::sample::select(vec!["v2", "v3"]),
        key in proptest::option::of(proptest::sample::select(vec!["x", "targetingKey"])),
        total in 1..=2_147_483_647_u32,
        shares in proptest::array::uniform2(0.0..=1.0_f64),
        users in proptest::collection::vec("\\PC{1,12}", 1..20),
    ) {
        let [low, high] = [shares[0].min(shares[1]), shares[0].max(shares[1])]
            .map(|share| (f64::from(total) * share) as u32);
        let at = |weight: u32| {
            let key = key.map(|name| json!({ "var": name }));
            let rest = json!(["v0", total - weight]);
            let args: Vec<_> = key.into_iter().chain([json!(["v1", weight]), rest]).collect();
            pinned(&json!(version), &json!({ "fractional": args }))
        };
        let sets = [low, high, low].map(at);
        for user in &users {
            let context = Context::user(user).with("x", user);
            let [before, raised, lowered] =
                sets.each_ref().map(|set| set.value::<i64>("f", &context).unwrap().unwrap());
            prop_assert!(before <= raised, "{user:?} dropped between {low} and {high} of {total}");
            prop_assert_eq!(before, lowered);
        }
    }
}
