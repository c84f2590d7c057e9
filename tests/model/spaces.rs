//! The configurations without a violation.

use crossfade_core::Stage;

use crate::actors::Operation::{Delete, Modify, Replace, Update, Upsert, UpsertRefused};
use crate::config::{Config, Start};
use crate::properties::{
    FENCED, INSERTED, LAPSED, NEW_READ, QUARANTINED, REACHED, REPAIRED, RUN_DONE, SECOND_RUN,
    WAITED, WENT_BACK, WROTE,
};

/// A configuration and what has to happen in it, so that its silence means something.
pub(crate) struct Space {
    pub(crate) config: Config,
    pub(crate) reaches: &'static [&'static str],
}

/// Small enough for every state of theirs to be seen each time.
pub(crate) const SMALL: &[Space] = &[
    Space {
        config: Config {
            name: "forward",
            writers: 2,
            workers: 1,
            passes: 1,
            operations: &[Upsert, Delete],
            crashes: true,
            last: Stage::Live,
            ..Config::SMALL
        },
        reaches: &[REACHED, INSERTED, WAITED, RUN_DONE, FENCED],
    },
    Space {
        config: Config {
            name: "operations",
            start: Start::at(Stage::DeleteOnly),
            instances: 2,
            writers: 2,
            workers: 1,
            operations: &[Upsert, Update, Delete, Replace, Modify],
            crashes: true,
            last: Stage::DualWrite,
            ..Config::SMALL
        },
        reaches: &[REACHED, INSERTED, WAITED, FENCED],
    },
    Space {
        config: Config {
            name: "two keys, two workers",
            start: Start::at(Stage::DualWrite).with_legacy([1, 1]),
            keys: 2,
            writers: 2,
            workers: 2,
            operations: &[Upsert, Delete, Replace],
            operators: 0,
            crashes: true,
            ..Config::SMALL
        },
        reaches: &[INSERTED, WAITED, RUN_DONE],
    },
    Space {
        config: Config {
            name: "rollback",
            start: Start::at(Stage::DeleteOnly),
            writes: 3,
            workers: 2,
            operations: &[Upsert, Delete],
            crashes: true,
            back: true,
            epochs: 5,
            last: Stage::DualWrite,
            ..Config::SMALL
        },
        reaches: &[REACHED, WENT_BACK, SECOND_RUN],
    },
    Space {
        config: Config {
            name: "off and again",
            start: Start::at(Stage::DualWrite),
            writes: 2,
            workers: 1,
            operations: &[Upsert, UpsertRefused],
            back: true,
            epochs: 7,
            last: Stage::DualWrite,
            ..Config::SMALL
        },
        reaches: &[WENT_BACK, SECOND_RUN, QUARANTINED],
    },
    Space {
        config: Config {
            name: "two operators",
            workers: 1,
            operations: &[Upsert, Delete],
            operators: 2,
            crashes: true,
            back: true,
            epochs: 5,
            last: Stage::DualWrite,
            ..Config::SMALL
        },
        reaches: &[REACHED, WENT_BACK],
    },
    Space {
        config: Config {
            name: "quarantine",
            start: Start::at(Stage::DualWrite).with_legacy([17, 0]),
            instances: 2,
            writes: 2,
            readers: 1,
            reads: 1,
            workers: 1,
            passes: 2,
            repairs: true,
            operations: &[Upsert, UpsertRefused],
            last: Stage::Live,
            ..Config::SMALL
        },
        reaches: &[REACHED, QUARANTINED, REPAIRED, NEW_READ],
    },
    Space {
        config: Config {
            name: "repair",
            start: Start::BACKFILLED,
            writers: 2,
            passes: 2,
            repairs: true,
            held_up: true,
            operations: &[Upsert, Delete],
            last: Stage::Live,
            ..Config::SMALL
        },
        reaches: &[REACHED, REPAIRED],
    },
    Space {
        config: Config {
            name: "leases",
            start: Start::BACKFILLED,
            instances: 2,
            leases: true,
            readers: 1,
            reads: 1,
            passes: 1,
            last: Stage::Contracted,
            ..Config::SMALL
        },
        reaches: &[REACHED, NEW_READ, LAPSED],
    },
    Space {
        config: Config {
            name: "look-ups",
            start: Start::BACKFILLED,
            instances: 2,
            leases: true,
            split_look_up: true,
            writes: 2,
            readers: 1,
            reads: 1,
            operations: &[Upsert, UpsertRefused],
            last: Stage::Live,
            ..Config::SMALL
        },
        reaches: &[REACHED, NEW_READ, LAPSED, QUARANTINED],
    },
    Space {
        config: Config {
            name: "end",
            start: Start::at(Stage::RampDown),
            instances: 2,
            writers: 2,
            readers: 1,
            reads: 1,
            operations: &[Upsert, Update, Delete, Replace, Modify],
            ..Config::SMALL
        },
        reaches: &[REACHED, NEW_READ, FENCED],
    },
    Space {
        config: Config {
            name: "from off to contracted",
            writes: 2,
            readers: 1,
            reads: 1,
            workers: 1,
            passes: 2,
            operations: &[Upsert, Delete],
            last: Stage::Contracted,
            ..Config::SMALL
        },
        reaches: &[REACHED, WROTE, INSERTED, NEW_READ],
    },
];

/// Explored on demand, the last as far as is asked for.
pub(crate) const LARGE: &[Space] = &[
    Space {
        config: Config {
            name: "forward, two instances",
            instances: 2,
            writers: 2,
            workers: 1,
            passes: 1,
            operations: &[Upsert, Delete],
            crashes: true,
            last: Stage::Live,
            ..Config::SMALL
        },
        reaches: &[REACHED],
    },
    Space {
        config: Config {
            name: "held up",
            start: Start::at(Stage::DeleteOnly),
            writers: 2,
            workers: 1,
            passes: 1,
            repairs: true,
            held_up: true,
            operations: &[Upsert, Delete],
            last: Stage::Live,
            ..Config::SMALL
        },
        reaches: &[REACHED, QUARANTINED],
    },
    Space {
        config: Config {
            name: "quarantine, two writers",
            start: Start::at(Stage::DualWrite).with_legacy([17, 0]),
            instances: 2,
            writers: 2,
            readers: 1,
            reads: 1,
            workers: 1,
            passes: 1,
            repairs: true,
            operations: &[Upsert, UpsertRefused],
            last: Stage::Live,
            ..Config::SMALL
        },
        reaches: &[REACHED, QUARANTINED, REPAIRED],
    },
    Space {
        config: Config {
            name: "two keys, live",
            start: Start::BACKFILLED.with_legacy([1, 1]),
            keys: 2,
            instances: 2,
            writers: 2,
            readers: 1,
            reads: 1,
            passes: 1,
            operations: &[Upsert, UpsertRefused],
            last: Stage::Live,
            ..Config::SMALL
        },
        reaches: &[REACHED, NEW_READ],
    },
    Space {
        config: Config {
            name: "back to live",
            start: Start::at(Stage::Live),
            instances: 2,
            writes: 2,
            readers: 2,
            reads: 1,
            passes: 1,
            back: true,
            operations: &[Upsert, Delete],
            epochs: 6,
            last: Stage::RampDown,
            ..Config::SMALL
        },
        reaches: &[REACHED, WENT_BACK],
    },
    Space {
        config: Config {
            name: "rollback, two writers",
            start: Start::at(Stage::DeleteOnly),
            instances: 2,
            writers: 2,
            workers: 1,
            operations: &[Upsert, Delete],
            crashes: true,
            back: true,
            epochs: 5,
            last: Stage::DualWrite,
            ..Config::SMALL
        },
        reaches: &[REACHED, WENT_BACK, SECOND_RUN],
    },
    Space {
        config: Config {
            name: "leases, two readers",
            start: Start::at(Stage::Live),
            instances: 2,
            leases: true,
            readers: 2,
            reads: 1,
            passes: 1,
            epochs: 7,
            last: Stage::Contracted,
            ..Config::SMALL
        },
        reaches: &[REACHED, NEW_READ, LAPSED],
    },
    Space {
        config: Config {
            name: "leases and quarantine",
            start: Start::BACKFILLED,
            instances: 2,
            leases: true,
            writes: 2,
            readers: 1,
            reads: 1,
            passes: 2,
            repairs: true,
            operations: &[Upsert, UpsertRefused],
            last: Stage::Complete,
            ..Config::SMALL
        },
        reaches: &[REACHED, NEW_READ, LAPSED],
    },
    Space {
        config: Config {
            name: "everything",
            instances: 2,
            leases: true,
            split_look_up: true,
            keys: 2,
            writers: 2,
            writes: 2,
            readers: 2,
            reads: 2,
            workers: 2,
            passes: 2,
            repairs: true,
            operators: 2,
            back: true,
            crashes: true,
            held_up: true,
            operations: &[Upsert, UpsertRefused, Update, Delete, Replace, Modify],
            last: Stage::Contracted,
            ..Config::SMALL
        },
        reaches: &[WROTE],
    },
];
