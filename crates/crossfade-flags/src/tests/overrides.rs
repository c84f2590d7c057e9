//! Forced answers, scopes and recordings.

use crossfade_store::ReadFlag;

use super::{FLAG, document};
use crate::{Context, ErrorCode, Flags, Reason};

#[test]
fn forced_answers_win_and_are_taken_back() {
    let flags = Flags::from_document(&document(false)).unwrap();
    let check = |expect: [bool; 2]| {
        assert_eq!(["u1", "u2"].map(|user| flags.is_enabled(FLAG, user)), expect);
        assert_eq!(
            ["u1", "u2"].map(|user| flags.reads_new(FLAG, user).at_once()),
            expect.map(Some)
        );
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
    let flags = Flags::forced::<&str, bool>([]);
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

/// Without scopes these threads would see each other's answers.
#[test]
fn scopes_do_not_leak_between_parallel_tests() {
    let flags = Flags::from_document(&document(false)).unwrap();
    flags.force("shared", true);
    let start = std::sync::Barrier::new(4);
    std::thread::scope(|scope| {
        for thread in 0..4 {
            let (flags, start) = (&flags, &start);
            scope.spawn(move || {
                let mine = flags.scoped();
                let answer = thread % 2 == 0;
                mine.force(FLAG, answer);
                mine.force_for("own", "u1", thread);
                start.wait();
                for _ in 0..1000 {
                    assert_eq!(mine.is_enabled(FLAG, "u1"), answer);
                    assert_eq!(mine.value("own", &Context::user("u1"), -1), i64::from(thread));
                    assert!(mine.is_enabled("shared", "u1"));
                }
                mine.release(FLAG);
                assert!(!mine.is_enabled(FLAG, "u1"));
            });
        }
    });
    assert!(!flags.is_enabled(FLAG, "u1"));
    assert_eq!(flags.value("own", &Context::user("u1"), -1), -1);
}

#[test]
fn a_forced_value_of_another_type_is_a_mismatch() {
    let flags = Flags::forced([(FLAG, "yes")]);
    let details = flags.details(FLAG, &Context::user("u1"), true);
    assert_eq!((details.value, details.error), (true, Some(ErrorCode::TypeMismatch)));
    assert_eq!(flags.value(FLAG, &Context::user("u1"), String::new()), "yes");
    assert_eq!(flags.reads_new(FLAG, "u1").at_once(), None);
}

#[test]
fn a_recording_holds_what_was_asked_while_it_lasted() {
    let flags = Flags::from_document(&document(true)).unwrap();
    let _ = flags.is_enabled(FLAG, "before");
    let recording = flags.record();
    let scoped = flags.scoped();
    scoped.force(FLAG, false);
    let _ = flags.reads_new(FLAG, "u1").at_once();
    let _ = scoped.handle(FLAG).is_enabled(&Context::user("u2"));
    let _ = flags.value("nowhere", &Context::anonymous(), 3);
    let _ = flags.evaluate("colour", &Context::user("u4"));

    let seen: Vec<_> = recording.evaluations();
    let seen: Vec<_> = seen
        .iter()
        .map(|one| (&*one.flag, one.user.as_deref(), one.value.clone(), one.error, one.version))
        .collect();
    assert_eq!(
        seen,
        [
            (FLAG, Some("u1"), Some(true.into()), None, 1),
            (FLAG, Some("u2"), Some(false.into()), None, 0),
            ("nowhere", None, None, Some(ErrorCode::FlagNotFound), 1),
            ("colour", Some("u4"), Some("f00".into()), None, 1),
        ]
    );
    recording.assert_evaluated(FLAG, "u1");
    recording.assert_not_evaluated("asleep");
    let failed = |assertion: &dyn Fn()| {
        std::panic::catch_unwind(std::panic::AssertUnwindSafe(assertion)).is_err()
    };
    assert!(failed(&|| recording.assert_evaluated(FLAG, "before")));
    assert!(failed(&|| recording.assert_not_evaluated(FLAG)));
}

/// What is recorded costs a lock and some memory for each question.
#[test]
fn questions_are_cheap_again_behind_the_last_recording() {
    let flags = Flags::from_document(&document(true)).unwrap();
    let recordings = [flags.record(), flags.record()];
    for recording in recordings {
        assert!(flags.is_enabled(FLAG, "u1") && flags.overrides.is_active());
        drop(recording);
    }
    assert!(flags.is_enabled(FLAG, "u1") && !flags.overrides.is_active());
    let recording = flags.record();
    assert!(flags.is_enabled(FLAG, "u1"));
    assert_eq!(recording.of(FLAG).len(), 1);
    flags.force(FLAG, false);
    drop(recording);
    assert!(!flags.is_enabled(FLAG, "u1") && !flags.is_enabled(FLAG, "u1"));
}

#[test]
fn a_handle_follows_forced_answers() {
    let flags = Flags::from_document(&document(true)).unwrap();
    let handle = flags.handle(FLAG);
    let ask = || handle.is_enabled(&Context::user("u1"));
    assert!(ask() && ask());
    flags.force(FLAG, false);
    assert!(!ask());
    flags.release(FLAG);
    assert!(ask());
}
