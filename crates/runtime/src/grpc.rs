//! gRPC servers and channels, with the limits that tonic and hyper leave out.
//!
//! Source of the limits: tonic has by default no cap on streams, no keepalive and no time-outs; hyper's windows
//! are 1 MiB; tonic's graceful shutdown waits for open streams for ever. See [`serve`] and [`channel`]. Both speak
//! mutual TLS where they are given certificates, see [`tls`](crate::tls).

mod accept;
mod admit;
mod connection;
mod dial;
mod endpoints;
mod reflection;
mod seldom;
mod traced;

use std::{net::SocketAddr, time::Duration};

use rollcall_proto::role::Role;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tokio_util::sync::CancellationToken;
use tonic::{
    service::Routes,
    transport::{Channel, Endpoint, Server, server::TcpIncoming},
};
use tonic_health::{
    ServingStatus,
    pb::{HealthCheckRequest, health_check_response::ServingStatus as Reported, health_client::HealthClient},
    server::HealthReporter,
};
use tracing::{debug, warn};

use crate::{error::Error, tls::Tls, trace};
pub use admit::certified_role;
use dial::Dialer;
pub use endpoints::{Endpoints, Picked};
pub use seldom::Seldom;
pub use traced::Traced;

/// The greatest number of calls open at once on one connection; further ones wait with the caller.
const MAX_STREAMS: u32 = 1_024;
/// Bytes a peer may send on one stream before we have read them. HTTP/2's own default: our calls are small.
const STREAM_WINDOW: u32 = 64 * 1_024;
/// Bytes a peer may send on one connection before we have read them: sixteen full streams.
const CONNECTION_WINDOW: u32 = 1_024 * 1_024;
/// The greatest size of the headers of one call in bytes: ours are a path, a deadline, a trace, and
/// the details of a refusal.
const MAX_HEADERS: u32 = 16 * 1_024;
/// The time between two pings of a connection. With [`PING_TIMEOUT`] a dead peer is noticed within 20 s.
const PING_INTERVAL: Duration = Duration::from_secs(10);
/// The time a peer has to answer a ping.
const PING_TIMEOUT: Duration = Duration::from_secs(10);
/// The time a call has until its answer begins. The body of a streamed answer may last as long as it likes.
const CALL_TIMEOUT: Duration = Duration::from_secs(30);
/// The time open calls have to end after shutdown; then their connections are cut.
const SHUTDOWN_GRACE: Duration = Duration::from_secs(5);
/// The pause between two questions whether a server serves yet.
const SERVING_POLL: Duration = Duration::from_millis(20);
/// The time a connection has to be made.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);

/// An address that is listened on, and not yet served.
#[derive(Debug)]
pub struct Listener {
    incoming: TcpIncoming,
    address: SocketAddr,
    tls: Tls,
}

impl Listener {
    /// Listens on an address; port 0 takes any that is free. Must be called within the runtime.
    pub fn bind(address: SocketAddr) -> Result<Self, Error> {
        let bind = || {
            let incoming = TcpIncoming::bind(address)?.with_nodelay(Some(true));
            let address = incoming.local_addr()?;
            Ok(Self { incoming, address, tls: Tls::off() })
        };
        bind().map_err(|source| Error::Bind { address, source })
    }

    /// Takes connections as `tls` says; in clear text unless told otherwise.
    #[must_use]
    pub fn secured(self, tls: Tls) -> Self {
        Self { tls, ..self }
    }

    /// Returns the address, with the port that was taken.
    pub fn local_addr(&self) -> SocketAddr {
        self.address
    }
}

/// Serves `routes`, gRPC health and reflection until `shutdown`.
///
/// Health says SERVING for each name of `services` and for the server as a whole (the empty name), and
/// `NOT_SERVING` from shutdown on. Then no connection is accepted any more; calls that are open have 5 s to end,
/// after which their connections are cut. By TLS, each service is for the roles of `rollcall_proto::role::callers`,
/// reflection for operators, and health for all.
pub async fn serve(
    listener: Listener,
    routes: Routes,
    services: &[&str],
    shutdown: CancellationToken,
) -> Result<(), Error> {
    let (health, health_service) = tonic_health::server::health_reporter();
    set_health(&health, services, ServingStatus::Serving).await;

    let cut = CancellationToken::new();
    // Whatever way this function ends, no connection outlives it.
    let _cut_at_end = cut.clone().drop_guard();
    let Listener { incoming, address, tls } = listener;
    let routes = routes.add_service(reflection::of(services)?);
    let routes = if tls.is_on() { admit::layer(routes) } else { routes };
    let routes = if trace::is_on() { traced::layer(routes) } else { routes };
    let (sender, ready) = mpsc::channel(accept::READY);
    let accepting = accept::run(incoming, tls, sender, cut.clone(), shutdown.clone());
    let serving = server().add_routes(routes).add_service(health_service).serve_with_incoming_shutdown(
        ReceiverStream::new(ready),
        async {
            shutdown.cancelled().await;
            set_health(&health, services, ServingStatus::NotServing).await;
        },
    );
    let deadline = async {
        shutdown.cancelled().await;
        tokio::time::sleep(SHUTDOWN_GRACE).await;
    };
    tokio::select! {
        result = serving => result.map_err(Error::Serve),
        () = accepting => Ok(()),
        () = deadline => {
            warn!(%address, "cut connections whose calls did not end in time");
            Ok(())
        }
    }
}

/// Makes a channel to a service. It connects when it is first used, and again whenever the connection is lost.
///
/// `endpoint` is a URL like `http://127.0.0.1:7701`. Calls carry their own deadlines.
pub fn channel(endpoint: &str) -> Result<Channel, Error> {
    Ok(prepared(endpoint)?.connect_lazy())
}

/// Makes a channel as [`channel`] does, by TLS if `tls` is on. Then it trusts a server of this role alone.
pub fn channel_to(role: Role, endpoint: &str, tls: &Tls) -> Result<Channel, Error> {
    if !tls.is_on() {
        return channel(endpoint);
    }
    // tonic is told of a connection like any: it would make one by TLS with its own set-up only.
    let below = endpoint.strip_prefix("https://").map(|rest| format!("http://{rest}"));
    let origin = prepared(endpoint)?.uri().clone();
    let prepared = prepared(below.as_deref().unwrap_or(endpoint))?.origin(origin);
    Ok(prepared.connect_with_connector_lazy(Dialer::new(tls.clone(), role)))
}

fn prepared(endpoint: &str) -> Result<Endpoint, Error> {
    let endpoint = Endpoint::from_shared(endpoint.to_owned())
        .map_err(|source| Error::Endpoint { endpoint: endpoint.to_owned(), source })?;
    Ok(endpoint
        .connect_timeout(CONNECT_TIMEOUT)
        .tcp_nodelay(true)
        .http2_keep_alive_interval(PING_INTERVAL)
        .keep_alive_timeout(PING_TIMEOUT)
        .keep_alive_while_idle(true)
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .http2_max_header_list_size(MAX_HEADERS))
}

/// Waits until the server behind `endpoint` says that it serves. For ever: the caller sets the limit.
pub async fn await_serving(endpoint: &str) -> Result<(), Error> {
    let mut client = HealthClient::new(channel(endpoint)?);
    loop {
        match client.check(HealthCheckRequest::default()).await {
            Ok(reply) if reply.get_ref().status() == Reported::Serving => return Ok(()),
            Ok(reply) => debug!(endpoint, status = ?reply.get_ref().status(), "not serving yet"),
            Err(status) => debug!(endpoint, %status, "not serving yet"),
        }
        tokio::time::sleep(SERVING_POLL).await;
    }
}

fn server() -> Server {
    Server::builder()
        .timeout(CALL_TIMEOUT)
        .max_concurrent_streams(MAX_STREAMS)
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .http2_max_header_list_size(MAX_HEADERS)
        .http2_keepalive_interval(Some(PING_INTERVAL))
        .http2_keepalive_timeout(Some(PING_TIMEOUT))
}

async fn set_health(health: &HealthReporter, services: &[&str], status: ServingStatus) {
    for service in services.iter().chain(&[""]) {
        health.set_service_status(service, status).await;
    }
}
