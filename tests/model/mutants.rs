//! The protocol with one rule taken out, which the checker has to notice.
//!
//! Each mutant has a configuration of its own, small enough for its shortest trace to be found at
//! once. The same configuration with the rule in place has no violation.

use crossfade_core::Stage;

use crate::actors::Operation::{Delete, Modify, Upsert, UpsertRefused};
use crate::config::{Config, Start};
use crate::explore::{Bounds, Order, Report, explore};
use crate::properties::{
    ADJACENT_EPOCHS, FORWARD_ONLY, NO_LOST_UPDATE, NO_LOST_WRITE, NO_READ_OF_GONE,
    NO_RESURRECTED_ROW, NO_STALE_READ,
};
use crate::rules::Rule;
use crate::trace;

/// More than any of the configurations here needs to show its violation.
const STEPS: usize = 16_000_000;

/// One thread, so that the trace is the same each time.
pub(crate) fn explored(config: Config, steps: usize) -> Report {
    explore(config, Bounds { steps, threads: 1, order: Order::Breadth })
}

#[track_caller]
fn check(rule: Rule, property: &str, config: Config) {
    let report = explored(Config { without: Some(rule), ..config }, STEPS);
    let Some(violation) = report.violation else {
        panic!("not missed in {} states; all of them: {}", report.states, report.complete);
    };
    let steps = violation.trace.len() - 1;
    println!(
        "\nwithout {rule:?}, in {steps} steps: {}\n{}",
        violation.property,
        trace::told(&violation)
    );
    assert_eq!(violation.property, property);
    let sound = explored(config, report.steps * 2);
    assert!(sound.violation.is_none(), "the rule makes no difference");
}

macro_rules! mutants {
    ($($name:ident: without $rule:ident breaks $property:ident in $config:expr;)*) => {
        $(
            #[test]
            fn $name() {
                check(Rule::$rule, $property, $config);
            }
        )*
    };
}

const SMALL: Config = Config::SMALL;

/// From `delete_only` to a backfill in `dual_write`.
const INTO_DUAL_WRITE: Config = Config {
    start: Start::at(Stage::DeleteOnly),
    workers: 1,
    last: Stage::DualWrite,
    operations: &[Upsert, Delete],
    ..SMALL
};

/// `dual_write` alone, with a backfill.
const BACKFILL: Config = Config {
    start: Start::at(Stage::DualWrite),
    workers: 1,
    operators: 0,
    operations: &[Upsert, Delete],
    ..SMALL
};

/// From a done backfill back to `delete_only`.
const BACK: Config =
    Config { start: Start::BACKFILLED, back: true, last: Stage::DualWrite, ..SMALL };

/// A reader beside a writer in another instance, around the beginning of `live`.
const INTO_LIVE: Config = Config {
    start: Start::BACKFILLED,
    instances: 2,
    readers: 1,
    reads: 1,
    operations: &[UpsertRefused],
    last: Stage::Live,
    ..SMALL
};

/// A reader beside a writer in another instance, from `live` on.
const TO_COMPLETE: Config = Config {
    start: Start::at(Stage::Live),
    instances: 2,
    readers: 1,
    reads: 1,
    passes: 1,
    ..SMALL
};

mutants! {
    writer_does_not_check_its_epoch:
        without WriterChecksEpoch breaks NO_LOST_WRITE in INTO_DUAL_WRITE;
    lock_and_check_in_one_statement:
        without CheckIsFresh breaks NO_LOST_WRITE in INTO_DUAL_WRITE;
    closer_takes_no_lock:
        without CloserTakesLock breaks NO_LOST_WRITE in INTO_DUAL_WRITE;
    late_closer_moves_the_fence_back:
        without LateCloserKeepsFence breaks NO_LOST_WRITE in Config {
            start: Start::at(Stage::Off), operators: 2, ..INTO_DUAL_WRITE
        };
    epoch_appended_while_two_are_open:
        without AppendWaitsForClose breaks ADJACENT_EPOCHS in Config { operators: 2, ..SMALL };
    no_key_lock:
        without KeyLock breaks NO_LOST_WRITE in Config {
            writers: 2, workers: 0, start: Start::BACKFILLED.with_legacy([0, 0]), ..BACKFILL
        };
    delete_only_is_skipped:
        without DeleteOnlyBetween breaks NO_LOST_WRITE in Config {
            writers: 2, instances: 2, ..SMALL
        };
    delete_only_leaves_new_alone:
        without DeleteOnlyRemoves breaks NO_LOST_WRITE in Config {
            writers: 2, instances: 2, workers: 0, ..INTO_DUAL_WRITE
        };
    read_modify_write_from_legacy_in_ramp_down:
        without BaseIsAuthoritative breaks NO_LOST_UPDATE in Config {
            start: Start::at(Stage::RampDown),
            writers: 2,
            instances: 2,
            operations: &[Upsert, Modify],
            ..SMALL
        };
    mark_in_a_transaction_of_its_own:
        without MarkWithRow breaks NO_LOST_WRITE in Config {
            operators: 0, operations: &[UpsertRefused], ..BACK
        };
    marks_cleared_on_the_way_back:
        without MarksStayOnRollback breaks NO_LOST_WRITE in Config {
            operations: &[UpsertRefused], ..BACK
        };
    run_begins_before_the_barrier:
        without RunWaitsForBarrier breaks NO_LOST_WRITE in INTO_DUAL_WRITE;
    backfill_in_delete_only:
        without BackfillInDualWrite breaks NO_LOST_WRITE in INTO_DUAL_WRITE;
    batch_does_not_enter_its_epoch:
        without BatchEntersEpoch breaks NO_LOST_WRITE in Config {
            start: Start::at(Stage::DualWrite), workers: 1, epochs: 6, ..BACK
        };
    no_source_lock_in_a_batch:
        without BatchLocksSource breaks NO_RESURRECTED_ROW in BACKFILL;
    no_segment_check_in_a_batch:
        without BatchChecksSegment breaks FORWARD_ONLY in Config {
            start: BACKFILL.start.with_legacy([1, 1]), keys: 2, workers: 2, writers: 0, ..BACKFILL
        };
    cursor_saved_before_the_rows:
        without CursorWithRows breaks NO_LOST_WRITE in BACKFILL;
    run_ends_before_its_last_segment:
        without RunEndsWithSegments breaks NO_LOST_WRITE in BACKFILL;
    rollback_keeps_the_run:
        without RollbackVoidsRun breaks NO_LOST_WRITE in BACK;
    entered_again_without_emptying_new:
        without NewIsEmptied breaks NO_LOST_WRITE in Config { epochs: 6, ..BACK };
    new_emptied_by_a_late_operator:
        without EmptiedInOff breaks NO_LOST_WRITE in Config {
            writers: 0, workers: 1, operators: 2, epochs: 7, ..BACK
        };
    repair_without_the_key_lock:
        without RepairTakesKeyLock breaks NO_LOST_WRITE in Config {
            start: Start::BACKFILLED,
            workers: 0,
            writes: 2,
            passes: 1,
            repairs: true,
            held_up: true,
            ..BACKFILL
        };
    repair_in_ramp_down:
        without RepairChecksStage breaks NO_LOST_WRITE in Config {
            start: Start::at(Stage::RampDown), passes: 1, repairs: true, ..SMALL
        };
    repair_outside_its_epoch:
        without RepairEntersEpoch breaks NO_LOST_WRITE in Config {
            repairs: true, passes: 2, readers: 0, ..TO_COMPLETE
        };
    live_before_the_backfill:
        without LiveWaitsForBackfill breaks NO_LOST_WRITE in Config {
            start: Start::at(Stage::DualWrite), ..INTO_LIVE
        };
    live_beside_quarantine:
        without GateCountsMarks breaks NO_LOST_WRITE in Config {
            passes: 1, readers: 0, last: Stage::RampDown, ..INTO_LIVE
        };
    gate_ignores_acknowledgements:
        without GateWaitsForAcknowledgements breaks NO_STALE_READ in TO_COMPLETE;
    live_steps_back:
        without LiveHasNoStepBack breaks NO_STALE_READ in Config {
            start: Start::at(Stage::Live), back: true, ..INTO_LIVE
        };
    live_tolerates_a_refusal:
        without RefusalFailsInLive breaks NO_STALE_READ in Config {
            start: Start::at(Stage::Live), ..INTO_LIVE
        };
    read_of_new_while_dual_write_is_open:
        without ReadWaitsForClose breaks NO_STALE_READ in INTO_LIVE;
    quarantined_key_read_from_new:
        without ReadAvoidsMarks breaks NO_STALE_READ in INTO_LIVE;
    ramp_down_reads_legacy:
        without RampDownReadsNew breaks NO_STALE_READ in Config {
            start: Start::at(Stage::RampDown), ..TO_COMPLETE
        };
    read_does_not_check_its_lease:
        without ReadChecksLease breaks NO_STALE_READ in Config { leases: true, ..TO_COMPLETE };
    lease_regained_without_looking_up:
        without LeaseLooksUp breaks NO_STALE_READ in Config { leases: true, ..TO_COMPLETE };
    look_up_before_the_heartbeat:
        without LookUpAfterHeartbeat breaks NO_STALE_READ in Config { leases: true, ..TO_COMPLETE };
    acknowledged_with_reads_in_flight:
        without AcknowledgementDrains breaks NO_READ_OF_GONE in Config {
            last: Stage::Contracted, ..TO_COMPLETE
        };
    marks_looked_up_before_the_stage:
        without MarksReadLast breaks NO_STALE_READ in Config { split_look_up: true, ..INTO_LIVE };
}
