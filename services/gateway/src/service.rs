//! Starts the gateway's parts in order, and stops them in order.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use rollcall_bus::Bus;
use rollcall_proto::{close::CloseCode, role::Role};
use rollcall_runtime::{
    clock::Clock,
    grpc::{self, Endpoints, Listener},
    ops::{self, Ops},
    tls::Tls,
};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tonic::service::Routes;
use tracing::{info, warn};

use crate::{
    Config, Error, Gateway, Page, backend::Backend, cut_off, edge, friends, link, metrics::Metrics, raise,
    reports, resync,
};

/// How often silent clients, and tokens that have run out, are looked for.
pub(crate) const TICK: Duration = Duration::from_millis(100);
/// The time between two ticks from which it counts as a pause.
pub(crate) const PAUSE: Duration = Duration::from_secs(1);
/// How long clients have to take their leave at shutdown.
const LEAVE_LIMIT: Duration = Duration::from_secs(3);

/// A gateway that listens and does not serve yet.
pub struct Service {
    gateway: Arc<Gateway>,
    bus: Arc<dyn Bus>,
    listener: TcpListener,
    address: SocketAddr,
    health: Listener,
    notifiers: Endpoints,
    page: Option<Page>,
    ready: ops::Part,
}

impl Service {
    /// Listens on the configured addresses, and speaks with the other services as `tls` says. Must be called within the
    /// runtime.
    pub fn bind(
        config: Config,
        tls: &Tls,
        bus: Arc<dyn Bus>,
        clock: Clock,
        ops: &Ops,
    ) -> Result<Self, Error> {
        let listen = |source| Error::Listen { address: config.listen, source };
        let listener = std::net::TcpListener::bind(config.listen).map_err(listen)?;
        listener.set_nonblocking(true).map_err(listen)?;
        let listener = TcpListener::from_std(listener).map_err(listen)?;
        let address = listener.local_addr().map_err(listen)?;
        let health = Listener::bind(config.health_listen)?.secured(tls.clone());
        let endpoints = |role, urls: &str| Endpoints::of(role, urls, tls, clock.clone());
        let notifiers = endpoints(Role::Notifier, &config.notifier)?;
        let presence = endpoints(Role::Presence, &config.presence)?;
        let subscription = endpoints(Role::Subscription, &config.subscription)?;
        let backend = Backend::new(presence, subscription, config.call_timeout);
        let ready = ops.readiness.part("gateway");
        let gateway = Gateway::new(config, clock, backend, Metrics::new(&ops.metrics));
        Metrics::show(&ops.metrics, &gateway);
        Ok(Self { gateway, bus, listener, address, health, notifiers, page: None, ready })
    }

    /// Shows browsers a page at `/`, where without one nothing is.
    #[must_use]
    pub fn with_page(mut self, page: Page) -> Self {
        self.page = Some(page);
        self
    }

    /// Returns the address that clients connect to.
    pub fn local_addr(&self) -> SocketAddr {
        self.address
    }

    /// Returns the address of gRPC health.
    pub fn health_addr(&self) -> SocketAddr {
        self.health.local_addr()
    }

    /// Serves until `shutdown`; then clients are told to reconnect elsewhere, and presence that they left.
    pub async fn run(self, shutdown: CancellationToken) -> Result<(), Error> {
        let Self { gateway, bus, listener, health, notifiers, page, address, ready } = self;
        ready.not_ready("not registered with presence");
        if !gateway.register(&shutdown).await {
            return Ok(());
        }
        ready.ready();
        info!(%address, "serving clients");
        // The edge stops first; the rest goes on until its clients have left.
        let rest = CancellationToken::new();
        let mut tasks = tokio::task::JoinSet::new();
        tasks.spawn(link::run(Arc::clone(&gateway), notifiers, rest.clone()));
        tasks.spawn(resync::run(Arc::clone(&gateway), rest.clone()));
        tasks.spawn(raise::run(Arc::clone(&gateway), rest.clone()));
        tasks.spawn(friends::run(Arc::clone(&gateway), rest.clone()));
        tasks.spawn(reports::run(Arc::clone(&gateway), bus, rest.clone()));
        tasks.spawn(end_due(Arc::clone(&gateway), rest.clone()));
        // Whoever stops asks all clients to move.
        tasks.spawn(cut_off::run(Arc::clone(&gateway), ready, shutdown.clone()));
        let served = tokio::select! {
            () = edge::run(Arc::clone(&gateway), listener, page, shutdown.clone()) => Ok(()),
            result = grpc::serve(health, Routes::default(), &["rollcall.gateway"], shutdown.clone()) => result,
        };
        leave(&gateway).await;
        rest.cancel();
        while tasks.join_next().await.is_some() {}
        Ok(served?)
    }
}

/// Ends the sessions of silent clients and of those whose token ran out, until `shutdown`. A pause of ours is nobody's
/// silence.
async fn end_due(gateway: Arc<Gateway>, shutdown: CancellationToken) {
    let mut tick = tokio::time::interval(TICK);
    tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let mut before = gateway.clock.monotonic();
    while !shutdown.is_cancelled() {
        tick.tick().await;
        let now = gateway.clock.monotonic();
        let passed = now.since(before);
        before = now;
        if passed >= PAUSE {
            warn!(?passed, "this gateway stood still, what it did not hear meanwhile is not counted");
            gateway.hub.excuse(passed, now);
        }
        gateway.hub.end_due(now);
    }
}

/// Asks all clients to move to another gateway, and then closes the connections of those that did not.
async fn leave(gateway: &Gateway) {
    let window = gateway.config.drain;
    let (sessions, users) = gateway.hub.counts();
    if sessions > 0 && !window.is_zero() {
        info!(sessions, users, ?window, "asking clients to move");
        // The last of them is given time to do so.
        let asked = gateway.hub.drain(window.mul_f64(0.75), gateway.clock.monotonic());
        gateway.metrics.asked_to_move.inc_by(asked);
        let _ = tokio::time::timeout(window, all_left(gateway)).await;
    }
    let (sessions, users) = gateway.hub.counts();
    info!(sessions, users, "closing all connections");
    gateway.hub.close_all(CloseCode::GoingAway);
    if tokio::time::timeout(LEAVE_LIMIT, all_left(gateway)).await.is_err() {
        warn!(sessions = gateway.hub.counts().0, "connections did not close in time");
    }
}

async fn all_left(gateway: &Gateway) {
    while gateway.hub.counts().0 > 0 {
        tokio::time::sleep(TICK).await;
    }
}
