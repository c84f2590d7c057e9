//! The log of acknowledged operations, and what it says of a read or of a row.
//!
//! Each key is written by one task alone, so its history is a sequence. The outcome of every
//! operation is logged before it begins and acknowledged after it ended. A read may then return
//! the state that was acknowledged last before it began, or any that was begun since; a row in
//! the end must be the state acknowledged last, or one whose operation failed after it.

use std::collections::VecDeque;

use super::domain::settings::Settings;

/// A key's row: `None` where there is none.
pub(super) type State = Option<Settings>;

/// How many states are kept for each key. A read during which more operations began on its key
/// than that is not judged.
const KEPT: usize = 8;

/// Number of an operation on one key, from 1; 0 is the state that was loaded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Number(u64);

/// The history of one key.
#[derive(Debug)]
pub(super) struct History {
    /// The newest states, oldest first, each with the operation that leads to it.
    states: VecDeque<(Number, State)>,
    begun: Number,
    acknowledged: Number,
}

/// What a read returned, or what a row is, by the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// As it must be.
    Right,
    /// Too much happened meanwhile to tell.
    Unjudged,
    /// An older state than the last acknowledged one.
    Stale,
    /// A value although the key was deleted and not written since.
    Resurrected,
    /// An acknowledged write is not there.
    Lost,
    /// A row that nobody wrote to is not what was loaded.
    Altered,
}

impl History {
    /// Begins with a loaded state.
    pub(super) fn new(loaded: State) -> Self {
        let states = VecDeque::from([(Number(0), loaded)]);
        Self { states, begun: Number(0), acknowledged: Number(0) }
    }

    /// The present state; `None` when the last operation's outcome is unknown or it is under way.
    pub(super) fn certain(&self) -> Option<&State> {
        let newest = self.states.back().filter(|_| self.begun == self.acknowledged);
        newest.map(|(_, state)| state)
    }

    /// Logs an operation that is about to begin, with the state that it leads to.
    pub(super) fn begin(&mut self, outcome: State) -> Number {
        self.begun = Number(self.begun.0 + 1);
        self.states.push_back((self.begun, outcome));
        // The acknowledged state stays, however many operations failed after it.
        while self.states.len() > KEPT && self.states[1].0 <= self.acknowledged {
            self.states.pop_front();
        }
        self.begun
    }

    /// Logs that an operation has ended well. One that is never acknowledged counts as possible
    /// until a later one is.
    pub(super) fn acknowledge(&mut self, operation: Number) {
        self.acknowledged = self.acknowledged.max(operation);
    }

    /// The state acknowledged last.
    pub(super) fn acknowledged(&self) -> Option<&State> {
        self.states.iter().find(|(number, _)| *number == self.acknowledged).map(|(_, state)| state)
    }

    /// The operation acknowledged last. Taken before a read begins.
    pub(super) fn mark(&self) -> Number {
        self.acknowledged
    }

    /// Judges what a read returned that began at `mark` and has just ended.
    pub(super) fn judge_read(&self, mark: Number, answer: &State) -> Verdict {
        if self.possible_since(mark).any(|state| state == answer) {
            return Verdict::Right;
        }
        if self.states.front().is_none_or(|(oldest, _)| *oldest > mark) {
            return Verdict::Unjudged;
        }
        if answer.is_some() && self.possible_since(mark).all(Option::is_none) {
            Verdict::Resurrected
        } else {
            Verdict::Stale
        }
    }

    /// Judges a row while nothing is under way.
    pub(super) fn judge_row(&self, row: &State) -> Verdict {
        if self.possible_since(self.acknowledged).any(|state| state == row) {
            Verdict::Right
        } else if self.begun == Number(0) {
            Verdict::Altered
        } else if row.is_some() && self.possible_since(self.acknowledged).all(Option::is_none) {
            Verdict::Resurrected
        } else {
            Verdict::Lost
        }
    }

    fn possible_since(&self, mark: Number) -> impl Iterator<Item = &State> {
        self.states.iter().filter(move |(number, _)| *number >= mark).map(|(_, state)| state)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `None` is a row that is not there; a name is a row with that theme.
    fn row(theme: Option<&str>) -> State {
        theme.map(|theme| Settings { theme: Some(theme.to_owned()), notifications_enabled: true })
    }

    /// A step of a history: an operation with its outcome, and how it ended.
    #[derive(Clone, Copy)]
    enum Step {
        Done(Option<&'static str>),
        Failed(Option<&'static str>),
    }
    use Step::{Done, Failed};
    use Verdict::{Altered, Lost, Resurrected, Right, Stale, Unjudged};

    fn take(history: &mut History, steps: &[Step]) {
        for step in steps {
            match *step {
                Done(outcome) => {
                    let number = history.begin(row(outcome));
                    history.acknowledge(number);
                }
                Failed(outcome) => {
                    history.begin(row(outcome));
                }
            }
        }
    }

    /// A read that begins after `before` and ends after `during`; what is under way at its end is
    /// the same to it as what failed.
    #[track_caller]
    fn check_read(before: &[Step], during: &[Step], answers: &[(Option<&str>, Verdict)]) {
        let mut history = History::new(row(Some("loaded")));
        take(&mut history, before);
        let mark = history.mark();
        take(&mut history, during);
        for (answer, expect) in answers {
            assert_eq!(history.judge_read(mark, &row(*answer)), *expect, "{answer:?}");
        }
    }

    #[test]
    fn a_read_sees_what_was_acknowledged_before_it() {
        check_read(&[], &[], &[(Some("loaded"), Right), (None, Stale), (Some("x"), Stale)]);
        check_read(
            &[Done(Some("a")), Done(Some("b"))],
            &[],
            &[(Some("b"), Right), (Some("a"), Stale), (Some("loaded"), Stale), (None, Stale)],
        );
    }

    #[test]
    fn a_read_may_see_what_was_in_flight() {
        check_read(
            &[Done(Some("a"))],
            &[Done(Some("b")), Failed(None)],
            &[(Some("a"), Right), (Some("b"), Right), (None, Right), (Some("loaded"), Stale)],
        );
    }

    #[test]
    fn a_value_after_a_delete_is_resurrected_unless_it_was_put_again() {
        check_read(&[Done(None)], &[], &[(None, Right), (Some("loaded"), Resurrected)]);
        check_read(
            &[Done(None)],
            &[Failed(Some("b"))],
            &[(None, Right), (Some("b"), Right), (Some("loaded"), Stale)],
        );
    }

    #[test]
    fn a_failed_write_may_be_seen_until_a_later_one_is_acknowledged() {
        check_read(
            &[Done(Some("a")), Failed(Some("b"))],
            &[],
            &[(Some("a"), Right), (Some("b"), Right), (None, Stale)],
        );
        check_read(
            &[Done(Some("a")), Failed(Some("b")), Done(Some("c"))],
            &[],
            &[(Some("c"), Right), (Some("b"), Stale), (Some("a"), Stale)],
        );
    }

    #[test]
    fn a_read_under_too_many_writes_is_not_judged() {
        let many = [Done(Some("x")); KEPT + 1];
        check_read(&[], &many, &[(Some("x"), Right), (Some("loaded"), Unjudged)]);
    }

    #[track_caller]
    fn check_row(steps: &[Step], rows: &[(Option<&str>, Verdict)]) {
        let mut history = History::new(row(Some("loaded")));
        take(&mut history, steps);
        for (found, expect) in rows {
            assert_eq!(history.judge_row(&row(*found)), *expect, "{found:?}");
        }
    }

    #[test]
    fn rows_at_the_end() {
        check_row(&[], &[(Some("loaded"), Right), (Some("x"), Altered), (None, Altered)]);
        check_row(&[Done(Some("a"))], &[(Some("a"), Right), (Some("loaded"), Lost), (None, Lost)]);
        check_row(&[Done(None)], &[(None, Right), (Some("loaded"), Resurrected)]);
        check_row(
            &[Done(Some("a")), Failed(None)],
            &[(Some("a"), Right), (None, Right), (Some("loaded"), Lost)],
        );
    }

    #[test]
    fn only_an_acknowledged_state_is_certain() {
        let mut history = History::new(None);
        assert_eq!(history.certain(), Some(&None));
        let number = history.begin(row(Some("a")));
        assert_eq!(history.certain(), None);
        history.acknowledge(number);
        assert_eq!(history.certain(), Some(&row(Some("a"))));
    }

    #[test]
    fn memory_is_bounded_and_keeps_the_acknowledged_state() {
        let mut history = History::new(row(Some("loaded")));
        take(&mut history, &[Done(Some("a")); 100]);
        assert_eq!(history.states.len(), KEPT);
        take(&mut history, &[Failed(Some("b")); 100]);
        assert_eq!(history.judge_row(&row(Some("a"))), Right);
    }
}
