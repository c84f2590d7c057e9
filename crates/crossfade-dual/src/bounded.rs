//! New's part of a write where it must not hold Legacy up: bounded in time, a panic contained.

use std::future::poll_fn;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use tokio::time::timeout;

use crate::RequestStore;

/// How long to wait for what follows an interrupted statement: its own error, and the undoing of
/// what was done before it.
pub(crate) const GRACE: Duration = Duration::from_secs(2);

/// Why New's part was not heard to its end.
pub(crate) struct Cut {
    pub(crate) reason: String,
    /// Whether its future has ended all the same, and with it whatever it did on the connection.
    pub(crate) ended: bool,
}

/// Awaits New's part for at most `limit`. After that the statement under way, of the transaction
/// that is found by `number`, is interrupted, and New is given the time to hear of it; whatever it
/// answers then is not an answer any more, since the transaction may have been hit.
///
/// # Cancel safety
///
/// As the part's own.
pub(crate) async fn bounded<S: RequestStore, R>(
    store: &S,
    number: Option<u64>,
    limit: Duration,
    part: impl Future<Output = R>,
) -> Result<R, Cut> {
    let mut part = pin!(contained(part));
    match timeout(limit, part.as_mut()).await {
        Ok(Ok(result)) => return Ok(result),
        Ok(Err(reason)) => return Err(Cut { reason, ended: false }),
        Err(_) => {}
    }
    let reason = format!("New took longer than {limit:?}");
    let Some(number) = number else { return Err(Cut { reason, ended: false }) };
    let heard = async { tokio::join!(part, interrupt(store, number)).0 };
    let ended = matches!(timeout(GRACE, heard).await, Ok(Ok(_)));
    Err(Cut { reason, ended })
}

/// Interrupts a transaction's statement, if that can be done soon.
pub(crate) async fn interrupt<S: RequestStore>(store: &S, number: u64) {
    match timeout(GRACE, store.interrupt(number)).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => tracing::warn!(%error, "New's statement could not be interrupted"),
        Err(_) => tracing::warn!("New's statement could not be interrupted in time"),
    }
}

/// Awaits a future; its panic is an error. What the panic says may quote the row, and is for the
/// panic hook alone.
async fn contained<R>(part: impl Future<Output = R>) -> Result<R, String> {
    let mut part = pin!(part);
    poll_fn(|context| match catch_unwind(AssertUnwindSafe(|| part.as_mut().poll(context))) {
        Ok(poll) => poll.map(Ok),
        Err(_) => Poll::Ready(Err("New's code panicked".to_owned())),
    })
    .await
}
