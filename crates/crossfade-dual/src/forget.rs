//! The background task that deletes the records of old operations.

use std::sync::Arc;
use std::time::Duration;

use crossfade_store::StoreErrorKind;

use crate::RequestStore;
use crate::instance::Core;

/// How many records go in one transaction.
const BATCH: u32 = 200;

/// How long to leave the database alone between two batches.
const REST: Duration = Duration::from_millis(20);

/// The longest time between two looks for old records.
const PAUSE: Duration = Duration::from_secs(60 * 60);

/// Deletes records once they are older than the options say. Instances begin at different moments,
/// so that a fleet which was started at once does not look at once.
pub(crate) async fn operations<S: RequestStore>(core: Arc<Core<S>>) {
    let retention = core.options.operation_retention;
    let pause = (retention / 24).clamp(REST, PAUSE);
    tokio::time::sleep(pause.mul_f64(rand::random())).await;
    loop {
        let rest = match core.store.forget_operations(retention, BATCH).await {
            Ok(deleted) if deleted >= u64::from(BATCH) => REST,
            Ok(_) => pause,
            // Control tables of an earlier version hold none.
            Err(error) if error.kind == StoreErrorKind::NotInstalled => pause,
            Err(error) => {
                tracing::warn!(error = %error, "could not delete old operations; trying again");
                pause
            }
        };
        tokio::time::sleep(rest).await;
    }
}
