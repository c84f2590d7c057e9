//! What is answered.

use crossfade_store::ReadFlag;
use serde_json::{Value, json};

use super::{FLAG, document};
use crate::{Context, ErrorCode, Flags, FlagsError, Reason};

#[test]
fn answers_without_a_rule_set_are_the_defaults() {
    let flags = Flags::forced::<&str, bool>([]);
    assert!(!flags.is_enabled(FLAG, "u1"));
    assert!(flags.boolean(FLAG, &Context::user("u1"), true));
    assert_eq!(flags.reads_new(FLAG, "u1").at_once(), None);
    assert_eq!(flags.evaluate(FLAG, &Context::user("u1")).error, Some(ErrorCode::NotReady));
    assert_eq!((flags.version(), flags.status().version()), (0, 0));
    assert!(flags.status().age().is_none());
}

#[test]
fn the_read_flag_answers_none_only_where_nothing_can_be_said() {
    let flags = Flags::from_document(&document(true)).unwrap();
    for (flag, expect) in
        [(FLAG, Some(true)), ("asleep", Some(false)), ("colour", None), ("nowhere", None)]
    {
        assert_eq!(flags.reads_new(flag, "u1").at_once(), expect, "{flag}");
        assert_eq!(flags.is_enabled(flag, "u1"), expect == Some(true), "{flag}");
    }
}

#[test]
fn the_default_in_the_code_stands_in_for_no_answer() {
    let flags = Flags::from_document(&document(false)).unwrap();
    for (flag, expect) in [(FLAG, false), ("asleep", true), ("colour", true), ("nowhere", true)] {
        assert_eq!(flags.boolean(flag, &Context::anonymous(), true), expect, "{flag}");
    }
}

#[test]
fn a_bad_document_is_refused_with_its_place() {
    let error = Flags::from_document(super::BAD).unwrap_err();
    let FlagsError::Refused { source, .. } = error else { panic!("{error:?}") };
    assert_eq!((source.line(), source.flag()), (Some(2), Some("x")));
}

#[test]
fn rules_see_the_time() {
    let flags = Flags::from_document(
        r#"{"flags": {"late": {
            "variants": {"on": true, "off": false},
            "defaultVariant": "off",
            "targeting": {"if": [{">": [{"var": "$flagd.timestamp"}, 1700000000]}, "on", "off"]}
        }}}"#,
    )
    .unwrap();
    assert!(flags.is_enabled("late", "u1"));
    assert!(!flags.boolean("late", &Context::user("u1").at(5), true));
}

/// A document with one flag of each type, under a set with metadata.
const TYPES: &str = r#"{
    "metadata": {"team": "core"},
    "flags": {
        "bool": {"variants": {"v": true}, "defaultVariant": "v", "metadata": {"owner": "ann"}},
        "integer": {"variants": {"v": 7}, "defaultVariant": "v"},
        "float": {"variants": {"v": 1.5}, "defaultVariant": "v"},
        "text": {"variants": {"v": "x"}, "defaultVariant": "v"},
        "object": {"variants": {"v": {"a": 1}}, "defaultVariant": "v"},
        "asleep": {"state": "DISABLED", "variants": {"v": 7}, "defaultVariant": "v"},
        "broken": {"variants": {"v": 7}, "defaultVariant": "v", "targeting": {"nope": []}}
    }
}"#;

#[test]
fn each_type_is_answered_in_its_own() {
    let flags = Flags::from_document(TYPES).unwrap();
    let nobody = Context::anonymous();
    for (key, boolean, integer, float, text, object) in [
        ("bool", true, -1, -1.0, "-", json!(null)),
        ("integer", false, 7, 7.0, "-", json!(null)),
        ("float", false, -1, 1.5, "-", json!(null)),
        ("text", false, -1, -1.0, "x", json!(null)),
        ("object", false, -1, -1.0, "-", json!({"a": 1})),
        ("nowhere", false, -1, -1.0, "-", json!(null)),
    ] {
        assert_eq!(flags.value(key, &nobody, false), boolean, "{key}");
        assert_eq!(flags.value(key, &nobody, -1), integer, "{key}");
        assert_eq!(flags.value(key, &nobody, -1.0), float, "{key}");
        assert_eq!(flags.value(key, &nobody, "-".to_owned()), text, "{key}");
        assert_eq!(flags.value(key, &nobody, Value::Null), object, "{key}");
    }
}

#[test]
fn details_say_how_the_answer_came_about() {
    let flags = Flags::from_document(TYPES).unwrap();
    let nobody = Context::anonymous();
    for (key, value, variant, reason, error, owner) in [
        ("integer", 7, Some("v"), Reason::Static, None, None),
        ("asleep", -1, None, Reason::Disabled, None, None),
        ("broken", -1, None, Reason::Error, Some(ErrorCode::ParseError), None),
        ("bool", -1, None, Reason::Error, Some(ErrorCode::TypeMismatch), Some("ann")),
        ("nowhere", -1, None, Reason::Error, Some(ErrorCode::FlagNotFound), None),
    ] {
        for details in [flags.details(key, &nobody, -1), flags.handle(key).details(&nobody, -1)] {
            assert_eq!(details.value, value, "{key}");
            assert_eq!(details.variant(), variant, "{key}");
            assert_eq!((details.reason, details.error), (reason, error), "{key}");
            assert_eq!(details.version(), 1, "{key}");
            let metadata = details.metadata().expect("the set has some");
            assert_eq!(metadata["team"], "core", "{key}");
            assert_eq!(metadata.get("owner").and_then(Value::as_str), owner, "{key}");
        }
    }
    let none = Flags::forced::<&str, bool>([]).details("bool", &nobody, true);
    assert_eq!((none.value, none.error, none.version()), (true, Some(ErrorCode::NotReady), 0));
}
