//! The flag client: answers flags from the current rule set, and keeps that rule set current.
//!
//! [`Flags`] is the handle that services, routers and tests share. It answers from a snapshot in
//! memory and never waits; tasks of its own follow the sources (a file, the database, HTTP, flagd) and
//! swap in each new rule set once it is compiled. A rule set that cannot be read is refused with the
//! place and the reason, and the last good one stays, also across a restart when it is kept on disk.
//!
//! ```
//! use crossfade_flags::Flags;
//!
//! let flags = Flags::forced([("read_user_settings_v2", true)]);
//! assert!(flags.is_enabled("read_user_settings_v2", "u1"));
//! flags.force_for("read_user_settings_v2", "u2", false);
//! assert!(!flags.is_enabled("read_user_settings_v2", "u2"));
//! ```

mod builder;
mod client;
mod handle;

mod changes;
mod details;
mod error;
mod read_flag;
mod recording;
mod status;
mod value;

mod database;
mod file;
mod memory;
#[cfg(feature = "openfeature")]
mod openfeature;

mod ask;
mod follow;
mod layers;
mod meter;
mod overrides;
mod persist;
mod shared;
mod signature;
mod unanswered;

#[cfg(feature = "flagd")]
mod flagd;
#[cfg(feature = "http")]
mod http;
#[cfg(any(feature = "http", feature = "flagd"))]
mod net;

#[cfg(test)]
mod tests;

/// The examples of the guide, which are compiled and run with the other examples.
#[cfg(all(doctest, feature = "flagd", feature = "http"))]
#[doc = include_str!("../../../docs/flags.md")]
mod guide {}

pub use builder::Builder;
pub use changes::{Change, Changes};
pub use client::Flags;
pub use crossfade_rules::{
    Attribute, Context, ErrorCode, Evaluation, FractionalVersion, Limits, Reason,
};
pub use crossfade_store::{Document, RuleSource, SourceError};
pub use database::DatabaseSource;
pub use details::Details;
pub use error::{FlagsError, PersistError};
pub use file::FileSource;
pub use handle::Handle;
pub use memory::MemorySource;
#[cfg(any(feature = "http", feature = "flagd"))]
pub use net::EndpointError;
#[cfg(feature = "openfeature")]
pub use openfeature::{FlagsProvider, OpenFeatureFlag, OpenFeatureOptions};
pub use recording::{Evaluated, Recording};
pub use signature::{KeyError, SignatureError, SigningKey, TrustedKeys};
pub use status::{SourceStatus, State, Status};
pub use value::FlagValue;

#[cfg(feature = "http")]
pub use self::http::HttpSource;
#[cfg(feature = "flagd")]
pub use flagd::FlagdSource;
