//! flagd's semantics as a table of data: a request in JSON, and the answer in JSON.

use serde_json::{Value, json};

use crate::{Request, RuleSet};

const CASES: &str = include_str!("semantics.json");

fn object(value: &Value) -> serde_json::Map<String, Value> {
    value.as_object().cloned().unwrap_or_default()
}

/// Each group has a document, and requests with the answers that it must give. What a case leaves out
/// of its answer is `null`; `value` is the default of the request then.
#[test]
fn every_case_of_the_table() {
    let groups: Vec<Value> = serde_json::from_str(CASES).unwrap();
    let mut cases = 0;
    for group in &groups {
        let rules = RuleSet::parse(&group["document"].to_string())
            .unwrap_or_else(|error| panic!("{}: {error}", group["group"]));
        for case in group["cases"].as_array().into_iter().flatten() {
            let request = &case["ask"];
            let parsed = Request::from_line(&request.to_string())
                .unwrap_or_else(|error| panic!("{}: {case}: {error}", group["group"]));
            let mut expect = json!({
                "value": request["default"],
                "variant": null,
                "reason": null,
                "errorCode": null,
                "flagMetadata": null,
            });
            for (name, value) in object(&case["answer"]) {
                expect[name] = value;
            }
            assert_eq!(rules.answer(&parsed, 1_700_000_000), expect, "{}: {case}", group["group"]);
            let line = rules.answer_line(&request.to_string(), 1_700_000_000);
            assert_eq!(line, expect.to_string(), "{}: {case}", group["group"]);
            cases += 1;
        }
    }
    assert!(cases > 100, "only {cases} cases were found");
}

/// The members of an answer come in the order in which they are documented.
#[test]
fn answers_are_one_line_each() {
    let rules =
        RuleSet::parse(r#"{"flags": {"f": {"variants": {"v": 1}, "defaultVariant": "v"}}}"#);
    let line = r#"{"flag": "f", "type": "float", "default": 0, "context": {"a": "b\nc"}}"#;
    let expect =
        r#"{"value":1.0,"variant":"v","reason":"STATIC","errorCode":null,"flagMetadata":null}"#;
    assert_eq!(rules.unwrap().answer_line(line, 0), expect);
}

#[test]
fn lines_that_are_no_request_are_answered_too() {
    for (line, code, message) in [
        ("", "PARSE_ERROR", "a request is a JSON object"),
        ("[]", "PARSE_ERROR", "a request is a JSON object"),
        ("{}", "PARSE_ERROR", "a request names its \"flag\""),
        (r#"{"flag": 7}"#, "PARSE_ERROR", "a request names its \"flag\""),
        (r#"{"flag": "f"}"#, "PARSE_ERROR", "\"type\" is null"),
        (r#"{"flag": "f", "type": "number"}"#, "PARSE_ERROR", "\"type\" is \"number\""),
        (
            r#"{"flag": "f", "type": "float", "context": [1]}"#,
            "INVALID_CONTEXT",
            "\"context\" is not an object",
        ),
    ] {
        let answer: Value = serde_json::from_str(&RuleSet::default().answer_line(line, 0)).unwrap();
        assert_eq!((&answer["reason"], &answer["errorCode"]), (&json!("ERROR"), &json!(code)));
        let found = answer["errorMessage"].as_str().unwrap_or_default();
        assert!(found.starts_with(message), "{line}: {found}");
    }
}
