//! Behaviour of the handle. Nothing here sleeps: every wait is on a condition with a deadline.

mod answers;
mod auto_traits;
mod builder;
mod changes;
mod file;
#[cfg(feature = "flagd")]
mod flagd;
mod handle;
#[cfg(feature = "http")]
mod http;
#[cfg(feature = "openfeature")]
mod openfeature;
mod overrides;
mod persist;
mod signature;
mod store;
mod warnings;

use std::time::Duration;

use tokio::time::timeout;

use crate::{Flags, Status};

const FLAG: &str = "read_user_settings_v2";

/// A document in which [`FLAG`] answers `on` to everybody.
fn document(on: bool) -> String {
    let default = if on { "on" } else { "off" };
    format!(
        r#"{{"flags": {{
            "{FLAG}": {{
                "state": "ENABLED",
                "variants": {{"on": true, "off": false}},
                "defaultVariant": "{default}"
            }},
            "colour": {{
                "state": "ENABLED",
                "variants": {{"red": "f00"}},
                "defaultVariant": "red"
            }},
            "asleep": {{
                "state": "DISABLED",
                "variants": {{"on": true, "off": false}},
                "defaultVariant": "on"
            }}
        }}}}"#
    )
}

/// A document whose second line has a flag with an unknown default variant.
const BAD: &str =
    "{\"flags\": {\n\"x\": {\"variants\": {\"on\": true}, \"defaultVariant\": \"maybe\"}}}";

/// Fails the test when `wait` takes longer than any of these should.
#[track_caller]
fn within_deadline<T>(wait: impl Future<Output = T>) -> impl Future<Output = T> {
    let place = std::panic::Location::caller();
    async move {
        match timeout(Duration::from_secs(20), wait).await {
            Ok(output) => output,
            Err(_) => panic!("waited in vain at {place}"),
        }
    }
}

async fn until(flags: &Flags, condition: impl FnMut(&Status) -> bool) -> Status {
    within_deadline(flags.wait_until(condition)).await
}

/// Waits until the tasks of a dropped handle have ended.
async fn ended(tasks: Vec<tokio::task::AbortHandle>) {
    within_deadline(async {
        while tasks.iter().any(|task| !task.is_finished()) {
            tokio::task::yield_now().await;
        }
    })
    .await;
}
