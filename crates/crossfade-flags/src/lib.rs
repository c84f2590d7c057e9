//! The flag client: answers flags from the current rule set, and keeps that rule set current.
//!
//! [`Flags`] is the handle that services, routers and tests share. It answers from a snapshot in
//! memory and never waits; a task of its own follows a file or the database and swaps in each new
//! rule set once it is compiled. A rule set that cannot be read is refused with the place and the
//! reason, and the last good one stays.
//!
//! ```
//! use crossfade_flags::Flags;
//!
//! let flags = Flags::forced([("read_user_settings_v2", true)]);
//! assert!(flags.is_enabled("read_user_settings_v2", "u1"));
//! flags.force_for("read_user_settings_v2", "u2", false);
//! assert!(!flags.is_enabled("read_user_settings_v2", "u2"));
//! ```

mod client;

mod error;
mod read_flag;
mod status;

mod file;
mod forced;
mod shared;
mod store_source;
mod unanswered;

#[cfg(test)]
mod tests;

pub use client::Flags;
pub use crossfade_rules::{Context, ErrorCode, Evaluation, Reason};
pub use error::FlagsError;
pub use status::Status;
