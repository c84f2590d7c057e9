//! The proxy in front of a server that answers each line with the same line.

use std::time::Duration;

use crossfade_testkit::{Fault, Proxy};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;

/// Echoes lines, and tells which it received.
async fn echo() -> (std::net::SocketAddr, mpsc::UnboundedReceiver<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    let (heard, hearing) = mpsc::unbounded_channel();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let heard = heard.clone();
            tokio::spawn(async move {
                let (from, mut to) = stream.into_split();
                let mut lines = BufReader::new(from).lines();
                while let Ok(Some(line)) = lines.next_line().await {
                    let _ = heard.send(line.clone());
                    let _ = to.write_all(format!("{line}\n").as_bytes()).await;
                }
            });
        }
    });
    (address, hearing)
}

/// Sends a line and returns the answer; `None` when the connection ended instead.
async fn ask(stream: &mut TcpStream, line: &str) -> Option<String> {
    stream.write_all(format!("{line}\n").as_bytes()).await.ok()?;
    let mut answer = String::new();
    loop {
        match stream.read_u8().await.ok()? {
            b'\n' => return Some(answer),
            byte => answer.push(char::from(byte)),
        }
    }
}

async fn connect(proxy: &Proxy) -> TcpStream {
    TcpStream::connect(proxy.address()).await.expect("the proxy listens")
}

#[tokio::test]
async fn a_lost_reply_was_carried_out_and_a_lost_request_was_not() {
    let (server, mut heard) = echo().await;
    let proxy = Proxy::start(server).await.expect("starts");
    let mut client = connect(&proxy).await;
    assert_eq!(ask(&mut client, "begin").await.as_deref(), Some("begin"));
    let mut armed = proxy.arm("commit", Fault::LoseReply);
    assert_eq!(ask(&mut client, "select").await.as_deref(), Some("select"));
    assert!(!armed.has_struck());
    assert_eq!(ask(&mut client, "COMMIT").await, None);
    armed.struck().await;

    let mut client = connect(&proxy).await;
    let armed = proxy.arm("commit", Fault::LoseRequest);
    assert_eq!(ask(&mut client, "commit").await, None);
    assert!(armed.has_struck());

    let mut client = connect(&proxy).await;
    assert_eq!(ask(&mut client, "commit").await.as_deref(), Some("commit"));
    for line in ["begin", "select", "COMMIT", "commit"] {
        assert_eq!(heard.recv().await.as_deref(), Some(line));
    }
    assert!(heard.is_empty());
    assert_eq!(proxy.connections(), 3);
}

#[tokio::test]
async fn a_text_is_recognised_in_two_pieces() {
    let (server, _heard) = echo().await;
    let proxy = Proxy::start(server).await.expect("starts");
    let mut client = connect(&proxy).await;
    let mut armed = proxy.arm("commit", Fault::LoseReply);
    assert_eq!(ask(&mut client, "com").await.as_deref(), Some("com"));
    assert!(!armed.has_struck(), "another line came between");
    client.write_all(b"com").await.expect("sent");
    client.flush().await.expect("sent");
    tokio::task::yield_now().await;
    assert_eq!(ask(&mut client, "mit").await, None);
    armed.struck().await;
}

#[tokio::test]
async fn it_cuts_refuses_and_stalls() {
    let (server, _heard) = echo().await;
    let proxy = Proxy::start(server).await.expect("starts");
    let mut client = connect(&proxy).await;
    assert!(ask(&mut client, "a").await.is_some());
    proxy.cut();
    assert_eq!(ask(&mut client, "b").await, None);

    let mut client = connect(&proxy).await;
    assert!(ask(&mut client, "c").await.is_some());
    proxy.refuse();
    assert_eq!(ask(&mut client, "d").await, None);
    assert_eq!(ask(&mut connect(&proxy).await, "e").await, None);
    proxy.admit();

    let mut client = connect(&proxy).await;
    assert!(ask(&mut client, "f").await.is_some());
    proxy.stall();
    let mut asking = std::pin::pin!(ask(&mut client, "g"));
    let stalled = tokio::time::timeout(Duration::from_millis(50), &mut asking).await;
    assert!(stalled.is_err(), "it was forwarded");
    proxy.admit();
    assert_eq!(asking.await.as_deref(), Some("g"));
}

#[tokio::test]
async fn urls_lead_through_it() {
    let proxy = Proxy::start("127.0.0.1:9").await.expect("starts");
    let address = proxy.address();
    for (url, expected) in [
        (
            "postgres://app:p%40ss@db:5432/app?a=b",
            format!("postgres://app:p%40ss@{address}/app?a=b"),
        ),
        ("mysql://db/app", format!("mysql://{address}/app")),
        ("postgres://app@db", format!("postgres://app@{address}")),
        ("sqlite:app.db", "sqlite:app.db".to_owned()),
    ] {
        assert_eq!(proxy.url(url), expected);
    }
}
