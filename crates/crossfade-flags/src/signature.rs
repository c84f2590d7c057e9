//! Signed rule sets.
//!
//! A signed rule set is an envelope of [DSSE], a JSON text that holds the document and the signatures
//! on it. It travels in one piece through a file, a server or a database, none of which has to be
//! trusted any more. Signatures are Ed25519.
//!
//! [DSSE]: https://github.com/secure-systems-lab/dsse

mod envelope;
mod error;
mod key;
mod signing;

use std::fmt;

use ed25519_dalek::{Signature, VerifyingKey};

#[cfg(test)]
pub(crate) use self::envelope::{authenticated, decode, encode};
use self::{
    envelope::{Envelope, MEDIA_TYPE},
    error::{brief, listed},
};
pub use self::{
    error::{KeyError, SignatureError},
    signing::SigningKey,
};

/// How many signatures an envelope may hold, since each costs time to look at.
const MOST_SIGNATURES: usize = 32;

/// The keys whose signature makes a rule set good.
///
/// One good signature by any of them is enough, so that a key is replaced in three steps: trust the
/// new one besides the old, sign with the new one, trust the old one no more. The id of a key is a
/// name for people; which key has signed is found out by trying.
///
/// ```
/// use crossfade_flags::{SigningKey, TrustedKeys};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// // openssl genpkey -algorithm ed25519 -out key.pem
/// let private = "-----BEGIN PRIVATE KEY-----
/// MC4CAQAwBQYDK2VwBCIEIJsGCsc2WaZmonAw0oqvLo5Wkqfc2GuYeHfdNisSOT+Y
/// -----END PRIVATE KEY-----";
/// // openssl pkey -in key.pem -pubout
/// let public = "-----BEGIN PUBLIC KEY-----
/// MCowBQYDK2VwAyEAX8sr1dwC8598HDSs/qJgBGIhPnUT4BUZ/HApmKaAu0g=
/// -----END PUBLIC KEY-----";
///
/// let envelope = SigningKey::from_pem(private)?.sign(r#"{"flags": {}}"#, "release-2026");
/// let keys = TrustedKeys::new().with_key("release-2026", public)?;
/// assert_eq!(keys.open(&envelope, 1_000_000)?, r#"{"flags": {}}"#);
/// assert!(keys.open(r#"{"flags": {}}"#, 1_000_000).is_err(), "nobody has signed this");
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Default)]
pub struct TrustedKeys {
    keys: Vec<(String, VerifyingKey)>,
}

impl TrustedKeys {
    /// No keys, so that every rule set is refused.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Trusts this public key too. It is given as PEM (`-----BEGIN PUBLIC KEY-----`), or as its 32
    /// bytes in hexadecimal digits or in base64.
    ///
    /// # Errors
    ///
    /// [`KeyError`] when the text is no public key of Ed25519, or the id is taken.
    pub fn with_key(mut self, id: impl Into<String>, key: &str) -> Result<Self, KeyError> {
        let id = id.into();
        if self.ids().any(|taken| taken == id) {
            return Err(KeyError::IdTaken { id });
        }
        self.keys.push((id, key::public(key)?));
        Ok(self)
    }

    /// The ids of the keys, in the order in which they were added.
    pub fn ids(&self) -> impl Iterator<Item = &str> {
        self.keys.iter().map(|(id, _)| &**id)
    }

    /// The document inside an envelope that one of the keys has signed.
    ///
    /// # Errors
    ///
    /// [`SignatureError`] when the text is no envelope, as a document that nobody has signed is not;
    /// when none of the keys has signed it; when its document has more than `most_bytes`, is no text
    /// or no rule set by its own account.
    pub fn open(&self, text: &str, most_bytes: usize) -> Result<String, SignatureError> {
        let envelope = Envelope::parse(text)?;
        if envelope.signatures.len() > MOST_SIGNATURES {
            return Err(SignatureError::TooManySignatures { most: MOST_SIGNATURES });
        }
        let document = envelope.document(most_bytes)?;
        self.check(&envelope, &document)?;
        if envelope.payload_type != MEDIA_TYPE {
            let found = brief(&envelope.payload_type);
            return Err(SignatureError::UnknownType { found, expected: MEDIA_TYPE });
        }
        String::from_utf8(document).map_err(|error| SignatureError::NotText(error.utf8_error()))
    }

    /// Whether one of the keys has signed this.
    fn check(&self, envelope: &Envelope, document: &[u8]) -> Result<(), SignatureError> {
        let message = envelope::authenticated(&envelope.payload_type, document);
        let good = |signature: &Signature| {
            self.keys.iter().any(|(_, key)| key.verify_strict(&message, signature).is_ok())
        };
        if envelope.signatures.iter().filter_map(|one| one.value()).any(|value| good(&value)) {
            return Ok(());
        }
        let found = || envelope.signatures.iter().map(|signature| &*signature.key_id);
        match found().find(|id| self.ids().any(|trusted| trusted == *id)) {
            Some(id) => Err(SignatureError::Wrong { key_id: brief(id) }),
            None => Err(SignatureError::Untrusted {
                found: listed(found()),
                trusted: listed(self.ids()),
            }),
        }
    }
}

impl fmt::Debug for TrustedKeys {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("TrustedKeys")?;
        out.debug_list().entries(self.ids()).finish()
    }
}
