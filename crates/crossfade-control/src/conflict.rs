//! Trying again after another author stored a rule set in the same moment.

use crossfade_core::Backoff;
use tokio::time::{Duration, sleep};

/// Tries against other authors who store a version at the same moment.
const CONFLICTS: Backoff = Backoff::new(Duration::from_millis(10), Duration::from_millis(200), 10);

/// Whether one more try is due after `tries` of them. Waits before it says so.
pub(crate) async fn once_more(tries: u32) -> bool {
    match CONFLICTS.wait(tries, rand::random()) {
        Some(wait) => {
            sleep(wait).await;
            true
        }
        None => false,
    }
}
