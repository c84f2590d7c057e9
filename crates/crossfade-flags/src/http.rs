//! Rule sets from a URL that is asked again and again.

mod answer;
mod fetch;
mod retry_after;

use std::{fmt, time::Duration};

use async_trait::async_trait;
use crossfade_store::{Document, RuleSource, SourceError};
use http::{HeaderMap, HeaderName, HeaderValue, header};
use tokio::time::{Instant, sleep_until, timeout};
use url::Url;

use self::{
    answer::{Answer, Held},
    fetch::HttpClient,
};
use crate::net::{Credentials, EndpointError, LONGEST_TIMEOUT, Roots, USER_AGENT, parse, words};

/// How often the server is asked by default.
const POLL: Duration = Duration::from_secs(10);

/// The shortest and the longest time between two requests, without the deviation.
const POLLS: [Duration; 2] = [Duration::from_millis(10), Duration::from_secs(30)];

/// How long one request may take by default, from the connection to the last byte.
const TIMEOUT: Duration = Duration::from_secs(5);

/// How many redirects are followed by default.
const REDIRECTS: usize = 5;

/// Rule sets from a URL, by HTTP or HTTPS.
///
/// The server is asked every 10 s, give or take a tenth so that a fleet does not ask in step. A
/// document that the server has marked (`ETag` or `Last-Modified`) travels again only when it has
/// changed. The header `Crossfade-Version`, where the server sends one, is the document's version.
///
/// Neither proxies nor certificates are looked up in the environment: the server is connected to
/// directly, and its certificate must lead to a public authority or to one that was named.
///
/// ```
/// use std::time::Duration;
///
/// use crossfade_flags::{HttpSource, RuleSource};
///
/// # fn main() -> Result<(), crossfade_flags::EndpointError> {
/// let source = HttpSource::new("https://flags.example.com/rules.json?tenant=7")?
///     .with_token("s3cr3t")?
///     .with_poll(Duration::from_secs(30));
/// assert_eq!(source.origin(), "https://flags.example.com/rules.json");
/// # Ok(())
/// # }
/// ```
pub struct HttpSource {
    url: Url,
    poll: Duration,
    timeout: Duration,
    most_redirects: usize,
    credentials: Credentials,
    headers: HeaderMap,
    roots: Roots,
    /// Built for the first request.
    client: Option<HttpClient>,
    /// What marks the document that was handed out last.
    held: Option<Held>,
    /// When to ask next; `None` for the first time.
    due: Option<Instant>,
}

impl HttpSource {
    /// The source at this address.
    ///
    /// # Errors
    ///
    /// [`EndpointError`] when the address is no URL that begins with `https:` or `http:`, or holds a
    /// user name or a password.
    pub fn new(url: &str) -> Result<Self, EndpointError> {
        let accept = HeaderValue::from_static("application/json, */*;q=0.1");
        let headers = HeaderMap::from_iter([
            (header::ACCEPT, accept),
            (header::ACCEPT_ENCODING, HeaderValue::from_static("identity")),
            (header::USER_AGENT, HeaderValue::from_static(USER_AGENT)),
        ]);
        Ok(Self {
            url: parse(url)?,
            poll: POLL,
            timeout: TIMEOUT,
            most_redirects: REDIRECTS,
            credentials: Credentials::default(),
            headers,
            roots: Roots::default(),
            client: None,
            held: None,
            due: None,
        })
    }

    /// The time between two requests, from 10 ms to 30 s; what lies beyond is cut. Default: 10 s.
    #[must_use]
    pub fn with_poll(mut self, poll: Duration) -> Self {
        let [shortest, longest] = POLLS;
        self.poll = poll.clamp(shortest, longest);
        self
    }

    /// How long one request may take, with its redirects, from the connection to the last byte; at
    /// most 25 s. Default: 5 s.
    #[must_use]
    pub fn with_timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout.min(LONGEST_TIMEOUT);
        self.client = None;
        self
    }

    /// How many redirects are followed. None leads from https to http. Default: 5.
    #[must_use]
    pub fn with_most_redirects(mut self, most_redirects: usize) -> Self {
        self.most_redirects = most_redirects;
        self
    }

    /// Sends `Authorization: Bearer TOKEN`, to the origin of the address only: a redirect to another
    /// scheme, host or port is followed without it.
    ///
    /// It is sent by https, and by http to this very machine; see
    /// [`HttpSource::allow_plain_text_token`].
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

    /// Sends this header, to the origin of the address only. `Authorization` replaces the token and
    /// is held back like one.
    ///
    /// # Errors
    ///
    /// [`EndpointError::Header`] when the name or the value cannot be sent.
    pub fn with_header(mut self, name: &str, value: &str) -> Result<Self, EndpointError> {
        let refused = || EndpointError::Header { name: name.to_owned() };
        let key = HeaderName::try_from(name).map_err(|_| refused())?;
        let mut value = HeaderValue::try_from(value).map_err(|_| refused())?;
        if key == header::AUTHORIZATION {
            self.credentials.set(value);
        } else {
            value.set_sensitive(true);
            self.headers.insert(key, value);
        }
        Ok(self)
    }

    /// Trusts servers whose certificate leads to one of these too, in PEM. Public authorities stay
    /// trusted.
    ///
    /// # Errors
    ///
    /// [`EndpointError::Certificate`] when the text holds no certificate, or a broken one.
    pub fn with_root_certificate(mut self, pem: impl AsRef<[u8]>) -> Result<Self, EndpointError> {
        self.roots.add(pem.as_ref())?;
        self.client = None;
        Ok(self)
    }

    /// One request, with its redirects.
    async fn fetch(&mut self, most_bytes: usize) -> Result<Answer, SourceError> {
        let client = match &self.client {
            Some(client) => client.clone(),
            None => self.client.insert(fetch::client(&self.roots, self.timeout)?).clone(),
        };
        self.follow(&client, most_bytes).await
    }
}

#[async_trait]
impl RuleSource for HttpSource {
    fn origin(&self) -> String {
        words(&self.url)
    }

    async fn next(&mut self, most_bytes: usize) -> Result<Option<Document>, SourceError> {
        // A failure, or a future that is dropped behind this, leaves a time in the past.
        if let Some(due) = self.due {
            sleep_until(due).await;
        }
        let limit = self.timeout;
        let answer = timeout(limit, self.fetch(most_bytes)).await.unwrap_or_else(|_| {
            Err(SourceError::new(format!("the server has not answered within {limit:?}")))
        })?;
        // Nothing is awaited any more, so what is noted here is handed out as well.
        self.due = Some(Instant::now() + deviating(self.poll));
        match answer {
            Answer::Unchanged => Ok(None),
            Answer::Changed { document, held } => {
                self.held = held;
                Ok(Some(document))
            }
        }
    }
}

impl fmt::Debug for HttpSource {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("HttpSource")
            .field("origin", &self.origin())
            .field("poll", &self.poll)
            .field("timeout", &self.timeout)
            .field("most_redirects", &self.most_redirects)
            .field("credentials", &self.credentials)
            .field("headers", &self.headers.keys())
            .finish_non_exhaustive()
    }
}

/// The nominal time, give or take a tenth.
fn deviating(nominal: Duration) -> Duration {
    nominal.mul_f64(rand::random_range(0.9..=1.1))
}
