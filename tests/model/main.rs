//! A model of the protocol inside one database, and the checker that goes through its states.
//!
//! Every decision is made by `crossfade-core`, the crate that decides in production; the model adds
//! rows, locks, transactions and the order in which things happen. `docs/protocol.md` says what is
//! modelled and what is not.

#![expect(clippy::print_stdout, reason = "figures and traces are what this is run for")]

mod actors;
mod config;
mod explore;
mod harmless;
mod instance;
mod mutants;
mod operator;
mod properties;
mod protocol;
mod reader;
mod rules;
mod sound;
mod spaces;
mod state;
mod trace;
mod verifier;
mod worker;
mod writer;
