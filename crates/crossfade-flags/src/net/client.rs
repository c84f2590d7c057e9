//! Connections.

use std::{sync::Arc, time::Duration};

use hyper_util::client::legacy::connect::HttpConnector;
use rustls::{
    ClientConfig, RootCertStore,
    crypto::ring,
    pki_types::{CertificateDer, pem::PemObject},
};

use super::EndpointError;

/// How the sources present themselves.
pub(crate) const USER_AGENT: &str = concat!("crossfade/", env!("CARGO_PKG_VERSION"));

/// The certificates that a server's must lead to: those of the public authorities, which are built
/// in, and those that were added.
#[derive(Clone, Debug)]
pub(crate) struct Roots(RootCertStore);

impl Default for Roots {
    fn default() -> Self {
        Self(RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.into() })
    }
}

impl Roots {
    /// Adds every certificate of a PEM text.
    pub(crate) fn add(&mut self, pem: &[u8]) -> Result<(), EndpointError> {
        let mut added = 0;
        for certificate in CertificateDer::pem_slice_iter(pem) {
            let certificate = certificate.map_err(|_| EndpointError::Certificate(None))?;
            let added_one = self.0.add(certificate);
            added_one.map_err(|error| EndpointError::Certificate(Some(error.into())))?;
            added += 1;
        }
        if added == 0 { Err(EndpointError::Certificate(None)) } else { Ok(()) }
    }

    /// The provider is named, since an application may have built in several or none by default.
    pub(crate) fn tls(&self) -> Result<ClientConfig, rustls::Error> {
        let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()?
            .with_root_certificates(self.0.clone())
            .with_no_client_auth();
        Ok(config)
    }
}

/// How TCP probes a silent connection: after this time and then as often as told, at this distance.
/// A host that is gone, or no longer reached, is noticed after 20 s.
const PROBES: (Duration, u32, Duration) = (Duration::from_secs(10), 2, Duration::from_secs(5));

/// The longest time that a source may be given for an answer. With the longest pause between two
/// requests, one comes at least once a minute, as a source must answer.
pub(crate) const LONGEST_TIMEOUT: Duration = Duration::from_secs(25);

/// Connects by TCP, with this much time for all addresses of a host together.
pub(crate) fn tcp(timeout: Duration) -> HttpConnector {
    let mut tcp = HttpConnector::new();
    tcp.enforce_http(false);
    tcp.set_nodelay(true);
    tcp.set_connect_timeout(Some(timeout));
    let (after, times, distance) = PROBES;
    tcp.set_keepalive(Some(after));
    tcp.set_keepalive_retries(Some(times));
    tcp.set_keepalive_interval(Some(distance));
    tcp
}
