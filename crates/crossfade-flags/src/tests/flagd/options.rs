//! Addresses, secrets and certificates.

use crossfade_store::RuleSource;

use super::{
    next, open,
    service::{Service, tls},
    source,
};
use crate::FlagdSource;

#[track_caller]
fn check_refused(url: &str, expect: &str) {
    let error = FlagdSource::new(url).unwrap_err().to_string();
    assert!(error.starts_with(expect), "{url}: {error}");
}

#[test]
fn an_address_is_a_host_and_a_port() {
    check_refused("flagd:8015", "the address begins with `flagd:`");
    check_refused("grpc://flagd:8015", "the address begins with `grpc:`");
    check_refused("127.0.0.1:8015", "the address is no URL");
    check_refused("http://flagd:8015/flags", "the address has a path");
    check_refused("http://flagd:8015/?a", "the address has a path");
    check_refused("http://user:s3cr3t@flagd:8015", "the address holds a user name or a password");
    for (url, origin) in [
        ("http://flagd:8015", "flagd at http://flagd:8015"),
        ("https://[::1]:8015/", "flagd at https://[::1]:8015"),
    ] {
        assert_eq!(FlagdSource::new(url).unwrap().origin(), origin);
    }
}

#[test]
fn what_is_printed_holds_no_secret() {
    let source = FlagdSource::new("https://flagd:8015").unwrap();
    let source = source.with_token("s3cr3t").unwrap().with_selector("source=a").unwrap();
    let printed = format!("{source:?}");
    assert!(printed.contains("source=a") && !printed.contains("s3cr3t"), "{printed}");
}

#[test]
fn a_selector_fits_into_a_header() {
    for selector in ["a\nb", "source=dächer"] {
        let source = FlagdSource::new("http://flagd:8015").unwrap();
        let error = source.with_selector(selector).unwrap_err().to_string();
        assert!(error.starts_with("the selector holds a character"), "{error}");
    }
}

#[tokio::test]
async fn a_token_is_not_sent_where_others_can_read_it() {
    let source = FlagdSource::new("http://192.0.2.1:8015").unwrap();
    let mut source = source.with_token("s3cr3t").unwrap();
    let error = next(&mut source).await.unwrap_err().to_string();
    assert!(error.starts_with("the token is not sent to http://192.0.2.1:8015/, "), "{error}");
    let mut source =
        source.allow_plain_text_token().with_timeout(std::time::Duration::from_millis(50));
    let error = next(&mut source).await.unwrap_err().to_string();
    assert!(!error.contains("the token"), "{error}");
}

#[tokio::test]
async fn a_service_is_trusted_by_its_certificate() {
    let (acceptor, certificate) = tls();
    let mut service = Service::start_tls(acceptor).await;
    let error = next(&mut source(&service)).await.unwrap_err();
    assert_eq!(error.to_string(), "flagd cannot be reached");

    let mut trusting =
        source(&service).with_root_certificate(&certificate).unwrap().with_token("s3cr3t").unwrap();
    let call = open(&mut trusting, &mut service, "{}").await;
    assert_eq!(call.headers["authorization"], "Bearer s3cr3t");
}
