//! Any rule and any evaluator in a document that is otherwise good.

#![no_main]

use crossfade_rules::{FlagChange, diff};
use crossfade_rules_fuzz::{Rule, assert_sound, document};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|rules: (Rule, Rule, Rule)| {
    let (Rule(before), Rule(after), Rule(evaluator)) = rules;
    let [before, after] = [&before, &after].map(|targeting| {
        let text = document("v2", targeting, &evaluator);
        assert_sound(&text).expect("a rule never spoils the document")
    });
    let differences = diff(&before, &after);
    let keys: Vec<_> = differences.iter().map(|difference| difference.key.clone()).collect();
    assert_eq!(before.changed_keys(&after), keys);
    for difference in differences {
        let share = difference.share;
        assert_eq!(difference.change, FlagChange::Changed);
        assert!(
            0.0 <= share.least && share.least <= share.most && share.most <= 100.0,
            "{share:?}"
        );
    }
});
