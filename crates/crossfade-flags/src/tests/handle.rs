//! Prepared handles.

use super::{FLAG, document};
use crate::{Context, Flags, MemorySource};

/// A flag that only one user has, behind so many others.
fn picky(others: usize, user: &str) -> String {
    let others: String = (0..others).map(|n| format!("\"other{n}\": {{}},")).collect();
    format!(
        r#"{{"flags": {{{others} "{FLAG}": {{
            "variants": {{"on": true, "off": false}},
            "defaultVariant": "off",
            "targeting": {{"if": [{{"==": [{{"var": "targetingKey"}}, "{user}"]}}, "on"]}}
        }}}}}}"#
    )
}

#[tokio::test]
async fn a_handle_answers_from_each_new_rule_set() {
    let source = MemorySource::new();
    let flags = Flags::builder().memory(&source).start().await;
    let handle = flags.handle(FLAG);
    let check = |expect: [bool; 2]| {
        // Twice: the first question looks the key up, the second does not.
        for _ in 0..2 {
            let answers = ["u1", "u2"].map(|user| handle.is_enabled(&Context::user(user)));
            assert_eq!(answers, expect);
        }
    };
    check([false, false]);
    for (document, expect) in [
        (document(true), [true, true]),
        (document(false), [false, false]),
        // The flag stands elsewhere in each of these.
        (picky(0, "u1"), [true, false]),
        (picky(3, "u2"), [false, true]),
        (r#"{"flags": {}}"#.to_owned(), [false, false]),
        (picky(1, "u1"), [true, false]),
        (document(true), [true, true]),
    ] {
        source.set(&document).unwrap();
        check(expect);
        assert_eq!(handle.clone().value(&Context::user("u1"), false), expect[0]);
    }
}

#[test]
fn the_default_in_the_code_stands_in_for_no_answer() {
    let flags = Flags::from_document(&document(false)).unwrap();
    for (flag, expect) in [(FLAG, false), ("asleep", true), ("colour", true), ("nowhere", true)] {
        let handle = flags.handle(flag);
        for _ in 0..2 {
            assert_eq!(handle.boolean(&Context::anonymous(), true), expect, "{flag}");
        }
        assert_eq!(handle.key(), flag);
    }
}

/// Rule sets in which the flag is a constant, and then depends on the user, replace one another while
/// threads ask. A word that was read in halves, or an index used in another rule set, would show.
#[test]
fn no_question_mixes_two_rule_sets() {
    let source = MemorySource::new();
    source.set(&picky(0, "u1")).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let flags = runtime.block_on(Flags::builder().memory(&source).start());
    let handle = flags.handle(FLAG);
    let done = std::sync::atomic::AtomicBool::new(false);
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                while !done.load(std::sync::atomic::Ordering::Relaxed) {
                    // `u1` has the flag in every one of the rule sets, and `u3` in none.
                    assert!(handle.is_enabled(&Context::user("u1")));
                    assert!(!handle.value(&Context::user("u3"), true));
                }
            });
        }
        for round in 0..200 {
            source.set(&picky(round % 7, "u1")).unwrap();
        }
        done.store(true, std::sync::atomic::Ordering::Relaxed);
    });
    assert_eq!(flags.version(), 200);
}
