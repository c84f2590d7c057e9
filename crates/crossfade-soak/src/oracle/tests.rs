//! Records and rows, and the faults that they amount to.

use crossfade::Stage;

use super::{Counts, Moment, Oracle};
use crate::place::{KEYS, Round};
use crate::record::{Outcome, Record, Verb};
use crate::rows::{Row, Snapshot};

/// A key of one task's own, and one that everybody changes.
const OWN: u32 = 0;
const SHARED: u32 = KEYS - 1;

fn row(tag: &str, version: i64) -> Option<Row> {
    Some(Row { tag: tag.to_owned(), version })
}

fn begin(at: u64, tag: &str, verb: Verb, key: u32) -> Record {
    Record::Begin { at, tag: tag.to_owned(), verb, key }
}

fn end(at: u64, tag: &str, outcome: Outcome) -> Record {
    Record::End { at, tag: tag.to_owned(), outcome }
}

fn done(at: u64, tag: &str) -> Record {
    end(at, tag, Outcome::Done(None))
}

fn read(from: u64, to: u64, key: u32, found: Option<Row>) -> Record {
    Record::Read { from, to, key, found }
}

/// The faults that these records amount to.
#[track_caller]
fn check(records: &[Record], expect: Counts) {
    let mut oracle = Oracle::new(Round(0));
    records.iter().for_each(|record| oracle.take_in(record.clone()));
    oracle.judge_looks();
    check_faults(&mut oracle, expect);
}

#[track_caller]
fn check_faults(oracle: &mut Oracle, expect: Counts) {
    let Counts { lost, resurrected, stale, duplicated, differing, .. } = oracle.counts();
    let faults = Counts { lost, resurrected, stale, duplicated, differing, ..Counts::default() };
    assert_eq!(faults, expect, "{:?}", oracle.take_findings());
}

fn none() -> Counts {
    Counts::default()
}

fn stale() -> Counts {
    Counts { stale: 1, ..none() }
}

fn resurrected() -> Counts {
    Counts { resurrected: 1, ..none() }
}

fn duplicated() -> Counts {
    Counts { duplicated: 1, ..none() }
}

/// Two puts, acknowledged at 2 and at 12, and a delete, acknowledged at 22.
fn sequence() -> Vec<Record> {
    vec![
        begin(1, "a", Verb::Put, OWN),
        done(2, "a"),
        begin(10, "b", Verb::Put, OWN),
        done(12, "b"),
        begin(20, "c", Verb::Delete, OWN),
        done(22, "c"),
    ]
}

#[test]
fn a_read_finds_what_was_acknowledged_before_it_or_is_under_way() {
    for (from, to, found, expect) in [
        (0, 0, None, none()),
        (0, 1, row("a", 0), none()),
        (3, 4, row("a", 0), none()),
        (3, 4, None, stale()),
        (3, 11, row("b", 0), none()),
        (11, 13, row("a", 0), none()),
        (13, 14, row("a", 0), stale()),
        (13, 21, None, none()),
        (23, 24, None, none()),
        (23, 24, row("b", 0), resurrected()),
        (3, 4, row("b", 0), duplicated()),
        (3, 4, row("nobody's", 0), duplicated()),
    ] {
        let mut records = sequence();
        records.push(read(from, to, OWN, found));
        check(&records, expect);
    }
}

#[test]
fn a_refused_write_is_never_seen_and_a_dropped_one_may_be() {
    let refused = Outcome::Failed(String::new());
    let dropped = Outcome::Unknown(String::new());
    for (outcome, found, expect) in [
        (refused.clone(), row("b", 0), resurrected()),
        (refused, row("a", 0), none()),
        (dropped.clone(), row("b", 0), none()),
        (dropped, row("a", 0), none()),
    ] {
        let records = [
            begin(1, "a", Verb::Put, OWN),
            done(2, "a"),
            begin(3, "b", Verb::Put, OWN),
            end(4, "b", outcome),
            read(5, 6, OWN, found),
        ];
        check(&records, expect);
    }
}

#[test]
fn a_dropped_write_is_over_with_the_next_acknowledged_one() {
    let records = [
        begin(1, "a", Verb::Put, OWN),
        end(2, "a", Outcome::Unknown(String::new())),
        begin(3, "b", Verb::Put, OWN),
        done(4, "b"),
        read(5, 6, OWN, row("a", 0)),
    ];
    check(&records, stale());
}

#[test]
fn another_keys_value_is_a_duplicate() {
    let mut records = sequence();
    records.push(read(3, 4, OWN + 1, row("a", 0)));
    check(&records, duplicated());
}

#[test]
fn changes_of_a_shared_key_have_versions_of_their_own() {
    let change = |at, tag: &str, base| {
        [begin(at, tag, Verb::Modify, SHARED), end(at + 1, tag, Outcome::Done(base))]
    };
    let first = change(1, "a", None);
    let second = change(3, "b", row("a", 1));
    let again = change(3, "b", None);
    check(&[first.clone(), second.clone()].concat(), none());
    // Two changes of nothing: one is lost, and the second has read what was over.
    check(&[first.clone(), again].concat(), Counts { stale: 1, duplicated: 1, ..none() });
    for (found, expect) in [(row("b", 2), none()), (row("a", 1), stale()), (None, stale())] {
        let mut records = [first.clone(), second.clone()].concat();
        records.push(read(9, 10, SHARED, found));
        check(&records, expect);
    }
}

/// An increment whose commit was not answered, and that was then carried out a second time.
#[test]
fn a_change_that_was_carried_out_twice_is_a_duplicate() {
    let first = [begin(1, "a", Verb::Once, SHARED), end(2, "a", Outcome::Done(None))];
    check(&[&first[..], &[read(3, 4, SHARED, row("a", 1))]].concat(), none());
    check(&[&first[..], &[read(3, 4, SHARED, row("a", 2))]].concat(), duplicated());
    // The second time it has read what it left the first time.
    let own = [begin(1, "a", Verb::Once, SHARED), end(2, "a", Outcome::Done(row("a", 1)))];
    check(&own, duplicated());
    // Nobody knows that it was acknowledged, and two have seen it.
    let unknown = |versions: [i64; 2]| {
        let reads = versions.map(|version| read(3, 4, SHARED, row("a", version)));
        let begun = [begin(1, "a", Verb::Once, SHARED)];
        [&begun[..], &reads[..]].concat()
    };
    check(&unknown([1, 1]), none());
    check(&unknown([1, 2]), duplicated());
}

#[test]
fn a_lost_statement_may_come_behind_later_writes() {
    for (verb, found, expect) in [
        (Verb::Declared, row("a", 0), none()),
        (Verb::Put, row("a", 0), stale()),
        (Verb::Declared, None, stale()),
    ] {
        let records = [
            begin(1, "a", verb, OWN),
            end(2, "a", Outcome::Unknown(String::new())),
            begin(3, "b", Verb::Put, OWN),
            done(4, "b"),
            read(5, 6, OWN, found),
        ];
        check(&records, expect);
    }
}

/// Rows of `OWN` after [`sequence`] without its delete.
#[track_caller]
fn check_rows(stage: Stage, legacy: Option<Row>, new: Option<Row>, marked: bool, expect: Counts) {
    let mut oracle = Oracle::new(Round(0));
    sequence().into_iter().take(4).for_each(|record| oracle.take_in(record));
    let rows = |row: Option<Row>| row.map(|row| (OWN.to_string(), row)).into_iter().collect();
    let marked = if marked { vec![OWN.to_string()] } else { Vec::new() };
    let snapshot = Snapshot { legacy: rows(legacy), new: rows(new), marked, notes: Vec::new() };
    oracle.judge_rows(&snapshot, Moment { from: 30, to: 31, stage });
    check_faults(&mut oracle, expect);
}

#[test]
fn rows_are_judged_by_the_stage() {
    let (old, new) = (row("a", 0), row("b", 0));
    let lost = Counts { lost: 1, ..none() };
    let differing = Counts { differing: 1, ..none() };
    check_rows(Stage::Off, new.clone(), old.clone(), false, none());
    check_rows(Stage::Off, old.clone(), None, false, lost);
    check_rows(Stage::DeleteOnly, new.clone(), None, false, none());
    check_rows(Stage::DeleteOnly, new.clone(), old.clone(), false, differing);
    check_rows(Stage::DualWrite, new.clone(), old.clone(), false, differing);
    check_rows(Stage::DualWrite, new.clone(), old.clone(), true, none());
    check_rows(Stage::Live, new.clone(), None, false, differing);
    check_rows(Stage::RampDown, new.clone(), new.clone(), false, none());
    check_rows(Stage::Live, old.clone(), old.clone(), false, lost);
    check_rows(Stage::Complete, old.clone(), new.clone(), false, none());
    check_rows(Stage::Complete, new, old, false, lost);
}

#[test]
fn an_acknowledged_note_is_there() {
    for (there, lost) in [(true, 0), (false, 1)] {
        let mut oracle = Oracle::new(Round(0));
        oracle.take_in(begin(1, "n", Verb::Note, OWN));
        oracle.take_in(done(2, "n"));
        let notes = if there { vec!["n".to_owned()] } else { Vec::new() };
        let snapshot = Snapshot { notes, ..Snapshot::default() };
        oracle.judge_rows(&snapshot, Moment { from: 3, to: 4, stage: Stage::Off });
        check_faults(&mut oracle, Counts { lost, ..none() });
    }
}
