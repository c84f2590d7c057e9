//! Where rule sets come from.

use std::{error::Error, fmt, time::Duration};

use async_trait::async_trait;

/// The text of a rule set, as its source handed it out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Document {
    /// A document in flagd's definition format, or an envelope with signatures around one.
    pub text: String,
    /// The version that the source gives it; `None` where the source counts none.
    pub version: Option<i64>,
    /// Whether a change of `crossfade.fractional` was asked for when the rule set was stored, so that
    /// a client need not refuse it.
    pub may_reassign: bool,
}

impl Document {
    /// A document without a version, for which nobody was asked.
    pub fn new(text: impl Into<String>) -> Self {
        Self { text: text.into(), version: None, may_reassign: false }
    }

    /// The same document at a version of the source's.
    #[must_use]
    pub fn at_version(self, version: Option<i64>) -> Self {
        Self { version, ..self }
    }
}

/// Hands out the text of a rule set, and each later one as it comes.
///
/// One task asks one source. It compiles what it gets, and refuses or swaps it in; a source itself
/// looks no further into a document than it must to fetch it.
#[async_trait]
pub trait RuleSource: Send + fmt::Debug {
    /// Where the rule sets come from, in words: "file /etc/app/flags.json". Never holds a secret.
    fn origin(&self) -> String;

    /// The first call answers at once with what there is. Each later one waits until there may be
    /// something new. `None` says that the source was asked and is well, and has nothing new; it is
    /// answered at least once a minute, so that silence can be told from health.
    ///
    /// A document of more than `most_bytes` is not read to its end.
    ///
    /// # Errors
    ///
    /// Whatever keeps the source from being read. The caller waits, longer after each failure in a
    /// row, and asks again; the answer is then what there is by that time.
    ///
    /// # Cancel safety
    ///
    /// Nothing is lost when the future is dropped: the next call answers what this one would have.
    async fn next(&mut self, most_bytes: usize) -> Result<Option<Document>, SourceError>;
}

/// A source cannot be read.
#[derive(Debug)]
pub struct SourceError {
    message: String,
    pause: Option<Duration>,
    cause: Option<Box<dyn Error + Send + Sync>>,
}

impl SourceError {
    /// An error with the reason in words, a lower-case fragment.
    pub fn new(message: impl Into<String>) -> Self {
        Self { message: message.into(), pause: None, cause: None }
    }

    /// The document is larger than it may be.
    #[must_use]
    pub fn too_large(most_bytes: usize) -> Self {
        Self::new(format!("the document has more than {most_bytes} bytes"))
    }

    /// Adds the error that is behind it.
    #[must_use]
    pub fn caused_by(self, cause: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self { cause: Some(cause.into()), ..self }
    }

    /// Adds for how long the source asks to be left alone.
    #[must_use]
    pub fn with_pause(self, pause: Duration) -> Self {
        Self { pause: Some(pause), ..self }
    }

    /// For how long the source asks to be left alone; `None` when it does not.
    #[must_use]
    pub fn pause(&self) -> Option<Duration> {
        self.pause
    }
}

impl fmt::Display for SourceError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.message)
    }
}

impl Error for SourceError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.cause.as_deref().map(|cause| cause as &(dyn Error + 'static))
    }
}
