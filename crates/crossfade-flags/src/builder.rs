//! How a flag client is put together.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use crossfade_rules::Limits;
use crossfade_store::RuleSource;
use tokio::{
    sync::oneshot,
    time::{Instant, timeout_at},
};

use crate::{
    Flags, MemorySource, PersistError, Status, TrustedKeys,
    follow::{Follower, watch_age},
    layers::{Acceptance, Layer, Layers},
    overrides::Overrides,
    persist::{Archive, Keeper},
    shared::Shared,
    status::SourceStatus,
};

/// How long a start waits for its sources by default.
const FIRST_SYNC: Duration = Duration::from_secs(5);

/// After how much silence a source counts as stale by default.
const STALE_AFTER: Duration = Duration::from_mins(2);

/// What an envelope adds to its document: its members and signatures.
const ENVELOPE: usize = 16 * 1024;

/// Puts a flag client together; [`Flags::builder`] begins one.
///
/// Sources are added in the order in which they win: a flag that the first defines is never asked of
/// the second. Each source keeps its last good rule set while it is down.
///
/// ```no_run
/// use std::time::Duration;
///
/// use crossfade_flags::{FileSource, Flags};
///
/// # async fn start() {
/// let flags = Flags::builder()
///     .source(FileSource::new("/etc/app/overrides.json").optional())
///     .source(FileSource::new("/etc/app/flags.json"))
///     .persist_to("/var/lib/app/flags.kept")
///     .first_sync(Duration::from_secs(2))
///     .start()
///     .await;
/// # }
/// ```
#[derive(Debug)]
#[must_use]
pub struct Builder {
    sources: Vec<Source>,
    acceptance: Acceptance,
    persist_to: Option<PathBuf>,
    first_sync: Duration,
    stale_after: Duration,
}

#[derive(Debug)]
struct Source {
    feed: Feed,
    keys: Option<TrustedKeys>,
}

#[derive(Debug)]
enum Feed {
    /// Followed by a task.
    Port(Box<dyn RuleSource>),
    /// Told by the one who holds it.
    Memory(MemorySource),
}

impl Builder {
    pub(crate) fn new() -> Self {
        Self {
            sources: Vec::new(),
            acceptance: Acceptance::default(),
            persist_to: None,
            first_sync: FIRST_SYNC,
            stale_after: STALE_AFTER,
        }
    }

    /// Adds a source. Those that were added before win over it.
    pub fn source(self, source: impl RuleSource + 'static) -> Self {
        self.add(Feed::Port(Box::new(source)), None)
    }

    /// Adds a source whose rule sets are used only when one of `keys` has signed them.
    pub fn signed_source(self, source: impl RuleSource + 'static, keys: TrustedKeys) -> Self {
        self.add(Feed::Port(Box::new(source)), Some(keys))
    }

    /// Adds a source in memory, whose changes are visible once [`MemorySource::set`] returns.
    pub fn memory(self, source: &MemorySource) -> Self {
        self.add(Feed::Memory(source.clone()), None)
    }

    fn add(mut self, feed: Feed, keys: Option<TrustedKeys>) -> Self {
        self.sources.push(Source { feed, keys });
        self
    }

    /// Bounds on what a rule set may ask for. Default: 1 MiB, and the default steps.
    pub fn limits(mut self, limits: Limits) -> Self {
        self.acceptance.limits = limits;
        self
    }

    /// Accepts a rule set with another `crossfade.fractional` than the one before. Most users are
    /// assigned anew by that, so that it is refused by default.
    pub fn accept_fractional_change(mut self) -> Self {
        self.acceptance.fractional_change = true;
        self
    }

    /// Keeps the last good rule sets in this file, and begins with them where a source does not
    /// answer at the start. Its folder has to exist. Default: they are not kept.
    pub fn persist_to(mut self, path: impl Into<PathBuf>) -> Self {
        self.persist_to = Some(path.into());
        self
    }

    /// How long [`Builder::start`] waits for the first answers. Default: 5 s.
    pub fn first_sync(mut self, most: Duration) -> Self {
        self.first_sync = most;
        self
    }

    /// After how much silence a source counts as stale. Default: 2 min. Sources are asked at least
    /// once a minute, so that less than that is of use for few.
    pub fn stale_after(mut self, silence: Duration) -> Self {
        self.stale_after = silence;
        self
    }

    /// Starts the client, once each source has answered, well or not, or the time is up.
    ///
    /// Never fails: where a source has no rule set to give, the one that was kept on disk stands in,
    /// and where there is none, flags answer with the defaults in the code. [`Status::state`] says
    /// which, and the sources go on being asked.
    ///
    /// # Panics
    ///
    /// Outside of a Tokio runtime with its timer on, when there is a source other than in memory.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future ends what was started.
    pub async fn start(self) -> Flags {
        let mut layers = Vec::new();
        let mut health = Vec::new();
        let mut feeds = Vec::new();
        for Source { feed, keys } in self.sources {
            let (origin, followed) = match &feed {
                Feed::Port(source) => (source.origin().into(), true),
                Feed::Memory(_) => (Arc::from("memory"), false),
            };
            health.push(SourceStatus::new(Arc::clone(&origin), followed));
            feeds.push((Arc::clone(&origin), envelope(&keys, &self.acceptance.limits), feed));
            layers.push(Layer::new(origin, keys));
        }
        let keeper = self.persist_to.map(Keeper::new);
        let kept = keeper.as_ref().map(|keeper| (keeper.path().to_owned(), keeper.read()));
        let mut layers = Layers::new(layers, self.acceptance);
        if let Some((_, Ok(Some(archive)))) = &kept {
            layers.count_from(archive.version);
        }
        let shared = Shared::new(layers, Status::new(health, self.stale_after), keeper);
        if let Some((path, archive)) = kept {
            restore(&shared, archive, &path);
        }
        let mut looks = Vec::new();
        for (layer, (origin, most_bytes, feed)) in feeds.into_iter().enumerate() {
            match feed {
                Feed::Memory(source) => source.attach(&shared, layer),
                Feed::Port(source) => {
                    let follower = Follower { layer, origin, source, most_bytes };
                    let (looked, look) = oneshot::channel();
                    shared.spawn(|shared, stop| follower.run(shared, stop, looked));
                    looks.push(look);
                }
            }
        }
        if !looks.is_empty() {
            shared.spawn(watch_age);
        }
        // When the time is up, the client starts with what it has.
        let end = Instant::now().checked_add(self.first_sync);
        for look in looks {
            // A task that ended has no word to give, and is not waited for.
            let _ = match end {
                Some(end) => timeout_at(end, look).await.is_ok(),
                None => look.await.is_ok(),
            };
        }
        Flags { shared, overrides: Arc::new(Overrides::default()) }
    }
}

/// The largest text to fetch: an envelope carries its document in base64.
fn envelope(keys: &Option<TrustedKeys>, limits: &Limits) -> usize {
    let document = limits.document_bytes();
    match keys {
        None => document,
        Some(_) => document.div_ceil(3).saturating_mul(4).saturating_add(ENVELOPE),
    }
}

/// Begins with what an earlier process kept, so that versions go on from there.
fn restore(shared: &Shared, archive: Result<Option<Archive>, PersistError>, path: &Path) {
    let restored = archive.map(|archive| archive.map(|archive| archive.documents));
    let restored = restored.and_then(|documents| {
        let documents = documents.unwrap_or_default();
        let mut outcome = Ok(());
        for (layer, name) in shared.names().into_iter().enumerate() {
            let kept = documents.iter().find(|(kept, _)| *kept == name);
            let Some((_, document)) = kept else { continue };
            // One that is refused does not take the others along.
            let restored = shared.restore(layer, document).map(drop);
            outcome = outcome.and(restored.map_err(|error| PersistError::Refused {
                path: path.to_owned(),
                source: Box::new(error),
            }));
        }
        outcome
    });
    if let Err(error) = &restored {
        tracing::warn!(error = error as &dyn std::error::Error, "starting without what was kept");
    }
    shared.status.send_if_modified(|status| status.persisted(restored));
}
