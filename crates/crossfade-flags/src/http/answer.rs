//! What the server answers, and what it means.

use std::time::{Duration, SystemTime};

use crossfade_store::{Document, SourceError};
use http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode, header, response::Parts};
use http_body_util::BodyExt;
use hyper::body::{Body, Incoming};
use url::Url;

use super::{HttpSource, retry_after};
use crate::net::words;

/// The header with the version of the document.
const VERSION: HeaderName = HeaderName::from_static("crossfade-version");

pub(super) enum Answer {
    Unchanged,
    Changed { document: Document, held: Option<Held> },
}

/// How the server can be asked whether its document is still this one.
pub(super) struct Held {
    /// Where the document was, behind all redirects. A mark means nothing to another place.
    pub(super) url: Url,
    mark: Mark,
}

enum Mark {
    Tag(HeaderValue),
    Date(HeaderValue),
}

impl Held {
    fn new(url: Url, headers: &HeaderMap) -> Option<Self> {
        let tag = headers.get(header::ETAG).cloned().map(Mark::Tag);
        tag.or_else(|| dated(headers).map(Mark::Date)).map(|mark| Self { url, mark })
    }

    /// The header that makes the request conditional.
    pub(super) fn condition(&self) -> (HeaderName, HeaderValue) {
        match &self.mark {
            Mark::Tag(tag) => (header::IF_NONE_MATCH, tag.clone()),
            Mark::Date(date) => (header::IF_MODIFIED_SINCE, date.clone()),
        }
    }
}

/// When the document was changed last, unless it may have changed again within the same second: a
/// server that is asked by that date would not tell of it (RFC 9110, 8.8.2.2).
fn dated(headers: &HeaderMap) -> Option<HeaderValue> {
    let time = |name| httpdate::parse_http_date(headers.get(name)?.to_str().ok()?).ok();
    let modified = headers.get(header::LAST_MODIFIED)?;
    let settled = time(header::LAST_MODIFIED)? + Duration::from_secs(1);
    (time(header::DATE)? >= settled).then(|| modified.clone())
}

impl HttpSource {
    /// Reads what the server at `url` has answered.
    pub(super) async fn read(
        &self,
        url: Url,
        response: Response<Incoming>,
        most_bytes: usize,
    ) -> Result<Answer, SourceError> {
        let (head, body) = response.into_parts();
        match head.status {
            StatusCode::OK => {}
            StatusCode::NOT_MODIFIED if self.held.as_ref().is_some_and(|held| held.url == url) => {
                return Ok(Answer::Unchanged);
            }
            _ => return Err(self.refusal(&url, &head)),
        }
        let coding = head.headers.get(header::CONTENT_ENCODING);
        if coding.is_some_and(|coding| coding != "identity") {
            return Err(SourceError::new("the server compressed the document without being asked"));
        }
        let version = version(&head.headers)?;
        let text = text(body, most_bytes).await?;
        let held = Held::new(url, &head.headers);
        Ok(Answer::Changed { document: Document::new(text).at_version(version), held })
    }

    fn refusal(&self, url: &Url, head: &Parts) -> SourceError {
        let status = head.status;
        let place = if *url == self.url { "the server".to_owned() } else { words(url) };
        let hint = match status {
            StatusCode::UNAUTHORIZED => "; it asks for a token, or for another one",
            StatusCode::FORBIDDEN => "; the token, if any, does not open this document",
            StatusCode::NOT_FOUND => "; there is no document at this address",
            _ => "",
        };
        let error = SourceError::new(format!("{place} answered {status}{hint}"));
        let busy = [StatusCode::TOO_MANY_REQUESTS, StatusCode::SERVICE_UNAVAILABLE];
        match retry_after::pause(&head.headers, SystemTime::now()) {
            Some(pause) if busy.contains(&status) => error.with_pause(pause),
            _ => error,
        }
    }
}

fn version(headers: &HeaderMap) -> Result<Option<i64>, SourceError> {
    let Some(value) = headers.get(VERSION) else { return Ok(None) };
    let number = value.to_str().ok().and_then(|text| text.trim().parse().ok());
    match number {
        Some(number) => Ok(Some(number)),
        None => Err(SourceError::new("the header Crossfade-Version holds no whole number")),
    }
}

/// The body, unless it has more than so many bytes; then it is left where it is.
async fn text(mut body: Incoming, most_bytes: usize) -> Result<String, SourceError> {
    let announced = usize::try_from(body.size_hint().lower()).unwrap_or(usize::MAX);
    if announced > most_bytes {
        return Err(SourceError::too_large(most_bytes));
    }
    let mut bytes = Vec::with_capacity(announced);
    while let Some(frame) = body.frame().await {
        let frame =
            frame.map_err(|error| SourceError::new("the document broke off").caused_by(error))?;
        let Ok(chunk) = frame.into_data() else { continue };
        if chunk.len() > most_bytes - bytes.len() {
            return Err(SourceError::too_large(most_bytes));
        }
        bytes.extend_from_slice(&chunk);
    }
    String::from_utf8(bytes)
        .map_err(|error| SourceError::new("the document is no UTF-8").caused_by(error.utf8_error()))
}
