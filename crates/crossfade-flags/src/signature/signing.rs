//! Signing.

use std::fmt;

use ed25519_dalek::Signer;

use super::{
    KeyError,
    envelope::{Envelope, MEDIA_TYPE, authenticated, encode},
    key,
};

/// A private key, with which rule sets are signed.
///
/// ```
/// use crossfade_flags::SigningKey;
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// // openssl genpkey -algorithm ed25519
/// let key = SigningKey::from_pem(
///     "-----BEGIN PRIVATE KEY-----
/// MC4CAQAwBQYDK2VwBCIEIJsGCsc2WaZmonAw0oqvLo5Wkqfc2GuYeHfdNisSOT+Y
/// -----END PRIVATE KEY-----",
/// )?;
/// assert_eq!(key.public_key(), "X8sr1dwC8598HDSs/qJgBGIhPnUT4BUZ/HApmKaAu0g=");
/// let envelope = key.sign(r#"{"flags": {}}"#, "release-2026");
/// assert!(envelope.starts_with(r#"{"payload":"eyJmbGFncyI6IHt9fQ==","payloadType":"#));
/// # Ok(())
/// # }
/// ```
pub struct SigningKey(ed25519_dalek::SigningKey);

impl SigningKey {
    /// Reads a private key in PEM (PKCS#8, unencrypted), as `openssl genpkey -algorithm ed25519` and
    /// others write it.
    ///
    /// # Errors
    ///
    /// [`KeyError`] when the text is no private key of Ed25519.
    pub fn from_pem(pem: &str) -> Result<Self, KeyError> {
        Ok(Self(ed25519_dalek::SigningKey::from_bytes(&key::private(pem)?)))
    }

    /// The public key that belongs to it, in base64, as [`TrustedKeys::with_key`] takes it.
    ///
    /// [`TrustedKeys::with_key`]: crate::TrustedKeys::with_key
    #[must_use]
    pub fn public_key(&self) -> String {
        encode(self.0.verifying_key().as_bytes())
    }

    /// The envelope with the document and the signature on it, one line of JSON. Whoever trusts the
    /// key finds it under `key_id` in error messages.
    #[must_use]
    pub fn sign(&self, document: &str, key_id: &str) -> String {
        let message = authenticated(MEDIA_TYPE, document.as_bytes());
        let envelope = Envelope::new(document, key_id, &self.0.sign(&message));
        serde_json::json!(envelope).to_string()
    }

    /// The bare signature on a message.
    #[cfg(test)]
    pub(crate) fn signature(&self, message: &[u8]) -> [u8; 64] {
        self.0.sign(message).to_bytes()
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("SigningKey")
            .field("public_key", &self.public_key())
            .finish_non_exhaustive()
    }
}
