//! Answers, forced answers and clones.

use crossfade_rules::RuleSet;
use crossfade_store::ReadFlag;

use super::{FLAG, document};
use crate::{Context, ErrorCode, Flags, FlagsError, Reason};

#[test]
fn answers_without_a_rule_set_are_the_defaults() {
    let flags = Flags::forced::<&str>([]);
    assert!(!flags.is_enabled(FLAG, "u1"));
    assert!(flags.boolean(FLAG, &Context::user("u1"), true));
    assert_eq!(flags.reads_new(FLAG, "u1"), None);
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
        assert_eq!(flags.reads_new(flag, "u1"), expect, "{flag}");
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
fn forced_answers_win_and_are_taken_back() {
    let flags = Flags::from_document(&document(false)).unwrap();
    let check = |expect: [bool; 2]| {
        assert_eq!(["u1", "u2"].map(|user| flags.is_enabled(FLAG, user)), expect);
        assert_eq!(["u1", "u2"].map(|user| flags.reads_new(FLAG, user)), expect.map(Some));
    };
    check([false, false]);
    flags.force_for(FLAG, "u1", true);
    check([true, false]);
    flags.force(FLAG, true);
    check([true, true]);
    flags.force_for(FLAG, "u1", false);
    check([false, true]);
    let forced = flags.evaluate(FLAG, &Context::user("u2"));
    assert_eq!((forced.as_bool(), forced.reason), (Some(true), Reason::Static));
    flags.release(FLAG);
    check([false, false]);
}

#[test]
fn clones_share_and_other_handles_do_not() {
    let flags = Flags::forced([(FLAG, false)]);
    let clone = flags.clone();
    let stranger = Flags::forced([(FLAG, false)]);
    clone.force(FLAG, true);
    let enabled = [&flags, &clone, &stranger].map(|flags| flags.is_enabled(FLAG, "u1"));
    assert_eq!(enabled, [true, true, false]);
}

#[test]
fn threads_that_force_at_once_lose_nothing() {
    let flags = Flags::forced::<&str>([]);
    std::thread::scope(|scope| {
        for thread in 0..4 {
            let flags = &flags;
            scope.spawn(move || {
                for n in 0..100 {
                    flags.force_for(FLAG, format!("{thread}-{n}"), true);
                }
            });
        }
    });
    let users = (0..4).flat_map(|thread| (0..100).map(move |n| format!("{thread}-{n}")));
    assert!(users.into_iter().all(|user| flags.is_enabled(FLAG, &user)));
}

#[test]
fn a_bad_document_is_refused_with_its_place() {
    let error = Flags::from_document(super::BAD).unwrap_err();
    let FlagsError::Refused { source, .. } = error else { panic!("{error:?}") };
    assert_eq!((source.line(), source.flag()), (Some(2), Some("x")));
}

#[test]
fn the_version_never_goes_back() {
    let flags = Flags::from_document(&document(true)).unwrap();
    let off = RuleSet::parse(&document(false)).unwrap();
    for (version, installed, current) in [(1, false, 1), (0, false, 1), (5, true, 5), (4, false, 5)]
    {
        assert_eq!(flags.shared.install(version, off.clone()), installed, "{version}");
        assert_eq!((flags.version(), flags.status().version()), (current, current));
        assert_eq!(flags.is_enabled(FLAG, "u1"), current == 1);
    }
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
