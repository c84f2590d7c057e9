//! What the service or the connection says, in words.

use std::{error::Error, fmt, time::Duration};

use crossfade_store::SourceError;
use tonic::{Code, Status};

use super::probes::Probes;

/// How long a service is left alone that sends too large a document: asking sooner would only have
/// it sent again.
const AFTER_TOO_LARGE: Duration = Duration::from_secs(30);

/// How much of a service's own words is passed on.
const MOST_CHARACTERS: usize = 200;

pub(super) fn too_large(most_bytes: usize) -> SourceError {
    SourceError::too_large(most_bytes).with_pause(AFTER_TOO_LARGE)
}

/// The service ended the stream in good order, which it does when it shuts down.
pub(super) fn ended() -> SourceError {
    SourceError::new("flagd has ended the stream")
}

/// The call did not become a stream.
pub(super) fn unopened(status: Status) -> SourceError {
    described(&status, "flagd cannot be reached", "flagd refused the call")
}

/// The stream failed after so long a silence.
pub(super) fn broken(
    status: &Status,
    most_bytes: usize,
    silence: Duration,
    probes: &mut Probes,
) -> SourceError {
    if is_too_large(status) {
        return too_large(most_bytes);
    }
    if status.source().is_some() {
        probes.broke_off(silence);
    }
    described(status, "the stream of flagd broke off", "flagd has ended the stream")
}

/// tonic tells by these words alone that a message exceeds the limit; the status of a service could
/// have the same code.
fn is_too_large(status: &Status) -> bool {
    let words = "Error, decoded message length too large";
    status.code() == Code::OutOfRange && status.message().starts_with(words)
}

/// The error for a status that has its cause on this side, or that the service sent.
fn described(status: &Status, here: &str, there: &str) -> SourceError {
    if status.source().is_some() {
        return SourceError::new(here).caused_by(Behind(status.clone()));
    }
    let code = status.code().description();
    let message: String = status.message().chars().take(MOST_CHARACTERS).collect();
    let colon = if message.is_empty() { "" } else { ": " };
    SourceError::new(format!("{there}; {code}{colon}{message}"))
}

/// What is behind a status, which itself would print all of it at once.
#[derive(Debug)]
struct Behind(Status);

impl fmt::Display for Behind {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.source() {
            Some(source) => fmt::Display::fmt(source, out),
            None => out.write_str(self.0.message()),
        }
    }
}

impl Error for Behind {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.0.source().and_then(Error::source)
    }
}
