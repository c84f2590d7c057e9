//! Rules that hold for every check.

use std::collections::BTreeSet;

use super::*;
use crate::Stage;

#[test]
fn ids_are_unique_and_plain() {
    let mut seen = BTreeSet::new();
    for check in checks() {
        assert!(seen.insert(check.id), "{} twice", check.id);
        let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        assert!(check.id.chars().all(plain), "{}", check.id);
        assert!(!check.why.ends_with(' ') && check.why.ends_with('.'), "{}", check.id);
        assert!(!check.remedy.ends_with('.'), "{}", check.id);
    }
}

#[test]
fn only_an_acceptance_of_the_same_object_opens_a_gate() {
    static CHECK: Check = Check {
        id: "odd",
        title: "odd things",
        severity: Severity::ToAccept,
        gate: Stage::Live,
        why: "They are odd.",
        remedy: "even them out",
    };
    let acceptance = |object: &str| Acceptance {
        check: "odd".to_owned(),
        object: object.to_owned(),
        reason: "meant".to_owned(),
    };
    let blocked = |severity, accepted: &[Acceptance]| {
        let mut found = vec![CHECK.finds("a", "a is odd").with_severity(severity)];
        settle(&mut found, accepted);
        Stage::ALL.into_iter().filter(|stage| found[0].blocks(*stage)).collect::<Vec<_>>()
    };
    let later = vec![Stage::Live, Stage::RampDown, Stage::Complete, Stage::Contracted];
    assert_eq!(blocked(Severity::ToAccept, &[]), later);
    assert_eq!(blocked(Severity::ToAccept, &[acceptance("b")]), later);
    assert_eq!(blocked(Severity::ToAccept, &[acceptance("a")]), []);
    assert_eq!(blocked(Severity::Refused, &[acceptance("a")]), later);
    assert_eq!(blocked(Severity::Warning, &[]), []);
}
