//! The open stream.

use crossfade_store::{Document, SourceError};
use tokio::time::Instant;
use tonic::Streaming;

use super::{
    failure::{broken, ended, too_large},
    message::SyncFlagsResponse,
    probes::Probes,
};

pub(super) struct Stream {
    messages: Streaming<SyncFlagsResponse>,
    /// When the first document must be there; `None` once it was.
    first_due: Option<Instant>,
    /// When the peer was last heard of.
    heard: Instant,
}

impl Stream {
    pub(super) fn new(messages: Streaming<SyncFlagsResponse>, first_due: Instant) -> Self {
        Self { messages, first_due: Some(first_due), heard: Instant::now() }
    }

    pub(super) fn first_due(&self) -> Option<Instant> {
        self.first_due
    }

    /// The next document. Nothing is lost when the future is dropped.
    pub(super) async fn document(
        &mut self,
        most_bytes: usize,
        probes: &mut Probes,
    ) -> Result<Document, SourceError> {
        let message = match self.messages.message().await {
            Ok(Some(message)) => message,
            Ok(None) => return Err(ended()),
            Err(status) => return Err(broken(&status, most_bytes, self.heard.elapsed(), probes)),
        };
        self.heard = Instant::now();
        self.first_due = None;
        let text = message.flag_configuration;
        if text.len() > most_bytes {
            return Err(too_large(most_bytes));
        }
        Ok(Document::new(text))
    }
}
