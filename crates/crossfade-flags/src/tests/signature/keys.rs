//! Keys: which are trusted, and how they are written down.

use serde_json::json;

use super::{DOCUMENT, MOST_BYTES, OTHER, PRIVATE, PUBLIC, SIGNATURE, envelope, open, trusting};
use crate::{
    KeyError, SigningKey, TrustedKeys,
    signature::{decode, encode},
};

fn bytes(hex: &str) -> Vec<u8> {
    let pairs = (0..hex.len()).step_by(2);
    pairs.map(|place| u8::from_str_radix(&hex[place..place + 2], 16).unwrap()).collect()
}

fn private_pem(der: &[u8]) -> String {
    format!("-----BEGIN PRIVATE KEY-----\n{}\n-----END PRIVATE KEY-----\n", encode(der))
}

/// The second test of RFC 8032, section 7.1.
#[test]
fn the_standard_signs_alike() {
    let private = "4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb";
    let alone = bytes(&format!("302e020100300506032b657004220420{private}"));
    let pair = bytes(&format!("3051020101300506032b657004220420{private}812100{OTHER}"));
    for der in [alone, pair] {
        let key = SigningKey::from_pem(&private_pem(&der)).unwrap();
        assert_eq!(decode(&key.public_key()).unwrap(), bytes(OTHER));
        let expect = "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da\
                      085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00";
        assert_eq!(key.signature(&[0x72])[..], bytes(expect));
    }
}

#[test]
fn the_key_decides_and_not_its_id() {
    let signed = envelope().to_string();
    assert_eq!(trusting("another name").open(&signed, MOST_BYTES).unwrap(), DOCUMENT);
    // The right name does not help the wrong key.
    let impostor = TrustedKeys::new().with_key("release", OTHER).unwrap();
    let error = impostor.open(&signed, MOST_BYTES).unwrap_err().to_string();
    assert!(error.starts_with("the signature of \"release\" does not fit: "), "{error}");
    let stranger = TrustedKeys::new().with_key("stranger", OTHER).unwrap();
    let error = stranger.open(&signed, MOST_BYTES).unwrap_err().to_string();
    let expect = "no trusted key has signed the rule set: \"release\" signed, and \"stranger\" would \
                  be trusted";
    assert_eq!(error, expect);
    let mut nameless = envelope();
    nameless["signatures"] = json!([{"sig": SIGNATURE}]);
    assert_eq!(open(&nameless).unwrap(), DOCUMENT);
}

#[test]
fn a_key_is_replaced_while_both_are_trusted() {
    let both = trusting("old").with_key("new", OTHER).unwrap();
    assert_eq!(both.ids().collect::<Vec<_>>(), ["old", "new"]);
    assert_eq!(both.open(&envelope().to_string(), MOST_BYTES).unwrap(), DOCUMENT);
    // One good signature among others is enough, and the others are no obstacle.
    let mut many = envelope();
    many["signatures"] = json!([
        {"keyid": "new", "sig": encode(&[7; 64])},
        {"keyid": "release", "sig": SIGNATURE},
    ]);
    assert_eq!(open(&many).unwrap(), DOCUMENT);
    many["signatures"] = vec![json!({"keyid": "x".repeat(99), "sig": SIGNATURE}); 32].into();
    assert_eq!(open(&many).unwrap(), DOCUMENT);
    many["signatures"].as_array_mut().unwrap().push(json!({"sig": ""}));
    let error = open(&many).unwrap_err().to_string();
    assert!(error.starts_with("the envelope has more than 32 signatures"), "{error}");
    many["signatures"] = json!([{"keyid": "x".repeat(99), "sig": ""}]);
    let error = open(&many).unwrap_err().to_string();
    assert!(error.contains(&format!("{:?}… signed", "x".repeat(64))), "{error}");
}

#[track_caller]
fn check_public(text: &str, expect: Result<(), KeyError>) {
    let keys = TrustedKeys::new().with_key("release", text);
    match keys {
        Ok(keys) => {
            assert_eq!(expect, Ok(()), "{text}");
            keys.open(&envelope().to_string(), MOST_BYTES).unwrap();
        }
        Err(error) => assert_eq!(Err(error), expect, "{text}"),
    }
}

#[test]
fn public_keys_are_read_in_each_of_their_forms() {
    let hex = "5fcb2bd5dc02f39f7c1c34acfea2600462213e7513e01519fc702998a680bb48";
    check_public(PUBLIC, Ok(()));
    check_public(PUBLIC.trim_end(), Ok(()));
    check_public(&PUBLIC.replace('\n', "\r\n"), Ok(()));
    // As `openssl pkey -pubout -text` prints it.
    check_public(&format!("{PUBLIC}ED25519 Public-Key:\npub:\n    5f:cb:2b\n"), Ok(()));
    check_public(hex, Ok(()));
    check_public(&format!("{}\n", hex.to_uppercase()), Ok(()));
    check_public("X8sr1dwC8598HDSs/qJgBGIhPnUT4BUZ/HApmKaAu0g=", Ok(()));
    check_public("X8sr1dwC8598HDSs_qJgBGIhPnUT4BUZ_HApmKaAu0g", Ok(()));

    let label = |label: &str| PUBLIC.replace("PUBLIC KEY", label);
    let no_key = || Err(KeyError::NotPublic);
    for text in ["", "release", &hex[1..], &format!("+{}", &hex[1..]), &format!("{hex}00")] {
        check_public(text, no_key());
    }
    check_public(&label("CERTIFICATE"), no_key());
    check_public(&PUBLIC.replace("END PUBLIC", "END PRIVATE"), no_key());
    check_public(&PUBLIC.replace("-----END", ""), no_key());
    check_public(&format!("{PUBLIC}{PUBLIC}"), no_key());
    check_public(&PUBLIC.replace("MCow", "M!ow"), no_key());
    check_public(PRIVATE, Err(KeyError::Private));
    check_public(&label("ENCRYPTED PRIVATE KEY"), Err(KeyError::Private));
    // A key of X25519, as OpenSSL writes it.
    let other = PUBLIC.replace("MCowBQYDK2Vw", "MCowBQYDK2Vu");
    check_public(&other, Err(KeyError::Algorithm));
    // The neutral element, by which every message is signed already.
    check_public(&format!("01{}", "00".repeat(31)), Err(KeyError::Weak));
}

#[test]
fn an_id_is_given_once() {
    let error = trusting("release").with_key("release", OTHER).unwrap_err();
    assert_eq!(error, KeyError::IdTaken { id: "release".to_owned() });
}

#[track_caller]
fn check_private(text: &str, expect: KeyError) {
    assert_eq!(SigningKey::from_pem(text).unwrap_err(), expect, "{text}");
}

#[test]
fn private_keys_are_read_from_pem() {
    assert!(SigningKey::from_pem(&format!("a comment\n{PRIVATE}")).is_ok());
    check_private("", KeyError::NotPrivate);
    check_private(PUBLIC, KeyError::NotPrivate);
    check_private(&PRIVATE.replace("PRIVATE", "ENCRYPTED PRIVATE"), KeyError::NotPrivate);
    check_private(&private_pem(&[0x30, 0x2e]), KeyError::Algorithm);
    check_private(&PRIVATE.replace("BQYDK2Vw", "BQYDK2Vu"), KeyError::Algorithm);
    let private = "4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb";
    let mismatched = bytes(&format!("3051020101300506032b657004220420{private}812100{private}"));
    check_private(&private_pem(&mismatched), KeyError::NotPrivate);
}

#[test]
fn what_is_printed_holds_no_secret() {
    let key = SigningKey::from_pem(PRIVATE).unwrap();
    assert_eq!(
        format!("{key:?}"),
        r#"SigningKey { public_key: "X8sr1dwC8598HDSs/qJgBGIhPnUT4BUZ/HApmKaAu0g=", .. }"#
    );
    assert_eq!(format!("{:?}", trusting("release")), r#"TrustedKeys["release"]"#);
}
