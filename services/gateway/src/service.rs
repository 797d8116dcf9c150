//! Starts the gateway's parts in order, and stops them in order.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use rollcall_bus::Bus;
use rollcall_proto::close::CloseCode;
use rollcall_runtime::{
    clock::Clock,
    grpc::{self, Listener},
    ops::{self, Ops},
    rng,
};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tonic::{service::Routes, transport::Channel};
use tracing::{info, warn};

use crate::{Config, Error, Gateway, backend::Backend, edge, link, metrics::Metrics, reports};

/// How often silent clients are looked for.
pub(crate) const TICK: Duration = Duration::from_millis(100);
/// The first wait before registering again.
const REGISTER_FIRST: Duration = Duration::from_millis(50);
/// The longest wait before registering again.
const REGISTER_MOST: Duration = Duration::from_secs(2);
/// How long clients have to take their leave at shutdown.
const LEAVE_LIMIT: Duration = Duration::from_secs(3);

/// A gateway that listens and does not serve yet.
pub struct Service {
    gateway: Arc<Gateway>,
    bus: Arc<dyn Bus>,
    listener: TcpListener,
    address: SocketAddr,
    health: Listener,
    notifier: Channel,
    ready: ops::Part,
}

impl Service {
    /// Listens on the configured addresses. Must be called within the runtime.
    pub fn bind(config: Config, bus: Arc<dyn Bus>, clock: Clock, ops: &Ops) -> Result<Self, Error> {
        let listen = |source| Error::Listen { address: config.listen, source };
        let listener = std::net::TcpListener::bind(config.listen).map_err(listen)?;
        listener.set_nonblocking(true).map_err(listen)?;
        let listener = TcpListener::from_std(listener).map_err(listen)?;
        let address = listener.local_addr().map_err(listen)?;
        let health = Listener::bind(config.health_listen)?;
        let notifier = grpc::channel(&config.notifier)?;
        let backend = Backend::new(
            grpc::channel(&config.presence)?,
            grpc::channel(&config.subscription)?,
            config.call_timeout,
        );
        let ready = ops.readiness.part("gateway");
        let gateway = Gateway::new(config, clock, backend, Metrics::new(&ops.metrics));
        Metrics::show(&ops.metrics, &gateway);
        Ok(Self { gateway, bus, listener, address, health, notifier, ready })
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
        let Self { gateway, bus, listener, health, notifier, address, ready } = self;
        ready.not_ready("not registered with presence");
        if !register(&gateway, &shutdown).await {
            return Ok(());
        }
        ready.ready();
        info!(%address, "serving clients");
        // The edge stops first; the rest goes on until its clients have left.
        let rest = CancellationToken::new();
        let mut tasks = tokio::task::JoinSet::new();
        tasks.spawn(link::run(Arc::clone(&gateway), notifier, rest.clone()));
        tasks.spawn(reports::run(Arc::clone(&gateway), bus, rest.clone()));
        tasks.spawn(end_silent(Arc::clone(&gateway), rest.clone()));
        let served = tokio::select! {
            () = edge::run(Arc::clone(&gateway), listener, shutdown.clone()) => Ok(()),
            result = grpc::serve(health, Routes::default(), &["rollcall.gateway"], shutdown.clone()) => result,
        };
        leave(&gateway).await;
        rest.cancel();
        while tasks.join_next().await.is_some() {}
        Ok(served?)
    }
}

/// Registers with presence, trying again with back-off. Says whether that came before the shutdown.
async fn register(gateway: &Gateway, shutdown: &CancellationToken) -> bool {
    let mut wait = REGISTER_FIRST;
    loop {
        match gateway.backend.register().await {
            Ok(boot) => {
                // Set once: this is the only place.
                let _ = gateway.boot.set(boot);
                return true;
            }
            Err(refusal) => {
                warn!(code = %refusal.code, reason = %refusal.message, "could not register with presence, trying again");
            }
        }
        tokio::select! {
            () = tokio::time::sleep(wait / 2 + rng::jitter(wait / 2)) => {}
            () = shutdown.cancelled() => return false,
        }
        wait = (wait * 2).min(REGISTER_MOST);
    }
}

/// Ends the sessions of silent clients, until `shutdown`.
async fn end_silent(gateway: Arc<Gateway>, shutdown: CancellationToken) {
    let mut tick = tokio::time::interval(TICK);
    tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    while !shutdown.is_cancelled() {
        tick.tick().await;
        gateway.hub.end_silent(gateway.clock.monotonic());
    }
}

/// Asks all clients to go, and waits for it a bounded time.
async fn leave(gateway: &Gateway) {
    let (sessions, users) = gateway.hub.counts();
    info!(sessions, users, "closing all connections");
    gateway.hub.close_all(CloseCode::GoingAway);
    let left = async {
        while gateway.hub.counts().0 > 0 {
            tokio::time::sleep(TICK).await;
        }
    };
    if tokio::time::timeout(LEAVE_LIMIT, left).await.is_err() {
        warn!(sessions = gateway.hub.counts().0, "connections did not close in time");
    }
}
