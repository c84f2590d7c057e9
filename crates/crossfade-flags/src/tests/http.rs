//! Rule sets from a URL, against servers in this process.

mod options;
mod redirects;
mod server;
mod trouble;

use std::time::Duration;

use crossfade_store::{Document, RuleSource, SourceError};
use tokio::time::timeout;

use self::server::{Server, respond};
use super::{document, within_deadline};
use crate::HttpSource;

const MOST_BYTES: usize = 100_000;

/// A source that does not keep the test waiting between requests.
fn source(url: &str) -> HttpSource {
    HttpSource::new(url).unwrap().with_poll(Duration::from_millis(10))
}

#[track_caller]
fn next(
    source: &mut HttpSource,
) -> impl Future<Output = Result<Option<Document>, SourceError>> + '_ {
    within_deadline(source.next(MOST_BYTES))
}

#[tokio::test]
async fn the_document_travels_again_only_when_it_has_changed() {
    for tag in [r#""1""#, r#"W/"1""#] {
        let server = Server::start(move |request, count| {
            let asked = request.headers.get("if-none-match");
            match count {
                0 => respond(200, &[("etag", tag), ("crossfade-version", "7")], document(false)),
                1 | 2 if asked.is_some_and(|asked| asked == tag) => respond(304, &[], ""),
                3 if asked.is_some() => respond(200, &[], document(true)),
                4 if asked.is_none() => respond(200, &[], document(true)),
                _ => respond(500, &[], ""),
            }
        })
        .await;
        let mut source = source(&server.url("/rules.json"));
        let first = Document::new(document(false)).at_version(Some(7));
        assert_eq!(next(&mut source).await.unwrap(), Some(first));
        assert_eq!(next(&mut source).await.unwrap(), None);
        assert_eq!(next(&mut source).await.unwrap(), None);
        let changed = Document::new(document(true));
        assert_eq!(next(&mut source).await.unwrap().as_ref(), Some(&changed));
        // Without a mark the document is handed out each time, and the old mark is not sent.
        assert_eq!(next(&mut source).await.unwrap(), Some(changed));
    }
}

#[tokio::test]
async fn a_server_without_tags_is_asked_by_date() {
    const CHANGED: &str = "Fri, 31 Jul 2026 12:00:00 GMT";
    // A document that was changed in the very second may change again in it.
    for (now, asked) in [(CHANGED, false), ("Fri, 31 Jul 2026 12:00:01 GMT", true)] {
        let server =
            Server::start(move |request, _| match request.headers.get("if-modified-since") {
                Some(since) if since == CHANGED => respond(304, &[], ""),
                _ => respond(200, &[("last-modified", CHANGED), ("date", now)], document(true)),
            })
            .await;
        let mut source = source(&server.url("/"));
        assert!(next(&mut source).await.unwrap().is_some());
        assert_eq!(next(&mut source).await.unwrap().is_none(), asked, "{now}");
    }
}

#[tokio::test]
async fn a_request_tells_who_asks_and_what_for() {
    let server = Server::start(|_, _| respond(200, &[], "{}")).await;
    let mut source = source(&server.url("/rules.json?tenant=7"))
        .with_token("s3cr3t")
        .unwrap()
        .with_header("X-Tenant", "seven")
        .unwrap();
    next(&mut source).await.unwrap();
    let [request] = &server.requests()[..] else { panic!("{:?}", server.requests()) };
    assert_eq!((request.method.as_str(), request.target.as_str()), ("GET", "/rules.json?tenant=7"));
    for (name, value) in [
        ("user-agent", concat!("crossfade/", env!("CARGO_PKG_VERSION"))),
        ("accept-encoding", "identity"),
        ("authorization", "Bearer s3cr3t"),
        ("x-tenant", "seven"),
    ] {
        assert_eq!(request.headers[name], value, "{name}");
    }
}

/// Asking in short spells reaches the end of the pause, so the pause does not begin anew each time.
#[tokio::test]
async fn a_wait_that_is_given_up_goes_on_where_it_was() {
    let server = Server::start(|_, _| respond(200, &[], "{}")).await;
    let mut source = source(&server.url("/")).with_poll(Duration::from_millis(300));
    next(&mut source).await.unwrap();
    let mut given_up = 0;
    within_deadline(async {
        while timeout(Duration::from_millis(50), source.next(MOST_BYTES)).await.is_err() {
            given_up += 1;
        }
    })
    .await;
    assert!(given_up >= 2, "{given_up}");
    assert_eq!(server.requests().len(), 2);
}

#[tokio::test]
async fn a_request_that_is_given_up_loses_nothing() {
    let server =
        Server::start_holding(1, |request, count| match request.headers.get("if-none-match") {
            Some(_) => respond(304, &[], ""),
            None => respond(200, &[("etag", "\"1\"")], count.to_string()),
        })
        .await;
    let mut source = source(&server.url("/"));
    tokio::select! {
        answer = source.next(MOST_BYTES) => panic!("{answer:?}"),
        () = within_deadline(server.asked(1)) => {}
    }
    let document = next(&mut source).await.unwrap().unwrap();
    assert_eq!(document.text, "1", "the second request is answered in full");
    assert_eq!(next(&mut source).await.unwrap(), None);
}
