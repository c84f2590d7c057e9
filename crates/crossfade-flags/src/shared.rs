//! What all clones of a handle share.

use std::{
    fmt,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError, Weak,
        atomic::{AtomicU32, Ordering},
    },
};

use arc_swap::{ArcSwapOption, Guard};
use crossfade_rules::RuleSet;
use crossfade_store::Document;
use tokio::sync::watch;

use crate::{
    FlagsError, Status,
    layers::{Layers, Name, Offer},
    persist::Keeper,
    unanswered::Unanswered,
};

/// A rule set at its version. Never changed once it is shared.
pub(crate) struct Snapshot {
    pub(crate) rules: RuleSet,
    pub(crate) version: i64,
    /// Its number among the rule sets of this process, by which a prepared handle knows it.
    pub(crate) generation: u32,
}

pub(crate) struct Shared {
    snapshot: ArcSwapOption<Snapshot>,
    /// That of the current snapshot; 0 before the first.
    generation: AtomicU32,
    layers: Mutex<Layers>,
    keeper: Option<Keeper>,
    pub(crate) unanswered: Unanswered,
    pub(crate) status: watch::Sender<Status>,
    #[cfg(test)]
    tasks: Mutex<Vec<tokio::task::AbortHandle>>,
    stop: watch::Sender<bool>,
    /// Each task holds a receiver until it has ended.
    running: watch::Sender<()>,
}

impl Shared {
    pub(crate) fn new(layers: Layers, status: Status, keeper: Option<Keeper>) -> Arc<Self> {
        Arc::new(Self {
            snapshot: ArcSwapOption::empty(),
            generation: AtomicU32::new(0),
            layers: Mutex::new(layers),
            keeper,
            unanswered: Unanswered::default(),
            status: watch::Sender::new(status),
            #[cfg(test)]
            tasks: Mutex::default(),
            stop: watch::Sender::new(false),
            running: watch::Sender::new(()),
        })
    }

    /// The current rule set. Load it once per answer, and never hold it across an `.await`.
    #[inline]
    pub(crate) fn snapshot(&self) -> Guard<Option<Arc<Snapshot>>> {
        self.snapshot.load()
    }

    /// The generation of the current rule set. A caller that sees a new one sees its rule set too.
    #[inline]
    pub(crate) fn generation(&self) -> u32 {
        self.generation.load(Ordering::Acquire)
    }

    /// Compiles what a source handed out, swaps it in when it is good and new, and notes how that
    /// went.
    ///
    /// # Errors
    ///
    /// Why it is not in use. An error is told once for one document.
    pub(crate) fn take(&self, layer: usize, document: &Document) -> Result<Offer, FlagsError> {
        let taken = self.install(layer, document, false);
        if let (Ok(Offer::Installed), Some(keeper)) = (&taken, &self.keeper) {
            let kept = keeper.keep(|| lock(&self.layers).documents());
            self.status.send_if_modified(|status| status.persisted(kept));
        }
        taken
    }

    /// Swaps in what an earlier process kept on disk.
    ///
    /// # Errors
    ///
    /// Why it is not in use.
    pub(crate) fn restore(&self, layer: usize, document: &Document) -> Result<Offer, FlagsError> {
        let restored = self.install(layer, document, true);
        if restored.is_err() {
            lock(&self.layers).forget_refusal(layer);
        }
        restored
    }

    /// Whether rule sets are written to disk.
    pub(crate) fn is_kept(&self) -> bool {
        self.keeper.is_some()
    }

    /// How each source is known on disk, the source that wins first.
    pub(crate) fn names(&self) -> Vec<Name> {
        lock(&self.layers).names()
    }

    fn install(&self, layer: usize, document: &Document, kept: bool) -> Result<Offer, FlagsError> {
        // Orders the installs, so that the version never goes back.
        let mut layers = lock(&self.layers);
        let offered = layers.offer(layer, document);
        if let (Ok(Offer::Installed), Some(snapshot)) = (&offered, layers.merged()) {
            let generation = snapshot.generation;
            // A reader that still holds the last snapshot does not free it: the layers keep it until
            // the next one comes.
            layers.retire(self.snapshot.swap(Some(snapshot)));
            self.generation.store(generation, Ordering::Release);
        }
        self.note(|status| {
            let version = layers.version(layer);
            let installed = matches!(offered, Ok(Offer::Installed));
            if installed {
                status.loaded(layers.merged_version());
            }
            let Some(source) = status.source_mut(layer) else { return installed };
            if !kept {
                source.answered();
            }
            match &offered {
                Ok(Offer::Installed) => source.took(version, kept),
                Ok(Offer::Unchanged) => return source.confirmed(),
                Ok(Offer::RefusedBefore) => return source.refused_still(layers.refusal(layer)),
                Err(error) if !kept => source.failed(error.clone()),
                Err(_) => {}
            }
            true
        });
        offered
    }

    /// Notes that a source was asked and has nothing new. What was refused last still is.
    pub(crate) fn heard_of(&self, layer: usize) {
        let refusal = lock(&self.layers).refusal(layer);
        self.note(|status| {
            let Some(source) = status.source_mut(layer) else { return false };
            source.answered();
            match refusal {
                None => source.confirmed(),
                refusal => source.refused_still(refusal),
            }
        });
    }

    /// Notes what went wrong with a source. The rule set stays.
    pub(crate) fn failed(&self, layer: usize, error: FlagsError) {
        self.status.send_if_modified(|status| {
            status.source_mut(layer).map(|source| source.failed(error)).is_some()
        });
    }

    /// Changes the status. Wakes those who wait on it when `change` says that there is news, and when
    /// time had made it another state than it is now.
    fn note(&self, change: impl FnOnce(&mut Status) -> bool) {
        self.status.send_if_modified(|status| {
            let before = status.state();
            let news = change(status);
            news || status.state() != before
        });
    }

    /// Runs a task, which gets no strong handle, and ends when it is told to or the last one is gone.
    pub(crate) fn spawn<F>(self: &Arc<Self>, task: impl FnOnce(Weak<Self>, Stop) -> F)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let stop = Stop(self.stop.subscribe());
        let (task, running) = (task(Arc::downgrade(self), stop), self.running.subscribe());
        let task = tokio::spawn(async move {
            task.await;
            drop(running);
        });
        #[cfg(test)]
        lock(&self.tasks).push(task.abort_handle());
        #[cfg(not(test))]
        drop(task);
    }

    /// Tells all tasks to end, and waits until they have.
    pub(crate) async fn stop(&self) {
        self.stop.send_replace(true);
        self.running.closed().await;
    }

    /// Handles by which a test sees whether the tasks have ended.
    #[cfg(test)]
    pub(crate) fn tasks(&self) -> Vec<tokio::task::AbortHandle> {
        lock(&self.tasks).clone()
    }
}

/// Rule sets are large, and may name users: none is printed.
impl fmt::Debug for Shared {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let status = self.status.borrow();
        out.debug_struct("Shared")
            .field("version", &status.version())
            .field("state", &status.state())
            .field("sources", &status.sources())
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for Snapshot {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Snapshot")
            .field("version", &self.version)
            .field("generation", &self.generation)
            .finish_non_exhaustive()
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// By which a task learns that it has to end.
#[derive(Debug)]
pub(crate) struct Stop(watch::Receiver<bool>);

impl Stop {
    /// The output of `work`; `None` when the task has to end, also when that was said before.
    pub(crate) async fn or<T>(&mut self, work: impl Future<Output = T>) -> Option<T> {
        tokio::select! {
            biased;
            // An error says that the last handle is gone.
            _ = self.0.wait_for(|stop| *stop) => None,
            output = work => Some(output),
        }
    }
}
