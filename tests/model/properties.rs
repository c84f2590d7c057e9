//! What must hold in every state, and what must happen in some.
//!
//! Rows are judged as they are committed. Both sides change in one commit, so nothing in flight
//! has to be left out.

use crossfade_core::Stage;
use stateright::Property;

use crate::actors::{ReaderPhase, WorkerPhase, WriterPhase};
use crate::protocol::Protocol;
use crate::state::{ABSENT, RunStatus, State};

pub(crate) const NO_LOST_WRITE: &str = "no lost write";
pub(crate) const NO_RESURRECTED_ROW: &str = "no resurrected row";
pub(crate) const NO_STALE_READ: &str = "no stale read";
pub(crate) const NO_READ_OF_GONE: &str = "no read of a table that is gone";
pub(crate) const NO_LOST_UPDATE: &str = "no lost update";
pub(crate) const ADJACENT_EPOCHS: &str = "at most two adjacent epochs";
pub(crate) const FORWARD_ONLY: &str = "runs and cursors move forward";

pub(crate) const REACHED: &str = "the last stage is reached";
pub(crate) const INSERTED: &str = "a batch inserts a row";
pub(crate) const WAITED: &str = "a batch waits for a writer";
pub(crate) const RUN_DONE: &str = "a run is done";
pub(crate) const FENCED: &str = "a writer is fenced off";
pub(crate) const WENT_BACK: &str = "a stage is left backwards";
pub(crate) const SECOND_RUN: &str = "a second run begins";
pub(crate) const QUARANTINED: &str = "a key is quarantined";
pub(crate) const REPAIRED: &str = "a key is repaired";
pub(crate) const NEW_READ: &str = "New is about to answer";
pub(crate) const LAPSED: &str = "a lease lapses under a read";
pub(crate) const WROTE: &str = "a write is acknowledged";

/// The invariants, by the numbers of the design: 1, 2, 3, 1 for read-modify-write, 9 and 9.
pub(crate) fn all() -> Vec<Property<Protocol>> {
    vec![
        Property::always(NO_RESURRECTED_ROW, |it: &Protocol, state: &State| {
            it.first(no_resurrected_row(state))
        }),
        Property::always(NO_LOST_WRITE, |it: &Protocol, state: &State| {
            it.first(no_lost_write(state))
        }),
        Property::always(NO_STALE_READ, |it: &Protocol, state: &State| {
            it.first(!state.faults.stale_read)
        }),
        Property::always(NO_READ_OF_GONE, |it: &Protocol, state: &State| {
            it.first(!state.faults.read_of_gone)
        }),
        Property::always(NO_LOST_UPDATE, |it: &Protocol, state: &State| {
            it.first(!state.faults.lost_update)
        }),
        Property::always(ADJACENT_EPOCHS, |it: &Protocol, state: &State| {
            it.first(adjacent_epochs(state))
        }),
        Property::always(FORWARD_ONLY, |it: &Protocol, state: &State| {
            it.first(!state.faults.went_back)
        }),
        Property::sometimes(WROTE, |_, state: &State| {
            state.writers.iter().any(|writer| writer.phase == WriterPhase::NewWritten)
        }),
        Property::sometimes(FENCED, |_, state: &State| {
            let again = |it: &&crate::actors::Writer| it.phase == WriterPhase::Again;
            state.writers.iter().filter(again).any(|writer| !writer.refused)
        }),
        Property::sometimes(QUARANTINED, |_, state: &State| state.marks.count() > 0),
        Property::sometimes(INSERTED, |_, state: &State| {
            let inserted = |it: &&crate::actors::Worker| it.phase == WorkerPhase::Inserted;
            state.workers.iter().filter(inserted).any(|worker| worker.tx.new.is_some())
        }),
        Property::sometimes(WAITED, |_, state: &State| {
            state.workers.iter().any(|worker| worker.phase == WorkerPhase::Waiting)
        }),
        Property::sometimes(RUN_DONE, |protocol: &Protocol, state: &State| {
            !protocol.config.start.backfilled && state.run.status == RunStatus::Done
        }),
        Property::sometimes(SECOND_RUN, |_, state: &State| state.run.id > 1),
        Property::sometimes(REPAIRED, |_, state: &State| state.verifier.repaired > 0),
        Property::sometimes(NEW_READ, |_, state: &State| {
            let new = |it: &&crate::actors::Reader| it.from_new && !it.lapsed;
            state.readers.iter().filter(new).any(|it| it.phase == ReaderPhase::Decided)
        }),
        Property::sometimes(LAPSED, |_, state: &State| {
            state.readers.iter().any(|reader| reader.lapsed)
        }),
        Property::sometimes(WENT_BACK, |_, state: &State| state.epochs.went_back()),
        Property::sometimes(REACHED, |protocol: &Protocol, state: &State| {
            state.epochs.stage() == protocol.config.last && !state.epochs.previous_open()
        }),
    ]
}

/// Whether Legacy is kept in every open epoch.
fn keeps_legacy(stage: Stage) -> bool {
    stage < Stage::Complete
}

/// The authoritative side holds what the last acknowledged write left. New holds it too, or
/// nothing yet, or the key is in quarantine:
///
/// - from `delete_only` on, a row that New has is the Legacy row or its key is in quarantine;
/// - once the run has passed the key, and in `live`, New has the row if Legacy does;
/// - from `ramp_down` on there is no quarantine left, and New is equal;
/// - in `complete` New alone counts.
fn no_lost_write(state: &State) -> bool {
    let stage = state.epochs.stage();
    (0..2u8).all(|key| {
        let index = usize::from(key);
        let (legacy, new, truth) = (state.legacy[index], state.new[index], state.truth[index]);
        let legacy_kept = !keeps_legacy(stage) || legacy == truth;
        let new_kept = match stage {
            Stage::Off => true,
            Stage::DeleteOnly | Stage::DualWrite => {
                let not_yet = new == ABSENT && !state.run.has_passed(key);
                new == truth || not_yet || state.marks.has(key)
            }
            Stage::Live => new == truth || state.marks.has(key),
            Stage::RampDown | Stage::Complete | Stage::Contracted => new == truth,
        };
        legacy_kept && new_kept
    })
}

/// A key whose last acknowledged write was a delete is absent on both sides that the stage keeps,
/// or in quarantine.
fn no_resurrected_row(state: &State) -> bool {
    let stage = state.epochs.stage();
    (0..2u8).all(|key| {
        let index = usize::from(key);
        if state.truth[index] != ABSENT {
            return true;
        }
        let on_legacy = state.legacy[index] != ABSENT && keeps_legacy(stage);
        let on_new = state.new[index] != ABSENT && stage > Stage::Off;
        !on_legacy && (!on_new || state.marks.has(key))
    })
}

fn adjacent_epochs(state: &State) -> bool {
    let epochs = &state.epochs;
    let newest = epochs.is_open(epochs.newest);
    match epochs.open_count() {
        1 => newest,
        2 => newest && epochs.is_open(epochs.newest - 1),
        _ => false,
    }
}
