//! One request and the redirects behind it.

use std::time::Duration;

use crossfade_store::SourceError;
use http::{HeaderMap, HeaderValue, Request, Response, StatusCode, header};
use http_body_util::Empty;
use hyper::body::{Bytes, Incoming};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::{TokioExecutor, TokioTimer},
};
use url::Url;

use super::{HttpSource, answer::Answer};
use crate::net::{Roots, request_uri, tcp, words};

pub(super) type HttpClient = Client<HttpsConnector<HttpConnector>, Empty<Bytes>>;

pub(super) fn client(roots: &Roots, timeout: Duration) -> Result<HttpClient, SourceError> {
    let tls =
        roots.tls().map_err(|error| SourceError::new("https cannot be set up").caused_by(error))?;
    let connector = HttpsConnectorBuilder::new()
        .with_tls_config(tls)
        .https_or_http()
        .enable_http1()
        .wrap_connector(tcp(timeout));
    Ok(Client::builder(TokioExecutor::new())
        .pool_timer(TokioTimer::new())
        .pool_max_idle_per_host(1)
        .build(connector))
}

impl HttpSource {
    pub(super) async fn follow(
        &self,
        client: &HttpClient,
        most_bytes: usize,
    ) -> Result<Answer, SourceError> {
        let mut url = self.url.clone();
        let mut at_home = true;
        for _ in 0..=self.most_redirects {
            let request = self.request(&url, at_home)?;
            let response = client.request(request).await.map_err(|error| {
                SourceError::new(format!("{} cannot be reached", words(&url))).caused_by(error)
            })?;
            let Some(target) = redirect(&url, &response)? else {
                return self.read(url, response, most_bytes).await;
            };
            // Who has led elsewhere once may know what comes back.
            at_home &= target.origin() == self.url.origin();
            url = target;
        }
        let most = self.most_redirects;
        Err(SourceError::new(format!("the server redirects more than {most} times")))
    }

    /// What a server other than the one named gets to see holds nothing that the application set.
    fn request(&self, url: &Url, at_home: bool) -> Result<Request<Empty<Bytes>>, SourceError> {
        let refused = |error: http::Error| {
            SourceError::new(format!("{} cannot be sent in a request", words(url))).caused_by(error)
        };
        let uri = request_uri(url).map_err(refused)?;
        let mut request = Request::builder().uri(uri).body(Empty::new()).map_err(refused)?;
        *request.headers_mut() = if at_home { self.headers.clone() } else { self.plain_headers() };
        if at_home && let Some(value) = self.credentials.value_for(url)? {
            request.headers_mut().insert(header::AUTHORIZATION, value);
        }
        if let Some(held) = self.held.as_ref().filter(|held| held.url == *url) {
            let (name, value) = held.condition();
            request.headers_mut().insert(name, value);
        }
        Ok(request)
    }

    fn plain_headers(&self) -> HeaderMap {
        let plain = |(_, value): &(_, &HeaderValue)| !value.is_sensitive();
        self.headers
            .iter()
            .filter(plain)
            .map(|(name, value)| (name.clone(), value.clone()))
            .collect()
    }
}

/// Where the answer leads; `None` when it is the answer itself.
fn redirect(from: &Url, response: &Response<Incoming>) -> Result<Option<Url>, SourceError> {
    let status = response.status();
    let followed = [
        StatusCode::MOVED_PERMANENTLY,
        StatusCode::FOUND,
        StatusCode::SEE_OTHER,
        StatusCode::TEMPORARY_REDIRECT,
        StatusCode::PERMANENT_REDIRECT,
    ];
    if !followed.contains(&status) {
        return Ok(None);
    }
    let target = response.headers().get(header::LOCATION).and_then(|value| value.to_str().ok());
    let Some(mut target) = target.and_then(|target| from.join(target).ok()) else {
        return Err(SourceError::new(format!(
            "the server answered {status} without a place to go"
        )));
    };
    let secure = from.scheme() == "https";
    if target.scheme() != "https" && (secure || target.scheme() != "http") {
        let (from, to) = (from.scheme(), target.scheme());
        return Err(SourceError::new(format!("a redirect from {from} to {to} is not followed")));
    }
    // These cannot fail for a URL that has a host, as both schemes demand.
    let _ = target.set_username("");
    let _ = target.set_password(None);
    target.set_fragment(None);
    Ok(Some(target))
}
