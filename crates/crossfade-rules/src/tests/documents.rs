//! Odd documents: what is still JSON, what is not, and what spoils no more than one flag.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::{Context, ErrorCode, RuleSet, Severity, check};

/// Puts `flag` beside a sound one. The document is accepted, and the sound flag answers.
#[track_caller]
fn spoils_itself_only(flag: &str) {
    let text = format!(
        r#"{{"flags": {{"odd": {flag}, "sound": {{"variants": {{"on": true}}, "defaultVariant": "on"}}}}}}"#
    );
    let rules = RuleSet::parse(&text).unwrap_or_else(|error| panic!("{flag}: {error}"));
    let user = Context::user("u1");
    assert_eq!(rules.evaluate_bool("sound", &user), Ok(Some(true)), "{flag}");
    assert_eq!(rules.evaluate("odd", &user).error, Some(ErrorCode::ParseError), "{flag}");
    let is_told = |problem: &crate::Problem| {
        problem.severity == Severity::Error && problem.flag.as_deref() == Some("odd")
    };
    assert!(check(&text).iter().any(is_told), "{flag}");
}

#[test]
fn a_malformed_flag_spoils_no_other() {
    for flag in [
        "1",
        "null",
        r#"["on"]"#,
        r#"{"state": "enabled", "variants": {"on": true}}"#,
        r#"{"state": null, "variants": {"on": true}}"#,
        r#"{"variants": ["on"]}"#,
        r#"{"variants": null, "defaultVariant": null}"#,
        // Of variants that cannot be read it is not known whether one has the name.
        r#"{"variants": ["on"], "defaultVariant": "on"}"#,
        r#"{"variants": "on", "defaultVariant": "on", "state": "DISABLE"}"#,
        r#"{"variants": {"on": true}, "targeting": {"if": [{"$ref": 1}, "on"]}}"#,
        r#"{"variants": {"on": true}, "targeting": {"": []}}"#,
    ] {
        spoils_itself_only(flag);
    }
}

/// What a document around one string, number or token is refused for; `None` when it is read.
#[track_caller]
fn refused(value: &str, reason: Option<&str>) {
    let text = format!(r#"{{"flags": {{}}, "x": {value}}}"#);
    let found = RuleSet::parse(&text).err().map(|error| error.reason().to_string());
    assert_eq!(found.as_deref(), reason, "{value}");
}

#[test]
fn what_other_readers_disagree_about() {
    refused("\"\\u0000\"", None);
    refused("\"\\ud83d\\ude00\"", None);
    refused("1e308", None);
    refused("-0", None);
    refused(&"9".repeat(300), None);
    refused("1e999", Some("number out of range"));
    refused("\"\u{0}\"", Some("control character (\\u0000-\\u001F) found while parsing a string"));
    refused("\"\\ud800\"", Some("unexpected end of hex escape"));
    refused("\"\\ud800\\u0041\"", Some("lone leading surrogate in hex escape"));
    refused("\"\\udc00\"", Some("lone leading surrogate in hex escape"));
    refused("NaN", Some("expected value"));
    refused("01", Some("invalid number"));
    refused("[1,]", Some("trailing comma"));
    refused("1 // one", Some("expected `,` or `}`"));
    refused("/* one */ 1", Some("expected value"));
    refused("'x'", Some("expected value"));
    refused("1} {", Some("trailing characters"));
    refused("1}\u{0}", Some("trailing characters"));
}

#[test]
fn a_byte_order_mark_is_called_by_its_name() {
    let error = RuleSet::parse("\u{feff}{\"flags\": {}}").unwrap_err();
    assert_eq!(
        error.to_string(),
        "line 1, column 1: the text begins with a byte order mark, which JSON does not have"
    );
}

#[test]
fn columns_count_characters_in_every_error() {
    for text in
        ["{\"flags\": {\"ab\": nope", "{\"flags\": {\"äß\": nope", "{\"flags\": {\"水😀\": nope"]
    {
        let error = RuleSet::parse(text).unwrap_err();
        assert_eq!((error.line(), error.column()), (Some(1), Some(19)), "{text}");
    }
    let error = RuleSet::parse("{\n\"ü\": \"\n\"}").unwrap_err();
    assert_eq!((error.line(), error.column()), (Some(3), Some(1)), "{error}");
}

#[test]
fn of_members_with_one_name_the_last_counts() {
    let rules = RuleSet::parse(
        r#"{
            "flags": {"gone": {}},
            "flags": {
                "f": {"variants": {"a": 1}, "defaultVariant": "a"},
                "g": {"variants": {"a": 1}, "defaultVariant": "a"},
                "f": {"variants": {"a": 2, "a": 3}, "defaultVariant": "b", "defaultVariant": "a"}
            }
        }"#,
    )
    .unwrap();
    assert_eq!(rules.keys().collect::<Vec<_>>(), ["f", "g"]);
    assert_eq!(rules.value::<i64>("f", &Context::anonymous()), Ok(Some(3)));
}

#[test]
fn names_may_be_empty_or_hold_anything() {
    let name = "\u{0}.\" \u{10ffff}";
    for name in ["", name, "$ref", "__proto__"] {
        let text = json!({ "flags": { name: {
            "variants": { name: true },
            "targeting": { "if": [{ "==": [{ "var": "$flagd.flagKey" }, name] }, name] },
        }}});
        let rules = RuleSet::parse(&text.to_string()).unwrap();
        let answer = rules.evaluate(name, &Context::anonymous());
        assert_eq!((answer.as_bool(), answer.variant.as_deref()), (Some(true), Some(name)));
    }
}

/// Chains of evaluators that are too deep fail wherever a flag enters them. However many flags do,
/// the evaluators are not compiled over and over.
#[test]
fn compiling_takes_time_in_proportion_to_the_document() {
    let ballast = vec![json!(1); 2000];
    let mut evaluators = serde_json::Map::new();
    for n in 0..70 {
        let mut items = ballast.clone();
        items.push(json!({ "$ref": format!("c{}", n + 1) }));
        evaluators.insert(format!("c{n}"), json!({ "and": items }));
    }
    evaluators.insert("c70".to_owned(), json!(true));
    let mut flags = serde_json::Map::new();
    for n in 0..4000 {
        evaluators.insert(format!("e{n}"), json!({ "!": { "$ref": "c0" } }));
        let targeting = json!({ "$ref": format!("e{n}") });
        flags.insert(format!("f{n}"), json!({ "variants": {}, "targeting": targeting }));
    }
    let text = json!({ "$evaluators": evaluators, "flags": flags }).to_string();
    let started = Instant::now();
    let rules = RuleSet::parse(&text).unwrap();
    let took = started.elapsed();
    assert!(rules.flags().all(|flag| flag.fault().is_some()));
    assert!(took < Duration::from_secs(10), "{took:?}");
}

/// A search in a text costs steps by the length of the text.
#[test]
fn long_texts_are_not_searched_for_nothing() {
    let searches = vec![json!({ "in": ["x", { "var": "text" }] }); 1000];
    let text = super::document(&json!({ "or": searches }));
    let rules = RuleSet::parse(&text).unwrap();
    let long = "y".repeat(100_000);
    let answer = |text: &str| rules.evaluate("f", &Context::anonymous().with("text", text)).error;
    assert_eq!(answer(&long), Some(ErrorCode::General));
    assert_eq!(answer(&long[..1000]), None);
    let _: Value = serde_json::from_str(&text).unwrap();
}
