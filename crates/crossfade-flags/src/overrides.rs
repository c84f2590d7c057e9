//! Answers that tests and operators of a single process force, and records of what was asked.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError, Weak,
        atomic::{AtomicBool, Ordering},
    },
};

use arc_swap::ArcSwap;
use serde_json::Value;

use crate::recording::{Evaluated, Record};

/// The forced answers of one handle and its clones.
#[derive(Debug, Default)]
pub(crate) struct Overrides {
    /// Whether there is anything to look at; almost always `false` outside of tests.
    active: AtomicBool,
    flags: ArcSwap<HashMap<String, Answers>>,
    /// Held while something changes.
    records: Mutex<Vec<Weak<Record>>>,
    /// What this handle was made from; its answers count where there are none here.
    above: Option<Arc<Overrides>>,
}

/// What is forced for one flag.
#[derive(Clone, Debug, Default)]
struct Answers {
    everybody: Option<Value>,
    users: HashMap<String, Value>,
}

impl Overrides {
    /// Overrides on top of others, which they leave alone.
    pub(crate) fn over(above: &Arc<Self>) -> Self {
        let above = Some(Arc::clone(above));
        Self { active: AtomicBool::new(true), above, ..Self::default() }
    }

    /// Whether an answer may be forced, or has to be recorded.
    #[inline]
    pub(crate) fn is_active(&self) -> bool {
        self.active.load(Ordering::Acquire)
    }

    /// The forced answer. One for the user wins over one for everybody.
    pub(crate) fn answer(&self, key: &str, user: Option<&str>) -> Option<Value> {
        let own = self.flags.load().get(key).and_then(|answers| {
            let user = user.and_then(|user| answers.users.get(user));
            user.or(answers.everybody.as_ref()).cloned()
        });
        own.or_else(|| self.above.as_ref()?.answer(key, user))
    }

    pub(crate) fn force(&self, key: &str, answer: &Value) {
        self.change(|flags| {
            flags.entry(key.to_owned()).or_default().everybody = Some(answer.clone());
        });
    }

    pub(crate) fn force_for(&self, key: &str, user: &str, answer: &Value) {
        self.change(|flags| {
            let answers = flags.entry(key.to_owned()).or_default();
            answers.users.insert(user.to_owned(), answer.clone());
        });
    }

    pub(crate) fn release(&self, key: &str) {
        self.change(|flags| drop(flags.remove(key)));
    }

    /// Adds a record of what is asked from now on.
    pub(crate) fn record(&self, record: &Arc<Record>) {
        let mut records = self.records();
        records.push(Arc::downgrade(record));
        self.active.store(true, Ordering::Release);
    }

    /// Writes an answer into every record.
    pub(crate) fn note(&self, evaluated: &Evaluated) {
        let mut records = self.records();
        records.retain(|record| match record.upgrade() {
            Some(record) => {
                record.add(evaluated.clone());
                true
            }
            None => false,
        });
        // Behind the last recording, questions are as cheap as before the first.
        self.active.store(self.is_wanted(&records), Ordering::Release);
        drop(records);
        if let Some(above) = &self.above {
            above.note(evaluated);
        }
    }

    fn records(&self) -> MutexGuard<'_, Vec<Weak<Record>>> {
        self.records.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Copies, changes and swaps.
    fn change(&self, change: impl FnOnce(&mut HashMap<String, Answers>)) {
        let records = self.records();
        let mut flags = HashMap::clone(&self.flags.load());
        change(&mut flags);
        self.flags.store(Arc::new(flags));
        self.active.store(self.is_wanted(&records), Ordering::Release);
    }

    /// Whether questions have to come by here.
    fn is_wanted(&self, records: &[Weak<Record>]) -> bool {
        self.above.is_some() || !records.is_empty() || !self.flags.load().is_empty()
    }
}
