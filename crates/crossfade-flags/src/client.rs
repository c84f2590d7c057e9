//! The handle by which everybody asks.

use std::{path::Path, sync::Arc, time::SystemTime};

use crossfade_rules::{Context, ErrorCode, Evaluation, RuleSet};
use crossfade_store::RuleSetStore;

use crate::{FlagsError, Status, file, shared::Shared, store_source};

/// Answers flags from the current rule set.
///
/// Clones are cheap and share everything: the rule set, and the answers that were forced. The task
/// that follows a file or the database ends when the last clone is dropped.
#[derive(Clone, Debug)]
pub struct Flags {
    pub(crate) shared: Arc<Shared>,
}

impl Flags {
    /// Flags with these answers and no rule set, for tests. Every other flag is unknown.
    #[must_use]
    pub fn forced<K: Into<String>>(answers: impl IntoIterator<Item = (K, bool)>) -> Self {
        let flags = Self { shared: Shared::new("forced answers") };
        for (key, answer) in answers {
            flags.shared.forced.force(key.into(), answer);
        }
        flags
    }

    /// Flags from the text of a document, at version 1 for good.
    ///
    /// # Errors
    ///
    /// [`FlagsError::Refused`] when the document is no rule set.
    pub fn from_document(document: &str) -> Result<Self, FlagsError> {
        let shared = Shared::new("a document");
        let rule_set = RuleSet::parse(document)
            .map_err(|source| FlagsError::Refused { origin: "the document".to_owned(), source })?;
        shared.install(1, rule_set);
        Ok(Self { shared })
    }

    /// Flags from a file that is loaded again whenever its content changes.
    ///
    /// Its folder is watched, so that an editor's rename and a swapped symbolic link (as Kubernetes
    /// does for mounted maps) are seen; besides, the content is compared every 2 s. A changed file
    /// that cannot be read as a rule set is refused with a warning and the last good one stays. The
    /// version counts the rule sets loaded since the start, from 1.
    ///
    /// # Errors
    ///
    /// [`FlagsError::Unreadable`] or [`FlagsError::Refused`] when the first load fails.
    ///
    /// # Panics
    ///
    /// Outside of a Tokio runtime with its timer on.
    pub async fn from_file(path: impl AsRef<Path>) -> Result<Self, FlagsError> {
        file::open(path.as_ref()).await.map(|shared| Self { shared })
    }

    /// Flags from the database, which is listened to for newer versions.
    ///
    /// Never fails: when the first load does not succeed within 5 s, the handle starts without a rule
    /// set, so that every flag answers its default, and goes on trying with growing pauses.
    ///
    /// # Panics
    ///
    /// Outside of a Tokio runtime with its timer on.
    pub async fn from_store(store: Arc<dyn RuleSetStore>) -> Self {
        Self { shared: store_source::open(store).await }
    }

    /// Whether `key` is `true` for `user`. `false` when it cannot be said.
    #[must_use]
    pub fn is_enabled(&self, key: &str, user: &str) -> bool {
        self.boolean(key, &Context::user(user), false)
    }

    /// The boolean answer for `key`, or `default` when it cannot be said: there is no rule set, the
    /// flag is unknown or `DISABLED`, or its value is no boolean.
    ///
    /// What keeps the flag from being evaluated is warned of, once per flag and version; a `DISABLED`
    /// flag is no reason to warn.
    #[must_use]
    pub fn boolean(&self, key: &str, context: &Context<'_>, default: bool) -> bool {
        self.resolve(key, context).ok().flatten().unwrap_or(default)
    }

    /// The full answer for `key`, of whatever type. Never warns; what went wrong is in the answer.
    #[must_use]
    pub fn evaluate(&self, key: &str, context: &Context<'_>) -> Evaluation {
        if let Some(answer) = self.shared.forced.answer(key, context.targeting_key()) {
            return Evaluation::fixed(answer);
        }
        match self.shared.snapshot().as_deref() {
            None => Evaluation::failed(ErrorCode::NotReady),
            Some(snapshot) => snapshot.rule_set.evaluate(key, &timed(context)),
        }
    }

    /// Answers `key` for everybody, whatever the rule set says, from the moment this returns.
    pub fn force(&self, key: impl Into<String>, answer: bool) {
        self.shared.forced.force(key.into(), answer);
    }

    /// Answers `key` for one user, whatever the rule set or [`Flags::force`] says, from the moment this
    /// returns.
    pub fn force_for(&self, key: impl Into<String>, user: impl Into<String>, answer: bool) {
        self.shared.forced.force_for(key.into(), user.into(), answer);
    }

    /// Takes back all that was forced for `key`.
    pub fn release(&self, key: &str) {
        self.shared.forced.release(key);
    }

    /// The version of the current rule set; 0 before the first. It never goes back.
    #[must_use]
    pub fn version(&self) -> i64 {
        self.shared.snapshot().as_deref().map_or(0, |snapshot| snapshot.version)
    }

    /// The share of users, 0.0 to 100.0, that get `true` from the current rule set; `None` where that
    /// cannot be said. See [`RuleSet::true_percent`].
    #[must_use]
    pub fn true_percent(&self, key: &str) -> Option<f64> {
        self.shared.snapshot().as_deref()?.rule_set.true_percent(key)
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
    pub async fn wait_until(&self, condition: impl FnMut(&Status) -> bool) -> Status {
        let mut status = self.shared.status.subscribe();
        match status.wait_for(condition).await {
            Ok(status) => status.clone(),
            // The sender lives in `self`, so it cannot have gone.
            Err(_) => self.status(),
        }
    }

    /// The boolean answer; `Ok(None)` leaves it to the caller's default without anything being wrong.
    pub(crate) fn resolve(
        &self,
        key: &str,
        context: &Context<'_>,
    ) -> Result<Option<bool>, ErrorCode> {
        if let Some(answer) = self.shared.forced.answer(key, context.targeting_key()) {
            return Ok(Some(answer));
        }
        let snapshot = self.shared.snapshot();
        let answer = match snapshot.as_deref() {
            None => Err(ErrorCode::NotReady),
            Some(snapshot) => snapshot.rule_set.evaluate_bool(key, &timed(context)),
        };
        if let Err(error) = answer {
            let version = snapshot.as_deref().map_or(0, |snapshot| snapshot.version);
            self.shared.unanswered.warn(key, version, error);
        }
        answer
    }
}

/// The context with the present time, which rules read as `$flagd.timestamp`.
fn timed<'a>(context: &Context<'a>) -> Context<'a> {
    let context = context.clone();
    match (context.unix_seconds(), SystemTime::UNIX_EPOCH.elapsed()) {
        (None, Ok(now)) => context.at(now.as_secs()),
        _ => context,
    }
}
