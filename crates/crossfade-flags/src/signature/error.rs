//! Why a rule set or a key is refused.

use std::{error::Error, str::Utf8Error};

/// How much is quoted of an id or a type, which are text from outside.
const MOST_CHARACTERS: usize = 64;

/// Why a signed rule set is refused, and what to do about it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SignatureError {
    /// The text is no envelope. A rule set that nobody has signed looks like this.
    #[error("the rule set is not signed: sign it, or hand out the envelope that signing has made")]
    NotEnvelope(#[source] Box<dyn Error + Send + Sync>),
    /// No signature names a trusted key, and none is by one.
    #[error(
        "no trusted key has signed the rule set: {found} signed, and {trusted} would be trusted"
    )]
    Untrusted {
        /// The ids that the signatures name.
        found: String,
        /// The ids of the trusted keys.
        trusted: String,
    },
    /// A signature names a trusted key and is not by it.
    #[error(
        "the signature of {key_id} does not fit: the rule set has been changed since, or another key \
         has that name; sign it again, and compare the keys"
    )]
    Wrong {
        /// The id that the signature names.
        key_id: String,
    },
    /// A trusted key has signed something else.
    #[error("a trusted key has signed this, but as {found}; a rule set is signed as {expected:?}")]
    UnknownType {
        /// What was signed, by its own account.
        found: String,
        /// What a rule set is.
        expected: &'static str,
    },
    /// The payload of the envelope cannot be decoded.
    #[error(
        "the payload of the envelope is no base64: hand out the envelope as signing has made it"
    )]
    NotBase64(#[source] Box<dyn Error + Send + Sync>),
    /// The document is no UTF-8.
    #[error("the signed rule set is no UTF-8: save it as UTF-8, and sign it again")]
    NotText(#[source] Utf8Error),
    /// The document is larger than it may be.
    #[error("the signed rule set has more than {most_bytes} bytes")]
    TooLarge {
        /// How many it may have.
        most_bytes: usize,
    },
    /// The envelope has more signatures than it may have.
    #[error("the envelope has more than {most} signatures: leave out those that nobody needs")]
    TooManySignatures {
        /// How many it may have.
        most: usize,
    },
}

/// Why a key is refused. Never shows the text that was given, which may be a private key.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum KeyError {
    /// The text is no public key in any form.
    #[error(
        "this is no public key: it must be PEM (-----BEGIN PUBLIC KEY-----), or 32 bytes in \
         hexadecimal digits or base64"
    )]
    NotPublic,
    /// The text is no private key.
    #[error("this is no private key: it must be PEM (-----BEGIN PRIVATE KEY-----), unencrypted")]
    NotPrivate,
    /// The text is a private key where the public one belongs.
    #[error("this is a private key, and only the public one belongs here: openssl pkey -pubout")]
    Private,
    /// The key is none of Ed25519.
    #[error("this is no key of Ed25519: make one with openssl genpkey -algorithm ed25519")]
    Algorithm,
    /// Anybody can sign for this key.
    #[error("this public key is none that signing software makes, and anybody can sign for it")]
    Weak,
    /// Two keys have the same id.
    #[error("two trusted keys have the id {id:?}: give one of them another name")]
    IdTaken {
        /// The id.
        id: String,
    },
}

/// A text from outside, in quotes and not too long.
pub(super) fn brief(text: &str) -> String {
    match text.char_indices().nth(MOST_CHARACTERS) {
        Some((end, _)) => format!("{:?}…", &text[..end]),
        None => format!("{text:?}"),
    }
}

/// Ids, for people.
pub(super) fn listed<'a>(ids: impl Iterator<Item = &'a str>) -> String {
    let name = |id: &str| match id {
        "" => "a key without id".to_owned(),
        id => brief(id),
    };
    let names: Vec<_> = ids.map(name).collect();
    if names.is_empty() { "no key".to_owned() } else { names.join(", ") }
}
