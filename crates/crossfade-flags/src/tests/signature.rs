//! Signed rule sets.

mod keys;

use serde_json::{Value, json};

use crate::{
    SignatureError, SigningKey, TrustedKeys,
    signature::{authenticated, decode, encode},
};

/// As `openssl genpkey -algorithm ed25519` wrote it.
const PRIVATE: &str = "-----BEGIN PRIVATE KEY-----
MC4CAQAwBQYDK2VwBCIEIJsGCsc2WaZmonAw0oqvLo5Wkqfc2GuYeHfdNisSOT+Y
-----END PRIVATE KEY-----
";

/// As `openssl pkey -pubout` wrote it.
const PUBLIC: &str = "-----BEGIN PUBLIC KEY-----
MCowBQYDK2VwAyEAX8sr1dwC8598HDSs/qJgBGIhPnUT4BUZ/HApmKaAu0g=
-----END PUBLIC KEY-----
";

/// The public key of the second test of RFC 8032, section 7.1.
const OTHER: &str = "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c";

const DOCUMENT: &str = r#"{"flags": {}}"#;
const TYPE: &str = "application/vnd.crossfade.rule-set+json";

/// As `openssl pkeyutl -sign -rawin` made it for [`DOCUMENT`].
const SIGNATURE: &str = "sX/PddOnj/ZNkzKLeBViaBYt4xy55iT1Opp/WMTwsMCNnNMT9OSHjn5a5/mgC7wex+gc+4ybmapZn3\
                         5hl9QzCA==";

const MOST_BYTES: usize = 1000;

fn trusting(id: &str) -> TrustedKeys {
    TrustedKeys::new().with_key(id, PUBLIC).unwrap()
}

/// The envelope around [`DOCUMENT`] with the signature of OpenSSL.
fn envelope() -> Value {
    json!({
        "payload": encode(DOCUMENT.as_bytes()),
        "payloadType": TYPE,
        "signatures": [{"keyid": "release", "sig": SIGNATURE}],
    })
}

fn open(envelope: &Value) -> Result<String, SignatureError> {
    trusting("release").open(&envelope.to_string(), MOST_BYTES)
}

#[track_caller]
fn check_refused(text: &str, expect: &str) {
    let error = trusting("release").open(text, MOST_BYTES).unwrap_err().to_string();
    assert!(error.starts_with(expect), "{error}");
}

const WRONG: &str = "the signature of \"release\" does not fit: ";
const UNSIGNED: &str = "the rule set is not signed: ";

#[test]
fn what_is_signed_is_what_the_specification_says() {
    let message = authenticated("http://example.com/HelloWorld", b"hello world");
    assert_eq!(message, b"DSSEv1 29 http://example.com/HelloWorld 11 hello world");
    assert_eq!(authenticated("", "é".as_bytes()), "DSSEv1 0  2 é".as_bytes());
}

#[test]
fn openssl_and_this_library_sign_alike() {
    assert_eq!(open(&envelope()).unwrap(), DOCUMENT);
    let signed = SigningKey::from_pem(PRIVATE).unwrap().sign(DOCUMENT, "release");
    assert_eq!(serde_json::from_str::<Value>(&signed).unwrap(), envelope());
}

#[test]
fn either_base64_is_read_and_other_fields_are_passed_over() {
    let url_safe = |text: &Value| text.as_str().unwrap().replace('+', "-").replace('/', "_");
    let mut envelope = envelope();
    envelope["signatures"][0]["sig"] = url_safe(&envelope["signatures"][0]["sig"]).into();
    envelope["comment"] = "a field that nobody knows".into();
    assert_eq!(open(&envelope).unwrap(), DOCUMENT);
    envelope["payload"] = encode(DOCUMENT.as_bytes()).trim_end_matches('=').into();
    assert_eq!(open(&envelope).unwrap(), DOCUMENT);
}

/// The way down from signed to unsigned: whoever can change the text must not be able to take the
/// signature off.
#[test]
fn a_document_without_signature_is_refused() {
    check_refused(DOCUMENT, UNSIGNED);
    check_refused("", UNSIGNED);
    check_refused("[]", UNSIGNED);
    let mut bare = envelope();
    bare.as_object_mut().unwrap().remove("signatures");
    check_refused(&bare.to_string(), UNSIGNED);
    bare["flags"] = json!({});
    check_refused(&bare.to_string(), UNSIGNED);
    bare["signatures"] = json!([]);
    let expect = r#"no trusted key has signed the rule set: no key signed, and "release" would"#;
    check_refused(&bare.to_string(), expect);
    let text =
        TrustedKeys::new().open(&envelope().to_string(), MOST_BYTES).unwrap_err().to_string();
    assert!(text.ends_with(r#""release" signed, and no key would be trusted"#), "{text}");
}

#[test]
fn text_besides_the_envelope_is_refused() {
    let envelope = envelope().to_string();
    assert!(trusting("release").open(&format!(" {envelope}\n"), MOST_BYTES).is_ok());
    check_refused(&format!("{envelope}{{}}"), UNSIGNED);
    check_refused(&format!("{envelope}x"), UNSIGNED);
    check_refused(&envelope.replacen('{', r#"{"payload":"","#, 1), UNSIGNED);
}

#[test]
fn every_changed_byte_is_noticed() {
    let signature = decode(SIGNATURE).unwrap();
    for place in 0..signature.len() {
        let mut changed = signature.clone();
        changed[place] ^= 1 << (place % 8);
        let mut envelope = envelope();
        envelope["signatures"][0]["sig"] = encode(&changed).into();
        assert!(open(&envelope).unwrap_err().to_string().starts_with(WRONG), "{place}");
    }
    for place in 0..DOCUMENT.len() {
        let mut changed = DOCUMENT.as_bytes().to_owned();
        changed[place] ^= 1;
        let mut envelope = envelope();
        envelope["payload"] = encode(&changed).into();
        assert!(open(&envelope).unwrap_err().to_string().starts_with(WRONG), "{place}");
    }
    for sig in ["", "AAAA", "!", &SIGNATURE[4..]] {
        let mut envelope = envelope();
        envelope["signatures"][0]["sig"] = sig.into();
        assert!(open(&envelope).unwrap_err().to_string().starts_with(WRONG), "{sig}");
    }
}

/// Another number modulo the order of the group makes a second signature on the same message, where
/// that is not looked for.
#[test]
fn a_signature_has_only_one_form() {
    const ORDER: [u8; 32] = [
        0xed, 0xd3, 0xf5, 0x5c, 0x1a, 0x63, 0x12, 0x58, 0xd6, 0x9c, 0xf7, 0xa2, 0xde, 0xf9, 0xde,
        0x14, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x10,
    ];
    let mut signature = decode(SIGNATURE).unwrap();
    let mut carry = 0;
    for (byte, order) in signature[32..].iter_mut().zip(ORDER) {
        let sum = u16::from(*byte) + u16::from(order) + carry;
        *byte = sum.to_le_bytes()[0];
        carry = sum >> 8;
    }
    assert_eq!(carry, 0);
    let mut envelope = envelope();
    envelope["signatures"][0]["sig"] = encode(&signature).into();
    check_refused(&envelope.to_string(), WRONG);
}

#[test]
fn a_type_is_part_of_what_is_signed() {
    let mut swapped = envelope();
    swapped["payloadType"] = "application/json".into();
    check_refused(&swapped.to_string(), WRONG);
    // Signed in good faith, as something else.
    let key = SigningKey::from_pem(PRIVATE).unwrap();
    let message = authenticated("application/json", DOCUMENT.as_bytes());
    swapped["signatures"][0]["sig"] = encode(&key.signature(&message)).into();
    let expect =
        r#"a trusted key has signed this, but as "application/json"; a rule set is signed"#;
    check_refused(&swapped.to_string(), expect);
}

#[test]
fn the_payload_is_text_of_bounded_length() {
    let key = SigningKey::from_pem(PRIVATE).unwrap();
    let mut broken = envelope();
    broken["payload"] = "e!".into();
    check_refused(&broken.to_string(), "the payload of the envelope is no base64: ");
    let message = authenticated(TYPE, &[0xff]);
    broken["payload"] = encode(&[0xff]).into();
    broken["signatures"][0]["sig"] = encode(&key.signature(&message)).into();
    check_refused(&broken.to_string(), "the signed rule set is no UTF-8: ");
    let keys = trusting("release");
    for length in [0, 1, 2, 3, 999, 1000] {
        let document = "x".repeat(length);
        let signed = key.sign(&document, "release");
        assert_eq!(keys.open(&signed, length).unwrap(), document);
    }
    for length in [1001, 5000] {
        let signed = key.sign(&"x".repeat(length), "release");
        check_refused(&signed, "the signed rule set has more than 1000 bytes");
    }
}
