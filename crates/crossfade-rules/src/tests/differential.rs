//! Generated rules and data, evaluated here and by `datalogic-rs`: every operator of a targeting rule
//! but `$ref`, which it does not have.
//!
//! Left out is what the two read differently:
//! - whether an empty text is `missing` (in JsonLogic's reference it is),
//! - arithmetic on what is no number, and division by zero, which are errors there,
//! - a `fractional` whose key is `null`, which is hashed by the flag's key and the targeting key there,
//! - `sem_ver` of numbers and of versions that are not written out, which are refused there.

use proptest::prelude::*;
use serde_json::{Map, Value, json};

use crate::{
    Context, FractionalVersion,
    compile::Compiler,
    fractional::Seed,
    run::{Env, Scope},
    val::Val,
};

fn ours(rule: &Value, data: &Map<String, Value>) -> Value {
    let text = rule.to_string();
    let read = serde_json::from_str(&text).unwrap();
    let compiled = Compiler::new(None, Ok(FractionalVersion::V2)).targeting(&read).unwrap();
    let (seed, context) =
        (Seed::new("f", FractionalVersion::V2, 100_000), Context::from_json(data));
    let env = Env::new(&seed, &context);
    let value = compiled.expr.eval(&env, Scope::Context);
    assert!(!env.is_exhausted(), "{rule}");
    json(&value)
}

/// Numbers become doubles, which both sides compute with, so that 1 and 1.0 compare equal.
pub(super) fn json(value: &Val<'_>) -> Value {
    match value {
        Val::Null => Value::Null,
        Val::Bool(value) => (*value).into(),
        Val::Number(number) => json!(number),
        Val::Text(text) => text.as_ref().into(),
        Val::Json(_) | Val::List(_) | Val::Object(_) => match value.items() {
            Some(items) => items.map(|item| json(&item)).collect(),
            None => value
                .members()
                .into_iter()
                .flatten()
                .map(|(name, value)| (name.to_owned(), json(&value)))
                .collect::<Map<_, _>>()
                .into(),
        },
    }
}

fn theirs(rule: &Value, data: &Map<String, Value>) -> Option<Value> {
    let text =
        datalogic_rs::eval_str(&rule.to_string(), &Value::from(data.clone()).to_string()).ok()?;
    let value: Value = serde_json::from_str(&text).ok()?;
    Some(json(&Val::from(&value)))
}

fn literal() -> impl Strategy<Value = Value> {
    prop_oneof![
        (-20..20_i32).prop_map(Value::from),
        (-40..40_i32).prop_map(|n| json!(f64::from(n) / 4.0)),
        proptest::sample::select(vec!["", "a", "b", "ab", "DE", "10", "2.5", "abc"])
            .prop_map(Value::from),
        any::<bool>().prop_map(Value::from),
    ]
}

fn variable() -> impl Strategy<Value = Value> {
    let names = vec!["n", "m", "s", "t", "yes", "no", "user.name", "user.age", "list.0", "nowhere"];
    prop_oneof![
        proptest::sample::select(names.clone()).prop_map(|name| json!({ "var": name })),
        (proptest::sample::select(names), literal())
            .prop_map(|(name, default)| json!({ "var": [name, default] })),
    ]
}

fn number() -> impl Strategy<Value = Value> {
    prop_oneof![
        (-20..20_i32).prop_map(Value::from),
        proptest::sample::select(vec!["n", "m", "user.age", "list.0"])
            .prop_map(|name| json!({ "var": name })),
    ]
}

fn text() -> impl Strategy<Value = Value> {
    prop_oneof![
        "[a-c]{0,4}".prop_map(Value::from),
        proptest::sample::select(vec!["s", "t", "user.name"])
            .prop_map(|name| json!({ "var": name })),
    ]
}

fn operator(name: &str, args: Vec<Value>) -> Value {
    Value::Object(Map::from_iter([(name.to_owned(), args.into())]))
}

/// Computations with numbers alone, on which JavaScript's conversions have no bearing.
fn arithmetic() -> impl Strategy<Value = Value> {
    number().prop_recursive(3, 16, 3, |inner| {
        let names = vec!["+", "-", "*", "max", "min"];
        (proptest::sample::select(names), proptest::collection::vec(inner, 2..=2))
            .prop_map(|(name, args)| operator(name, args))
    })
}

/// Divisions, which are exact as long as both sides divide the same doubles.
fn division() -> impl Strategy<Value = Value> {
    let divisor = prop_oneof![1..20_i32, -20..0_i32].prop_map(Value::from);
    (proptest::sample::select(vec!["/", "%"]), arithmetic(), divisor)
        .prop_map(|(name, left, right)| operator(name, vec![left, right]))
}

fn version() -> impl Strategy<Value = Value> {
    let part = || prop_oneof![0..3_u32, 9..12_u32];
    let tail = proptest::sample::select(vec!["", "-a", "-a.1", "-2", "-10", "-1a", "+b", "-a+b.1"]);
    (part(), part(), part(), tail).prop_map(|(a, b, c, tail)| format!("{a}.{b}.{c}{tail}").into())
}

/// flagd's own operators, also inside of others.
fn custom() -> impl Strategy<Value = Value> {
    let operators = vec!["=", "!=", "<", "<=", ">", ">=", "^", "~"];
    let buckets = proptest::collection::vec(("[a-z]{1,3}", 0..1000_u32), 1..6);
    let test = prop_oneof![
        (proptest::sample::select(vec!["starts_with", "ends_with"]), text(), text())
            .prop_map(|(name, text, part)| operator(name, vec![text, part])),
        (version(), proptest::sample::select(operators), version())
            .prop_map(|(left, sign, right)| json!({ "sem_ver": [left, sign, right] })),
    ];
    let key = prop_oneof![
        Just(None),
        Just(Some(json!({ "var": "targetingKey" }))),
        text().prop_map(|text| Some(json!({ "cat": ["seed", text, { "var": "$flagd.flagKey" }] }))),
    ];
    let fractional = (key, buckets).prop_map(|(key, buckets)| {
        // A sum of nothing is an error there.
        let last = json!(["rest", 1]);
        let buckets = buckets.into_iter().map(|(name, weight)| json!([name, weight]));
        let args = key.into_iter().chain(buckets).chain([last]).collect();
        operator("fractional", args)
    });
    prop_oneof![
        test.clone(),
        fractional.clone(),
        (test, fractional).prop_map(|(test, split)| json!({ "?:": [test, split, "else"] })),
    ]
}

/// Conditions as targeting rules have them.
fn condition() -> impl Strategy<Value = Value> {
    let numbers = vec!["==", "!=", "===", "!==", "<", "<=", ">", ">="];
    let texts = vec!["==", "!=", "===", "!==", "in", "<", ">"];
    let leaf = prop_oneof![
        (proptest::sample::select(numbers), arithmetic(), arithmetic())
            .prop_map(|(name, a, b)| operator(name, vec![a, b])),
        (proptest::sample::select(texts), text(), text())
            .prop_map(|(name, a, b)| operator(name, vec![a, b])),
        (proptest::sample::select(vec!["<", "<="]), arithmetic(), arithmetic(), arithmetic())
            .prop_map(|(name, a, b, c)| operator(name, vec![a, b, c])),
        (text(), proptest::collection::vec("[a-c]{0,2}", 0..5))
            .prop_map(|(needle, list)| json!({ "in": [needle, list] })),
        (number(), proptest::collection::vec(-5..5_i32, 0..5))
            .prop_map(|(needle, list)| json!({ "in": [needle, list] })),
        (proptest::sample::select(vec!["all", "some", "none"]), -5..5_i32).prop_map(|(name, n)| {
            operator(name, vec![json!({"var": "list"}), json!({">": [{"var": ""}, n]})])
        }),
        literal(),
        variable(),
    ];
    leaf.prop_recursive(4, 32, 4, |inner| {
        prop_oneof![
            (
                proptest::sample::select(vec!["and", "or"]),
                proptest::collection::vec(inner.clone(), 1..4)
            )
                .prop_map(|(name, args)| operator(name, args)),
            (proptest::sample::select(vec!["!", "!!"]), inner.clone())
                .prop_map(|(name, arg)| operator(name, vec![arg])),
            proptest::collection::vec(inner, 1..6).prop_map(|args| operator("if", args)),
        ]
    })
}

fn structure() -> impl Strategy<Value = Value> {
    let list = prop_oneof![
        Just(json!({ "var": "list" })),
        proptest::collection::vec(-9..9_i32, 0..5).prop_map(Value::from),
        Just(json!({ "merge": [{ "var": "list" }, [7], 8] })),
        Just(json!({ "map": [{ "var": "list" }, { "*": [{ "var": "" }, 2] }] })),
        Just(json!({ "filter": [{ "var": "list" }, { ">": [{ "var": "" }, 1] }] })),
    ];
    prop_oneof![
        list.clone(),
        list.prop_map(|list| json!({
            "reduce": [list, { "+": [{ "var": "accumulator" }, { "var": "current" }] }, 0],
        })),
        proptest::collection::vec(text(), 1..4).prop_map(|parts| operator("cat", parts)),
        ("[a-cä]{0,6}", -4..5_i32, proptest::option::of(-4..5_i32)).prop_map(
            |(text, start, length)| {
                let args = [json!(text), json!(start)].into_iter().chain(length.map(Value::from));
                operator("substr", args.collect())
            }
        ),
        proptest::collection::vec(
            proptest::sample::select(vec!["n", "t", "nowhere", "user.x"]),
            0..4
        )
        .prop_map(|names| json!({ "missing": names })),
        (
            1..3_u32,
            proptest::collection::vec(proptest::sample::select(vec!["n", "t", "nope"]), 1..4)
        )
            .prop_map(|(need, names)| json!({ "missing_some": [need, names] })),
    ]
}

fn data() -> impl Strategy<Value = Map<String, Value>> {
    (
        (-20..20_i32, -20..20_i32),
        ("[a-c]{0,3}", "[a-c]{1,3}"),
        0..90_i32,
        proptest::collection::vec(-9..9_i32, 1..5),
    )
        .prop_map(|((n, m), (s, t), age, list)| {
            let data = json!({
                "n": n, "m": m, "s": s, "t": t, "yes": true, "no": false, "list": list,
                "user": { "name": t, "age": age },
                "targetingKey": format!("user-{n}-{m}"), "$flagd": { "flagKey": "f" },
            });
            data.as_object().cloned().unwrap_or_default()
        })
}

proptest! {
    #[test]
    fn conditions_agree(rule in condition(), data in data()) {
        prop_assert_eq!(Some(ours(&rule, &data)), theirs(&rule, &data), "{} of {:?}", rule, data);
    }

    #[test]
    fn computations_agree(rule in arithmetic(), data in data()) {
        prop_assert_eq!(Some(ours(&rule, &data)), theirs(&rule, &data), "{} of {:?}", rule, data);
    }

    #[test]
    fn divisions_agree(rule in division(), data in data()) {
        prop_assert_eq!(Some(ours(&rule, &data)), theirs(&rule, &data), "{} of {:?}", rule, data);
    }

    #[test]
    fn operators_of_flagd_agree(rule in custom(), data in data()) {
        prop_assert_eq!(Some(ours(&rule, &data)), theirs(&rule, &data), "{} of {:?}", rule, data);
    }

    #[test]
    fn arrays_and_texts_agree(rule in structure(), data in data()) {
        prop_assert_eq!(Some(ours(&rule, &data)), theirs(&rule, &data), "{} of {:?}", rule, data);
    }
}
