//! The problems that checking a document finds, and where.

use crate::{RuleSet, Severity, check};

/// Checks the document against lines `LINE:COLUMN SEVERITY [FLAG] MESSAGE`.
#[track_caller]
fn finds(document: &str, expect: &[&str]) {
    let found: Vec<_> = check(document)
        .iter()
        .map(|problem| {
            let place = problem.line.zip(problem.column);
            let place = place.map(|(line, column)| format!("{line}:{column} ")).unwrap_or_default();
            let flag = problem.flag.as_deref().unwrap_or("-");
            format!("{place}{} [{flag}] {}", problem.severity, problem.message)
        })
        .collect();
    assert_eq!(found, expect, "{document}");
}

/// Checks a flag `f` with this targeting, which begins in line 2 and column 1.
#[track_caller]
fn finds_in_rule(rule: &str, expect: &[&str]) {
    let document = format!(
        r#"{{"$evaluators": {{"e": {{"var": "x"}}}}, "flags": {{"f": {{"state": "ENABLED", "variants": {{"a": 1, "b": 2}}, "targeting":
{rule}
}}}}}}"#
    );
    finds(&document, expect);
}

#[test]
fn a_good_document_has_no_problems() {
    finds(
        r#"{
            "$schema": "https://flagd.dev/schema/v0/flags.json",
            "metadata": {"flagSetId": "s", "version": "1", "crossfade.fractional": "v3"},
            "$evaluators": {"e": {"in": [{"var": "x"}, ["a", "b"]]}},
            "flags": {
                "on": {"state": "ENABLED", "variants": {"on": true}, "defaultVariant": "on", "targeting": {}},
                "off": {"state": "DISABLED", "variants": {"n": 1, "m": 2.5}, "defaultVariant": null},
                "text": {"state": "ENABLED", "variants": {"a": "", "b": "x"}, "metadata": {"m": 1},
                    "targeting": {"if": [{"and": [{"$ref": "e"}, {"sem_ver": [{"var": "v"}, ">=", "1.2.0"]}]},
                        {"fractional": [["a", 1], ["b", {"if": [true, 1, 2]}]]}, null]}}
            }
        }"#,
        &[],
    );
}

#[test]
fn what_is_refused() {
    finds("{", &["1:1 error [-] EOF while parsing an object"]);
    finds("[]", &["error [-] the document is not an object"]);
    finds("{}", &["1:1 error [-] there is no \"flags\" object"]);
    finds("{\n \"flags\": 3}", &["2:2 error [-] \"flags\" is not an object"]);
}

#[test]
fn every_problem_of_every_flag() {
    finds(
        r#"{"metadata": {"x": null, "version": 2, "crossfade.fractional": "v4"},
"$evaluators": 1,
"flags": {
  "a": 7,
  "b": {"state": "ON", "variants": [1]},
  "c": {"variants": {"x": 1, "y": "2", "z": null, "w": 9007199254740993}, "defaultVariant": "v"},
  "d": {"state": "ENABLED", "defaultVariant": true, "metadata": {"m": {}}},
  "": {"state": "ENABLED", "variants": {"": {}, "k": {}, "k": {}}, "targeting": "k"}
}}"#,
        &[
            "1:15 warning [-] the metadata \"x\" is neither a string, a number nor a boolean",
            "1:26 warning [-] the metadata \"version\" is not a string",
            "1:40 error [-] \"crossfade.fractional\" is neither \"v2\" nor \"v3\"",
            "2:1 warning [-] \"$evaluators\" is not an object",
            "4:3 error [a] the definition is not an object",
            "5:9 error [b] \"state\" is neither \"ENABLED\" nor \"DISABLED\"",
            "5:24 error [b] \"variants\" is not an object",
            "6:3 warning [c] there is no \"state\"; the flag counts as enabled",
            "6:30 warning [c] variant \"y\" is a string, but \"x\" is a number",
            "6:40 warning [c] variant \"z\" is null, not a boolean, string, number or object",
            "6:40 warning [c] variant \"z\" is null, but \"x\" is a number",
            "6:51 warning [c] variant \"w\" is beyond 2^53 - 1",
            "6:75 error [c] \"defaultVariant\" names \"v\", which is no variant",
            "7:3 warning [d] there are no \"variants\"; the code's default is all it has",
            "7:29 error [d] \"defaultVariant\" is neither a string nor null",
            "7:66 warning [d] the metadata \"m\" is neither a string, a number nor a boolean",
            "8:3 warning [] the key is empty",
            "8:41 warning [] a variant's name is empty",
            "8:49 warning [-] \"k\" occurs again; only the last counts",
            "8:68 warning [] \"targeting\" is not an object",
        ],
    );
}

#[test]
fn one_mistake_is_told_once() {
    finds(
        r#"{"flags": {"f": {"state": "ENABLED", "variants": ["on"], "defaultVariant": "on"}}}"#,
        &["1:38 error [f] \"variants\" is not an object"],
    );
}

#[test]
fn a_flag_cannot_pin_the_version_of_fractional() {
    finds(
        r#"{"flags": {"f": {"state": "ENABLED", "variants": {"on": 1},
"metadata": {"crossfade.fractional": "v3"}}}}"#,
        &["2:14 warning [f] \"crossfade.fractional\" counts in the metadata of the whole set only"],
    );
}

#[test]
fn operators() {
    finds_in_rule(r#"{"xyzzy": []}"#, &["2:2 error [f] unknown operator \"xyzzy\""]);
    finds_in_rule(
        r#"{"if": [{"xyzzy": []}, "a"]}"#,
        &["2:10 error [f] unknown operator \"xyzzy\""],
    );
    finds_in_rule(r#"{"$ref": "no"}"#, &["2:2 error [f] $ref names no evaluator: \"no\""]);
    finds_in_rule(r#"{"$ref": 1}"#, &["2:2 error [f] $ref takes the name of an evaluator"]);
    finds_in_rule(r#"{"$ref": "e"}"#, &[]);
    finds_in_rule(r#"{"!": 1}"#, &["2:2 warning [f] \"!\" takes a list of arguments"]);
    finds_in_rule(r#"{"==": [1, 2, 3]}"#, &["2:2 warning [f] \"==\" takes 2 arguments, not 3"]);
    finds_in_rule(r#"{"if": ["a"]}"#, &["2:2 warning [f] \"if\" takes 2 to 3 arguments, not 1"]);
    finds_in_rule(r#"{"+": [1]}"#, &["2:2 warning [f] \"+\" takes at least 2 arguments, not 1"]);
    finds_in_rule(
        r#"{"a": 1, "b": 2}"#,
        &["2:2 warning [f] an object with several members is no rule; it stands for itself"],
    );
    finds_in_rule(
        r#"{"starts_with": [{"var": "x"}, 1]}"#,
        &["2:32 warning [f] \"starts_with\" compares strings"],
    );
    finds_in_rule(
        r#"{"sem_ver": ["x", "==", {"var": "y"}]}"#,
        &[
            "2:14 warning [f] \"x\" is no version",
            "2:19 warning [f] \"==\" is none of = != < <= > >= ^ ~",
        ],
    );
    finds_in_rule(
        r#"{"var": "$flagd.other"}"#,
        &["2:2 warning [f] there is no \"$flagd.other\"; flagd supplies flagKey and timestamp"],
    );
    finds_in_rule(r#"{"var": "$flagd.timestamp"}"#, &[]);
    finds_in_rule(
        r#"{"map": [{"var": "xs"}, {"var": ""}]}"#,
        &["2:26 warning [f] \"var\" with an empty name reads the whole context"],
    );
    finds_in_rule(
        r#"{"var": {"cat": ["x"]}}"#,
        &["2:2 warning [f] \"var\" takes the name of an attribute"],
    );
}

#[test]
fn variants_that_targeting_names() {
    let unknown =
        |place: &str| format!("{place} warning [f] targeting names \"c\", which is no variant");
    finds_in_rule(r#"{"if": [true, "c", "a"]}"#, &[&unknown("2:15")]);
    finds_in_rule(r#"{"if": [true, "a", {"if": ["c", "b", "c"]}]}"#, &[&unknown("2:38")]);
    finds_in_rule(r#"{"fractional": [["a", 1], ["c", 1]]}"#, &[&unknown("2:28")]);
    finds_in_rule(r#"{"fractional": [{"var": "x"}, ["c"], ["a"]]}"#, &[&unknown("2:32")]);
    finds_in_rule(r#"{"if": [true, null, {"var": "x"}]}"#, &[]);
}

#[test]
fn buckets() {
    let odd = "a bucket is an array of a variant and a weight";
    finds_in_rule(r#"{"fractional": ["k", "a"]}"#, &[&format!("2:22 warning [f] {odd}")]);
    finds_in_rule(r#"{"fractional": [["a", 1, 2], ["b"]]}"#, &[&format!("2:17 warning [f] {odd}")]);
    finds_in_rule(r#"{"fractional": ["k"]}"#, &["2:17 warning [f] \"fractional\" has no buckets"]);
    finds_in_rule(
        r#"{"fractional": [["a", -1], ["b", 0]]}"#,
        &[
            "2:17 warning [f] the weights add up to nothing, so no bucket is picked",
            "2:23 warning [f] the weight -1 counts as 0",
        ],
    );
    finds_in_rule(
        r#"{"fractional": [["a", 0.5], ["b", 1]]}"#,
        &["2:23 warning [f] the weight 0.5 is not a whole number"],
    );
    finds_in_rule(
        r#"{"fractional": [["a", 2147483647], ["b"]]}"#,
        &["2:17 warning [f] the weights add up to 2147483648, beyond 2147483647"],
    );
}

#[test]
fn faults_that_only_compiling_finds() {
    let document = r#"{"$evaluators": {"e": {"!": [{"$ref": "e"}]}},
"flags": {"f": {"state": "ENABLED", "variants": {"true": 1},
"targeting": {"$ref": "e"}}}}"#;
    finds(document, &["3:1 error [f] evaluator \"e\" refers to itself"]);
    let problem = check(document).remove(0);
    assert_eq!(problem.severity, Severity::Error);
    let shown = "line 3, column 1: error: flag \"f\": evaluator \"e\" refers to itself";
    assert_eq!(problem.to_string(), shown);
    assert!(RuleSet::parse(document).is_ok());
}
