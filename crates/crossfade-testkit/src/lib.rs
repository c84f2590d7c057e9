//! What tests of an application behind Crossfade need: a conformance suite for its pair of
//! repositories, and faults on the way to its database.
//!
//! [`conformance`] plays stories with the application's own two sides and names what one of them
//! does wrong. A [`Proxy`] stands between a pool and its server, and loses what a network can lose.
//! Read flags are forced by `Flags::forced` of the crate `crossfade`.

pub mod conformance;
mod proxy;

pub use proxy::{Armed, Fault, Proxy};
