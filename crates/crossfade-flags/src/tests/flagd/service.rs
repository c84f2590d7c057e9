//! A service whose every frame a test decides.

use std::{net::SocketAddr, sync::Arc};

use futures_util::future::pending;
use h2::{
    Reason, RecvStream, SendStream,
    server::{Connection, SendResponse},
};
use http::{HeaderMap, Request, Response};
use prost::{Message, bytes::Bytes};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpListener,
    select,
    sync::{mpsc, oneshot},
    task::{AbortHandle, JoinSet},
};
use tokio_rustls::TlsAcceptor;

use crate::flagd::message::{SyncFlagsRequest, SyncFlagsResponse};

pub(super) struct Service {
    scheme: &'static str,
    address: SocketAddr,
    calls: mpsc::UnboundedReceiver<Call>,
    task: AbortHandle,
}

impl Service {
    pub(super) async fn start() -> Self {
        Self::on("127.0.0.1:0".parse().unwrap(), None).await
    }

    pub(super) async fn start_tls(tls: TlsAcceptor) -> Self {
        Self::on("127.0.0.1:0".parse().unwrap(), Some(tls)).await
    }

    /// Drops every connection and starts anew at the same address.
    pub(super) async fn restart(self) -> Self {
        let address = self.address;
        drop(self);
        Self::on(address, None).await
    }

    async fn on(address: SocketAddr, tls: Option<TlsAcceptor>) -> Self {
        let listener = listen(address).await;
        let address = listener.local_addr().unwrap();
        let scheme = if tls.is_some() { "https" } else { "http" };
        let (sender, calls) = mpsc::unbounded_channel();
        let accept = async move {
            let mut connections = JoinSet::new();
            loop {
                let (socket, _) = listener.accept().await.unwrap();
                let (tls, calls) = (tls.clone(), sender.clone());
                connections.spawn(async move {
                    match tls {
                        None => serve(socket, calls).await,
                        Some(tls) => {
                            if let Ok(socket) = tls.accept(socket).await {
                                serve(socket, calls).await;
                            }
                        }
                    }
                });
            }
        };
        Self { scheme, address, calls, task: tokio::spawn(accept).abort_handle() }
    }

    pub(super) fn url(&self) -> String {
        format!("{}://{}", self.scheme, self.address)
    }

    /// Waits for the next call.
    pub(super) async fn call(&mut self) -> Call {
        self.calls.recv().await.unwrap()
    }

    /// Waits for the next call, and answers it with this document.
    pub(super) async fn answer(&mut self, text: &str) -> Call {
        let mut call = self.call().await;
        call.send(text);
        call
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// The address may be taken for as long as the task that had it takes to end.
async fn listen(address: SocketAddr) -> TcpListener {
    loop {
        match TcpListener::bind(address).await {
            Ok(listener) => return listener,
            Err(_) => tokio::task::yield_now().await,
        }
    }
}

#[derive(Clone, Copy)]
enum Command {
    Freeze,
    HangUp,
    DemandCalm,
}

/// A call that the service has got, and the connection it came by.
pub(super) struct Call {
    pub(super) path: String,
    pub(super) headers: HeaderMap,
    pub(super) request: SyncFlagsRequest,
    respond: SendResponse<Bytes>,
    stream: Option<SendStream<Bytes>>,
    connection: mpsc::UnboundedSender<(Command, oneshot::Sender<()>)>,
}

impl Call {
    /// Sends the head of the answer, if that has not been done.
    pub(super) fn respond(&mut self) -> &mut SendStream<Bytes> {
        let head = Response::builder().header("content-type", "application/grpc");
        let respond = &mut self.respond;
        self.stream
            .get_or_insert_with(|| respond.send_response(head.body(()).unwrap(), false).unwrap())
    }

    pub(super) fn send(&mut self, text: &str) {
        let message = SyncFlagsResponse { flag_configuration: text.to_owned() };
        self.send_bytes(&message.encode_to_vec());
    }

    pub(super) fn send_bytes(&mut self, message: &[u8]) {
        let length = u32::try_from(message.len()).unwrap().to_be_bytes();
        let frame = [&[0], &length[..], message].concat();
        self.respond().send_data(frame.into(), false).unwrap();
    }

    /// Ends the stream with this status.
    pub(super) fn end(&mut self, status: &str, message: &str) {
        let trailers = status_headers(status, message);
        self.respond().send_trailers(trailers).unwrap();
    }

    /// Answers with this status and no stream.
    pub(super) fn reject(&mut self, status: &str, message: &str) {
        let mut head = Response::new(());
        *head.headers_mut() = status_headers(status, message);
        self.respond.send_response(head, true).unwrap();
    }

    pub(super) fn reset(&mut self) {
        self.respond().send_reset(Reason::INTERNAL_ERROR);
    }

    /// Leaves the connection open and does nothing for it any more.
    pub(super) async fn freeze(&self) {
        self.command(Command::Freeze).await;
    }

    pub(super) async fn hang_up(&self) {
        self.command(Command::HangUp).await;
    }

    /// Does what servers do to those who ping too often.
    pub(super) async fn demand_calm(&self) {
        self.command(Command::DemandCalm).await;
    }

    /// Waits until the peer has closed the connection.
    pub(super) async fn hung_up(&self) {
        self.connection.closed().await;
    }

    async fn command(&self, command: Command) {
        let (done, wait) = oneshot::channel();
        self.connection.send((command, done)).unwrap();
        wait.await.unwrap();
    }
}

fn status_headers(status: &str, message: &str) -> HeaderMap {
    let pairs =
        [("content-type", "application/grpc"), ("grpc-status", status), ("grpc-message", message)];
    pairs.into_iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap())).collect()
}

async fn serve<T>(socket: T, calls: mpsc::UnboundedSender<Call>)
where
    T: AsyncRead + AsyncWrite + Unpin,
{
    let Ok(mut connection) = h2::server::handshake(socket).await else { return };
    let (sender, mut commands) = mpsc::unbounded_channel();
    loop {
        select! {
            Some((command, done)) = commands.recv() => {
                obey(command, &mut connection, done).await;
                return;
            }
            request = connection.accept() => {
                let Some(Ok((request, respond))) = request else { return };
                tokio::spawn(take(request, respond, sender.clone(), calls.clone()));
            }
        }
    }
}

async fn obey<T>(command: Command, connection: &mut Connection<T, Bytes>, done: oneshot::Sender<()>)
where
    T: AsyncRead + AsyncWrite + Unpin,
{
    match command {
        Command::Freeze => {
            done.send(()).unwrap();
            return pending().await;
        }
        Command::HangUp => {}
        Command::DemandCalm => {
            connection.abrupt_shutdown(Reason::ENHANCE_YOUR_CALM);
            while connection.accept().await.is_some_and(|request| request.is_ok()) {}
        }
    }
    done.send(()).unwrap();
}

/// Reads the one message of the request.
async fn take(
    request: Request<RecvStream>,
    respond: SendResponse<Bytes>,
    connection: mpsc::UnboundedSender<(Command, oneshot::Sender<()>)>,
    calls: mpsc::UnboundedSender<Call>,
) {
    let (head, mut body) = request.into_parts();
    let mut bytes = Vec::new();
    while let Some(Ok(chunk)) = body.data().await {
        bytes.extend_from_slice(&chunk);
    }
    // Five bytes tell whether the message is compressed, and its length.
    let Some(Ok(request)) = bytes.get(5..).map(SyncFlagsRequest::decode) else { return };
    let path = head.uri.path().to_owned();
    let call = Call { path, headers: head.headers, request, respond, stream: None, connection };
    // The test may have ended by now.
    let _ = calls.send(call);
}

/// What a server needs for https, and the certificate in PEM by which it is known.
pub(super) fn tls() -> (TlsAcceptor, String) {
    let certified = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).unwrap();
    let key = rustls::pki_types::PrivateKeyDer::try_from(certified.signing_key.serialize_der());
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certified.cert.der().clone()], key.unwrap())
        .unwrap();
    config.alpn_protocols = vec![b"h2".to_vec()];
    (TlsAcceptor::from(Arc::new(config)), certified.cert.pem())
}
