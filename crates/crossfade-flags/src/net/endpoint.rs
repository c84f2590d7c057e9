//! Addresses.

use http::Uri;
use url::{Host, Url};

use super::EndpointError;

/// Reads an address that a source can follow.
pub(crate) fn parse(text: &str) -> Result<Url, EndpointError> {
    let mut url = Url::parse(text).map_err(|error| EndpointError::NotUrl(error.into()))?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err(EndpointError::Scheme { scheme: url.scheme().to_owned() });
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(EndpointError::UserInfo);
    }
    url.set_fragment(None);
    request_uri(&url).map_err(|error| EndpointError::Unsendable(error.into()))?;
    Ok(url)
}

/// The address as a request has it.
pub(crate) fn request_uri(url: &Url) -> Result<Uri, http::Error> {
    Ok(Uri::try_from(url.as_str())?)
}

/// The address without what may be secret in it.
pub(crate) fn words(url: &Url) -> String {
    format!("{}{}", url.origin().ascii_serialization(), url.path())
}

/// Whether what is sent there can be read by nobody in between.
pub(super) fn is_private(url: &Url) -> bool {
    url.scheme() == "https"
        || match url.host() {
            Some(Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
            Some(Host::Ipv4(address)) => address.is_loopback(),
            Some(Host::Ipv6(address)) => address.is_loopback(),
            None => false,
        }
}
