//! Takes connections, and lets them shake hands beside each other: who is slow or silent holds up nobody.
//!
//! Unfinished handshakes have a time limit and a number. Beyond that the one that has waited the longest gives way, so
//! that a flood of connections that say nothing keeps out only those that are slower than the flood.

use std::{collections::VecDeque, io, sync::Arc, time::Duration};

use tokio::{
    net::TcpStream,
    sync::mpsc,
    task::{AbortHandle, JoinSet},
};
use tokio_rustls::TlsAcceptor;
use tokio_stream::StreamExt as _;
use tokio_util::sync::CancellationToken;
use tonic::transport::server::TcpIncoming;
use tracing::{debug, warn};

use super::{connection::Connection, seldom::Seldom};
use crate::tls::Tls;

/// Unfinished handshakes at once. Each takes some 30 KiB at most, and a millisecond of work.
const HANDSHAKES: usize = 256;
/// How long a handshake may take: several round trips on a bad line.
const HANDSHAKE_LIMIT: Duration = Duration::from_secs(5);
/// The pause after a connection could not be accepted, so that a lack of file handles does not spin.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// Connections that wait for the server to take them: it does so at once.
pub(super) const READY: usize = 16;

/// Connections that can be served.
pub(super) type Ready = mpsc::Sender<io::Result<Connection>>;

/// Takes connections until `shutdown`, and then closes the address; handshakes end with it. Never returns, for the
/// server decides when there are no more.
pub(super) async fn run(
    mut incoming: TcpIncoming,
    tls: Tls,
    ready: Ready,
    cut: CancellationToken,
    shutdown: CancellationToken,
) {
    let mut handshakes = Handshakes::default();
    while let Some(Some(accepted)) = shutdown.run_until_cancelled(incoming.next()).await {
        match (accepted, tls.acceptor()) {
            (Ok(stream), Some(acceptor)) => handshakes.start(stream, acceptor, &ready, &cut),
            (Ok(stream), None) => {
                // The server that no longer takes any is stopping.
                let _ = ready.send(Ok(Connection::plain(stream, cut.clone()))).await;
            }
            (Err(error), _) => {
                debug!(%error, "could not accept a connection");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
    drop((incoming, handshakes));
    std::future::pending::<()>().await;
}

#[derive(Default)]
struct Handshakes {
    tasks: JoinSet<()>,
    /// Those that may be unfinished, the oldest first.
    order: VecDeque<AbortHandle>,
    refused: Arc<Seldom>,
}

impl Handshakes {
    fn start(&mut self, stream: TcpStream, acceptor: TlsAcceptor, ready: &Ready, cut: &CancellationToken) {
        while self.tasks.try_join_next().is_some() {}
        self.make_room();
        let (ready, cut, refused) = (ready.clone(), cut.clone(), Arc::clone(&self.refused));
        self.order.push_back(self.tasks.spawn(async move {
            let peer = stream.peer_addr();
            let shaken = tokio::time::timeout(HANDSHAKE_LIMIT, acceptor.accept(stream)).await;
            let error = match shaken {
                Ok(Ok(stream)) => {
                    let _ = ready.send(Ok(Connection::secure(stream, cut))).await;
                    return;
                }
                Ok(Err(error)) => error.to_string(),
                Err(_) => format!("the handshake took longer than {HANDSHAKE_LIMIT:?}"),
            };
            if let Some(others) = refused.pass() {
                warn!(?peer, error, others, "refused a connection whose peer did not show who it is");
            }
        }));
    }

    fn make_room(&mut self) {
        if self.order.len() >= HANDSHAKES {
            self.order.retain(|handshake| !handshake.is_finished());
        }
        if self.order.len() >= HANDSHAKES
            && let Some(oldest) = self.order.pop_front()
        {
            oldest.abort();
        }
    }
}
