//! The keys of the demo with their histories, shared by everybody who writes, reads or judges.

use std::sync::{Mutex, MutexGuard, PoisonError};

use super::{
    oracle::{History, State, Verdict},
    population::User,
};

/// Findings that are kept word for word.
const KEPT: usize = 10;

/// The log of the whole demo.
#[derive(Debug)]
pub(super) struct Log {
    keys: Vec<(i64, Mutex<History>)>,
    findings: Mutex<Vec<String>>,
}

impl Log {
    /// Begins with what is loaded.
    pub(super) fn new(users: Vec<User>) -> Self {
        let keys = users.into_iter().map(|user| (user.id, Mutex::new(History::new(user.settings))));
        Self { keys: keys.collect(), findings: Mutex::default() }
    }

    /// How many keys there are.
    pub(super) fn len(&self) -> usize {
        self.keys.len()
    }

    /// The id of a key.
    pub(super) fn id(&self, index: usize) -> i64 {
        self.keys[index].0
    }

    /// The history of a key. Held for a moment, never across an await.
    pub(super) fn history(&self, index: usize) -> MutexGuard<'_, History> {
        self.keys[index].1.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Every key's id and its verdict on the row that `row` knows of it.
    pub(super) fn judge_rows<'a>(
        &'a self,
        row: impl Fn(i64) -> State + 'a,
    ) -> impl Iterator<Item = (i64, Verdict)> + 'a {
        (0..self.len()).map(move |index| {
            let id = self.id(index);
            (id, self.history(index).judge_row(&row(id)))
        })
    }

    /// Whether a key of this id is known.
    pub(super) fn ids(&self) -> impl Iterator<Item = i64> + '_ {
        self.keys.iter().map(|(id, _)| *id)
    }

    /// Keeps the first few findings, to be told at the end.
    pub(super) fn find(&self, finding: impl FnOnce() -> String) {
        let mut findings = self.findings.lock().unwrap_or_else(PoisonError::into_inner);
        if findings.len() < KEPT {
            findings.push(finding());
        }
    }

    /// The findings that were kept.
    pub(super) fn findings(&self) -> Vec<String> {
        self.findings.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}
