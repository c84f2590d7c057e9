//! The two background tasks of an instance.

use std::sync::Weak;
use std::time::Duration;

use crate::RequestStore;
use crate::instance::Core;

/// How long to wait after the control tables could not be read.
const RETRY: Duration = Duration::from_millis(500);
/// How soon to look again whether operations of an earlier epoch have ended.
const DRAIN_POLL: Duration = Duration::from_millis(20);

/// Looks the states up after each change of the control tables.
pub(crate) async fn changes<S: RequestStore>(core: Weak<Core<S>>) {
    let mut seen = 0;
    loop {
        let Some(core) = core.upgrade() else { return };
        let followed = async {
            seen = core.store.changed(seen).await?;
            core.look_up().await
        };
        match followed.await {
            Ok(true) => core.renew.notify_one(),
            Ok(false) => {}
            Err(error) => {
                tracing::warn!(error = %error, "could not look up the stage; trying again");
                drop(core);
                tokio::time::sleep(RETRY).await;
            }
        }
    }
}

/// Renews the leases three times as often as they lapse, and at once when there is something to
/// acknowledge.
pub(crate) async fn lease<S: RequestStore>(core: Weak<Core<S>>) {
    loop {
        let Some(core) = core.upgrade() else { return };
        let wait = match core.renew_all().await {
            Ok(true) => DRAIN_POLL,
            Ok(false) => core.options.lease / 3,
            Err(error) => {
                tracing::warn!(error = %error, "could not renew the lease; trying again");
                RETRY
            }
        };
        // Either way the next turn begins; which of the two ended the wait does not matter.
        let _ = tokio::time::timeout(wait, core.renew.notified()).await;
    }
}
