//! The client as a provider.

use std::{collections::HashMap, time::Duration};

use open_feature::{
    Client, EvaluationContext, EvaluationContextFieldValue as Field, EvaluationDetails,
    EvaluationErrorCode as Code, EvaluationReason, EvaluationResult, FlagMetadataValue,
    OpenFeature, StructValue, Value as Theirs,
    provider::{FeatureProvider, ProviderStatus},
};
use serde_json::json;
use time::{Date, Month, Time};

use crate::{FileSource, Flags, FlagsProvider, MemorySource};

const DOCUMENT: &str = r#"{
    "metadata": {"team": "core", "rank": 3, "share": 0.5, "tags": ["x"], "owner": null},
    "flags": {
        "bool": {"variants": {"on": true}, "defaultVariant": "on", "metadata": {"beta": true}},
        "integer": {"variants": {"seven": 7}, "defaultVariant": "seven"},
        "float": {"variants": {"half": 0.5}, "defaultVariant": "half"},
        "whole": {"variants": {"two": 2.0}, "defaultVariant": "two"},
        "huge": {"variants": {"h": 9007199254740993}, "defaultVariant": "h"},
        "text": {"variants": {"x": "y"}, "defaultVariant": "x"},
        "object": {"variants": {"o": {"a": [1, 0.5, "t"], "b": {"c": false}}}, "defaultVariant": "o"},
        "holey": {"variants": {"o": {"a": [null]}}, "defaultVariant": "o"},
        "array": {"variants": {"o": [1]}, "defaultVariant": "o"},
        "asleep": {"state": "DISABLED", "variants": {"on": true}, "defaultVariant": "on"},
        "open": {"variants": {"on": true}, "defaultVariant": null},
        "broken": {"variants": {"on": true}, "defaultVariant": "on", "targeting": {"nope": []}},
        "astray": {"variants": {"on": true}, "defaultVariant": "on", "targeting": {"cat": "off"}},
        "split": {"variants": {"on": true, "off": false}, "defaultVariant": "off",
                  "targeting": {"if": [{"==": [{"var": "targetingKey"}, "u1"]}, "on", null]}}
    }
}"#;

async fn client_of(flags: Flags) -> Client {
    let mut api = OpenFeature::default();
    api.set_provider(FlagsProvider::new(flags)).await;
    api.create_client()
}

async fn client() -> Client {
    client_of(Flags::from_document(DOCUMENT).unwrap()).await
}

/// Value, variant and reason, or the error's code; every error has a message.
fn outline<T>(
    answer: EvaluationResult<EvaluationDetails<T>>,
) -> Result<(T, Option<String>, Option<EvaluationReason>), Code> {
    match answer {
        Ok(EvaluationDetails { value, variant, reason, .. }) => Ok((value, variant, reason)),
        Err(error) => {
            assert!(error.message.is_some(), "{error:?}");
            Err(error.code)
        }
    }
}

fn fixed<T>(
    value: T,
    variant: &str,
) -> Result<(T, Option<String>, Option<EvaluationReason>), Code> {
    Ok((value, Some(variant.to_owned()), Some(EvaluationReason::Static)))
}

#[tokio::test]
async fn every_outcome_of_a_boolean() {
    let client = client().await;
    let general = Code::General("GENERAL".to_owned());
    for (key, expect) in [
        ("bool", fixed(true, "on")),
        ("integer", Err(Code::TypeMismatch)),
        ("text", Err(Code::TypeMismatch)),
        ("nowhere", Err(Code::FlagNotFound)),
        ("asleep", Err(Code::FlagNotFound)),
        ("open", Err(Code::FlagNotFound)),
        ("broken", Err(Code::ParseError)),
        ("astray", Err(general)),
    ] {
        assert_eq!(outline(client.get_bool_details(key, None, None).await), expect, "{key}");
    }
}

#[tokio::test]
async fn targeting_tells_its_reason() {
    let client = client().await;
    for (user, value, variant, reason) in [
        ("u1", true, "on", EvaluationReason::TargetingMatch),
        ("u2", false, "off", EvaluationReason::Default),
    ] {
        let context = EvaluationContext::default().with_targeting_key(user);
        let answer = client.get_bool_details("split", Some(&context), None).await;
        assert_eq!(outline(answer), Ok((value, Some(variant.to_owned()), Some(reason))), "{user}");
    }
}

#[tokio::test]
async fn what_leaves_the_answer_to_the_default_says_which() {
    let client = client().await;
    for (key, word) in [("asleep", "DISABLED"), ("open", "no variant"), ("nowhere", "not define")] {
        let error = client.get_bool_value(key, None, None).await.unwrap_err();
        assert!(error.message.as_ref().unwrap().contains(word), "{error:?}");
    }
}

#[tokio::test]
async fn numbers_are_converted_without_loss_or_not_at_all() {
    let client = client().await;
    let mismatch = || Err(Code::TypeMismatch);
    for (key, integer, float) in [
        ("integer", fixed(7, "seven"), fixed(7.0, "seven")),
        ("whole", fixed(2, "two"), fixed(2.0, "two")),
        ("float", Err(Code::TypeMismatch), fixed(0.5, "half")),
        ("huge", mismatch(), Err(Code::TypeMismatch)),
        ("bool", mismatch(), Err(Code::TypeMismatch)),
    ] {
        assert_eq!(outline(client.get_int_details(key, None, None).await), integer, "{key}");
        assert_eq!(outline(client.get_float_details(key, None, None).await), float, "{key}");
    }
}

#[tokio::test]
async fn texts_and_objects() {
    let client = client().await;
    let text = async |key| outline(client.get_string_details(key, None, None).await);
    assert_eq!(text("text").await, fixed("y".to_owned(), "x"));
    assert_eq!(text("bool").await, Err(Code::TypeMismatch));

    let array = vec![Theirs::Int(1), Theirs::Float(0.5), Theirs::String("t".to_owned())];
    let object = StructValue::default()
        .with_field("a", Theirs::Array(array))
        .with_field("b", StructValue::default().with_field("c", false));
    for (key, expect) in [
        ("object", fixed(object, "o")),
        ("holey", Err(Code::TypeMismatch)),
        ("array", Err(Code::TypeMismatch)),
        ("text", Err(Code::TypeMismatch)),
    ] {
        let answer = client.get_struct_details::<StructValue>(key, None, None).await;
        assert_eq!(outline(answer), expect, "{key}");
    }
}

#[tokio::test]
async fn metadata_of_flag_and_set_is_handed_on() {
    let details = client().await.get_bool_details("bool", None, None).await.unwrap();
    let expect = HashMap::from([
        ("team".to_owned(), FlagMetadataValue::String("core".to_owned())),
        ("rank".to_owned(), FlagMetadataValue::Int(3)),
        ("share".to_owned(), FlagMetadataValue::Float(0.5)),
        ("beta".to_owned(), FlagMetadataValue::Bool(true)),
    ]);
    assert_eq!(details.flag_metadata.values, expect);
}

#[tokio::test]
async fn rules_see_every_kind_of_field() {
    let noon = Time::from_hms(12, 30, 0).unwrap();
    let time = Date::from_calendar_date(2026, Month::March, 1).unwrap().with_time(noon);
    let ancient = Date::from_calendar_date(-1, Month::March, 1).unwrap().with_time(noon);
    let nested =
        || StructValue::default().with_field("b", StructValue::default().with_field("c", 5));
    let context = EvaluationContext::default()
        .with_custom_field("bool", true)
        .with_custom_field("int", 1_i64 << 40)
        .with_custom_field("float", 0.5)
        .with_custom_field("text", "t")
        .with_custom_field("time", time.assume_utc())
        .with_custom_field("ours", Field::new_struct(json!({"b": {"c": 5}})))
        .with_custom_field(
            "map",
            Field::new_struct(json!({"b": {"c": 5}}).as_object().cloned().unwrap()),
        )
        .with_custom_field("theirs", Field::new_struct(nested()))
        .with_custom_field(
            "value",
            Field::new_struct(Theirs::Array(vec![Theirs::Struct(nested())])),
        )
        .with_custom_field("unknown", Field::new_struct(Duration::ZERO))
        // A year before 0 has no RFC 3339 text.
        .with_custom_field("ancient", ancient.assume_utc());
    for (path, expect) in [
        ("bool", json!(true)),
        ("int", json!(1_i64 << 40)),
        ("float", json!(0.5)),
        ("text", json!("t")),
        ("time", json!("2026-03-01T12:30:00Z")),
        ("ours.b.c", json!(5)),
        ("map.b.c", json!(5)),
        ("theirs.b.c", json!(5)),
        ("value.0.b.c", json!(5)),
        ("unknown", json!(null)),
        ("ancient", json!(null)),
        ("nowhere", json!(null)),
    ] {
        let document = json!({"flags": {"f": {
            "variants": {"on": true, "off": false},
            "defaultVariant": "off",
            "targeting": {"if": [{"===": [{"var": path}, expect]}, "on", "off"]},
        }}});
        let client = client_of(Flags::from_document(&document.to_string()).unwrap()).await;
        assert_eq!(client.get_bool_value("f", Some(&context), None).await, Ok(true), "{path}");
    }
}

#[tokio::test]
async fn forced_answers_have_no_variant() {
    let flags = Flags::forced([("on", true)]);
    let client = client_of(flags.clone()).await;
    let answer = client.get_bool_details("on", None, None).await;
    assert_eq!(outline(answer), Ok((true, None, Some(EvaluationReason::Static))));
    flags.force("on", false);
    assert_eq!(client.get_bool_value("on", None, None).await, Ok(false));
}

#[tokio::test(start_paused = true)]
async fn initializing_waits_for_a_first_rule_set_within_the_bound() {
    let source = MemorySource::new();
    let flags = Flags::builder().memory(&source).start().await;
    let mut provider = FlagsProvider::new(flags).first_rules(Duration::from_secs(3));
    let nothing = EvaluationContext::default();
    let begun = tokio::time::Instant::now();
    provider.initialize(&nothing).await;
    assert_eq!(begun.elapsed(), Duration::from_secs(3));
    assert_eq!(provider.status(), ProviderStatus::NotReady);
    let error = provider.resolve_bool_value("bool", &nothing).await.unwrap_err();
    assert_eq!(error.code, Code::ProviderNotReady);

    source.set(DOCUMENT).unwrap();
    provider.initialize(&nothing).await;
    assert_eq!(begun.elapsed(), Duration::from_secs(3), "there is nothing left to wait for");
    assert_eq!(provider.status(), ProviderStatus::Ready);
    assert!(provider.resolve_bool_value("bool", &nothing).await.unwrap().value);
}

#[tokio::test]
async fn a_rule_set_that_was_kept_is_stale() {
    let folder = tempfile::tempdir().unwrap();
    let (file, kept) = (folder.path().join("flags.json"), folder.path().join("flags.kept"));
    std::fs::write(&file, DOCUMENT).unwrap();
    let start = async || {
        let source = FileSource::new(&file);
        FlagsProvider::new(Flags::builder().source(source).persist_to(&kept).start().await)
    };
    assert_eq!(start().await.status(), ProviderStatus::Ready);
    std::fs::remove_file(&file).unwrap();
    assert_eq!(start().await.status(), ProviderStatus::STALE);
}

#[tokio::test]
async fn a_client_without_sources_is_ready() {
    let mut provider = FlagsProvider::new(Flags::forced([("on", true)]));
    provider.initialize(&EvaluationContext::default()).await;
    assert_eq!(provider.status(), ProviderStatus::Ready);
    assert_eq!(provider.metadata().name, "crossfade");
}
