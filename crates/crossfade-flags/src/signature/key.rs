//! Keys as they are written down.
//!
//! A key of Ed25519 in PEM is a few fixed bytes of DER and then the key itself (RFC 8410), so the
//! bytes are compared, and nothing is parsed.

use ed25519_dalek::VerifyingKey;

use super::{KeyError, envelope::decode};

/// What stands before the 32 bytes of a public key.
const PUBLIC: &[u8] = &[0x30, 0x2a, 0x30, 5, 6, 3, 0x2b, 0x65, 0x70, 3, 0x21, 0];

/// What stands before the 32 bytes of a private key alone.
const PRIVATE: &[u8] = &[0x30, 0x2e, 2, 1, 0, 0x30, 5, 6, 3, 0x2b, 0x65, 0x70, 4, 0x22, 4, 0x20];

/// What stands before the 32 bytes of a private key with its public one, and then between the two.
const PAIR: (&[u8], &[u8]) =
    (&[0x30, 0x51, 2, 1, 1, 0x30, 5, 6, 3, 0x2b, 0x65, 0x70, 4, 0x22, 4, 0x20], &[0x81, 0x21, 0]);

const PUBLIC_LABEL: &str = "PUBLIC KEY";
const PRIVATE_LABEL: &str = "PRIVATE KEY";

/// Reads a public key in any of its forms.
pub(super) fn public(text: &str) -> Result<VerifyingKey, KeyError> {
    let key = match pem(text, PUBLIC_LABEL) {
        Pem::Bytes(der) => after(PUBLIC, &der).ok_or(KeyError::Algorithm)?,
        Pem::Other(label) if label.ends_with(PRIVATE_LABEL) => return Err(KeyError::Private),
        Pem::Other(_) => return Err(KeyError::NotPublic),
        Pem::Absent => bare(text.trim()).ok_or(KeyError::NotPublic)?,
    };
    let key = VerifyingKey::from_bytes(&key).map_err(|_| KeyError::NotPublic)?;
    if key.is_weak() { Err(KeyError::Weak) } else { Ok(key) }
}

/// Reads the 32 bytes of a private key.
pub(super) fn private(text: &str) -> Result<[u8; 32], KeyError> {
    let Pem::Bytes(der) = pem(text, PRIVATE_LABEL) else { return Err(KeyError::NotPrivate) };
    if let Some(key) = after(PRIVATE, &der) {
        return Ok(key);
    }
    let (before, between) = PAIR;
    let key = der.get(..before.len() + 32).and_then(|der| after(before, der));
    let rest = der.get(before.len() + 32..).and_then(|der| after(between, der));
    match (key, rest) {
        (Some(key), Some(public)) if public == public_of(&key) => Ok(key),
        (Some(_), Some(_)) => Err(KeyError::NotPrivate),
        _ => Err(KeyError::Algorithm),
    }
}

fn public_of(private: &[u8; 32]) -> [u8; 32] {
    ed25519_dalek::SigningKey::from_bytes(private).verifying_key().to_bytes()
}

/// The 32 bytes after this beginning, when there are just as many.
fn after(beginning: &[u8], der: &[u8]) -> Option<[u8; 32]> {
    der.strip_prefix(beginning)?.try_into().ok()
}

/// 32 bytes without any wrapping.
fn bare(text: &str) -> Option<[u8; 32]> {
    if text.len() != 64 || !text.bytes().all(|digit| digit.is_ascii_hexdigit()) {
        return decode(text).ok()?.try_into().ok();
    }
    let mut bytes = [0; 32];
    for (place, byte) in bytes.iter_mut().enumerate() {
        *byte = u8::from_str_radix(&text[2 * place..2 * place + 2], 16).ok()?;
    }
    Some(bytes)
}

enum Pem<'a> {
    Bytes(Vec<u8>),
    /// The first block has this label, or this is all that can be read of it.
    Other(&'a str),
    Absent,
}

/// The bytes of the one block with this label. Text around the block is passed over, as OpenSSL may
/// print some.
fn pem<'a>(text: &'a str, label: &str) -> Pem<'a> {
    let Some((_, block)) = text.split_once("-----BEGIN ") else { return Pem::Absent };
    let (found, block) = block.split_once("-----").unwrap_or((block, ""));
    let body = block.split_once("-----END ").and_then(|(body, end)| {
        let rest = end.strip_prefix(found)?.strip_prefix("-----")?;
        (found == label && !rest.contains("-----BEGIN ")).then_some(body)
    });
    let base64 = body.map(|body| body.split_ascii_whitespace().collect::<String>());
    match base64.and_then(|base64| decode(&base64).ok()) {
        Some(bytes) => Pem::Bytes(bytes),
        None => Pem::Other(found),
    }
}
