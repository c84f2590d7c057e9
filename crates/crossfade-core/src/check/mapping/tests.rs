//! What the mapping's facts amount to.

use super::*;
use crate::check::{checks, findings};
use crate::gate::tests::definition;

fn parsed(parsed: ParsedMapping) -> MappingSurvey {
    MappingSurvey { text: Some(MappingText::Parsed(parsed)), ..MappingSurvey::default() }
}

fn call(name: &str) -> Call {
    Call { name: name.to_owned(), arguments: 1, ..Call::default() }
}

/// Asserts which findings there are, as `check object severity`.
#[track_caller]
fn check(engine: &'static str, mapping: MappingSurvey, expected: &[&str]) {
    let survey = Survey { engine, mapping, ..Survey::default() };
    let found: Vec<String> = findings(&definition(), &survey)
        .iter()
        .map(|finding| format!("{} {} {}", finding.check.id, finding.object, finding.severity))
        .collect();
    assert_eq!(found, expected);
}

#[test]
fn constructs_are_refused_and_name_what_to_write() {
    for kind in [
        ConstructKind::GroupBy,
        ConstructKind::Window,
        ConstructKind::Limit,
        ConstructKind::Distinct,
        ConstructKind::SetOperation,
        ConstructKind::SecondMention,
        ConstructKind::OuterJoin,
        ConstructKind::Recursion,
        ConstructKind::TableSample,
        ConstructKind::Locking,
        ConstructKind::Into,
        ConstructKind::Variable,
        ConstructKind::Present,
        ConstructKind::Pipes,
    ] {
        let place = Some(Place { line: 2, column: 5 });
        let constructs = vec![Construct { kind, place }];
        let mapping = parsed(ParsedMapping { constructs, ..ParsedMapping::default() });
        let survey = Survey { engine: "mysql", mapping, ..Survey::default() };
        let found = findings(&definition(), &survey);
        assert_eq!(found.len(), 1, "{kind:?}");
        assert!(found[0].blocks(Stage::Off), "{kind:?}");
        assert!(found[0].message.contains("line 2, column 5"), "{}", found[0].message);
        assert_eq!(found[0].hint, kind.instead());
    }
}

#[test]
fn calls_are_judged_by_engine_and_catalog() {
    let of = |call: Call| parsed(ParsedMapping { calls: vec![call], ..ParsedMapping::default() });
    let facts = |name: &str, schema: Option<&str>, volatility| FunctionFacts {
        name: name.to_owned(),
        schema: schema.map(str::to_owned),
        volatility,
        aggregate: false,
        returns_set: false,
    };
    for engine in ["postgres", "mysql", "sqlite"] {
        check(engine, of(call("lower")), &[]);
        let over_batch = Call { over_batch: true, ..call("count") };
        check(engine, of(over_batch), &["not-row-by-row an aggregate refused"]);
        // In a subquery over another table.
        check(engine, of(call("count")), &[]);
    }
    for (engine, name) in [
        ("postgres", "now"),
        ("postgres", "gen_random_uuid"),
        ("postgres", "nextval"),
        ("postgres", "current_user"),
        ("postgres", "age"),
        ("mysql", "uuid"),
        ("mysql", "rand"),
        ("mysql", "last_insert_id"),
        ("sqlite", "random"),
        ("sqlite", "changes"),
    ] {
        check(engine, of(call(name)), &[&format!("session-bound-function {name} refused")]);
    }
    let now = |arguments, text: &str| Call {
        arguments,
        texts: vec![text.to_owned()],
        ..call("datetime")
    };
    check("sqlite", of(now(1, "now")), &["session-bound-function datetime refused"]);
    check("sqlite", of(now(2, "localtime")), &["session-bound-function datetime refused"]);
    check("sqlite", of(now(2, "+1 day")), &[]);
    let two = |name: &str| Call { arguments: 2, over_batch: true, ..call(name) };
    check("sqlite", of(two("max")), &[]);
    let unnest = Call { in_select_list: true, over_batch: true, ..call("unnest") };
    check("postgres", of(unnest), &["several-rows unnest refused"]);

    let with = |name: &str, schema, volatility| MappingSurvey {
        functions: vec![facts(name, schema, volatility)],
        ..of(call(name))
    };
    check("postgres", with("f", Some("app"), Volatility::Immutable), &[]);
    check(
        "postgres",
        with("f", Some("app"), Volatility::Volatile),
        &["volatile-function app.f refused"],
    );
    check(
        "postgres",
        with("f", Some("app"), Volatility::Stable),
        &["stable-function app.f to accept"],
    );
    // The engine's own.
    check("postgres", with("to_char", None, Volatility::Stable), &[]);
    check(
        "postgres",
        with("lo_get", None, Volatility::Volatile),
        &["volatile-function lo_get refused"],
    );
    check(
        "postgres",
        with("now", None, Volatility::Volatile),
        &["session-bound-function now refused"],
    );
    // Without a parser the catalog still judges.
    let unparsed = MappingSurvey {
        text: Some(MappingText::Unparsed {
            reason: "at line 1".to_owned(),
            calls: vec![call("rand")],
        }),
        ..with("f", Some("app"), Volatility::Volatile)
    };
    let named = MappingSurvey { functions: Vec::new(), ..unparsed.clone() };
    check(
        "mysql",
        named,
        &["session-bound-function rand refused", "mapping-not-parsed mapping warning"],
    );
    check(
        "postgres",
        unparsed,
        &["volatile-function app.f refused", "mapping-not-parsed mapping warning"],
    );
}

#[test]
fn columns_that_are_never_read_are_named_and_accepted_one_by_one() {
    let mapping = |reads: &[&str], reads_all| MappingSurvey {
        legacy_columns: vec!["id".to_owned(), "Theme".to_owned(), "tier".to_owned()],
        ..parsed(ParsedMapping {
            reads: reads.iter().map(|&read| read.to_owned()).collect(),
            reads_all,
            ..ParsedMapping::default()
        })
    };
    check("postgres", mapping(&["id", "theme"], false), &["unread-column tier warning"]);
    check("postgres", mapping(&["id"], true), &[]);
    check("postgres", mapping(&["id", "theme", "tier"], false), &[]);
    let mut accepting = definition();
    accepting.accepted.push(crate::check::Acceptance {
        check: "unread-column".to_owned(),
        object: "tier".to_owned(),
        reason: "unused".to_owned(),
    });
    let survey = Survey { mapping: mapping(&["id", "theme"], false), ..Survey::default() };
    assert_eq!(findings(&accepting, &survey)[0].accepted.as_deref(), Some("unused"));
}

#[test]
fn a_trial_names_keys_and_columns() {
    let sample = |keys: &[&str]| {
        let mut sample = Sample::default();
        keys.iter().for_each(|&key| sample.add(key));
        sample.add_column("n");
        sample
    };
    let trial = |trial: Trial| MappingSurvey {
        trial: Some(Trial { rows: 90, ..trial }),
        ..MappingSurvey::default()
    };
    check("sqlite", trial(Trial { failing: 3, ..Trial::default() }), &[]);
    for (shown, id) in [
        (Trial { unstable: sample(&["1"]), ..Trial::default() }, "unstable-mapping"),
        (Trial { dependent: sample(&["1"]), ..Trial::default() }, "batch-dependent-mapping"),
        (Trial { rekeyed: sample(&["1"]), ..Trial::default() }, "changed-key"),
        (Trial { several: sample(&["1"]), ..Trial::default() }, "several-rows"),
    ] {
        check("sqlite", trial(shown), &[&format!("{id} mapping refused")]);
    }
    let many: Vec<String> = (0..9).map(|n| n.to_string()).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    let survey = Survey {
        mapping: trial(Trial { unstable: sample(&many), ..Trial::default() }),
        ..Survey::default()
    };
    let message = &findings(&definition(), &survey)[0].message;
    assert!(message.starts_with("9 of 90 rows tried"), "{message}");
    assert!(message.contains("keys 0, 1, 2, 3, 4, …; differing columns: n"), "{message}");
}

#[test]
fn every_check_of_the_mapping_is_listed() {
    let listed: Vec<&str> = checks().map(|check| check.id).collect();
    assert!(ALL.iter().all(|check| listed.contains(&check.id)));
}
