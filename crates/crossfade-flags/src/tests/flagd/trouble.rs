//! Services that do not answer as they should.

use std::{error::Error, time::Duration};

use crossfade_store::{RuleSource, SourceError};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    join,
    net::TcpListener,
};

use super::{
    super::within_deadline,
    MOST_BYTES, check_text, next, open,
    service::{Call, Service},
    source,
};
use crate::FlagdSource;

#[tokio::test]
async fn a_stream_that_ends_is_an_error_and_the_next_one_is_opened() {
    type Act = fn(&mut Call);
    let mut service = Service::start().await;
    let mut source = source(&service);
    let acts: [(Act, &str); 4] = [
        (|call| call.end("0", ""), "flagd has ended the stream"),
        (
            |call| call.end("14", "draining"),
            "flagd has ended the stream; The service is currently unavailable: draining",
        ),
        (
            |call| call.end("11", "too far"),
            "flagd has ended the stream; Operation was attempted past the valid range: too far",
        ),
        (|call| call.reset(), "the stream of flagd broke off"),
    ];
    for (act, expect) in acts {
        let mut call = open(&mut source, &mut service, "{}").await;
        act(&mut call);
        let error = next(&mut source).await.unwrap_err();
        assert_eq!(error.to_string(), expect);
    }
    // Of a call that is rejected no stream comes.
    let rejecting = async { service.call().await.reject("16", "no token") };
    let (error, ()) = join!(next(&mut source), within_deadline(rejecting));
    let expect = "flagd refused the call; The request does not have valid authentication \
                  credentials: no token";
    assert_eq!(error.unwrap_err().to_string(), expect);
}

#[tokio::test]
async fn a_cut_connection_and_a_restart_are_got_over() {
    let mut service = Service::start().await;
    let mut source = source(&service);
    let call = open(&mut source, &mut service, "1").await;
    call.hang_up().await;
    let error = next(&mut source).await.unwrap_err();
    assert_eq!(error.to_string(), "the stream of flagd broke off");
    open(&mut source, &mut service, "2").await;

    service = within_deadline(service.restart()).await;
    next(&mut source).await.unwrap_err();
    open(&mut source, &mut service, "3").await;

    drop(service);
    next(&mut source).await.unwrap_err();
    let error = next(&mut source).await.unwrap_err();
    assert_eq!(error.to_string(), "flagd cannot be reached");
    assert!(error.source().is_some());
}

#[tokio::test]
async fn nothing_is_left_of_a_stream_that_nobody_reads() {
    let mut service = Service::start().await;
    let mut source = source(&service);
    let mut ended = open(&mut source, &mut service, "1").await;
    ended.end("0", "");
    next(&mut source).await.unwrap_err();
    within_deadline(ended.hung_up()).await;
    let call = open(&mut source, &mut service, "2").await;
    drop(source);
    within_deadline(call.hung_up()).await;
}

#[tokio::test]
async fn a_document_that_is_too_large_is_refused_with_a_pause() {
    // Just above the limit, and so far above that the message is not even read.
    for length in [11, 200_000] {
        let mut service = Service::start().await;
        let mut source = source(&service);
        let sending = async {
            let mut call = service.call().await;
            call.send(&" ".repeat(10));
            call.send(&" ".repeat(length));
            call
        };
        let (first, _call) = join!(within_deadline(source.next(10)), within_deadline(sending));
        check_text(first, &" ".repeat(10));
        let error = within_deadline(source.next(10)).await.unwrap_err();
        assert_eq!(error.to_string(), SourceError::too_large(10).to_string());
        assert_eq!(error.pause(), Some(Duration::from_secs(30)));
        // What is there is asked for anew, so the failure is not taken for silence.
        open(&mut source, &mut service, "{}").await;
    }
}

#[tokio::test]
async fn the_first_document_has_its_time() {
    let mut service = Service::start().await;
    for responding in [false, true] {
        let mut source = source(&service).with_timeout(Duration::from_millis(200));
        let waiting = async {
            let mut call = service.call().await;
            if responding {
                call.respond();
            }
            call
        };
        let (error, _call) = join!(next(&mut source), within_deadline(waiting));
        let expect = "flagd has sent no rule set within 200ms";
        assert_eq!(error.unwrap_err().to_string(), expect);
    }
}

#[tokio::test]
async fn a_server_of_another_kind_is_an_error() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let mut source = FlagdSource::new(&url).unwrap();
    let answering = async {
        let (mut stream, _) = listener.accept().await.unwrap();
        stream.read_u8().await.unwrap();
        stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await.unwrap();
    };
    let (error, ()) = join!(within_deadline(source.next(MOST_BYTES)), answering);
    assert_eq!(error.unwrap_err().to_string(), "flagd cannot be reached");
}
