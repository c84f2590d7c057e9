//! Rule sets from a service that speaks flagd's sync protocol.

mod call;
mod failure;
pub(crate) mod message;
mod probes;
mod stream;

use std::{fmt, time::Duration};

use async_trait::async_trait;
use crossfade_store::{Document, RuleSource, SourceError};
use http::HeaderValue;
use tokio::time::{Instant, timeout_at};
use url::Url;

use self::{message::SyncFlagsRequest, probes::Probes, stream::Stream};
use crate::net::{Credentials, EndpointError, LONGEST_TIMEOUT, Roots, parse, words};

/// How long connecting by TCP may take.
const CONNECT: Duration = Duration::from_secs(5);

/// How long it may take by default until the first document is there.
const OPENING: Duration = Duration::from_secs(10);

/// How long an open stream is listened to before it is said to be silent and well.
const SILENCE: Duration = Duration::from_secs(30);

/// Rule sets from flagd, or from any service with `flagd.sync.v1.FlagSyncService`.
///
/// The service is called once (`SyncFlags`) and sends a document whenever its flags have changed, by
/// gRPC over HTTP/2. A silent connection is probed, by TCP and with pings of HTTP/2, so that a peer
/// that has gone away without a word is noticed within 20 s. A peer that hangs up on such pings, as
/// many servers do by default, gets none from the next connection on.
///
/// ```
/// use crossfade_flags::{FlagdSource, RuleSource};
///
/// # fn main() -> Result<(), crossfade_flags::EndpointError> {
/// let source = FlagdSource::new("http://flagd.internal:8015")?
///     .with_selector("flagSetId=payments")?
///     .with_provider_id("payments-api");
/// assert_eq!(source.origin(), "flagd at http://flagd.internal:8015");
/// # Ok(())
/// # }
/// ```
pub struct FlagdSource {
    url: Url,
    request: SyncFlagsRequest,
    /// The selector once more, for services that look for it among the headers.
    selector: Option<HeaderValue>,
    opening: Duration,
    credentials: Credentials,
    roots: Roots,
    probes: Probes,
    stream: Option<Stream>,
}

impl FlagdSource {
    /// The service at this address, `http://HOST:PORT` or `https://HOST:PORT`. flagd itself serves
    /// the protocol on port 8015.
    ///
    /// # Errors
    ///
    /// [`EndpointError`] when the address is no such URL, or has more than a host and a port.
    pub fn new(url: &str) -> Result<Self, EndpointError> {
        let url = parse(url)?;
        if url.path() != "/" || url.query().is_some() {
            return Err(EndpointError::NotJustHost);
        }
        Ok(Self {
            url,
            request: SyncFlagsRequest::default(),
            selector: None,
            opening: OPENING,
            credentials: Credentials::default(),
            roots: Roots::default(),
            probes: Probes::default(),
            stream: None,
        })
    }

    /// Asks for a part of the flags only, in the words of the service: flagd knows
    /// `source=flags.json` and `flagSetId=payments`.
    ///
    /// # Errors
    ///
    /// [`EndpointError::Selector`] when no header can hold it.
    pub fn with_selector(mut self, selector: impl Into<String>) -> Result<Self, EndpointError> {
        self.request.selector = selector.into();
        let value = HeaderValue::try_from(&self.request.selector);
        // A header may hold bytes beyond ASCII, but metadata of a call may not.
        let value = value.ok().filter(|value| value.to_str().is_ok());
        self.selector = Some(value.ok_or(EndpointError::Selector)?);
        Ok(self)
    }

    /// The name by which the service may know this application.
    #[must_use]
    pub fn with_provider_id(mut self, provider_id: impl Into<String>) -> Self {
        self.request.provider_id = provider_id.into();
        self
    }

    /// How long it may take from the connection to the first document; at most 25 s. Default: 10 s.
    /// Connecting by TCP may take 5 s of it.
    #[must_use]
    pub fn with_timeout(mut self, timeout: Duration) -> Self {
        self.opening = timeout.min(LONGEST_TIMEOUT);
        self
    }

    /// Sends `authorization: Bearer TOKEN` with the call, by https and by http to this very machine;
    /// see [`FlagdSource::allow_plain_text_token`].
    ///
    /// # Errors
    ///
    /// [`EndpointError::Token`] when the token is empty or no header can hold it.
    pub fn with_token(mut self, token: impl Into<String>) -> Result<Self, EndpointError> {
        self.credentials.set_token(&token.into())?;
        Ok(self)
    }

    /// Sends the token by plain http to other machines too, where everybody in between can read it.
    /// Without this [`RuleSource::next`] fails instead.
    #[must_use]
    pub fn allow_plain_text_token(mut self) -> Self {
        self.credentials.allow_plain_text();
        self
    }

    /// Trusts services whose certificate leads to one of these too, in PEM. Public authorities stay
    /// trusted.
    ///
    /// # Errors
    ///
    /// [`EndpointError::Certificate`] when the text holds no certificate, or a broken one.
    pub fn with_root_certificate(mut self, pem: impl AsRef<[u8]>) -> Result<Self, EndpointError> {
        self.roots.add(pem.as_ref())?;
        Ok(self)
    }

    /// The next document of the stream; `None` when it is open and silent.
    async fn listen(&mut self, most_bytes: usize) -> Result<Option<Document>, SourceError> {
        let late = |_| {
            let limit = self.opening;
            SourceError::new(format!("flagd has sent no rule set within {limit:?}"))
        };
        if self.stream.is_none() {
            let due = Instant::now() + self.opening;
            let messages = timeout_at(due, self.call(most_bytes)).await.map_err(late)??;
            self.stream = Some(Stream::new(messages, due));
        }
        // A future that is dropped from here on leaves the stream behind, and the document in it.
        let Some(stream) = &mut self.stream else { return Ok(None) };
        let deadline = stream.first_due().unwrap_or_else(|| Instant::now() + SILENCE);
        match timeout_at(deadline, stream.document(most_bytes, &mut self.probes)).await {
            Ok(document) => document.map(Some),
            Err(elapsed) if stream.first_due().is_some() => Err(late(elapsed)),
            Err(_) => Ok(None),
        }
    }
}

#[async_trait]
impl RuleSource for FlagdSource {
    fn origin(&self) -> String {
        format!("flagd at {}", words(&self.url).trim_end_matches('/'))
    }

    async fn next(&mut self, most_bytes: usize) -> Result<Option<Document>, SourceError> {
        let answer = self.listen(most_bytes).await;
        if answer.is_err() {
            // What is there by the next call is asked for anew.
            self.stream = None;
        }
        answer
    }
}

impl fmt::Debug for FlagdSource {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("FlagdSource")
            .field("origin", &self.origin())
            .field("request", &self.request)
            .field("opening", &self.opening)
            .field("credentials", &self.credentials)
            .field("open", &self.stream.is_some())
            .finish_non_exhaustive()
    }
}
