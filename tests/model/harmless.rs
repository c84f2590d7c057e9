//! Rules whose absence the model cannot tell, with the reason why they are there all the same.

use crossfade_core::Stage;

use crate::actors::Operation::{Delete, Replace, Upsert, UpsertRefused};
use crate::config::{Config, Start};
use crate::mutants::explored;
use crate::rules::Rule;
use crate::trace;

/// More than any of the configurations here has.
const STEPS: usize = 10_000_000;

/// A rule that may be taken out of this configuration.
struct Harmless {
    rule: Rule,
    reason: &'static str,
    config: Config,
}

const BACKFILL: Config = Config {
    start: Start::at(Stage::DualWrite),
    workers: 1,
    writers: 2,
    operators: 0,
    operations: &[Upsert, Delete, Replace],
    ..Config::SMALL
};

const HARMLESS: &[Harmless] = &[
    Harmless {
        rule: Rule::BatchKeepsRows,
        reason: "a batch holds the lock of its source row, so what it would overwrite is equal; \
                 the rule spares the write, and the wait for whoever has the row on New",
        config: Config { workers: 2, ..BACKFILL },
    },
    Harmless {
        rule: Rule::BatchChecksRun,
        reason: "inside an open epoch of dual_write a batch of a void run copies rows as they \
                 are, and its cursor counts for nothing; the rule ends useless work",
        config: Config {
            workers: 2,
            writers: 1,
            writes: 2,
            operators: 1,
            back: true,
            last: Stage::DualWrite,
            epochs: 5,
            ..BACKFILL
        },
    },
    Harmless {
        rule: Rule::RefusalKeepsSourceLock,
        reason: "a mark on a key that was mended meanwhile sends its reads to Legacy, which is \
                 right as well; the rule spares the gate a key that is in quarantine for nothing",
        config: Config {
            start: BACKFILL.start.with_legacy([17, 0]),
            operations: &[Upsert, Delete, UpsertRefused],
            ..BACKFILL
        },
    },
    Harmless {
        rule: Rule::RepairLocksSource,
        reason: "the key's lock keeps every wrapped writer away; the rule is for writers that go \
                 around the wrapper",
        config: Config {
            start: BACKFILL.start.with_legacy([17, 0]),
            operations: &[Upsert, Delete],
            held_up: true,
            passes: 1,
            repairs: true,
            ..BACKFILL
        },
    },
    Harmless {
        rule: Rule::LiveWaitsForParity,
        reason: "the other rules keep both sides equal, so there is nothing to find; the rule is \
                 for what is outside of them: the mapping, triggers, writers that go around",
        config: Config {
            writes: 2,
            writers: 1,
            readers: 1,
            reads: 1,
            operators: 1,
            operations: &[Upsert, UpsertRefused, Delete],
            last: Stage::Live,
            ..BACKFILL
        },
    },
    Harmless {
        rule: Rule::AcknowledgementDrains,
        reason: "a read in flight that was decided for Legacy finds what Legacy held last, which \
                 is not older than the read; only once Legacy is gone does the rule show",
        config: Config {
            start: Start::at(Stage::Live),
            instances: 2,
            readers: 1,
            reads: 1,
            last: Stage::Complete,
            ..Config::SMALL
        },
    },
];

#[test]
fn these_rules_do_not_show_in_the_model() {
    for Harmless { rule, reason, config } in HARMLESS {
        let report = explored(Config { without: Some(*rule), ..*config }, STEPS);
        println!("\nwithout {rule:?}: nothing in {} states: {reason}", report.states);
        if let Some(violation) = report.violation {
            panic!("{rule:?} shows: {}\n{}", violation.property, trace::told(&violation));
        }
        assert!(report.complete, "{rule:?}: {} states are not all", report.states);
    }
}
