//! Servers that do not answer as they should.

use std::{error::Error, time::Duration};

use axum::body::Body;
use crossfade_store::{RuleSource, SourceError};
use futures_util::stream::{self, StreamExt};
use tokio::net::TcpListener;

use super::{
    super::within_deadline,
    next,
    server::{Server, raw, respond},
    source,
};

/// The error and what is behind it, as programs print it.
fn chain(error: &SourceError) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text += &format!(": {error}");
        cause = error.source();
    }
    text
}

#[tokio::test]
async fn statuses_are_named_in_words() {
    for (status, expect, pause) in [
        (
            401,
            "the server answered 401 Unauthorized; it asks for a token, or for another one",
            None,
        ),
        (
            403,
            "the server answered 403 Forbidden; the token, if any, does not open this document",
            None,
        ),
        (404, "the server answered 404 Not Found; there is no document at this address", None),
        (204, "the server answered 204 No Content", None),
        (304, "the server answered 304 Not Modified", None),
        (429, "the server answered 429 Too Many Requests", Some(17)),
        (500, "the server answered 500 Internal Server Error", None),
        (503, "the server answered 503 Service Unavailable", Some(17)),
    ] {
        let server = Server::start(move |_, _| respond(status, &[("retry-after", "17")], "")).await;
        let mut source = source(&server.url("/?key=s3cr3t")).with_token("s3cr3t").unwrap();
        let error = next(&mut source).await.unwrap_err();
        assert_eq!(chain(&error), expect);
        assert_eq!(error.pause(), pause.map(Duration::from_secs), "{expect}");
    }
}

/// The caller waits after a failure, so the source does not wait besides.
#[tokio::test]
async fn after_a_failure_the_server_is_asked_at_once() {
    let server = Server::start(|request, count| match count {
        0 => respond(200, &[("etag", "\"1\"")], "{}"),
        1 => respond(500, &[], ""),
        _ if request.headers.contains_key("if-none-match") => respond(304, &[], ""),
        _ => respond(200, &[], "{}"),
    })
    .await;
    let mut source = source(&server.url("/"));
    next(&mut source).await.unwrap();
    next(&mut source).await.unwrap_err();
    source = source.with_poll(Duration::MAX);
    assert_eq!(next(&mut source).await.unwrap(), None);
}

#[tokio::test]
async fn a_document_that_is_too_large_is_not_read_to_its_end() {
    let announced = || Body::from(vec![b' '; 11]);
    let endless = || {
        let bytes = stream::repeat_with(|| Ok::<_, std::io::Error>(vec![b' '; 5]));
        Body::from_stream(bytes)
    };
    for body in [announced, endless as fn() -> Body] {
        let server = Server::start(move |_, _| respond(200, &[], body())).await;
        let mut source = source(&server.url("/"));
        let error = within_deadline(source.next(10)).await.unwrap_err();
        assert_eq!(error.to_string(), SourceError::too_large(10).to_string());
    }
    // What is announced is believed, and none of it waited for.
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut waiting = source(&format!("http://{}/", listener.local_addr().unwrap()));
    let head = "HTTP/1.1 200 OK\r\ncontent-length: 11\r\n\r\n";
    let (error, ()) = tokio::join!(within_deadline(waiting.next(10)), raw(&listener, head));
    assert_eq!(error.unwrap_err().to_string(), SourceError::too_large(10).to_string());

    let server = Server::start(move |_, _| respond(200, &[], announced())).await;
    let mut source = source(&server.url("/"));
    let whole = within_deadline(source.next(11)).await.unwrap().unwrap();
    assert_eq!(whole.text.len(), 11);
}

#[tokio::test]
async fn the_time_limit_holds_for_the_body_too() {
    let server = Server::start(|_, count| {
        if count > 0 {
            return respond(200, &[], "{}");
        }
        let begun = stream::iter([Ok::<_, std::io::Error>("{")]);
        respond(200, &[], Body::from_stream(begun.chain(stream::pending())))
    })
    .await;
    let limit = Duration::from_millis(200);
    let mut source = source(&server.url("/")).with_timeout(limit);
    let error = next(&mut source).await.unwrap_err();
    assert_eq!(error.to_string(), "the server has not answered within 200ms");
    let mut source = source.with_timeout(Duration::MAX);
    assert_eq!(next(&mut source).await.unwrap().unwrap().text, "{}");
}

/// Whatever breaks off, and whoever is away, the next request finds a server that is back.
#[tokio::test]
async fn a_broken_answer_and_a_restart_are_got_over() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let mut source = source(&format!("http://{address}/"));
    let good = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}";
    for (answer, expect) in [
        ("HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n{}", "the document broke off"),
        ("", "cannot be reached"),
        ("SSH-2.0-OpenSSH\r\n", "cannot be reached"),
        ("HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ncontent-length: 1\r\n\r\nx", "compressed"),
        (
            "HTTP/1.1 200 OK\r\ncrossfade-version: new\r\ncontent-length: 2\r\n\r\n{}",
            "whole number",
        ),
    ] {
        let (error, ()) = tokio::join!(next(&mut source), raw(&listener, answer));
        let error = error.unwrap_err();
        assert!(error.to_string().contains(expect), "{}", chain(&error));
    }
    let (document, ()) = tokio::join!(next(&mut source), raw(&listener, good));
    assert_eq!(document.unwrap().unwrap().text, "{}");

    drop(listener);
    let away = next(&mut source).await.unwrap_err();
    assert!(away.to_string().contains("cannot be reached"), "{}", chain(&away));
    let listener = TcpListener::bind(address).await.unwrap();
    let (document, ()) = tokio::join!(next(&mut source), raw(&listener, good));
    assert_eq!(document.unwrap().unwrap().text, "{}");
}

#[tokio::test]
async fn a_document_must_be_text() {
    let server = Server::start(|_, _| respond(200, &[], vec![0xff, 0xfe])).await;
    let error = next(&mut source(&server.url("/"))).await.unwrap_err();
    assert_eq!(error.to_string(), "the document is no UTF-8");
}
