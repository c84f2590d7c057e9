//! A TCP proxy that loses what a network can lose.

mod connection;
mod rule;

use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::net::{TcpListener, TcpStream, ToSocketAddrs};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use rule::Rules;
pub use rule::{Armed, Fault};

/// A TCP proxy before one server. It forwards bytes as they come, until it is told to do otherwise.
///
/// It reads what clients send as bytes, so it knows a statement by its text, and only where that
/// text is on the wire: in a plain query, or when a statement is prepared. Encrypted connections
/// are forwarded, but no [`Fault`] can recognise anything in them.
///
/// Dropping it cuts every connection.
#[derive(Debug)]
pub struct Proxy {
    address: SocketAddr,
    shared: Arc<Shared>,
    accepting: JoinHandle<()>,
}

/// What the connections are told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Orders {
    /// Connections of an earlier generation are cut.
    generation: u64,
    /// New connections are cut at once.
    refuses: bool,
    /// Nothing is forwarded, and nothing is cut.
    stalls: bool,
}

#[derive(Debug)]
pub(crate) struct Shared {
    rules: Mutex<Rules>,
    orders: watch::Sender<Orders>,
    accepted: AtomicU64,
}

impl Shared {
    fn rules<R>(&self, with: impl FnOnce(&mut Rules) -> R) -> R {
        with(&mut self.rules.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Proxy {
    /// Listens on a free port of the loopback interface, in front of `server`.
    ///
    /// # Errors
    ///
    /// When the server's name cannot be resolved, or no port can be had. That nobody listens at
    /// `server` shows only when a client connects: its connection ends.
    pub async fn start(server: impl ToSocketAddrs) -> io::Result<Self> {
        let server = tokio::net::lookup_host(server).await?.next().ok_or_else(|| {
            io::Error::new(io::ErrorKind::NotFound, "the server's name has no address")
        })?;
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let address = listener.local_addr()?;
        let orders = Orders { generation: 0, refuses: false, stalls: false };
        let shared = Arc::new(Shared {
            rules: Mutex::default(),
            orders: watch::Sender::new(orders),
            accepted: AtomicU64::new(0),
        });
        let accepting = tokio::spawn(accept(listener, server, Arc::clone(&shared)));
        Ok(Self { address, shared, accepting })
    }

    /// Where clients connect.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The same URL with this proxy in place of the server's host and port, as in
    /// `postgres://app@127.0.0.1:5432/app`. An URL without `//` stays as it is.
    #[must_use]
    pub fn url(&self, url: &str) -> String {
        let Some((scheme, rest)) = url.split_once("//") else {
            return url.to_owned();
        };
        let (authority, path) = rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len()));
        let user = authority.rfind('@').map_or("", |at| &authority[..=at]);
        format!("{scheme}//{user}{}{path}", self.address)
    }

    /// Lets the next request that contains `text`, whatever its case, suffer `fault`, once. Of
    /// several that are armed the first that fits strikes.
    pub fn arm(&self, text: &str, fault: Fault) -> Armed {
        self.shared.rules(|rules| rules.arm(text, fault))
    }

    /// Cuts every open connection, as a restart of the server or a lost route does. What a server
    /// has received it still carries out.
    pub fn cut(&self) {
        self.shared.orders.send_modify(|orders| orders.generation += 1);
    }

    /// Cuts every connection, and each new one at once, until [`admit`](Self::admit).
    pub fn refuse(&self) {
        self.shared.orders.send_modify(|orders| {
            orders.refuses = true;
            orders.generation += 1;
        });
    }

    /// Forwards again, after [`refuse`](Self::refuse) or [`stall`](Self::stall).
    pub fn admit(&self) {
        self.shared.orders.send_modify(|orders| {
            orders.refuses = false;
            orders.stalls = false;
        });
    }

    /// Forwards nothing more, and keeps the connections, as a dead route does, until
    /// [`admit`](Self::admit).
    pub fn stall(&self) {
        self.shared.orders.send_modify(|orders| orders.stalls = true);
    }

    /// How many connections clients have made so far.
    #[must_use]
    pub fn connections(&self) -> u64 {
        self.shared.accepted.load(Ordering::Relaxed)
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.refuse();
        self.accepting.abort();
    }
}

async fn accept(listener: TcpListener, server: SocketAddr, shared: Arc<Shared>) {
    loop {
        let Ok((client, _)) = listener.accept().await else {
            // Out of file descriptors, for example, which others give back.
            tokio::task::yield_now().await;
            continue;
        };
        shared.accepted.fetch_add(1, Ordering::Relaxed);
        let orders = shared.orders.subscribe();
        if orders.borrow().refuses {
            continue;
        }
        tokio::spawn(serve(client, server, Arc::clone(&shared), orders));
    }
}

async fn serve(
    client: TcpStream,
    server: SocketAddr,
    shared: Arc<Shared>,
    orders: watch::Receiver<Orders>,
) {
    let born = orders.borrow().generation;
    let forward = async {
        let server = TcpStream::connect(server).await?;
        client.set_nodelay(true)?;
        server.set_nodelay(true)?;
        connection::forward(client, server, &shared, orders.clone()).await
    };
    let mut cut = orders.clone();
    tokio::select! {
        ended = forward => if let Err(error) = ended {
            tracing::debug!(error = %error, "a proxied connection ended");
        },
        _ = cut.wait_for(|orders| orders.generation != born) => {}
    }
}
