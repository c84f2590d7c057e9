//! Any rule for any user: however the user is described, the answer is the same, and it comes in time.

#![no_main]

use std::time::{Duration, Instant};

use crossfade_rules::{Attribute, Context, Limits, RuleSet};
use crossfade_rules_fuzz::{Attributes, Rule, assert_answers, document};
use libfuzzer_sys::fuzz_target;

/// What an evaluation may take, with all that the sanitizers add.
const WALL: Duration = Duration::from_secs(1);

fuzz_target!(|input: (bool, Rule, Rule, Attributes)| {
    let (newer, Rule(targeting), Rule(evaluator), Attributes(attributes)) = input;
    let text = document(if newer { "v3" } else { "v2" }, &targeting, &evaluator);
    let limits = Limits::default().with_steps(5000);
    let set = RuleSet::parse_within(&text, &limits).expect("a rule never spoils the document");
    let from_json = Context::from_json(&attributes).at(1_700_000_000);
    let mut borrowed = match from_json.targeting_key() {
        Some(key) => Context::user(key),
        None => Context::anonymous(),
    };
    for (name, value) in &attributes {
        if name != "targetingKey" || from_json.targeting_key().is_none() {
            borrowed = borrowed.with(name, Attribute::from(value));
        }
    }
    let borrowed = borrowed.at(1_700_000_000);
    let started = Instant::now();
    let answer = set.evaluate("f", &from_json);
    let took = started.elapsed();
    assert!(took < WALL, "{took:?} for {text}");
    assert_eq!(answer, set.evaluate("f", &borrowed), "{text} {attributes:?}");
    assert_answers(&set, &from_json);
});
