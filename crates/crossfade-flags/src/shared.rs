//! What all clones of a handle share, and how a rule set is swapped in.

use std::sync::{Arc, OnceLock, Weak};

use arc_swap::{ArcSwapOption, Guard};
use crossfade_rules::RuleSet;
use tokio::{sync::watch, task::JoinHandle};

use crate::{FlagsError, Status, forced::Forced, unanswered::Unanswered};

/// A rule set at its version. Never changed once it is shared.
#[derive(Debug)]
pub(crate) struct Snapshot {
    pub(crate) rule_set: RuleSet,
    pub(crate) version: i64,
}

#[derive(Debug)]
pub(crate) struct Shared {
    snapshot: ArcSwapOption<Snapshot>,
    pub(crate) forced: Forced,
    pub(crate) unanswered: Unanswered,
    pub(crate) status: watch::Sender<Status>,
    task: OnceLock<TaskGuard>,
}

impl Shared {
    pub(crate) fn new(source: impl Into<Arc<str>>) -> Arc<Self> {
        Arc::new(Self {
            snapshot: ArcSwapOption::empty(),
            forced: Forced::default(),
            unanswered: Unanswered::default(),
            status: watch::Sender::new(Status::new(source.into())),
            task: OnceLock::new(),
        })
    }

    /// The current rule set. Load it once per answer, and never hold it across an `.await`.
    pub(crate) fn snapshot(&self) -> Guard<Option<Arc<Snapshot>>> {
        self.snapshot.load()
    }

    /// Swaps in a rule set, unless it is older than the current one. Answers whether it did.
    pub(crate) fn install(&self, version: i64, rule_set: RuleSet) -> bool {
        let snapshot = Arc::new(Snapshot { rule_set, version });
        // The status's lock orders concurrent installs, so that the version never goes back.
        self.status.send_if_modified(|status| {
            let newer = version > status.version();
            if newer {
                self.snapshot.store(Some(snapshot));
                status.loaded(version);
            }
            newer
        })
    }

    /// Records what went wrong with the source. The rule set stays.
    pub(crate) fn failed(&self, error: FlagsError) {
        self.status.send_modify(|status| status.failed(error));
    }

    /// Records that the source is well again, with nothing new to load.
    pub(crate) fn recovered(&self) {
        self.status.send_if_modified(Status::recovered);
    }

    /// Starts the task that follows the source. It gets no strong handle, and ends with the last one.
    pub(crate) fn follow<F>(self: &Arc<Self>, task: impl FnOnce(Weak<Self>) -> F)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let handle = tokio::spawn(task(Arc::downgrade(self)));
        let guard = self.task.set(TaskGuard(handle));
        debug_assert!(guard.is_ok(), "a handle follows one source");
    }

    /// A handle by which a test sees whether the task has ended.
    #[cfg(test)]
    pub(crate) fn task(&self) -> Option<tokio::task::AbortHandle> {
        self.task.get().map(|guard| guard.0.abort_handle())
    }
}

/// Ends a task when dropped.
#[derive(Debug)]
struct TaskGuard(JoinHandle<()>);

impl Drop for TaskGuard {
    fn drop(&mut self) {
        self.0.abort();
    }
}
