//! Rule sets from flagd's sync protocol, against services in this process.

mod clock;
mod options;
mod probes;
mod service;
mod trouble;

use crossfade_store::{Document, RuleSource, SourceError};
use tokio::{join, select};

use self::clock::Clock;
use self::service::{Call, Service};
use super::{document, within_deadline};
use crate::FlagdSource;

const MOST_BYTES: usize = 100_000;

fn source(service: &Service) -> FlagdSource {
    FlagdSource::new(&service.url()).unwrap()
}

#[track_caller]
fn next(
    source: &mut FlagdSource,
) -> impl Future<Output = Result<Option<Document>, SourceError>> + '_ {
    within_deadline(source.next(MOST_BYTES))
}

#[track_caller]
fn check_text(answer: Result<Option<Document>, SourceError>, expect: &str) {
    let document = Document::new(expect.to_owned());
    assert_eq!(answer.unwrap(), Some(document));
}

/// Has the source call the service, which answers with this document.
async fn open(source: &mut FlagdSource, service: &mut Service, text: &str) -> Call {
    let opening = async { join!(source.next(MOST_BYTES), service.answer(text)) };
    let (first, call) = within_deadline(opening).await;
    check_text(first, text);
    call
}

#[tokio::test]
async fn each_message_is_a_document_even_when_nothing_has_changed() {
    let mut service = Service::start().await;
    let mut source = source(&service);
    let mut call = open(&mut source, &mut service, &document(false)).await;
    call.send(&document(true));
    call.send(&document(true));
    check_text(next(&mut source).await, &document(true));
    check_text(next(&mut source).await, &document(true));
}

#[tokio::test]
async fn the_call_tells_who_asks_and_for_what() {
    let mut service = Service::start().await;
    let mut source = source(&service)
        .with_selector("flagSetId=payments")
        .unwrap()
        .with_provider_id("payments-api")
        .with_token("s3cr3t")
        .unwrap();
    let call = open(&mut source, &mut service, "{}").await;
    assert_eq!(call.path, "/flagd.sync.v1.FlagSyncService/SyncFlags");
    assert_eq!(call.request.provider_id, "payments-api");
    assert_eq!(call.request.selector, "flagSetId=payments");
    for (name, value) in [
        ("flagd-selector", "flagSetId=payments"),
        ("authorization", "Bearer s3cr3t"),
        ("user-agent", concat!("crossfade/", env!("CARGO_PKG_VERSION"))),
        ("content-type", "application/grpc"),
        ("te", "trailers"),
    ] {
        assert_eq!(call.headers[name], value, "{name}");
    }
}

/// flagd sends the context of its evaluations along, which is a structure of its own.
#[tokio::test]
async fn what_else_a_message_holds_is_passed_over() {
    let mut service = Service::start().await;
    let mut source = source(&service);
    let mut call = open(&mut source, &mut service, "{}").await;
    let entry = b"\x0a\x06\x0a\x01k\x12\x01\x08";
    call.send_bytes(&[b"\x0a\x02[]\x12\x08", &entry[..]].concat());
    check_text(next(&mut source).await, "[]");
}

#[tokio::test]
async fn a_wait_that_is_given_up_loses_nothing() {
    let mut service = Service::start().await;
    let mut source = source(&service);
    // Given up before the service has answered the call.
    let _unanswered = select! {
        answer = source.next(MOST_BYTES) => panic!("{answer:?}"),
        call = within_deadline(service.call()) => call,
    };
    // Given up between the answer and the first document.
    let clock = Clock::stop();
    let answering = async {
        let mut call = service.call().await;
        call.respond();
        call
    };
    let given_up = clock.give_up_after(5, source.next(MOST_BYTES));
    let ((), mut call) = join!(given_up, answering);
    call.send("1");
    check_text(source.next(MOST_BYTES).await, "1");
    // Given up while the stream is silent.
    clock.give_up_after(5, source.next(MOST_BYTES)).await;
    call.send("2");
    check_text(source.next(MOST_BYTES).await, "2");
}
