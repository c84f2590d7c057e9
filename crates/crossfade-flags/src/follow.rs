//! The task that follows one source, and the one that tells when a source went silent.

use std::{
    future::poll_fn,
    panic::{AssertUnwindSafe, catch_unwind},
    pin::pin,
    sync::{Arc, Weak},
    task::Poll,
    time::Duration,
};

use crossfade_store::{Document, RuleSource, SourceError};
use tokio::{
    sync::oneshot,
    time::{Instant, sleep, sleep_until},
};

use crate::{
    FlagsError, State,
    layers::Offer,
    meter::Meter,
    shared::{Shared, Stop},
};

/// Pauses after failures double from the first to the last of these.
const PAUSES: [Duration; 2] = [Duration::from_millis(200), Duration::from_secs(10)];

/// A document up to this size is compiled in some 100 µs, about what handing it to another thread and
/// back takes on a busy machine.
const SMALL: usize = 16 * 1024;

/// One source and its place among the others.
#[derive(Debug)]
pub(crate) struct Follower {
    pub(crate) layer: usize,
    pub(crate) origin: Arc<str>,
    pub(crate) source: Box<dyn RuleSource>,
    pub(crate) most_bytes: usize,
}

impl Follower {
    /// Asks the source until it is told to stop. `looked` is told once it has answered for the first
    /// time, well or not.
    pub(crate) async fn run(
        mut self,
        shared: Weak<Shared>,
        mut stop: Stop,
        looked: oneshot::Sender<()>,
    ) {
        let mut looked = Some(looked);
        let mut failures: u32 = 0;
        loop {
            // Made inside, since a source may panic before there is a future.
            let next = caught(async { self.source.next(self.most_bytes).await });
            let Some(answer) = stop.or(next).await else { return };
            let Some(shared) = shared.upgrade() else { return };
            let mut wait = None;
            match answer {
                Ok(document) => {
                    if failures > 0 {
                        tracing::info!(origin = %self.origin, failures, "the source is readable again");
                        failures = 0;
                    }
                    match document {
                        Some(document) => take(&shared, self.layer, &self.origin, document).await,
                        None => shared.heard_of(self.layer),
                    }
                }
                Err(error) => {
                    failures = failures.saturating_add(1);
                    wait = Some(pause(failures).max(error.pause().unwrap_or_default()));
                    self.fail(&shared, error, failures);
                }
            }
            drop(shared);
            if let Some(looked) = looked.take() {
                // Whoever started the client may have ceased to wait.
                let _ = looked.send(());
            }
            if let Some(wait) = wait
                && stop.or(sleep(wait)).await.is_none()
            {
                return;
            }
        }
    }

    fn fail(&self, shared: &Shared, error: SourceError, failures: u32) {
        let error = Arc::new(error);
        let cause = &*error as &dyn std::error::Error;
        let origin = &self.origin;
        if failures == 1 {
            tracing::warn!(%origin, error = cause, "the source cannot be read; trying again");
        } else {
            tracing::debug!(%origin, error = cause, failures, "the source is still not readable");
        }
        let origin = Arc::clone(origin);
        shared.failed(self.layer, FlagsError::Unreadable { origin, source: error });
    }
}

/// The answer of a source; an error when it panicked, so that it is asked again as after any other.
async fn caught(
    next: impl Future<Output = Result<Option<Document>, SourceError>>,
) -> Result<Option<Document>, SourceError> {
    let mut next = pin!(next);
    poll_fn(|context| {
        let polled = catch_unwind(AssertUnwindSafe(|| next.as_mut().poll(context)));
        polled.unwrap_or_else(|_| Poll::Ready(Err(SourceError::new("the source panicked"))))
    })
    .await
}

/// Compiles a document: a small one at once, a large one on a thread that may block, so that it holds
/// up nobody's requests.
async fn take(shared: &Arc<Shared>, layer: usize, origin: &str, document: Document) {
    let small = document.text.len() <= SMALL && !shared.is_kept();
    let shared = Arc::clone(shared);
    let take = move || {
        let taken = shared.take(layer, &document);
        let version = shared.status.borrow().version();
        (taken, version)
    };
    let taken = match small {
        true => Ok(take()),
        false => tokio::task::spawn_blocking(take).await,
    };
    match taken {
        Ok((Ok(Offer::Installed), version)) => tracing::info!(origin, version, "rule set loaded"),
        Ok((Ok(Offer::Unchanged | Offer::RefusedBefore), _)) => {}
        Ok((Err(error), version)) => warn(origin, version, &error),
        Err(error) => tracing::error!(origin, %error, "a rule set was not compiled"),
    }
}

fn warn(origin: &str, version: i64, error: &FlagsError) {
    match error {
        FlagsError::Refused { source, .. } => tracing::warn!(
            origin,
            version,
            line = source.line(),
            column = source.column(),
            flag = source.flag(),
            error = %source.reason(),
            "the rule set was refused; the last good one stays"
        ),
        error => tracing::warn!(
            origin,
            version,
            error = error as &dyn std::error::Error,
            "the rule set was refused; the last good one stays"
        ),
    }
}

/// Tells those who wait on the status when a source has been silent for too long, and the recorder
/// of metrics every now and then how things stand.
pub(crate) async fn watch_age(shared: Weak<Shared>, mut stop: Stop) {
    let Some(mut changes) = shared.upgrade().map(|shared| shared.status.subscribe()) else {
        return;
    };
    let mut state = None;
    let meter = Meter::new(&changes.borrow());
    loop {
        let (now, next) = {
            let status = changes.borrow_and_update();
            meter.tell(&status);
            (status.state(), status.next_stale())
        };
        if state.replace(now) != Some(now) && now == State::Stale {
            let Some(shared) = shared.upgrade() else { return };
            tracing::warn!(
                "a source of flags is silent; its last rule set, if there was one, stays"
            );
            shared.status.send_modify(|_| {});
        }
        // Strictly later, when the source is stale indeed.
        let latest = Instant::now() + PAUSES[1];
        let next = next.map_or(latest, |next| latest.min(next + Duration::from_millis(1)));
        // A source that is heard of again may fall silent again before that.
        let wait = async {
            tokio::select! {
                () = sleep_until(next) => true,
                change = changes.changed() => change.is_ok(),
            }
        };
        if stop.or(wait).await != Some(true) {
            return;
        }
    }
}

/// The pause after so many failures in a row, between half and all of its nominal length, so that a
/// fleet does not come back in step.
fn pause(failures: u32) -> Duration {
    let [first, last] = PAUSES;
    let nominal = first.saturating_mul(1 << (failures - 1).min(16)).min(last);
    nominal.mul_f64(rand::random_range(0.5..=1.0))
}
