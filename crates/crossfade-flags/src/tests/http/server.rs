//! A server whose answers a test decides, and which notes what it was asked.

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex},
};

use axum::{Router, body::Body, extract::Request, response::Response};
use futures_util::future::pending;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
    sync::watch,
    task::AbortHandle,
};
use tokio_rustls::TlsAcceptor;

/// What the server was asked.
#[derive(Clone, Debug)]
pub(super) struct Asked {
    pub(super) method: String,
    pub(super) target: String,
    pub(super) headers: axum::http::HeaderMap,
}

pub(super) struct Server {
    scheme: &'static str,
    address: SocketAddr,
    asked: Arc<Mutex<Vec<Asked>>>,
    count: watch::Receiver<usize>,
    task: AbortHandle,
}

impl Server {
    /// Answers each request as told, by the request and how many there were before it.
    pub(super) async fn start(
        answer: impl Fn(&Asked, usize) -> Response + Send + Sync + 'static,
    ) -> Self {
        Self::start_holding(0, answer).await
    }

    /// Leaves the first so many requests without an answer.
    pub(super) async fn start_holding(
        held: usize,
        answer: impl Fn(&Asked, usize) -> Response + Send + Sync + 'static,
    ) -> Self {
        Self::on(None, held, answer).await
    }

    pub(super) async fn start_tls(
        tls: TlsAcceptor,
        answer: impl Fn(&Asked, usize) -> Response + Send + Sync + 'static,
    ) -> Self {
        Self::on(Some(tls), 0, answer).await
    }

    async fn on(
        tls: Option<TlsAcceptor>,
        held: usize,
        answer: impl Fn(&Asked, usize) -> Response + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let asked = Arc::<Mutex<Vec<Asked>>>::default();
        let (counter, count) = watch::channel(0);
        let (noted, answer) = (Arc::clone(&asked), Arc::new(answer));
        let app = Router::new().fallback(move |request: Request| {
            let asked = Asked {
                method: request.method().to_string(),
                target: request.uri().to_string(),
                headers: request.headers().clone(),
            };
            noted.lock().unwrap().push(asked.clone());
            let (answer, before) = (Arc::clone(&answer), *counter.borrow());
            counter.send_modify(|count| *count += 1);
            async move { if before < held { pending().await } else { answer(&asked, before) } }
        });
        let scheme = if tls.is_some() { "https" } else { "http" };
        let serve = async move {
            match tls {
                Some(tls) => axum::serve(TlsListener { listener, tls }, app).await,
                None => axum::serve(listener, app).await,
            }
        };
        let task = tokio::spawn(serve).abort_handle();
        Self { scheme, address, asked, count, task }
    }

    pub(super) fn url(&self, target: &str) -> String {
        format!("{}://{}{target}", self.scheme, self.address)
    }

    pub(super) fn requests(&self) -> Vec<Asked> {
        self.asked.lock().unwrap().clone()
    }

    /// Waits until the server was asked so many times.
    pub(super) async fn asked(&self, times: usize) {
        self.count.clone().wait_for(|count| *count >= times).await.unwrap();
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

struct TlsListener {
    listener: TcpListener,
    tls: TlsAcceptor,
}

impl axum::serve::Listener for TlsListener {
    type Io = tokio_rustls::server::TlsStream<tokio::net::TcpStream>;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Self::Io, Self::Addr) {
        loop {
            let (stream, address) = self.listener.accept().await.unwrap();
            if let Ok(stream) = self.tls.accept(stream).await {
                return (stream, address);
            }
        }
    }

    fn local_addr(&self) -> std::io::Result<Self::Addr> {
        self.listener.local_addr()
    }
}

pub(super) fn respond(status: u16, headers: &[(&str, &str)], body: impl Into<Body>) -> Response {
    let mut response = Response::builder().status(status);
    for (name, value) in headers {
        response = response.header(*name, *value);
    }
    response.body(body.into()).unwrap()
}

/// Answers one connection with these very bytes, and closes it.
pub(super) async fn raw(listener: &TcpListener, answer: &str) {
    let (mut stream, _) = listener.accept().await.unwrap();
    let mut request = Vec::new();
    while !request.ends_with(b"\r\n\r\n") {
        request.push(stream.read_u8().await.unwrap());
    }
    stream.write_all(answer.as_bytes()).await.unwrap();
    stream.shutdown().await.unwrap();
}
