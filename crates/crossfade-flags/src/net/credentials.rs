//! The token that a source shows to its server.

use std::fmt;

use crossfade_store::SourceError;
use http::HeaderValue;
use url::Url;

use super::{
    EndpointError,
    endpoint::{is_private, words},
};

/// The value of the header `authorization`, and where it may be sent.
#[derive(Clone, Default)]
pub(crate) struct Credentials {
    value: Option<HeaderValue>,
    plain_text: bool,
}

impl Credentials {
    pub(crate) fn set_token(&mut self, token: &str) -> Result<(), EndpointError> {
        if token.is_empty() {
            return Err(EndpointError::Token);
        }
        let value = HeaderValue::try_from(format!("Bearer {token}"));
        self.set(value.map_err(|_| EndpointError::Token)?);
        Ok(())
    }

    pub(crate) fn set(&mut self, mut value: HeaderValue) {
        value.set_sensitive(true);
        self.value = Some(value);
    }

    pub(crate) fn allow_plain_text(&mut self) {
        self.plain_text = true;
    }

    /// The value to send there; an error where anybody in between could read it.
    pub(crate) fn value_for(&self, url: &Url) -> Result<Option<HeaderValue>, SourceError> {
        if self.value.is_some() && !self.plain_text && !is_private(url) {
            let place = words(url);
            return Err(SourceError::new(format!(
                "the token is not sent to {place}, where anybody in between can read it; use https, \
                 or allow it with `allow_plain_text_token`"
            )));
        }
        Ok(self.value.clone())
    }
}

impl fmt::Debug for Credentials {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(if self.value.is_some() { "withheld" } else { "none" })
    }
}
