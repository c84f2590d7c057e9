//! Any bytes as a document.

#![no_main]

use crossfade_rules::Context;
use crossfade_rules_fuzz::{assert_answers, assert_sound};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    if let Some(set) = assert_sound(text) {
        assert_answers(&set, &Context::user("u1").with("x", 7).at(1_700_000_000));
        assert_answers(&set, &Context::anonymous());
    }
});
