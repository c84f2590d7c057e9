//! What the sources over a network share: addresses, tokens, and whom to trust.

mod client;
mod credentials;
mod endpoint;
mod error;

pub(crate) use client::{LONGEST_TIMEOUT, Roots, USER_AGENT, tcp};
pub(crate) use credentials::Credentials;
#[cfg(feature = "http")]
pub(crate) use endpoint::request_uri;
pub(crate) use endpoint::{parse, words};
pub use error::EndpointError;
