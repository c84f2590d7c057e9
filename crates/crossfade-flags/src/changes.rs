//! Which flags changed.

use std::sync::{Arc, Weak};

use tokio::sync::watch;

use crate::{
    Status,
    shared::{Shared, Snapshot},
};

/// Tells of changes of the rule set, one behind the other; see [`Flags::changes`].
///
/// Nothing is queued: whoever is slow is told of several changes in one.
///
/// [`Flags::changes`]: crate::Flags::changes
#[derive(Debug)]
pub struct Changes {
    client: Weak<Shared>,
    status: watch::Receiver<Status>,
    /// The rule set that was told of last.
    last: Option<Arc<Snapshot>>,
}

/// One change of the rule set.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Change {
    /// The version before; 0 when there was no rule set.
    pub from: i64,
    /// The version now.
    pub to: i64,
    /// The keys of the flags that are new, gone, or defined differently.
    pub flags: Vec<String>,
}

impl Changes {
    pub(crate) fn of(shared: &Arc<Shared>) -> Self {
        let status = shared.status.subscribe();
        let last = shared.snapshot().as_ref().map(Arc::clone);
        Self { client: Arc::downgrade(shared), status, last }
    }

    /// Waits for the next change; `None` once the client is gone.
    ///
    /// # Cancel safety
    ///
    /// Nothing is lost when the future is dropped.
    pub async fn next(&mut self) -> Option<Change> {
        loop {
            if let Some(change) = self.step()? {
                return Some(change);
            }
            self.status.changed().await.ok()?;
        }
    }

    /// The change since the last one; the outer `None` when the client is gone.
    fn step(&mut self) -> Option<Option<Change>> {
        let client = self.client.upgrade()?;
        let now = client.snapshot().as_ref().map(Arc::clone);
        let Some(now) = now else { return Some(None) };
        let last = self.last.as_deref();
        if last.is_some_and(|last| last.generation == now.generation) {
            return Some(None);
        }
        let flags = match last {
            None => now.rules.keys().map(str::to_owned).collect(),
            Some(last) => last.rules.changed_keys(&now.rules),
        };
        let from = last.map_or(0, |last| last.version);
        let to = now.version;
        self.last = Some(now);
        Some((!flags.is_empty()).then_some(Change { from, to, flags }))
    }
}
