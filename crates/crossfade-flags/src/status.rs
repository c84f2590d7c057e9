//! Where the rule set comes from and how well that goes.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use crate::FlagsError;

/// Where the rule set comes from, how old it is, and what went wrong last.
#[derive(Clone, Debug)]
pub struct Status {
    source: Arc<str>,
    version: i64,
    loaded: Option<Instant>,
    last_error: Option<Arc<FlagsError>>,
}

impl Status {
    pub(crate) fn new(source: Arc<str>) -> Self {
        Self { source, version: 0, loaded: None, last_error: None }
    }

    /// Where rule sets come from, in words: "file /etc/app/flags.json".
    #[must_use]
    pub fn source(&self) -> &str {
        &self.source
    }

    /// The version of the current rule set; 0 before the first.
    #[must_use]
    pub fn version(&self) -> i64 {
        self.version
    }

    /// How long ago the current rule set was loaded; `None` before the first.
    #[must_use]
    pub fn age(&self) -> Option<Duration> {
        self.loaded.map(|loaded| loaded.elapsed())
    }

    /// What is wrong with the source at present. The rule set is the last good one meanwhile.
    #[must_use]
    pub fn last_error(&self) -> Option<&FlagsError> {
        self.last_error.as_deref()
    }

    pub(crate) fn loaded(&mut self, version: i64) {
        self.version = version;
        self.loaded = Some(Instant::now());
        self.last_error = None;
    }

    pub(crate) fn failed(&mut self, error: FlagsError) {
        self.last_error = Some(Arc::new(error));
    }

    /// Forgets the last error; answers whether there was one.
    pub(crate) fn recovered(&mut self) -> bool {
        self.last_error.take().is_some()
    }
}
