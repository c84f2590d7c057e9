//! Documents that are refused as a whole, and where the error says they are wrong.

use crate::{MAX_DOCUMENT_BYTES, MAX_NESTING, RuleSet};

#[track_caller]
fn check(text: &str, place: Option<(usize, usize)>, flag: Option<&str>, reason: &str) {
    let error = RuleSet::parse(text).unwrap_err();
    assert_eq!(error.line().zip(error.column()), place, "{error}");
    assert_eq!(error.flag(), flag, "{error}");
    assert_eq!(error.reason().to_string(), reason);
    let line = place.map(|(line, column)| format!("line {line}, column {column}: "));
    let flag = flag.map(|flag| format!("flag \"{flag}\": "));
    let shown = [line.unwrap_or_default(), flag.unwrap_or_default(), reason.to_owned()].concat();
    assert_eq!(error.to_string(), shown);
}

#[test]
fn what_is_no_json() {
    check("", Some((1, 1)), None, "EOF while parsing a value");
    check("{\n  \"flags\": {\n  }}}", Some((3, 5)), None, "trailing characters");
    check("{\"flags\":\n  {\"a\": nope}}", Some((2, 10)), None, "expected ident");
}

#[test]
fn what_has_no_flags() {
    check("[]", None, None, "the document is not an object");
    check("{}", None, None, "there is no \"flags\" object");
    check("{\n \"flags\": []}", Some((2, 2)), None, "\"flags\" is not an object");
    check("{\"flags\": null}", Some((1, 2)), None, "\"flags\" is not an object");
}

#[test]
fn default_variants_that_name_none() {
    for (definition, reason) in [
        (
            r#"{"variants": {"on": true}, "defaultVariant": true}"#,
            "\"defaultVariant\" is neither a string nor null",
        ),
        (
            r#"{"variants": {"on": true, "off": false}, "defaultVariant": "of"}"#,
            "\"defaultVariant\" names \"of\", which is not one of its variants: on, off",
        ),
    ] {
        let good = r#""good": {"variants": {"on": true}, "defaultVariant": "on"}"#;
        let text = format!("{{\"flags\": {{\n  {good},\n    \"bad\": {definition}\n}}}}");
        check(&text, Some((3, 5)), Some("bad"), reason);
    }
}

#[test]
fn the_line_is_that_of_the_flag_even_when_its_name_occurs_earlier() {
    let text = r#"{
        "bad": "bad",
        "flags": {
            "good": {"variants": {"bad": "\"bad\": "}, "defaultVariant": "bad"},
            "bad" : {"variants": {}, "defaultVariant": "x"}
        },
        "metadata": {"bad": {"bad": 1}}
    }"#;
    let error = RuleSet::parse(text).unwrap_err();
    assert_eq!((error.line(), error.column(), error.flag()), (Some(5), Some(13), Some("bad")));
}

#[test]
fn what_is_too_large_or_too_deep() {
    let large = format!("{{\"flags\": {{}}}}{}", " ".repeat(MAX_DOCUMENT_BYTES));
    let bytes = large.len();
    let reason = format!("the document has {bytes} bytes; at most {MAX_DOCUMENT_BYTES} are read");
    check(&large, None, None, &reason);
    let deep = "[".repeat(100_000);
    check(&deep, Some((1, MAX_NESTING + 1)), None, "nested deeper than 64 levels");
}
