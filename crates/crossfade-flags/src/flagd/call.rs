//! The call by which the stream is opened.

use crossfade_store::SourceError;
use http::{HeaderMap, HeaderName, HeaderValue, Uri, header, uri::PathAndQuery};
use hyper_rustls::HttpsConnectorBuilder;
use hyper_util::{
    client::legacy::Client,
    rt::{TokioExecutor, TokioTimer},
};
use tonic::{Extensions, Request, Streaming, body::Body, client::Grpc, metadata::MetadataMap};
use tonic_prost::ProstCodec;

use super::{CONNECT, FlagdSource, failure::unopened, message::SyncFlagsResponse, probes::PONG};
use crate::net::{USER_AGENT, tcp, words};

const METHOD: PathAndQuery = PathAndQuery::from_static("/flagd.sync.v1.FlagSyncService/SyncFlags");

/// Where newer services look for the selector.
const SELECTOR: HeaderName = HeaderName::from_static("flagd-selector");

/// How much a message may have beyond the document: the frame of the field, and fields that are
/// passed over.
const SLACK: usize = 64 * 1024;

impl FlagdSource {
    /// Calls the service over a connection of its own, which closes with the stream.
    pub(super) async fn call(
        &self,
        most_bytes: usize,
    ) -> Result<Streaming<SyncFlagsResponse>, SourceError> {
        let mut metadata = HeaderMap::new();
        metadata.insert(header::USER_AGENT, HeaderValue::from_static(USER_AGENT));
        if let Some(selector) = &self.selector {
            metadata.insert(SELECTOR, selector.clone());
        }
        if let Some(value) = self.credentials.value_for(&self.url)? {
            metadata.insert(header::AUTHORIZATION, value);
        }
        let request = Request::from_parts(
            MetadataMap::from_headers(metadata),
            Extensions::default(),
            self.request.clone(),
        );
        let codec = ProstCodec::<_, SyncFlagsResponse>::default();
        let mut service = self.service(most_bytes)?;
        let response = service.server_streaming(request, METHOD, codec).await;
        Ok(response.map_err(unopened)?.into_inner())
    }

    fn service(
        &self,
        most_bytes: usize,
    ) -> Result<Grpc<Client<HttpsConnector, Body>>, SourceError> {
        let failed = |error| SourceError::new("https cannot be set up").caused_by(error);
        let connector = HttpsConnectorBuilder::new()
            .with_tls_config(self.roots.tls().map_err(failed)?)
            .https_or_http()
            .enable_http2()
            .wrap_connector(tcp(CONNECT));
        let client = Client::builder(TokioExecutor::new())
            .timer(TokioTimer::new())
            .http2_only(true)
            .http2_keep_alive_interval(self.probes.interval())
            .http2_keep_alive_timeout(PONG)
            // A connection whose client is gone counts as idle, and the stream outlives its client.
            .http2_keep_alive_while_idle(true)
            .build(connector);
        let origin = Uri::try_from(words(&self.url)).map_err(|error| {
            SourceError::new("the address cannot be sent in a request").caused_by(error)
        })?;
        let limit = most_bytes.saturating_add(SLACK);
        Ok(Grpc::with_origin(client, origin).max_decoding_message_size(limit))
    }
}

type HttpsConnector =
    hyper_rustls::HttpsConnector<hyper_util::client::legacy::connect::HttpConnector>;
