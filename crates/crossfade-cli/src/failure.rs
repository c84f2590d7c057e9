//! What went wrong, as it is shown, and the exit code that goes with it.

mod from;

use std::error::Error;
use std::process::ExitCode;

use crossfade_core::Refusal;

/// How a command ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Exit {
    /// Everything was done.
    Done = 0,
    /// It failed, or was interrupted.
    Failed = 1,
    /// It was called in a way that makes no sense.
    Usage = 2,
    /// A gate refused.
    Refused = 3,
    /// The sides differ.
    Differ = 4,
    /// A lock was not had in time.
    LockTimeout = 5,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

/// Why a command did not do what was asked.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Failure {
    pub(crate) exit: Exit,
    pub(crate) message: String,
    pub(crate) hint: Option<String>,
    /// What lies beneath, the nearest first.
    pub(crate) causes: Vec<String>,
    /// The reasons of a gate.
    pub(crate) refusals: Vec<Refusal>,
}

impl Failure {
    pub(crate) fn new(exit: Exit, message: impl Into<String>) -> Self {
        let message = message.into();
        Self { exit, message, hint: None, causes: Vec::new(), refusals: Vec::new() }
    }

    /// Wrong usage.
    pub(crate) fn usage(message: impl Into<String>) -> Self {
        Self::new(Exit::Usage, message)
    }

    /// Something that failed because of `error`.
    pub(crate) fn failed(message: impl Into<String>, error: &dyn Error) -> Self {
        let mut failure = Self::new(Exit::Failed, message);
        failure.add_cause(error.to_string());
        failure.add_sources(error);
        failure
    }

    /// `error` with its chain of sources.
    pub(crate) fn of(exit: Exit, error: &dyn Error) -> Self {
        let mut failure = Self::new(exit, error.to_string());
        failure.add_sources(error);
        failure
    }

    pub(crate) fn with_hint(self, hint: impl Into<String>) -> Self {
        Self { hint: Some(hint.into()), ..self }
    }

    fn or_hint(self, hint: Option<String>) -> Self {
        Self { hint: self.hint.or(hint), ..self }
    }

    fn add_sources(&mut self, error: &dyn Error) {
        let mut next = error.source();
        while let Some(error) = next {
            self.add_cause(error.to_string());
            next = error.source();
        }
    }

    /// Some errors print their source; it is shown once.
    fn add_cause(&mut self, cause: String) {
        let last = self.causes.last().unwrap_or(&self.message);
        if !last.ends_with(&cause) {
            self.causes.push(cause);
        }
    }
}
