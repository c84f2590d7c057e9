//! What edits change, what they keep, and what they refuse.

use crate::{
    Context, RuleSet,
    edit::{self, EditError},
};

const DOCUMENT: &str = r#"{
  "$schema": "https://flagd.dev/schema/v0/flags.json",
  "metadata": {
    "team": "settings"
  },
  "flags": {
    "zebra": {
      "state": "DISABLED",
      "variants": {
        "no": false,
        "yes": true
      },
      "targeting": {
        "if": [
          {
            "var": "x"
          },
          "yes",
          "no"
        ]
      },
      "defaultVariant": "no",
      "metadata": {
        "ticket": 7
      }
    },
    "colour": {
      "state": "ENABLED",
      "variants": {
        "red": "f00"
      },
      "defaultVariant": "red"
    }
  },
  "after": [
    1,
    2.5
  ]
}
"#;

/// What the edit of `zebra` gives: its new state and targeting in the place of the old.
fn expected(default: &str, targeting: &str) -> String {
    let (start, rest) = DOCUMENT.split_once("      \"targeting\"").unwrap();
    let (_, end) = rest.split_once("      \"defaultVariant\": \"no\"").unwrap();
    let start = start.replace("DISABLED", "ENABLED");
    format!("{start}{targeting}      \"defaultVariant\": \"{default}\"{end}")
}

#[test]
fn edits_keep_everything_else_in_its_order() {
    assert_eq!(edit::set_on(DOCUMENT, "zebra").unwrap(), expected("yes", ""));
    assert_eq!(edit::set_off(DOCUMENT, "zebra").unwrap(), expected("no", ""));
    let buckets = r#"      "targeting": {
        "fractional": [
          [
            "yes",
            12345
          ],
          [
            "no",
            87655
          ]
        ]
      },
"#;
    assert_eq!(edit::set_percent(DOCUMENT, "zebra", 12.345).unwrap(), expected("no", buckets));
}

#[test]
fn ensuring_a_flag_adds_it_once_and_off() {
    let once = edit::ensure_boolean(DOCUMENT, "new").unwrap();
    assert_eq!(edit::ensure_boolean(&once, "new").unwrap(), once);
    let rules = RuleSet::parse(&once).unwrap();
    assert_eq!(rules.keys().collect::<Vec<_>>(), ["zebra", "colour", "new"]);
    assert_eq!(rules.evaluate_bool("new", &Context::user("u1")), Ok(Some(false)));
    assert_eq!(edit::ensure_boolean(DOCUMENT, "zebra").unwrap(), DOCUMENT);
    assert_eq!(edit::ensure_boolean(edit::EMPTY, "new").unwrap().lines().count(), 13);
}

#[test]
fn the_last_edit_holds() {
    let mut document = edit::ensure_boolean(edit::EMPTY, "f").unwrap();
    type Edit = fn(&str) -> Result<String, EditError>;
    let edits: [(Edit, f64); 5] = [
        (|text| edit::set_percent(text, "f", 30.0), 30.0),
        (|text| edit::set_on(text, "f"), 100.0),
        (|text| edit::set_percent(text, "f", 0.001), 0.001),
        (|text| edit::set_off(text, "f"), 0.0),
        (|text| edit::set_percent(text, "f", 100.0), 100.0),
    ];
    for (apply, percent) in edits {
        document = apply(&document).unwrap();
        assert_eq!(RuleSet::parse(&document).unwrap().true_percent("f"), Some(percent));
    }
    // A user without a key is not part of any percentage.
    let rules = RuleSet::parse(&document).unwrap();
    assert_eq!(rules.evaluate_bool("f", &Context::anonymous()), Ok(Some(false)));
}

#[test]
fn percentages_are_checked() {
    for percent in [-0.001, 100.001, 12.3456, 1e-9, f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
        let error = edit::set_percent(DOCUMENT, "zebra", percent).unwrap_err();
        assert!(matches!(error, EditError::BadPercent { .. }), "{percent}: {error}");
    }
    for thousandths in 0..=100_000 {
        let percent = format!("{}.{:03}", thousandths / 1000, thousandths % 1000);
        let weight = edit::weight_of(percent.parse().unwrap());
        assert_eq!(weight, Ok(thousandths), "{percent}");
    }
}

#[test]
fn refused_edits_say_why() {
    let huge = edit::EMPTY.replace("{}", &format!("{{{}}}", " ".repeat(crate::MAX_DOCUMENT_BYTES)));
    for (error, expect) in [
        (edit::set_on(DOCUMENT, "zebr"), "there is no flag \"zebr\"; known flags: zebra, colour"),
        (edit::set_off(edit::EMPTY, "f"), "there is no flag \"f\"; known flags: none"),
        (
            edit::ensure_boolean(DOCUMENT, "colour"),
            "flag \"colour\" is not boolean: it needs one variant that is true and one that is false",
        ),
        (
            edit::set_percent(DOCUMENT, "zebra", 101.0),
            "101 is not a percentage from 0 to 100 with at most three decimals",
        ),
        (edit::set_on("{", "f"), "the rule set cannot be read"),
        (edit::ensure_boolean(&huge, "f"), "the rule set cannot be read"),
    ] {
        assert_eq!(error.unwrap_err().to_string(), expect);
    }
}

/// A document may be too large for one flag more.
#[test]
fn an_edit_never_gives_a_document_that_would_be_refused() {
    let around = r#"{"flags":{},"note":""}"#.len();
    let note = "n".repeat(crate::MAX_DOCUMENT_BYTES - around);
    let compact = format!(r#"{{"flags":{{}},"note":"{note}"}}"#);
    assert!(RuleSet::parse(&compact).is_ok());
    let error = edit::ensure_boolean(&compact, "f").unwrap_err();
    assert!(matches!(error, EditError::Unparsable(_)), "{error}");
}

/// Spaces alone must not be what keeps an operator from turning a flag off.
#[test]
fn a_large_document_without_spaces_stays_small_enough() {
    let flag = r#"{"state":"ENABLED","variants":{"on":true,"off":false},"defaultVariant":"on"}"#;
    let flags: Vec<_> = (0..8000).map(|n| format!("\"flag_{n}\":{flag}")).collect();
    let large = format!("{{\"flags\":{{{}}}}}", flags.join(","));
    let spacious = format!("{:#}", serde_json::from_str::<serde_json::Value>(&large).unwrap());
    assert!(large.len() < crate::MAX_DOCUMENT_BYTES && spacious.len() > crate::MAX_DOCUMENT_BYTES);
    let off = edit::set_off(&large, "flag_7").unwrap();
    let turned = flag.replace("\"on\"}", "\"off\"}");
    let expect = large.replace(&format!("\"flag_7\":{flag}"), &format!("\"flag_7\":{turned}"));
    assert_eq!(off, format!("{expect}\n"));
}
