//! Where the rule sets come from and how well that goes.

use std::{fmt, sync::Arc, time::Duration};

use tokio::time::Instant;

use crate::{FlagsError, PersistError};

/// Where the rule set comes from, how old it is, and what went wrong last.
#[derive(Clone, Debug)]
pub struct Status {
    version: i64,
    loaded: Option<Instant>,
    stale_after: Duration,
    sources: Vec<SourceStatus>,
    persistence: Option<PersistError>,
}

/// How well one source does.
#[derive(Clone, Debug)]
pub struct SourceStatus {
    origin: Arc<str>,
    followed: bool,
    version: i64,
    kept: bool,
    contact: Instant,
    answered: bool,
    last_error: Option<FlagsError>,
}

/// What the answers rest on. `Display` prints the name in capitals, such as `STALE`.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum State {
    /// No rule set was ever loaded; every flag answers with the default in the code.
    Defaults,
    /// A source has not answered yet, and the last good rule set that was kept on disk stands in.
    Persisted,
    /// Every source has answered, and did so lately.
    Current,
    /// A source could not be asked for longer than [`Builder::stale_after`], or never since the start
    /// while others could. The last good rule set of each is in use.
    ///
    /// [`Builder::stale_after`]: crate::Builder::stale_after
    Stale,
}

impl fmt::Display for State {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Self::Defaults => "DEFAULTS",
            Self::Persisted => "PERSISTED",
            Self::Current => "CURRENT",
            Self::Stale => "STALE",
        })
    }
}

impl Status {
    pub(crate) fn new(sources: Vec<SourceStatus>, stale_after: Duration) -> Self {
        Self { version: 0, loaded: None, stale_after, sources, persistence: None }
    }

    /// What the answers rest on at present.
    #[must_use]
    pub fn state(&self) -> State {
        let stale =
            |source: &SourceStatus| source.silence() > self.stale_after || source.is_missing();
        if self.loaded.is_none() {
            State::Defaults
        } else if self.sources.iter().any(stale) {
            State::Stale
        } else if self.sources.iter().any(|source| source.kept) {
            State::Persisted
        } else {
            State::Current
        }
    }

    /// The version of the current rule set; 0 before the first.
    #[must_use]
    pub fn version(&self) -> i64 {
        self.version
    }

    /// How long ago the current rule set was swapped in; `None` before the first.
    #[must_use]
    pub fn age(&self) -> Option<Duration> {
        self.loaded.map(|loaded| loaded.elapsed())
    }

    /// The sources, the one that wins first. None for forced answers.
    #[must_use]
    pub fn sources(&self) -> &[SourceStatus] {
        &self.sources
    }

    /// What is wrong at present with the first source that has trouble.
    #[must_use]
    pub fn last_error(&self) -> Option<&FlagsError> {
        self.sources.iter().find_map(SourceStatus::last_error)
    }

    /// Why the last good rule set could not be kept on disk or taken from there.
    #[must_use]
    pub fn persistence_error(&self) -> Option<&PersistError> {
        self.persistence.as_ref()
    }

    pub(crate) fn loaded(&mut self, version: i64) {
        self.version = version;
        self.loaded = Some(Instant::now());
    }

    pub(crate) fn source_mut(&mut self, index: usize) -> Option<&mut SourceStatus> {
        self.sources.get_mut(index)
    }

    /// Notes how keeping the rule set on disk went; answers whether that is news.
    pub(crate) fn persisted(&mut self, result: Result<(), PersistError>) -> bool {
        let before = std::mem::replace(&mut self.persistence, result.err());
        before.is_some() != self.persistence.is_some()
    }

    /// When the first source that is well now will count as stale, if nothing is heard of it.
    pub(crate) fn next_stale(&self) -> Option<Instant> {
        let followed = self.sources.iter().filter(|source| source.followed);
        let ends = followed.filter_map(|source| source.contact.checked_add(self.stale_after));
        ends.filter(|end| *end >= Instant::now()).min()
    }
}

impl SourceStatus {
    pub(crate) fn new(origin: Arc<str>, followed: bool) -> Self {
        Self {
            origin,
            followed,
            version: 0,
            kept: false,
            contact: Instant::now(),
            answered: false,
            last_error: None,
        }
    }

    /// Where rule sets come from, in words: "file /etc/app/flags.json".
    #[must_use]
    pub fn origin(&self) -> &str {
        &self.origin
    }

    /// The version of its rule set that is in use; 0 before the first.
    #[must_use]
    pub fn version(&self) -> i64 {
        self.version
    }

    /// Whether its rule set was kept on disk by an earlier process, and the source has not said yet
    /// that it is the newest.
    #[must_use]
    pub fn is_persisted(&self) -> bool {
        self.kept
    }

    /// How long ago it could last be asked; `None` when it never could.
    #[must_use]
    pub fn last_contact(&self) -> Option<Duration> {
        self.answered.then(|| self.contact.elapsed())
    }

    /// What is wrong with the source at present.
    #[must_use]
    pub fn last_error(&self) -> Option<&FlagsError> {
        self.last_error.as_ref()
    }

    /// For how long the source could not be asked, counted from the start when it never could.
    fn silence(&self) -> Duration {
        if self.followed { self.contact.elapsed() } else { Duration::ZERO }
    }

    /// Whether nothing is known of its rule set, not even from the disk.
    fn is_missing(&self) -> bool {
        self.followed && !self.answered && !self.kept
    }

    pub(crate) fn took(&mut self, version: i64, kept: bool) {
        self.version = version;
        self.kept = kept;
        self.last_error = None;
    }

    /// Notes that the source could be asked.
    pub(crate) fn answered(&mut self) {
        self.contact = Instant::now();
        self.answered = true;
    }

    pub(crate) fn failed(&mut self, error: FlagsError) {
        self.last_error = Some(error);
    }

    /// Notes that the source is well and its newest document is refused, as it was before trouble with
    /// the source; answers whether there was any.
    pub(crate) fn refused_still(&mut self, why: Option<FlagsError>) -> bool {
        let trouble = matches!(self.last_error, None | Some(FlagsError::Unreadable { .. }));
        if trouble {
            self.last_error = why;
        }
        trouble
    }

    /// Notes that what is in use is the newest; answers whether that was not known.
    pub(crate) fn confirmed(&mut self) -> bool {
        let trouble = self.last_error.take().is_some();
        std::mem::take(&mut self.kept) || trouble
    }
}
