//! The handle by which everybody asks.

use std::{path::Path, sync::Arc, time::Duration};

use crossfade_rules::{Context, Evaluation};
use crossfade_store::{Document, RuleSetStore};
use serde_json::Value;

use crate::{
    Builder, Changes, DatabaseSource, Details, FileSource, FlagValue, FlagsError, Handle,
    Recording, Status,
    ask::{self, Question},
    layers::{Acceptance, Layer, Layers},
    overrides::Overrides,
    shared::Shared,
    status::SourceStatus,
};

/// Answers flags from the current rule set.
///
/// Clones are cheap and share everything: the rule set, and the answers that were forced. The tasks
/// that follow the sources end when the last clone is dropped.
#[derive(Clone, Debug)]
pub struct Flags {
    pub(crate) shared: Arc<Shared>,
    pub(crate) overrides: Arc<Overrides>,
}

impl Flags {
    /// Begins a client with sources of choice.
    pub fn builder() -> Builder {
        Builder::new()
    }

    /// Flags with these answers and no rule set, for tests. Every other flag is unknown.
    #[must_use]
    pub fn forced<K: AsRef<str>, V: Into<Value>>(
        answers: impl IntoIterator<Item = (K, V)>,
    ) -> Self {
        let flags = Self::fixed(Vec::new());
        for (key, answer) in answers {
            flags.force(key, answer);
        }
        flags
    }

    /// Flags from the text of a document, for good.
    ///
    /// # Errors
    ///
    /// [`FlagsError::Refused`] when the document is no rule set.
    pub fn from_document(document: &str) -> Result<Self, FlagsError> {
        let flags = Self::fixed(vec!["the document".into()]);
        let document = Document::new(document);
        flags.shared.take(0, &document)?;
        Ok(flags)
    }

    /// Flags from a file that is loaded again whenever its content changes: see [`FileSource`]. The
    /// version counts the rule sets loaded since the start, from 1.
    ///
    /// # Errors
    ///
    /// [`FlagsError::Unreadable`] or [`FlagsError::Refused`] when the first load fails.
    ///
    /// # Panics
    ///
    /// Outside of a Tokio runtime with its timer on.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future ends what was started.
    pub async fn from_file(path: impl AsRef<Path>) -> Result<Self, FlagsError> {
        let source = FileSource::new(path.as_ref());
        // The file system answers, well or not; there is nothing to start with before.
        let flags = Self::builder().source(source).first_sync(Duration::MAX).start().await;
        let status = flags.status();
        match status.last_error() {
            Some(error) if status.version() == 0 => Err(error.clone()),
            _ => Ok(flags),
        }
    }

    /// Flags from the database, which is listened to for newer versions: see [`DatabaseSource`].
    ///
    /// Never fails: when the first load does not succeed within 5 s, the handle starts without a rule
    /// set, so that every flag answers its default, and goes on trying with growing pauses.
    ///
    /// # Panics
    ///
    /// Outside of a Tokio runtime with its timer on.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future ends what was started.
    pub async fn from_store(store: Arc<dyn RuleSetStore>) -> Self {
        Self::builder().source(DatabaseSource::new(store)).start().await
    }

    /// Flags whose sources, if any, are not followed.
    fn fixed(origins: Vec<Arc<str>>) -> Self {
        let health = origins.iter().map(|origin| SourceStatus::new(Arc::clone(origin), false));
        let status = Status::new(health.collect(), Duration::MAX);
        let layers = origins.into_iter().map(|origin| Layer::new(origin, None)).collect();
        let layers = Layers::new(layers, Acceptance::default());
        let shared = Shared::new(layers, status, None);
        Self { shared, overrides: Arc::new(Overrides::default()) }
    }

    /// Whether `key` is `true` for `user`. `false` when it cannot be said.
    #[inline]
    #[must_use]
    pub fn is_enabled(&self, key: &str, user: &str) -> bool {
        self.value(key, &Context::user(user), false)
    }

    /// The boolean answer for `key`, or `default` when it cannot be said; see [`Flags::value`].
    #[inline]
    #[must_use]
    pub fn boolean(&self, key: &str, context: &Context<'_>, default: bool) -> bool {
        self.value(key, context, default)
    }

    /// The answer for `key` in the type of `default`, which is answered where the flag has no value:
    /// there is no rule set, the flag is unknown or `DISABLED`, or its value is of another type.
    ///
    /// What keeps the flag from being evaluated is warned of, once per flag and version; a `DISABLED`
    /// flag is no reason to warn. Nothing is allocated for `bool`, `i64` and `f64`, unless a rule
    /// builds a text or an array.
    ///
    /// ```
    /// use crossfade_flags::{Context, Flags};
    ///
    /// let flags = Flags::from_document(
    ///     r#"{"flags": {"greeting": {"variants": {"long": "Good morning"}, "defaultVariant": "long"}}}"#,
    /// )?;
    /// let context = Context::user("u1").with("country", "DE");
    /// assert_eq!(flags.value("greeting", &context, "Hi".to_owned()), "Good morning");
    /// assert_eq!(flags.value("greeting", &context, 7), 7);
    /// # Ok::<(), crossfade_flags::FlagsError>(())
    /// ```
    #[inline]
    #[must_use]
    pub fn value<T: FlagValue>(&self, key: &str, context: &Context<'_>, default: T) -> T {
        ask::value(self, &Question::by_key(key, context)).ok().flatten().unwrap_or(default)
    }

    /// The answer for `key` as [`Flags::value`] gives it, and how it came about. Never warns; what
    /// went wrong is in the answer.
    #[must_use]
    pub fn details<T: FlagValue>(
        &self,
        key: &str,
        context: &Context<'_>,
        default: T,
    ) -> Details<T> {
        ask::details(self, &Question::by_key(key, context), default)
    }

    /// The full answer for `key`, of whatever type, as a value of its own. Never warns; what went
    /// wrong is in the answer.
    #[must_use]
    pub fn evaluate(&self, key: &str, context: &Context<'_>) -> Evaluation {
        ask::evaluate(self, key, context)
    }

    /// A handle for one flag, which looks its key up once for each rule set.
    #[must_use]
    pub fn handle(&self, key: impl Into<Box<str>>) -> Handle {
        Handle::new(self.clone(), key.into())
    }

    /// Answers `key` for everybody, whatever the rule set says, from the moment this returns.
    pub fn force(&self, key: impl AsRef<str>, answer: impl Into<Value>) {
        self.overrides.force(key.as_ref(), &answer.into());
    }

    /// Answers `key` for one user, whatever the rule set or [`Flags::force`] says, from the moment this
    /// returns.
    pub fn force_for(&self, key: impl AsRef<str>, user: impl AsRef<str>, answer: impl Into<Value>) {
        self.overrides.force_for(key.as_ref(), user.as_ref(), &answer.into());
    }

    /// Takes back all that was forced for `key`.
    pub fn release(&self, key: &str) {
        self.overrides.release(key);
    }

    /// A handle on the same rule sets, in which answers can be forced without others seeing it: each
    /// of several tests that run at once takes one. What is forced in `self` counts in it as well.
    ///
    /// ```
    /// use crossfade_flags::Flags;
    ///
    /// let flags = Flags::forced([("read_user_settings_v2", false)]);
    /// let mine = flags.scoped();
    /// mine.force("read_user_settings_v2", true);
    /// assert!(mine.is_enabled("read_user_settings_v2", "u1"));
    /// assert!(!flags.is_enabled("read_user_settings_v2", "u1"));
    /// ```
    #[must_use]
    pub fn scoped(&self) -> Self {
        let overrides = Arc::new(Overrides::over(&self.overrides));
        Self { shared: Arc::clone(&self.shared), overrides }
    }

    /// Records every evaluation of this handle, its clones, and those that [`Flags::scoped`] makes
    /// of it, until the recording is dropped. For tests: it is kept in memory whole.
    #[must_use]
    pub fn record(&self) -> Recording {
        Recording::begin(&self.overrides)
    }

    /// The version of the current rule set; 0 before the first. It never goes back.
    #[must_use]
    pub fn version(&self) -> i64 {
        self.shared.snapshot().as_deref().map_or(0, |snapshot| snapshot.version)
    }

    /// The share of users, 0.0 to 100.0, that get `true` from the current rule set; `None` where that
    /// cannot be said. See [`crossfade_rules::RuleSet::true_percent`].
    #[must_use]
    pub fn true_percent(&self, key: &str) -> Option<f64> {
        self.shared.snapshot().as_deref()?.rules.true_percent(key)
    }

    /// Where the rule set comes from, how old it is, and what went wrong last.
    #[must_use]
    pub fn status(&self) -> Status {
        self.shared.status.borrow().clone()
    }

    /// Waits until the rule set is at `version` or a later one, and returns which.
    ///
    /// # Cancel safety
    ///
    /// Nothing is lost when the future is dropped.
    pub async fn wait_for(&self, version: i64) -> i64 {
        self.wait_until(|status| status.version() >= version).await.version()
    }

    /// Waits until the status satisfies `condition`, and returns it.
    ///
    /// # Cancel safety
    ///
    /// Nothing is lost when the future is dropped.
    pub async fn wait_until(&self, mut condition: impl FnMut(&Status) -> bool) -> Status {
        let mut changes = self.shared.status.subscribe();
        loop {
            // A copy, so that no lock is held while foreign code runs.
            let status = changes.borrow_and_update().clone();
            // The sender lives in `self`, so it cannot have gone.
            if condition(&status) || changes.changed().await.is_err() {
                return status;
            }
        }
    }

    /// The changes of the rule set from now on, with the flags that each of them touches.
    #[must_use]
    pub fn changes(&self) -> Changes {
        Changes::of(&self.shared)
    }

    /// Ends the tasks that follow the sources, and waits until they have ended, whoever else waits for
    /// that. Flags go on answering from the last rule set. Dropping the last handle ends them too,
    /// without waiting.
    ///
    /// # Cancel safety
    ///
    /// The tasks end also when the future is dropped.
    pub async fn shut_down(&self) {
        self.shared.stop().await;
    }
}
