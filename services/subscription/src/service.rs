//! Subscription as a whole: what it is made of, and how it starts and stops.

use std::{convert::Infallible, net::SocketAddr, sync::Arc};

use rollcall_bus::Bus;
use rollcall_proto::subscription::v1::{
    friend_service_server::FriendServiceServer, subscription_service_server::SubscriptionServiceServer,
};
use rollcall_records::{Apps, Lists, Publisher, Publishing, Windows};
use rollcall_runtime::{
    Clock, Monotonic,
    grpc::{self as server, Listener},
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
    metrics::Metrics,
    subscriptions::Subscriptions,
};

/// Subscription that listens and does not serve yet.
pub struct Service {
    listener: Listener,
    calls: ListCalls,
    publishing: Publishing,
    ready: ops::Part,
}

impl Service {
    /// Listens on the configured address.
    pub fn bind(
        config: &Config,
        store: Arc<dyn Store>,
        bus: Arc<dyn Bus>,
        clock: Clock,
        ops: &Ops,
    ) -> Result<Self, Error> {
        let listener = Listener::bind(config.listen)?;
        let ready = ops.readiness.part("subscription");
        let (publisher, publishing) = Publisher::new(store.clone(), bus);
        let metrics = Metrics::new(&ops.metrics);
        Metrics::show(&ops.metrics, &publisher.counts());
        let elapsed = Arc::new(move || clock.monotonic().since(Monotonic::default()));
        let apps = Apps::new(store.clone(), elapsed);
        let friends = Friends {
            lists: Lists::new(store.clone(), publisher.clone()),
            apps: apps.clone(),
            metrics: metrics.clone(),
        };
        let subscriptions = Subscriptions {
            windows: Windows::new(store.clone(), config.window),
            lists: Lists::new(store, publisher),
            apps,
            metrics,
        };
        Ok(Self { listener, calls: ListCalls { subscriptions, friends }, publishing, ready })
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
        let stop = shutdown.child_token();
        let mut tasks = Supervisor::new(stop.clone());
        let served = CancellationToken::new();
        // Dropped when serving ends, in whatever way.
        let serving_ends = served.clone().drop_guard();
        let routes = Routes::new(FriendServiceServer::new(self.calls.friends.clone()))
            .add_service(SubscriptionServiceServer::new(self.calls));
        let serving = server::serve(self.listener, routes, &SERVICE_NAMES, stop);
        tasks.spawn("gRPC server", async move {
            let _serving = serving_ends;
            serving.await
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
