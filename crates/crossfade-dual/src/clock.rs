//! A clock that goes on while the machine is suspended, so that a lease lapses then too.

use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};

#[cfg(any(target_os = "linux", target_os = "android"))]
const CLOCK: ClockId = ClockId::Boottime;
// macOS counts sleep in its CLOCK_MONOTONIC.
#[cfg(not(any(target_os = "linux", target_os = "android")))]
const CLOCK: ClockId = ClockId::Monotonic;

/// Milliseconds since some fixed moment before this process began.
pub(crate) fn now_ms() -> i64 {
    let now = clock_gettime(CLOCK);
    now.tv_sec * 1000 + now.tv_nsec / 1_000_000
}

/// A duration in the unit of [`now_ms`].
pub(crate) fn ms(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}
