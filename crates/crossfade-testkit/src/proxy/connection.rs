//! One connection through the proxy.

use std::io;
use std::sync::{Mutex, PoisonError};

use tokio::io::{AsyncReadExt, AsyncWriteExt, ReadHalf, WriteHalf};
use tokio::net::TcpStream;
use tokio::sync::watch;

use super::rule::{Fault, Strike};
use super::{Orders, Shared};

/// Forwards both ways until either side ends or a fault strikes; both ends are closed then.
pub(super) async fn forward(
    client: TcpStream,
    server: TcpStream,
    shared: &Shared,
    orders: watch::Receiver<Orders>,
) -> io::Result<()> {
    let (from_client, to_client) = tokio::io::split(client);
    let (from_server, to_server) = tokio::io::split(server);
    let losing = Losing::default();
    let replies = replies(from_server, to_client, &losing, orders.clone());
    tokio::select! {
        ended = requests(from_client, to_server, shared, &losing, orders) => ended,
        ended = replies => ended,
    }
}

/// The strike that loses or replaces the next reply. It is the one to the request that was recognised, since a
/// client waits for the reply to one request before it sends the next.
type Losing = Mutex<Option<Strike>>;

async fn requests(
    mut from: ReadHalf<TcpStream>,
    mut to: WriteHalf<TcpStream>,
    shared: &Shared,
    losing: &Losing,
    mut orders: watch::Receiver<Orders>,
) -> io::Result<()> {
    let mut buffer = vec![0; 64 * 1024];
    // A text may come in two pieces.
    let mut seen: Vec<u8> = Vec::new();
    loop {
        let read = from.read(&mut buffer).await?;
        if read == 0 {
            return Ok(());
        }
        let sent = &buffer[..read];
        seen.extend_from_slice(sent);
        let strike = shared.rules(|rules| {
            let strike = rules.take(&seen);
            let kept = seen.len().min(rules.longest().saturating_sub(1));
            seen.drain(..seen.len() - kept);
            strike
        });
        going(&mut orders).await;
        match strike {
            Some(strike) if strike.fault == Fault::LoseRequest => {
                strike.done();
                return Ok(());
            }
            Some(strike) => {
                *losing.lock().unwrap_or_else(PoisonError::into_inner) = Some(strike);
                to.write_all(sent).await?;
            }
            None => to.write_all(sent).await?,
        }
    }
}

async fn replies(
    mut from: ReadHalf<TcpStream>,
    mut to: WriteHalf<TcpStream>,
    losing: &Losing,
    mut orders: watch::Receiver<Orders>,
) -> io::Result<()> {
    let mut buffer = vec![0; 64 * 1024];
    loop {
        let read = from.read(&mut buffer).await?;
        let strike = losing.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(strike) = strike {
            let reply = strike.fault.reply();
            strike.done();
            to.write_all(&reply).await?;
            return to.shutdown().await;
        }
        if read == 0 {
            return Ok(());
        }
        going(&mut orders).await;
        to.write_all(&buffer[..read]).await?;
    }
}

/// Waits while the proxy stalls. The sender outlives the connection's task.
async fn going(orders: &mut watch::Receiver<Orders>) {
    let _ = orders.wait_for(|orders| !orders.stalls).await;
}
