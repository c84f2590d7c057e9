//! Rule sets in memory.

use std::{
    fmt,
    sync::{Arc, Mutex, PoisonError, Weak},
};

use crossfade_rules::RuleSet;
use crossfade_store::Document;

use crate::{FlagsError, shared::Shared};

/// A source in memory, for tests and for applications that get their rule sets by ways of their own.
///
/// A change is visible in every client that was built with it once [`MemorySource::set`] returns.
///
/// ```
/// use crossfade_flags::{Context, Flags, MemorySource};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let source = MemorySource::new();
/// let flags = Flags::builder().memory(&source).start().await;
/// source.set(r#"{"flags": {"limit": {"variants": {"high": 9}, "defaultVariant": "high"}}}"#)?;
/// assert_eq!(flags.value("limit", &Context::anonymous(), 3), 9);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Default)]
pub struct MemorySource {
    inner: Arc<Mutex<Inner>>,
}

#[derive(Default)]
struct Inner {
    document: Option<Document>,
    /// The clients, and the place of this source among those of each.
    clients: Vec<(Weak<Shared>, usize)>,
}

impl MemorySource {
    /// A source without a rule set.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Swaps in another document, in every client at once.
    ///
    /// # Errors
    ///
    /// Why it was refused. Those clients that refused it keep their last good rule set. Clients that
    /// are built later begin with what was accepted last.
    pub fn set(&self, document: &str) -> Result<(), FlagsError> {
        let document = Document::new(document);
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        inner.clients.retain(|(client, _)| client.strong_count() > 0);
        if inner.clients.is_empty() {
            RuleSet::parse(&document.text).map_err(|source| FlagsError::Refused {
                origin: "memory".into(),
                source: Arc::new(source),
            })?;
        }
        let clients = inner.clients.iter();
        let clients = clients.filter_map(|(client, layer)| Some((client.upgrade()?, *layer)));
        // Every client takes its turn, also behind one that refuses.
        let outcomes: Vec<_> =
            clients.map(|(client, layer)| client.take(layer, &document)).collect();
        if outcomes.is_empty() || outcomes.iter().any(Result::is_ok) {
            inner.document = Some(document);
        }
        outcomes.into_iter().try_for_each(|outcome| outcome.map(drop))
    }

    /// Begins to tell a client.
    pub(crate) fn attach(&self, client: &Arc<Shared>, layer: usize) {
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(document) = &inner.document {
            // The client's status has the error, where there is one.
            let _ = client.take(layer, document);
        }
        inner.clients.push((Arc::downgrade(client), layer));
    }
}

impl fmt::Debug for MemorySource {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("MemorySource").finish_non_exhaustive()
    }
}
