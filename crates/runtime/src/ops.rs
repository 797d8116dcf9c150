//! What an operator's tools ask a process over HTTP: `/livez`, `/readyz`, `/metrics`.
//!
//! `/livez` tells that the process runs, and looks at nothing else: an engine that is away is no reason to start
//! it anew. `/readyz` tells whether it should be given work. Start with [`Ops`], which the parts of a process
//! share, and [`Server`].

mod readiness;

use std::{net::SocketAddr, sync::Arc, time::Duration};

use axum::{
    Router,
    extract::State,
    http::{StatusCode, header},
    response::{IntoResponse, Response},
    routing::{MethodFilter, on},
};
use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    server::conn::auto::Builder,
    service::TowerToHyperService,
};
use serde::{Deserialize, Serialize};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::Semaphore,
    task::JoinSet,
};
use tokio_util::sync::CancellationToken;
use tracing::debug;

use crate::{config::Validate, error::Error, metrics::Registry};
pub use readiness::{Part, Readiness};

/// The type of what `/metrics` answers.
const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";
/// How long the headers of a request may take.
const HEADER_LIMIT: Duration = Duration::from_secs(5);
/// How long a connection may last in all: it carries one request, and the longest answer is some 100 KiB.
const CONNECTION_LIMIT: Duration = Duration::from_secs(15);
/// Bytes of HTTP headers that are read: the least that hyper takes.
const HTTP_BUFFER: usize = 8 * 1024;
/// Connections at once: a few probes and scrapers, each with one. Further ones wait.
const CONNECTIONS: usize = 16;
/// The pause after a connection could not be accepted, so that a lack of file handles does not spin.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Where a process answers its operator's tools.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Where it listens; port 0 takes any that is free.
    pub listen: SocketAddr,
}

impl Config {
    /// Listens on a port of the loopback by default.
    pub fn on_port(port: u16) -> Self {
        Self { listen: SocketAddr::from(([127, 0, 0, 1], port)) }
    }
}

impl Validate for Config {
    fn faults(&self) -> Vec<String> {
        Vec::new()
    }
}

/// What the parts of a process share with its operator. Clones are the same.
#[derive(Debug, Clone, Default)]
pub struct Ops {
    /// Whether the process can do its work.
    pub readiness: Readiness,
    /// What it counts and measures.
    pub metrics: Registry,
}

/// Answers an operator's tools until it is dropped.
#[derive(Debug)]
pub struct Server {
    address: SocketAddr,
    _task: JoinSet<()>,
}

impl Server {
    /// Begins to answer. Once `shutdown` is cancelled the process is not ready, whatever its parts say.
    pub fn start(config: &Config, ops: Ops, shutdown: CancellationToken) -> Result<Self, Error> {
        let bind = || {
            let listener = std::net::TcpListener::bind(config.listen)?;
            listener.set_nonblocking(true)?;
            TcpListener::from_std(listener)
        };
        let refused = |source| Error::Bind { address: config.listen, source };
        let listener = bind().map_err(refused)?;
        let address = listener.local_addr().map_err(refused)?;
        let mut task = JoinSet::new();
        task.spawn(run(listener, routes(Shared { ops, shutdown })));
        Ok(Self { address, _task: task })
    }

    /// Returns the address, with the port that was taken.
    pub fn local_addr(&self) -> SocketAddr {
        self.address
    }
}

/// What the routes share.
#[derive(Clone)]
struct Shared {
    ops: Ops,
    shutdown: CancellationToken,
}

fn routes(shared: Shared) -> Router {
    let get = MethodFilter::GET;
    Router::new()
        .route("/livez", on(get, async || "ok\n"))
        .route("/readyz", on(get, readyz))
        .route("/metrics", on(get, metrics))
        .with_state(shared)
}

async fn readyz(State(shared): State<Shared>) -> Response {
    let mut reasons = shared.ops.readiness.reasons();
    if shared.shutdown.is_cancelled() {
        reasons.insert(0, "process: stopping".to_owned());
    }
    if reasons.is_empty() {
        return (StatusCode::OK, "ready\n").into_response();
    }
    (StatusCode::SERVICE_UNAVAILABLE, reasons.join("\n") + "\n").into_response()
}

async fn metrics(State(shared): State<Shared>) -> Response {
    ([(header::CONTENT_TYPE, OPEN_METRICS)], shared.ops.metrics.encode()).into_response()
}

async fn run(listener: TcpListener, routes: Router) {
    let places = Arc::new(Semaphore::new(CONNECTIONS));
    // Dropped with the server: no connection outlives it.
    let mut connections = JoinSet::new();
    loop {
        while connections.try_join_next().is_some() {}
        // The semaphore is never closed.
        let Ok(place) = Arc::clone(&places).acquire_owned().await else { return };
        match listener.accept().await {
            Ok((stream, _)) => {
                let routes = routes.clone();
                connections.spawn(async move {
                    serve(stream, routes).await;
                    drop(place);
                });
            }
            Err(error) => {
                debug!(%error, "could not accept a connection of an operator's tool");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

async fn serve(stream: TcpStream, routes: Router) {
    let mut http = Builder::new(TokioExecutor::new()).http1_only();
    http.http1()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADER_LIMIT)
        .max_buf_size(HTTP_BUFFER)
        .keep_alive(false);
    let serving = http.serve_connection(TokioIo::new(stream), TowerToHyperService::new(routes));
    match tokio::time::timeout(CONNECTION_LIMIT, serving).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => debug!(%error, "an operator's tool was not answered"),
        Err(_) => debug!("an operator's tool took too long"),
    }
}
