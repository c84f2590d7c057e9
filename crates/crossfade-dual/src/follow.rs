//! The two background tasks of an instance. Both are aborted with its last handle.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, timeout};

use crate::RequestStore;
use crate::instance::{Acknowledgements, Core};

/// How long to wait after the control tables could not be read.
const RETRY: Duration = Duration::from_millis(500);
/// How soon to look again whether operations of an earlier epoch have ended.
const DRAIN_POLL: Duration = Duration::from_millis(20);

/// Looks the states up after each change of the control tables.
pub(crate) async fn changes<S: RequestStore>(core: Arc<Core<S>>) {
    let mut seen = 0;
    loop {
        let followed = async {
            seen = core.store.changed(seen).await?;
            core.look_up().await
        };
        match followed.await {
            Ok(true) => core.renew.notify_one(),
            Ok(false) => {}
            Err(error) => {
                tracing::warn!(error = %error, "could not look up the stage; trying again");
                tokio::time::sleep(RETRY).await;
            }
        }
    }
}

/// Renews the leases three times as often as they lapse, and at once when there is something to
/// acknowledge.
pub(crate) async fn lease<S: RequestStore>(core: Arc<Core<S>>) {
    loop {
        let third = core.options.lease / 3;
        match core.renew_all().await {
            Ok(()) => rest(&core, Instant::now() + third).await,
            Err(error) => {
                tracing::warn!(error = %error, "could not renew the lease; trying again");
                tokio::time::sleep(RETRY.min(third)).await;
            }
        }
    }
}

/// Returns at `until`, or sooner when a renewal has something to tell.
async fn rest<S: RequestStore>(core: &Core<S>, until: Instant) {
    loop {
        let left = until.saturating_duration_since(Instant::now());
        let turn = match core.acknowledgements() {
            Acknowledgements::ToStore => return,
            Acknowledgements::Draining => left.min(DRAIN_POLL),
            Acknowledgements::None => left,
        };
        if timeout(turn, core.renew.notified()).await.is_ok() || left.is_zero() {
            return;
        }
    }
}
