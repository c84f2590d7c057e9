//! What tests of an application behind Crossfade need: faults on the way to its database.
//!
//! A [`Proxy`] stands between a pool and its server, and loses what a network can lose.

mod proxy;

pub use proxy::{Armed, Fault, Proxy};
