//! The port through which an opening breaker turns a read flag off.

use std::fmt::Debug;

use async_trait::async_trait;
use crossfade_core::{FlagKey, MigrationName};

use crate::StoreError;

/// A read flag to turn off, and for the record by whom and why.
#[derive(Clone, Copy, Debug)]
pub struct FlagOff<'a> {
    /// The migration whose reads it picks the side of.
    pub migration: &'a MigrationName,
    /// The flag.
    pub flag: &'a FlagKey,
    /// The instance that asks.
    pub actor: &'a str,
    /// Why.
    pub reason: &'a str,
}

/// What became of the flag.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SwitchedOff {
    /// It was on for somebody and is now off for everybody.
    Now,
    /// It was off for everybody, or is unknown where it was looked for.
    Already,
}

/// Turns read flags off for everybody.
#[async_trait]
pub trait ReadFlagSwitch: Send + Sync + Debug + 'static {
    /// Turns the flag off. Several instances may ask at once, each more than once.
    ///
    /// # Errors
    ///
    /// Whatever the flag system answers; the caller tries again.
    async fn turn_off(&self, off: FlagOff<'_>) -> Result<SwitchedOff, StoreError>;
}
