//! The router's question is answered from memory without allocating. This is its own test program, since
//! counting replaces the allocator of the whole program.

use crossfade_flags::Flags;
use crossfade_store::{FlagAnswer, ReadFlag};

const DOCUMENT: &str = r#"{"flags": {"read_people_v2": {
    "variants": {"on": true, "off": false},
    "defaultVariant": "off",
    "targeting": {"fractional": [["on", 50], ["off", 50]]}
}}}"#;

#[test]
fn a_read_flag_in_memory_is_answered_at_once_and_allocates_nothing() {
    let flags = Flags::from_document(DOCUMENT).expect("the document is good");
    let mut answers = [0; 2];
    let counted = allocation_counter::measure(|| {
        for user in ["u1", "u2", "u3", "u4", "u5", "u6", "u7", "u8"] {
            match flags.reads_new("read_people_v2", user) {
                FlagAnswer::Now(Some(answer)) => answers[usize::from(answer)] += 1,
                other => panic!("{other:?}"),
            }
        }
    });
    assert_eq!(counted.count_total, 0, "{answers:?}");
    assert!(answers.iter().all(|users| *users > 0), "{answers:?}");
}
