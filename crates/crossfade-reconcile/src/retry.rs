//! Trying again what a lock, a deadlock or a lost connection kept from happening.

use std::time::Duration;

use crossfade_core::Backoff;
use crossfade_store::{StoreError, StoreErrorKind};

/// Three tries, and up to one and a half seconds between them.
pub(crate) const TRIES: Backoff =
    Backoff::new(Duration::from_millis(500), Duration::from_secs(5), 3);

/// Whether the same call may succeed a moment later.
pub(crate) fn may_pass(error: &StoreError) -> bool {
    timed_out(error) || matches!(error.kind, StoreErrorKind::Conflict | StoreErrorKind::Unavailable)
}

/// Whether fewer rows at once may be had in time.
pub(crate) fn timed_out(error: &StoreError) -> bool {
    matches!(error.kind, StoreErrorKind::LockTimeout | StoreErrorKind::StatementTimeout)
}

/// Calls until it succeeds, fails for good, or has failed three times.
pub(crate) async fn retrying<T, F>(mut call: impl FnMut() -> F) -> Result<T, StoreError>
where
    F: Future<Output = Result<T, StoreError>>,
{
    let mut tries = 0;
    loop {
        let error = match call().await {
            Ok(value) => return Ok(value),
            Err(error) => error,
        };
        tries += 1;
        match TRIES.wait(tries, rand::random()) {
            Some(wait) if may_pass(&error) => {
                tracing::warn!(%error, tries, "trying again");
                tokio::time::sleep(wait).await;
            }
            _ => return Err(error),
        }
    }
}
