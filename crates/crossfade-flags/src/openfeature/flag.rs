//! Any OpenFeature client as the read flag.

use std::{
    fmt,
    panic::AssertUnwindSafe,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use crossfade_rules::ErrorCode;
use crossfade_store::{FlagAnswer, ReadFlag};
use futures_util::FutureExt;
use moka::future::Cache;
use open_feature::{Client, EvaluationContext, EvaluationErrorCode};
use tokio::time::{Instant, timeout_at};

use super::{
    OpenFeatureOptions,
    breaker::Breaker,
    decision::{self, Asked, Asking, Decision},
};
use crate::unanswered::Unanswered;

/// Asks an OpenFeature client for the read flag, whatever provider is behind it.
///
/// The user's key is the targeting key; attributes that are the same for everybody belong into the
/// client's own context. Clones are cheap and share everything.
///
/// ```no_run
/// use std::time::Duration;
///
/// use crossfade_flags::{OpenFeatureFlag, OpenFeatureOptions};
/// use open_feature::OpenFeature;
///
/// # async fn start() {
/// let client = OpenFeature::singleton().await.create_client();
/// let options = OpenFeatureOptions::default().time_to_live(Duration::from_secs(2));
/// let flag = OpenFeatureFlag::with_options(client, options);
/// # }
/// ```
///
/// # What it costs
///
/// A decision is kept for each user ([`OpenFeatureOptions::time_to_live`]), so that a remote provider
/// is asked seldom; reads that miss the same decision at once ask once. The provider is asked in
/// stage `live` alone, so nobody is warned of a flag that was left on before.
///
/// # When there is no answer
///
/// The read uses Legacy when the provider says nothing within [`OpenFeatureOptions::timeout`], fails,
/// panics, or has no boolean for the flag. After three failures in a row the provider is left alone
/// for [`OpenFeatureOptions::pause`] and then tried by one read at a time, so that a dead one does not
/// slow every read. Decisions that were kept hold until their time is up.
///
/// # Rollback
///
/// A rule set of Crossfade's own is in memory, so that a flip counts at the next read. Here a flip has
/// to be seen by the provider first, and then takes up to the time to live, unless
/// [`clear`](Self::clear) is called in each process. `crossfade rollback` and `crossfade flag` edit the
/// rule set in the database, which this flag does not read: turn it off where the provider keeps it.
///
/// # Panics
///
/// Answers have to be awaited in a Tokio runtime with its timer on.
#[derive(Clone)]
pub struct OpenFeatureFlag {
    shared: Arc<Shared>,
}

struct Shared {
    client: Client,
    options: OpenFeatureOptions,
    decisions: Cache<Asked, Decision>,
    generation: AtomicU64,
    breaker: Breaker,
    unanswered: Unanswered,
}

impl OpenFeatureFlag {
    /// Asks `client`, with the default options.
    #[must_use]
    pub fn new(client: Client) -> Self {
        Self::with_options(client, OpenFeatureOptions::default())
    }

    /// Asks `client`.
    #[must_use]
    pub fn with_options(client: Client, options: OpenFeatureOptions) -> Self {
        let shared = Shared {
            client,
            decisions: decision::cache(&options),
            generation: AtomicU64::new(0),
            breaker: Breaker::new(options.pause),
            unanswered: Unanswered::default(),
            options,
        };
        Self { shared: Arc::new(shared) }
    }

    /// Forgets every decision, also those that are being waited for: reads that begin once this has
    /// returned ask the provider.
    pub fn clear(&self) {
        self.shared.generation.fetch_add(1, Ordering::AcqRel);
        self.shared.decisions.invalidate_all();
    }
}

impl ReadFlag for OpenFeatureFlag {
    fn reads_new<'a>(&'a self, flag: &'a str, user: &'a str) -> FlagAnswer<'a> {
        let generation = self.shared.generation.load(Ordering::Acquire);
        let asking = Asking { generation, flag, user };
        // The look-up waits only where it comes upon housekeeping, and is then repeated.
        match self.shared.decisions.get(&asking).now_or_never().flatten() {
            Some(decision) => FlagAnswer::Now(decision),
            None => FlagAnswer::Later(Box::pin(self.shared.decide(asking))),
        }
    }
}

impl Shared {
    /// # Cancel safety
    ///
    /// When the future is dropped, another read that waits for the same decision asks in its place.
    async fn decide(&self, asking: Asking<'_>) -> Decision {
        if !self.breaker.permits() {
            return None;
        }
        let end = Instant::now() + self.options.timeout;
        if self.options.time_to_live.is_zero() {
            return self.evaluate(asking, end).await;
        }
        let decision = self.decisions.get_with(asking.own(), self.evaluate(asking, end));
        // The read that asks for all may not be driven on, which is not the provider's fault.
        timeout_at(end, decision).await.unwrap_or_default()
    }

    async fn evaluate(&self, asking: Asking<'_>, end: Instant) -> Decision {
        let Asking { generation, flag, user } = asking;
        let context = EvaluationContext::default().with_targeting_key(user);
        // A client whose API was shut down panics, which is no reason for the read to.
        let answer = AssertUnwindSafe(self.client.get_bool_value(flag, Some(&context), None));
        match timeout_at(end, answer.catch_unwind()).await {
            Ok(Ok(Ok(answer))) => {
                self.breaker.succeeded();
                Some(answer)
            }
            Ok(Ok(Err(error))) => match about_the_flag(&error.code) {
                Some(code) => {
                    self.breaker.succeeded();
                    let version = i64::try_from(generation).unwrap_or(i64::MAX);
                    self.unanswered.warn(flag, version, code);
                    None
                }
                None => self.failed(flag, error.message.as_deref().unwrap_or("it has no answer")),
            },
            Ok(Err(_)) => self.failed(flag, "it panicked"),
            Err(_) => self.failed(flag, "it took too long"),
        }
    }

    #[cold]
    fn failed(&self, flag: &str, error: &str) -> Decision {
        if self.breaker.failed() {
            tracing::warn!(
                flag,
                error,
                "the OpenFeature provider fails; reads use Legacy until it answers again"
            );
        }
        None
    }
}

/// The error as ours, when it comes from a provider that works: asking on is then no use.
fn about_the_flag(code: &EvaluationErrorCode) -> Option<ErrorCode> {
    match code {
        EvaluationErrorCode::FlagNotFound => Some(ErrorCode::FlagNotFound),
        EvaluationErrorCode::ParseError => Some(ErrorCode::ParseError),
        EvaluationErrorCode::TypeMismatch => Some(ErrorCode::TypeMismatch),
        EvaluationErrorCode::TargetingKeyMissing | EvaluationErrorCode::InvalidContext => {
            Some(ErrorCode::General)
        }
        EvaluationErrorCode::ProviderNotReady | EvaluationErrorCode::General(_) => None,
    }
}

impl fmt::Debug for OpenFeatureFlag {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("OpenFeatureFlag")
            .field("client", &self.shared.client.metadata().name)
            .field("options", &self.shared.options)
            .finish_non_exhaustive()
    }
}
