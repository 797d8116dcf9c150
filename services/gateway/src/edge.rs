//! The clients' HTTP edge: who may connect, and the upgrade to a WebSocket; `edge/http2.rs` is the edge of gRPC streams,
//! on the same address.

mod begun;
mod http2;

use std::{net::SocketAddr, sync::Arc, time::Duration};

use axum::{
    Router,
    body::Body,
    extract::{Request, State},
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
    routing::get,
};
use hyper::upgrade::OnUpgrade;
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    service::TowerToHyperService,
};
use parking_lot::Mutex;
use rollcall_runtime::clock::Monotonic;
use tokio::{
    net::{TcpListener, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore},
};
use tokio_util::sync::CancellationToken;
use tracing::{debug, warn};
use tungstenite::handshake::server::create_response_with_body;

use self::begun::Begun;
use crate::{
    Gateway, Page,
    codec::Codec,
    connection::{self, WebSocket},
    metrics::Refused,
};

/// How long the headers of a request may take, and before that the first bytes of a connection.
const HEADER_LIMIT: Duration = Duration::from_secs(5);
/// Bytes of HTTP headers that are read.
const HTTP_BUFFER: usize = 16 * 1024;
/// The pause after a connection could not be accepted, so that a lack of file handles does not spin.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Why a page may not connect.
const FOREIGN_ORIGIN: &str =
    "the origin is not allowed, expected the gateway's own host or one of gateway.allowed_origins";

/// What the routes share.
#[derive(Clone)]
struct Edge {
    gateway: Arc<Gateway>,
    slots: Arc<Semaphore>,
    admission: Arc<Mutex<Bucket>>,
}

/// Serves clients until `shutdown`, and browsers a page if there is one.
pub(crate) async fn run(
    gateway: Arc<Gateway>,
    listener: TcpListener,
    page: Option<Page>,
    shutdown: CancellationToken,
) {
    let config = &gateway.config;
    let bucket = Bucket::new(config.admissions_per_second, gateway.clock.monotonic());
    let edge = Edge {
        slots: Arc::new(Semaphore::new(config.connections.min(Semaphore::MAX_PERMITS))),
        admission: Arc::new(Mutex::new(bucket)),
        gateway,
    };
    let mut router = Router::new()
        .route("/v1/connect", get(connect))
        .route("/livez", get(|| async { "ok\n" }))
        .route("/readyz", get(ready))
        .with_state(edge.clone());
    if let Some(page) = page {
        router = router.route("/", get(async move |headers: HeaderMap| page.show(&headers)));
    }
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = shutdown.cancelled() => return,
        };
        match accepted {
            Ok((stream, peer)) => {
                tokio::spawn(serve(edge.clone(), router.clone(), stream, peer, shutdown.clone()));
            }
            Err(error) => {
                warn!(%error, "could not accept a connection");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

async fn serve(edge: Edge, router: Router, stream: TcpStream, peer: SocketAddr, shutdown: CancellationToken) {
    if let Err(error) = stream.set_nodelay(true) {
        debug!(%peer, %error, "could not set TCP_NODELAY");
    }
    match tokio::time::timeout(HEADER_LIMIT, Begun::read(stream)).await {
        Ok(Ok((stream, true))) => {
            // Boxed: a connection of HTTP/1.1 keeps no room for it.
            if let Err(error) = Box::pin(http2::serve(edge, stream, shutdown)).await {
                debug!(%peer, %error, "a connection of HTTP/2 failed");
            }
        }
        Ok(Ok((stream, false))) => serve_http(router, stream, peer).await,
        Ok(Err(error)) => debug!(%peer, %error, "a connection failed before it began"),
        Err(_) => debug!(%peer, "a connection did not begin in time"),
    }
}

async fn serve_http(router: Router, stream: Begun<TcpStream>, peer: SocketAddr) {
    let mut http = hyper::server::conn::http1::Builder::new();
    http.timer(TokioTimer::new()).header_read_timeout(HEADER_LIMIT).max_buf_size(HTTP_BUFFER);
    let serving = http.serve_connection(TokioIo::new(stream), TowerToHyperService::new(router));
    if let Err(error) = serving.with_upgrades().await {
        debug!(%peer, %error, "a connection failed before its upgrade");
    }
}

async fn ready(State(edge): State<Edge>) -> Response {
    match edge.gateway.is_ready() {
        Ok(()) => (StatusCode::OK, "ready\n").into_response(),
        Err(why) => (StatusCode::SERVICE_UNAVAILABLE, format!("{why}\n")).into_response(),
    }
}

async fn connect(State(edge): State<Edge>, mut request: Request) -> Response {
    let mut response = match create_response_with_body(&request, Body::empty) {
        Ok(response) => response,
        Err(error) => {
            let message = format!("expected the handshake of a WebSocket: {error}\n");
            return (StatusCode::BAD_REQUEST, message).into_response();
        }
    };
    let headers = request.headers();
    let host = headers.get(header::HOST).and_then(|host| host.to_str().ok());
    if !origin_is_allowed(headers, host, &edge.gateway.config.allowed_origins) {
        return edge.refuse(Refused::Origin, StatusCode::FORBIDDEN, FOREIGN_ORIGIN);
    }
    let Some(codec) = Codec::offered(headers.get_all(header::SEC_WEBSOCKET_PROTOCOL)) else {
        let message =
            "no known WebSocket subprotocol was offered, expected rollcall.v1.json or rollcall.v1.protobuf";
        return edge.refuse(Refused::Subprotocol, StatusCode::BAD_REQUEST, message);
    };
    let slot = match edge.enter() {
        Ok(slot) => slot,
        Err((why, message)) => return edge.refuse(why, StatusCode::SERVICE_UNAVAILABLE, message),
    };
    let name = HeaderValue::from_static(codec.subprotocol());
    response.headers_mut().insert(header::SEC_WEBSOCKET_PROTOCOL, name);
    let upgrade = hyper::upgrade::on(&mut request);
    let gateway = Arc::clone(&edge.gateway);
    let open = gateway.metrics.open();
    tokio::spawn(async move {
        let _held = (slot, open);
        // Boxed: a connection keeps no room for how it began.
        if let Some(socket) = Box::pin(upgraded(upgrade)).await {
            connection::serve(gateway, socket, codec).await;
        }
    });
    response
}

/// Waits until a connection is a WebSocket; `None` if it fails before.
async fn upgraded(upgrade: OnUpgrade) -> Option<WebSocket> {
    let upgraded =
        upgrade.await.inspect_err(|error| debug!(%error, "a connection failed in its upgrade")).ok()?;
    let parts = upgraded.downcast::<TokioIo<Begun<TcpStream>>>().ok()?;
    Some(WebSocket::new(parts.io.into_inner().into_inner(), &parts.read_buf))
}

impl Edge {
    /// Takes a place for one session; else says why there is none.
    fn enter(&self) -> Result<OwnedSemaphorePermit, (Refused, &'static str)> {
        if self.gateway.is_ready().is_err() {
            return Err((Refused::NotReady, "the gateway is not ready, try again"));
        }
        self.admit().map_err(|why| (why, "the gateway is full, try again with back-off"))
    }

    fn admit(&self) -> Result<OwnedSemaphorePermit, Refused> {
        let now = self.gateway.clock.monotonic();
        let slot = Arc::clone(&self.slots).try_acquire_owned().map_err(|_| Refused::Full)?;
        if self.admission.lock().take(now) { Ok(slot) } else { Err(Refused::Rate) }
    }

    fn refuse(&self, why: Refused, status: StatusCode, message: &'static str) -> Response {
        self.gateway.metrics.refused(why);
        (status, format!("{message}\n")).into_response()
    }
}

/// Says whether a browser page may connect. Programs send no origin; a page may come from our own host, or
/// from an allowed origin, named exactly.
fn origin_is_allowed(headers: &HeaderMap, host: Option<&str>, allowed: &[String]) -> bool {
    let Some(origin) = headers.get(header::ORIGIN) else { return true };
    let Ok(origin) = origin.to_str() else { return false };
    let own = origin.split_once("://").is_some_and(|(_, authority)| Some(authority) == host);
    own || allowed.iter().any(|allowed| allowed == origin)
}

/// A token bucket: so many in a second, after a first burst of twice as many.
#[derive(Debug)]
struct Bucket {
    per_second: f64,
    tokens: f64,
    filled: Monotonic,
}

impl Bucket {
    fn new(per_second: u32, now: Monotonic) -> Self {
        let per_second = f64::from(per_second);
        Self { per_second, tokens: per_second * 2.0, filled: now }
    }

    fn take(&mut self, now: Monotonic) -> bool {
        let filled = self.tokens + now.since(self.filled).as_secs_f64() * self.per_second;
        self.tokens = filled.min(self.per_second * 2.0);
        self.filled = now;
        let admitted = self.tokens >= 1.0;
        if admitted {
            self.tokens -= 1.0;
        }
        admitted
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bucket_admits_a_burst_and_then_so_many_in_a_second() {
        let mut bucket = Bucket::new(10, Monotonic(0));
        assert_eq!((0..100).filter(|_| bucket.take(Monotonic(0))).count(), 20);
        assert_eq!((0..100).filter(|_| bucket.take(Monotonic(1_000))).count(), 10);
        assert_eq!((0..100).filter(|_| bucket.take(Monotonic(100_000))).count(), 20);
    }

    // ATTACK X5
    #[test]
    fn a_page_may_connect_from_our_own_host_or_an_allowed_origin_only() {
        let allowed = ["https://app.example".to_owned()];
        let check = |origin: Option<&str>| {
            let mut headers = HeaderMap::new();
            if let Some(origin) = origin {
                headers.insert(header::ORIGIN, origin.parse().unwrap());
            }
            origin_is_allowed(&headers, Some("gate.example:7700"), &allowed)
        };
        assert!(check(None));
        assert!(check(Some("https://app.example")));
        assert!(check(Some("http://gate.example:7700")));
        for foreign in ["null", "https://evil.example", "https://app.example.evil", "http://gate.example", ""]
        {
            assert!(!check(Some(foreign)), "{foreign}");
        }
    }
}
