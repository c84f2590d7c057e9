//! What is wrong with the address or the options of a source.

use std::error::Error;

/// What is wrong with the address or the options of a source. Never shows a value that may be
/// secret: not the query of a URL, not a token, not the value of a header.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EndpointError {
    /// The text is no URL.
    #[error("the address is no URL such as https://flags.example.com/rules.json")]
    NotUrl(#[source] Box<dyn Error + Send + Sync>),
    /// The URL has a scheme that the source does not speak.
    #[error("the address begins with `{scheme}:`, and must begin with https:// or http://")]
    Scheme {
        /// What stands before the colon.
        scheme: String,
    },
    /// The URL names a user or a password, which would end up in logs.
    #[error("the address holds a user name or a password; give them as a token or as a header")]
    UserInfo,
    /// The URL has a part that the source has no use for.
    #[error("the address has a path or a query; host and port are all that it may have")]
    NotJustHost,
    /// The URL holds characters that no request line may.
    #[error("the address cannot be sent in a request")]
    Unsendable(#[source] Box<dyn Error + Send + Sync>),
    /// The text holds no certificate that could be trusted.
    #[error("the root certificate is no certificate in PEM (-----BEGIN CERTIFICATE-----)")]
    Certificate(#[source] Option<Box<dyn Error + Send + Sync>>),
    /// The token holds a character that no header may.
    #[error("the token holds a character that no header may, such as a line break at its end")]
    Token,
    /// The name or the value of a header holds a character that none may.
    #[error("the name or the value of the header `{name}` holds a character that none may")]
    Header {
        /// The name, as it was given.
        name: String,
    },
    /// The selector holds a character that no header may.
    #[error("the selector holds a character that no header may; it must be printable ASCII")]
    Selector,
}
