//! Addresses, secrets and certificates.

use std::{sync::Arc, time::Duration};

use crossfade_store::RuleSource;
use rustls::{ServerConfig, crypto::ring, pki_types::PrivateKeyDer};
use tokio_rustls::TlsAcceptor;

use super::{
    next,
    server::{Server, respond},
    source,
};
use crate::HttpSource;

#[track_caller]
fn check_refused(url: &str, expect: &str) {
    assert_eq!(HttpSource::new(url).unwrap_err().to_string(), expect, "{url}");
}

#[test]
fn an_address_that_cannot_be_followed_is_refused() {
    let no_url = "the address is no URL such as https://flags.example.com/rules.json";
    let secret = "the address holds a user name or a password; give them as a token or as a header";
    check_refused("", no_url);
    check_refused("flags.example.com/rules.json", no_url);
    check_refused("https://", no_url);
    check_refused("http://[::1", no_url);
    check_refused("https://user:s3cr3t@flags.example.com/", secret);
    check_refused("https://user@flags.example.com/", secret);
    let scheme = |scheme: &str| {
        format!("the address begins with `{scheme}:`, and must begin with https:// or http://")
    };
    check_refused("ftp://flags.example.com/rules.json", &scheme("ftp"));
    check_refused("localhost:8080/rules.json", &scheme("localhost"));
}

#[test]
fn the_origin_holds_no_secret() {
    for (url, origin) in [
        ("https://flags.example.com/a/b.json?key=s3cr3t#x", "https://flags.example.com/a/b.json"),
        ("http://[::1]:8080", "http://[::1]:8080/"),
        ("HTTPS://Flags.Example.Com:443/", "https://flags.example.com/"),
    ] {
        assert_eq!(source(url).origin(), origin);
    }
}

#[test]
fn what_is_printed_holds_no_secret() {
    let source = source("https://flags.example.com/?key=s3cr3t")
        .with_token("s3cr3t")
        .unwrap()
        .with_header("x-api-key", "s3cr3t")
        .unwrap();
    let printed = format!("{source:?}");
    assert!(printed.contains("x-api-key") && !printed.contains("s3cr3t"), "{printed}");
    for error in [
        source.with_token("s3cr3t\n").unwrap_err(),
        HttpSource::new("s3cr3t").unwrap_err(),
        HttpSource::new("https://a/").unwrap().with_header("x", "s3cr3t\n").unwrap_err(),
    ] {
        assert!(!format!("{error} {error:?}").contains("s3cr3t"), "{error:?}");
    }
}

#[tokio::test]
async fn a_token_is_not_sent_where_others_can_read_it() {
    // An address that documentation uses, and nobody answers at.
    let url = "http://192.0.2.1/rules.json?key=7";
    let guarded = || source(url).with_timeout(Duration::from_millis(50));
    for mut source in [
        guarded().with_token("s3cr3t").unwrap(),
        guarded().with_header("Authorization", "Basic s3cr3t").unwrap(),
    ] {
        let error = next(&mut source).await.unwrap_err().to_string();
        let expect = "the token is not sent to http://192.0.2.1/rules.json, where anybody";
        assert!(error.starts_with(expect), "{error}");
        let mut source = source.allow_plain_text_token();
        let error = next(&mut source).await.unwrap_err().to_string();
        assert!(!error.contains("the token"), "{error}");
    }
}

#[tokio::test]
async fn a_server_is_trusted_by_its_certificate() {
    let certified = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).unwrap();
    let key = PrivateKeyDer::try_from(certified.signing_key.serialize_der()).unwrap();
    let tls = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certified.cert.der().clone()], key)
        .unwrap();
    let server = Server::start_tls(TlsAcceptor::from(Arc::new(tls)), |asked, _| {
        if asked.target == "/down" {
            return respond(302, &[("location", "http://127.0.0.1:9/")], "");
        }
        respond(200, &[], "{}")
    })
    .await;

    let error = next(&mut source(&server.url("/"))).await.unwrap_err();
    assert!(error.to_string().contains("cannot be reached"), "{error}");
    assert_eq!(server.requests().len(), 0);

    let trusting = |target: &str| {
        let source = source(&server.url(target)).with_token("s3cr3t").unwrap();
        source.with_root_certificate(certified.cert.pem()).unwrap()
    };
    assert_eq!(next(&mut trusting("/")).await.unwrap().unwrap().text, "{}");
    assert_eq!(server.requests()[0].headers["authorization"], "Bearer s3cr3t");
    let error = next(&mut trusting("/down")).await.unwrap_err();
    assert_eq!(error.to_string(), "a redirect from https to http is not followed");
}

#[test]
fn a_root_certificate_is_pem() {
    let garbage = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    for pem in ["", "s3cr3t", garbage, "-----BEGIN CERTIFICATE-----\n"] {
        let error = source("https://a/").with_root_certificate(pem).unwrap_err().to_string();
        assert_eq!(
            error,
            "the root certificate is no certificate in PEM (-----BEGIN CERTIFICATE-----)"
        );
    }
}
