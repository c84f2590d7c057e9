//! When a backfill run may open, write a batch and end.

use crate::{Epoch, RunState, Stage};

/// What is known when a worker asks for a run, under the migration's row lock and inside the epoch
/// that the worker believes in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OpeningFacts {
    /// The epoch that the worker believes in.
    pub believed: Epoch,
    /// Its stage.
    pub stage: Stage,
    /// The newest epoch.
    pub newest: Epoch,
    /// Whether the epoch before the newest is still open.
    pub previous_open: bool,
    /// Whether there is a run that is not void.
    pub run_exists: bool,
}

/// What becomes of the question for a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Opening {
    /// The run that there is counts.
    Existing,
    /// A run begins, at the very start of Legacy.
    Begin,
    /// The worker's epoch is not the newest; it looks the newest up first.
    Outdated,
    /// Writers of the epoch before may still change rows without New.
    PreviousOpen,
    /// Runs begin in `dual_write` only.
    WrongStage,
}

/// Whether a run may be had.
///
/// A run begins only once `dual_write` is the sole open epoch: a writer of `delete_only` that is
/// still at work would change a row on Legacy after it was copied.
#[must_use]
pub fn opening(facts: OpeningFacts) -> Opening {
    if facts.believed != facts.newest {
        Opening::Outdated
    } else if facts.previous_open {
        Opening::PreviousOpen
    } else if facts.run_exists {
        Opening::Existing
    } else if facts.stage == Stage::DualWrite {
        Opening::Begin
    } else {
        Opening::WrongStage
    }
}

/// What is known when a batch begins, inside its epoch and with its segment locked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BatchFacts {
    /// The stage of the epoch that the batch has entered.
    pub stage: Stage,
    /// The run as it stands; `None` when there is no such run.
    pub run: Option<RunState>,
    /// Whether the segment is unfinished, this worker's, and where the worker believes it stands.
    pub segment_held: bool,
}

/// Whether a batch may write. It then inserts what New lacks of the rows it has locked, and moves
/// the cursor in the same transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BatchPermit {
    /// It may.
    Write,
    /// Legacy is not copied in this stage.
    WrongStage,
    /// The run is void or done.
    RunOver,
    /// The segment went to another worker, or was moved.
    SegmentLost,
}

/// Whether a batch may write.
#[must_use]
pub fn batch_permit(facts: BatchFacts) -> BatchPermit {
    if !facts.stage.reconciles() {
        BatchPermit::WrongStage
    } else if facts.run != Some(RunState::Running) {
        BatchPermit::RunOver
    } else if !facts.segment_held {
        BatchPermit::SegmentLost
    } else {
        BatchPermit::Write
    }
}

/// The state of a run that somebody asks to end, under its row lock: done once every key up to its
/// upper bound belongs to a segment and no segment is unfinished.
#[must_use]
pub fn after_segments(run: RunState, all_cut: bool, unfinished: u64) -> RunState {
    match run {
        RunState::Running if all_cut && unfinished == 0 => RunState::Done,
        run => run,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_begins_in_the_sole_epoch_of_dual_write() {
        let facts = OpeningFacts {
            believed: Epoch::new(3),
            stage: Stage::DualWrite,
            newest: Epoch::new(3),
            previous_open: false,
            run_exists: false,
        };
        assert_eq!(opening(facts), Opening::Begin);
        let live = OpeningFacts { stage: Stage::Live, ..facts };
        assert_eq!(opening(live), Opening::WrongStage);
        assert_eq!(opening(OpeningFacts { run_exists: true, ..live }), Opening::Existing);
        assert_eq!(opening(OpeningFacts { run_exists: true, ..facts }), Opening::Existing);
        let beside = OpeningFacts { previous_open: true, run_exists: true, ..facts };
        assert_eq!(opening(beside), Opening::PreviousOpen);
        assert_eq!(opening(OpeningFacts { believed: Epoch::new(2), ..beside }), Opening::Outdated);
    }

    #[test]
    fn a_batch_writes_for_a_running_run_whose_segment_it_holds() {
        let facts = BatchFacts {
            stage: Stage::DualWrite,
            run: Some(RunState::Running),
            segment_held: true,
        };
        assert_eq!(batch_permit(facts), BatchPermit::Write);
        assert_eq!(
            batch_permit(BatchFacts { segment_held: false, ..facts }),
            BatchPermit::SegmentLost
        );
        for run in [None, Some(RunState::Void), Some(RunState::Done)] {
            assert_eq!(batch_permit(BatchFacts { run, ..facts }), BatchPermit::RunOver);
        }
        for stage in Stage::ALL {
            let expected = match stage {
                Stage::DualWrite | Stage::Live => BatchPermit::Write,
                _ => BatchPermit::WrongStage,
            };
            assert_eq!(batch_permit(BatchFacts { stage, ..facts }), expected, "{stage}");
        }
    }

    #[test]
    fn a_run_ends_with_its_last_segment() {
        use RunState::{Done, Running, Void};
        assert_eq!(after_segments(Running, true, 0), Done);
        assert_eq!(after_segments(Running, false, 0), Running);
        assert_eq!(after_segments(Running, true, 1), Running);
        assert_eq!(after_segments(Void, true, 0), Void);
        assert_eq!(after_segments(Done, false, 1), Done);
    }
}
