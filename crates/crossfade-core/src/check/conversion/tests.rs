//! What converted values amount to.

use super::super::mapping::{MappingSurvey, Output, ParsedMapping};
use super::*;
use crate::check::findings;
use crate::gate::tests::definition;

fn mapping(engine: &'static str, from: &str, to: &str, changed: u64, source: Source) -> Survey {
    let conversion = Conversion {
        column: "v".to_owned(),
        from: (!from.is_empty()).then(|| from.to_owned()),
        to: to.to_owned(),
        changed,
        examined: 10,
        whole: true,
    };
    let outputs = vec![Output { name: "v".to_owned(), source }];
    let text = MappingText::Parsed(ParsedMapping { outputs, ..ParsedMapping::default() });
    let mapping = MappingSurvey {
        text: Some(text),
        conversions: vec![conversion],
        ..MappingSurvey::default()
    };
    Survey { engine, mapping, ..Survey::default() }
}

/// Asserts the finding as `check severity`, empty where there is none.
#[track_caller]
fn check(engine: &'static str, types: [&str; 2], changed: u64, source: Source, expected: &str) {
    let survey = mapping(engine, types[0], types[1], changed, source);
    let found = findings(&definition(), &survey);
    let found: Vec<_> =
        found.iter().map(|found| format!("{} {}", found.check.id, found.severity)).collect();
    assert_eq!(found.join(", "), expected, "{engine} {types:?} {changed}");
}

#[test]
fn a_loss_is_accepted_by_name_unless_the_mapping_means_it() {
    let column = || Source::Column("v".to_owned());
    let lossy = "lossy-conversion to accept";
    let scale = ["numeric(12,4)", "numeric(12,2)"];
    check("postgres", scale, 3, column(), lossy);
    check("postgres", scale, 0, column(), lossy);
    check("postgres", scale, 0, Source::Expression, "");
    check("postgres", scale, 3, Source::Expression, lossy);
    check("postgres", ["bigint", "integer"], 0, column(), "lossy-conversion warning");
    check("postgres", ["integer", "bigint"], 0, column(), "");
    check("mysql", ["", "bigint(20)"], 2, Source::Expression, lossy);
    check("mysql", ["", "bigint(20)"], 0, Source::Expression, "");
    check("sqlite", ["text", "integer"], 1, column(), lossy);
    check("sqlite", ["text", "datetime"], 0, column(), "lossy-conversion warning");
}

#[test]
fn a_zone_is_named_or_accepted() {
    let types = ["timestamp without time zone", "timestamp with time zone"];
    let zone = "zone-conversion to accept";
    check("postgres", types, 0, Source::Column("v".to_owned()), zone);
    check("postgres", ["timestamp with time zone", "date"], 0, Source::Expression, zone);
    check(
        "postgres",
        ["timestamp with time zone", "timestamp(3) with time zone"],
        0,
        Source::Column("v".to_owned()),
        "lossy-conversion to accept",
    );
    check("mysql", ["datetime", "timestamp"], 0, Source::Column("v".to_owned()), zone);
    // As `convert_tz` yields it.
    check("mysql", ["datetime", "timestamp"], 0, Source::Expression, "");
    let mut pinned = definition();
    pinned.pinned.time_zone = Some("Europe/Berlin".to_owned());
    let survey = mapping("postgres", types[0], types[1], 0, Source::Expression);
    assert!(findings(&pinned, &survey)[0].message.contains("time zone Europe/Berlin"));
}

#[test]
fn keys_of_an_unexpected_class_are_refused() {
    let odd = OddKeys {
        side: "Legacy",
        column: "id".to_owned(),
        declared: "uuid".to_owned(),
        class: "real".to_owned(),
        rows: 2,
    };
    let mapping = MappingSurvey { odd_keys: vec![odd], ..MappingSurvey::default() };
    let survey = Survey { engine: "sqlite", mapping, ..Survey::default() };
    let found = findings(&definition(), &survey);
    assert_eq!(found[0].count, Some(2));
    assert!(found[0].blocks(Stage::Off) && found[0].message.contains("`uuid`, holds 2 real"));
}
