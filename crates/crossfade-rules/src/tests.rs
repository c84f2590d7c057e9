//! Behaviour of whole rule sets.

mod check;
mod cohorts;
mod diff;
mod differential;
mod documents;
mod edges;
mod edit;
mod evaluate;
mod limits;
mod operators;
mod refuse;
mod resolve;
mod semantics;
mod sets;
mod vectors;
mod versions;

use serde_json::{Value, json};

use crate::{Context, Evaluation, RuleSet};

/// A document with one flag `f` of the variants `a`, `b`, `true` and `false`, `a` being the default,
/// and this targeting.
fn document(targeting: &Value) -> String {
    json!({
        "$evaluators": {
            "is_german": { "==": [{ "var": "country" }, "DE"] },
            "endless": { "!": { "$ref": "endless" } },
            "twice": { "and": [{ "$ref": "twice" }, { "$ref": "twice" }] },
        },
        "flags": { "f": {
            "state": "ENABLED",
            "variants": { "a": "A", "b": "B", "true": "yes", "false": "no" },
            "defaultVariant": "a",
            "targeting": targeting,
        }},
    })
    .to_string()
}

fn evaluate(targeting: &Value, context: &Context<'_>) -> Evaluation {
    RuleSet::parse(&document(targeting)).unwrap().evaluate("f", context)
}
