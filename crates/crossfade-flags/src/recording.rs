//! What was asked and answered, for assertions of tests.

use std::sync::{Arc, Mutex, PoisonError};

use crossfade_rules::{ErrorCode, Reason};
use serde_json::Value;

use crate::overrides::Overrides;

/// Keeps every evaluation of one handle and its clones, from [`Flags::record`] until it is dropped.
///
/// [`Flags::record`]: crate::Flags::record
///
/// ```
/// use crossfade_flags::Flags;
///
/// let flags = Flags::forced([("read_user_settings_v2", true)]);
/// let recording = flags.record();
/// assert!(flags.is_enabled("read_user_settings_v2", "u1"));
/// recording.assert_evaluated("read_user_settings_v2", "u1");
/// recording.assert_not_evaluated("another");
/// assert_eq!(recording.evaluations()[0].value, Some(true.into()));
/// ```
#[derive(Debug)]
pub struct Recording {
    record: Arc<Record>,
}

/// One evaluation.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Evaluated {
    /// The key of the flag.
    pub flag: String,
    /// The targeting key; `None` for an anonymous context.
    pub user: Option<String>,
    /// What the caller got; `None` is the default in the code.
    pub value: Option<Value>,
    /// Why.
    pub reason: Reason,
    /// What went wrong.
    pub error: Option<ErrorCode>,
    /// The version of the rule set; 0 where there was none.
    pub version: i64,
}

#[derive(Debug, Default)]
pub(crate) struct Record {
    evaluations: Mutex<Vec<Evaluated>>,
}

impl Record {
    pub(crate) fn add(&self, evaluated: Evaluated) {
        self.evaluations.lock().unwrap_or_else(PoisonError::into_inner).push(evaluated);
    }
}

impl Recording {
    pub(crate) fn begin(overrides: &Overrides) -> Self {
        let record = Arc::new(Record::default());
        overrides.record(&record);
        Self { record }
    }

    /// Every evaluation so far, in their order.
    #[must_use]
    pub fn evaluations(&self) -> Vec<Evaluated> {
        self.record.evaluations.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The evaluations of one flag so far.
    #[must_use]
    pub fn of(&self, flag: &str) -> Vec<Evaluated> {
        let mut evaluations = self.evaluations();
        evaluations.retain(|evaluated| evaluated.flag == flag);
        evaluations
    }

    /// Makes sure that `flag` was evaluated for `user`.
    ///
    /// # Panics
    ///
    /// When it was not.
    #[track_caller]
    pub fn assert_evaluated(&self, flag: &str, user: &str) {
        let evaluations = self.evaluations();
        let asked = evaluations
            .iter()
            .any(|evaluated| evaluated.flag == flag && evaluated.user.as_deref() == Some(user));
        assert!(asked, "flag `{flag}` was not evaluated for `{user}`, but: {evaluations:#?}");
    }

    /// Makes sure that `flag` was evaluated for nobody.
    ///
    /// # Panics
    ///
    /// When it was evaluated.
    #[track_caller]
    pub fn assert_not_evaluated(&self, flag: &str) {
        let evaluations = self.of(flag);
        assert!(evaluations.is_empty(), "flag `{flag}` was evaluated: {evaluations:#?}");
    }
}
