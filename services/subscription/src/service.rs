//! Subscription as a whole: what it is made of, and how it starts and stops.

use std::{convert::Infallible, net::SocketAddr, sync::Arc};

use rollcall_bus::Bus;
use rollcall_domain::{friend::FriendList, subscription::SubscriptionList};
use rollcall_proto::{
    role::Role,
    subscription::v1::{
        friend_service_server::FriendServiceServer, subscription_service_server::SubscriptionServiceServer,
    },
};
use rollcall_records::{Apps, Lists, Publisher, Publishing, Windows};
use rollcall_runtime::{
    Clock, Monotonic,
    grpc::{self as server, Endpoints, Listener},
    ops::{self, Ops},
    shutdown::CancellationToken,
    supervise::Supervisor,
    tls::Tls,
};
use rollcall_store::Store;
use tonic::service::Routes;

use crate::{
    config::Config,
    error::Error,
    friends::Friends,
    grpc::{ListCalls, SERVICE_NAMES},
    idle::{Idle, Presence},
    metrics::Metrics,
    subscriptions::Subscriptions,
};

/// Subscription that listens and does not serve yet.
pub struct Service {
    listener: Listener,
    calls: ListCalls,
    idle: Idle,
    publishing: Publishing,
    ready: ops::Part,
}

impl Service {
    /// Listens on the configured address, takes connections as `tls` says, and calls presence likewise.
    pub fn bind(
        config: &Config,
        tls: &Tls,
        store: Arc<dyn Store>,
        bus: Arc<dyn Bus>,
        clock: Clock,
        ops: &Ops,
    ) -> Result<Self, Error> {
        let listener = Listener::bind(config.listen)?.secured(tls.clone());
        let presence = Endpoints::of(Role::Presence, &config.presence, tls, clock.clone())?;
        let ready = ops.readiness.part("subscription");
        let (publisher, publishing) = Publisher::new(store.clone(), bus);
        let metrics = Metrics::new(&ops.metrics);
        Metrics::show(&ops.metrics, &publisher.counts());
        let elapsed = Arc::new(move || clock.monotonic().since(Monotonic::default()));
        let apps = Apps::new(store.clone(), elapsed);
        let friends = Friends {
            lists: Lists::<FriendList>::new(store.clone(), publisher.clone()),
            apps: apps.clone(),
            metrics: metrics.clone(),
        };
        let lists = Lists::<SubscriptionList>::new(store.clone(), publisher, config.idle_after);
        let idle = Idle {
            lists: lists.clone(),
            presence: Presence::new(presence),
            store: store.clone(),
            after: config.idle_after,
            every: config.idle_every,
            metrics: metrics.clone(),
        };
        let windows = Windows::new(store, config.window);
        let subscriptions = Subscriptions { lists, apps, windows, metrics };
        Ok(Self { listener, calls: ListCalls { subscriptions, friends }, idle, publishing, ready })
    }

    /// Returns the address, with the port that was taken.
    pub fn local_addr(&self) -> SocketAddr {
        self.listener.local_addr()
    }

    /// Serves until `shutdown`, and then publishes what its last calls committed.
    pub async fn run(self, shutdown: CancellationToken) -> Result<(), Error> {
        let stop = shutdown.child_token();
        let mut tasks = Supervisor::new(stop.clone());
        let served = CancellationToken::new();
        // Dropped when serving and the sweep end, in whatever way.
        let serving_ends = Arc::new(served.clone().drop_guard());
        let sweep_ends = Arc::clone(&serving_ends);
        let routes = Routes::new(FriendServiceServer::new(self.calls.friends.clone()))
            .add_service(SubscriptionServiceServer::new(self.calls));
        let serving = server::serve(self.listener, routes, &SERVICE_NAMES, stop.clone());
        tasks.spawn("gRPC server", async move {
            let _serving = serving_ends;
            serving.await
        });
        tasks.spawn("idle", async move {
            let _sweeping = sweep_ends;
            self.idle.run(stop).await;
            Ok::<(), Infallible>(())
        });
        tasks.spawn("publication", async move {
            self.publishing.run(served).await;
            Ok::<(), Infallible>(())
        });
        self.ready.ready();
        Ok(tasks.run().await?)
    }
}

#[cfg(test)]
mod tests;
