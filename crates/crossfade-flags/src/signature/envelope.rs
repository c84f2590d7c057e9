//! The envelope as it travels, and what of it is signed.

use base64::{
    Engine,
    alphabet::{STANDARD, URL_SAFE},
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig},
};
use ed25519_dalek::Signature;
use serde::{Deserialize, Serialize};

use super::SignatureError;

/// What the payload is, by its own account.
pub(super) const MEDIA_TYPE: &str = "application/vnd.crossfade.rule-set+json";

/// Fields that DSSE does not know are passed over, as it demands.
#[derive(Deserialize, Serialize)]
pub(super) struct Envelope {
    payload: String,
    #[serde(rename = "payloadType")]
    pub(super) payload_type: String,
    pub(super) signatures: Vec<Signed>,
}

#[derive(Deserialize, Serialize)]
pub(super) struct Signed {
    #[serde(rename = "keyid", default)]
    pub(super) key_id: String,
    sig: String,
}

impl Envelope {
    pub(super) fn parse(text: &str) -> Result<Self, SignatureError> {
        serde_json::from_str(text).map_err(|error| SignatureError::NotEnvelope(error.into()))
    }

    pub(super) fn new(document: &str, key_id: &str, signature: &Signature) -> Self {
        Self {
            payload: encode(document.as_bytes()),
            payload_type: MEDIA_TYPE.to_owned(),
            signatures: vec![Signed {
                key_id: key_id.to_owned(),
                sig: encode(&signature.to_bytes()),
            }],
        }
    }

    /// The bytes inside, which nobody need have signed.
    pub(super) fn document(&self, most_bytes: usize) -> Result<Vec<u8>, SignatureError> {
        // Four characters hold three bytes.
        if self.payload.len() / 4 > most_bytes / 3 + 1 {
            return Err(SignatureError::TooLarge { most_bytes });
        }
        let document =
            decode(&self.payload).map_err(|error| SignatureError::NotBase64(error.into()))?;
        if document.len() > most_bytes {
            return Err(SignatureError::TooLarge { most_bytes });
        }
        Ok(document)
    }
}

impl Signed {
    /// The signature; `None` when it has not even the form of one.
    pub(super) fn value(&self) -> Option<Signature> {
        Signature::from_slice(&decode(&self.sig).ok()?).ok()
    }
}

/// The bytes that are signed: DSSE's pre-authentication encoding.
pub(crate) fn authenticated(payload_type: &str, document: &[u8]) -> Vec<u8> {
    let head = format!("DSSEv1 {} {payload_type} {} ", payload_type.len(), document.len());
    [head.as_bytes(), document].concat()
}

pub(crate) fn encode(bytes: &[u8]) -> String {
    base64::engine::general_purpose::STANDARD.encode(bytes)
}

/// Reads base64 with either alphabet, as DSSE demands, and with or without its padding.
pub(crate) fn decode(text: &str) -> Result<Vec<u8>, base64::DecodeError> {
    let alphabet = if text.contains(['-', '_']) { &URL_SAFE } else { &STANDARD };
    let padding = DecodePaddingMode::Indifferent;
    let config = GeneralPurposeConfig::new().with_decode_padding_mode(padding);
    GeneralPurpose::new(alphabet, config).decode(text)
}
