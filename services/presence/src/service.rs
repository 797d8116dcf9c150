//! Presence as a whole: what it is made of, and how it starts and stops.

use std::{convert::Infallible, net::SocketAddr, sync::Arc};

use rollcall_bus::Bus;
use rollcall_proto::{
    admin::v1::admin_service_server::AdminServiceServer,
    gateway::v1::gateway_service_server::GatewayServiceServer,
    presence::v1::{
        last_online_service_server::LastOnlineServiceServer, presence_service_server::PresenceServiceServer,
        user_service_server::UserServiceServer,
    },
};
use rollcall_records::{Apps, Publisher, Publishing, Relay, Users, Windows};
use rollcall_runtime::{
    Clock, Monotonic,
    grpc::{self, Listener},
    metrics::Registry,
    ops::{self, Ops},
    shutdown::CancellationToken,
    supervise::Supervisor,
    tls::Tls,
};
use rollcall_store::Store;
use tokio_util::sync::DropGuard;
use tonic::service::Routes;

use crate::{
    admin::Admin,
    beacon::Beacon,
    clears::{ClearLooks, Clears},
    config::Config,
    error::Error,
    gate::Gate,
    grpc::{SERVICE_NAMES, admin::Operators, gateway::Gateways, user::Backends},
    leases::{Leases, Undertaker},
    metrics::Metrics,
    overdue::Overdue,
    quiet::Quiet,
    reports::Reports,
    sessions::Sessions,
    sweep::{Looks, Sweep},
};

/// Presence that listens and does not serve yet.
pub struct Service {
    listener: Listener,
    bus: Arc<dyn Bus>,
    parts: Parts,
    gate: Gate,
    ready: ops::Part,
}

/// All that is run.
pub(crate) struct Parts {
    pub(crate) admin: Admin,
    pub(crate) gateways: Gateways,
    pub(crate) sessions: Sessions,
    pub(crate) reports: Reports,
    pub(crate) undertaker: Undertaker,
    pub(crate) sweep: Sweep,
    pub(crate) clears: Clears,
    pub(crate) publishing: Publishing,
    pub(crate) relay: Relay,
    pub(crate) beacon: Beacon,
}

impl Service {
    /// Listens on the configured address. Fails too if the file of credentials cannot be read.
    pub fn bind(
        config: &Config,
        store: Arc<dyn Store>,
        bus: Arc<dyn Bus>,
        clock: Clock,
        ops: &Ops,
    ) -> Result<Self, Error> {
        let listener = Listener::bind(config.listen)?;
        let ready = ops.readiness.part("presence");
        let parts = Parts::new(config, store, bus.clone(), clock, &ops.metrics);
        let gate = Gate::load(&config.admin_credentials, parts.sessions.metrics.clone())?;
        Ok(Self { listener, bus, parts, gate, ready })
    }

    /// Takes connections as `tls` says; in clear text unless told otherwise.
    #[must_use]
    pub fn secured(self, tls: Tls) -> Self {
        Self { listener: self.listener.secured(tls), ..self }
    }

    /// Returns the address, with the port that was taken.
    pub fn local_addr(&self) -> SocketAddr {
        self.listener.local_addr()
    }

    /// Serves until `shutdown`, and then publishes what its last calls committed.
    pub async fn run(self, shutdown: CancellationToken) -> Result<(), Error> {
        let Parts {
            admin,
            gateways,
            sessions,
            reports,
            undertaker,
            sweep,
            clears,
            publishing,
            relay,
            beacon,
        } = self.parts;
        let stop = shutdown.child_token();
        let mut tasks = Supervisor::new(stop.clone());
        // Cancelled once all who commit have ended: each of them holds a share of the guard.
        let committed = CancellationToken::new();
        let guard = Arc::new(committed.clone().drop_guard());
        let share = || Arc::clone(&guard);

        let gate = self.gate;
        let routes = Routes::new(PresenceServiceServer::new(sessions.clone()))
            .add_service(LastOnlineServiceServer::new(sessions.clone()))
            .add_service(UserServiceServer::new(Backends { sessions, gate: gate.clone() }))
            .add_service(GatewayServiceServer::new(gateways))
            .add_service(AdminServiceServer::new(Operators { admin, gate: gate.clone() }));
        let serving = grpc::serve(self.listener, routes, &SERVICE_NAMES, stop.clone());
        tasks.spawn("gRPC server", holding(share(), serving));
        tasks.spawn("reports", holding(share(), endless(reports.run(self.bus, stop.clone()))));
        tasks.spawn("credentials", endless(gate.run(stop.clone())));
        tasks.spawn("leases", endless(undertaker.run(stop.clone())));
        tasks.spawn("sweep", holding(share(), endless(sweep.run(stop.clone()))));
        tasks.spawn("clears", holding(share(), endless(clears.run(stop.clone()))));
        tasks.spawn("relay", endless(relay.run(stop.clone())));
        tasks.spawn("beacon", endless(beacon.run(stop)));
        tasks.spawn("publication", endless(publishing.run(committed)));
        drop(guard);
        self.ready.ready();
        Ok(tasks.run().await?)
    }
}

impl Parts {
    pub(crate) fn new(
        config: &Config,
        store: Arc<dyn Store>,
        bus: Arc<dyn Bus>,
        clock: Clock,
        registry: &Registry,
    ) -> Self {
        let (publisher, publishing) = Publisher::new(store.clone(), bus.clone());
        let counts = publisher.counts();
        let users = Users::new(store.clone(), publisher);
        let elapsed = clock.clone();
        let apps =
            Apps::new(store.clone(), Arc::new(move || elapsed.monotonic().since(Monotonic::default())));
        let leases = Leases::new(store.clone(), clock.clone());
        let metrics = Metrics::new(registry);
        let quiet = Quiet::new(config, store.clone(), clock, metrics.clone());
        let overdue = Overdue::new(config.answer_within);
        Metrics::show(registry, &leases, &overdue, &counts);
        let expiry = config.expiry;
        let clear_looks = ClearLooks::new(store.partitions());
        let reports = Reports {
            users: users.clone(),
            apps: apps.clone(),
            leases: leases.clone(),
            store: store.clone(),
            expiry,
            moved_grace: config.moved_grace,
            overdue: overdue.clone(),
            clear_looks: clear_looks.clone(),
            quiet: quiet.clone(),
            metrics: metrics.clone(),
        };
        Self {
            admin: Admin { apps: apps.clone() },
            gateways: Gateways { leases: leases.clone(), reports: reports.clone() },
            sessions: Sessions {
                users: users.clone(),
                apps,
                windows: Windows::new(store.clone(), config.window),
                store: store.clone(),
                expiry,
                clear_looks: clear_looks.clone(),
                metrics: metrics.clone(),
            },
            clears: Clears {
                users: users.clone(),
                store: store.clone(),
                every: config.sweep_every,
                looks: clear_looks,
                quiet: quiet.clone(),
                metrics: metrics.clone(),
            },
            reports,
            undertaker: Undertaker {
                leases: leases.clone(),
                bus: bus.clone(),
                lease: config.lease,
                listening: config.listening,
                quiet: quiet.clone(),
                metrics: metrics.clone(),
            },
            sweep: Sweep {
                users,
                leases,
                store: store.clone(),
                every: config.sweep_every,
                moved_grace: config.moved_grace,
                looks: Looks::new(config.moved_grace.min(expiry)),
                overdue,
                quiet,
                metrics,
            },
            publishing,
            relay: Relay::new(store.clone(), bus.clone(), config.relay_after, config.relay_every, counts),
            beacon: Beacon { store, bus },
        }
    }
}

/// Runs a part, and lets go of its share only when it has ended.
async fn holding<E>(share: Arc<DropGuard>, part: impl Future<Output = Result<(), E>>) -> Result<(), E> {
    let ended = part.await;
    drop(share);
    ended
}

/// Runs a part that ends by shutdown only, and cannot fail.
async fn endless(part: impl Future<Output = ()>) -> Result<(), Infallible> {
    part.await;
    Ok(())
}

#[cfg(test)]
mod tests;
