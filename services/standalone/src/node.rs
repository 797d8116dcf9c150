//! The services of the one process: bound all before any runs, so that a taken port is told at once; started
//! from the back to the front, stopped from the front to the back.

use std::{net::SocketAddr, pin::pin, sync::Arc, time::Duration};

use rollcall_gateway::Page;
use rollcall_process::{addresses::reachable, engines::Role};
use rollcall_runtime::{Clock, grpc, ops::Ops, shutdown::CancellationToken, supervise::Supervisor, tls::Tls};
use serde::Serialize;
use tracing::{error, info};

use crate::{config::Config, error::Error};

/// What the process does with the bus.
const ROLE: Role = Role { name: "node", publishes: true };
/// The time the services have to begin to serve.
const START_LIMIT: Duration = Duration::from_secs(30);

/// Where the process can be reached.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Addresses {
    /// The gateway's WebSocket.
    pub(crate) client: SocketAddr,
    /// Presence and admin, gRPC.
    pub(crate) admin: SocketAddr,
    /// Subscription, gRPC.
    pub(crate) subscription: SocketAddr,
    /// The notifier, gRPC.
    pub(crate) notifier: SocketAddr,
    /// What an operator's tools ask, HTTP.
    pub(crate) ops: SocketAddr,
}

/// Services that listen and do not serve yet.
pub(crate) struct Node {
    presence: rollcall_presence::Service,
    subscription: rollcall_subscription::Service,
    notifier: rollcall_notifier::Service,
    gateway: rollcall_gateway::Service,
}

impl Node {
    /// Opens the engines, and listens everywhere. The gateway shows browsers a page, if there is one.
    pub(crate) async fn bind(mut config: Config, page: Option<Page>, ops: &Ops) -> Result<Self, Error> {
        let clock = Clock::new();
        let store = config.store.open(&ops.metrics).await?;
        let bus = config.bus.open(ROLE, &ops.metrics).await?;

        let presence = rollcall_presence::Service::bind(
            &config.presence,
            Arc::clone(&store),
            Arc::clone(&bus),
            clock.clone(),
            ops,
        )
        .map_err(refused("presence", "--admin-listen"))?;
        config.subscription.presence = url(presence.local_addr());
        let subscription = rollcall_subscription::Service::bind(
            &config.subscription,
            &Tls::off(),
            store,
            Arc::clone(&bus),
            clock.clone(),
            ops,
        )
        .map_err(refused("subscription", "--subscription-listen"))?;
        let notifier =
            rollcall_notifier::Service::bind(&config.notifier, Arc::clone(&bus), clock.clone(), ops)
                .map_err(refused("the notifier", "--notifier-listen"))?;

        config.connect(
            url(presence.local_addr()),
            url(subscription.local_addr()),
            url(notifier.local_addr()),
        );
        let mut gateway = rollcall_gateway::Service::bind(config.gateway, &Tls::off(), bus, clock, ops)
            .map_err(refused("the gateway", "--listen"))?;
        if let Some(page) = page {
            gateway = gateway.with_page(page);
        }
        Ok(Self { presence, subscription, notifier, gateway })
    }

    /// Returns where the services can be reached, and the process itself at `ops`.
    pub(crate) fn addresses(&self, ops: SocketAddr) -> Addresses {
        Addresses {
            client: reachable(self.gateway.local_addr()),
            admin: reachable(self.presence.local_addr()),
            subscription: reachable(self.subscription.local_addr()),
            notifier: reachable(self.notifier.local_addr()),
            ops: reachable(ops),
        }
    }

    /// Serves until `shutdown`; runs `started` once all services serve. If a part fails, or `started` does, the
    /// others stop and the failure is returned.
    pub(crate) async fn run(
        self,
        shutdown: CancellationToken,
        started: impl Future<Output = Result<(), Error>> + Send + 'static,
    ) -> Result<(), Error> {
        let health = [
            ("presence", url(self.presence.local_addr())),
            ("subscription", url(self.subscription.local_addr())),
            ("the notifier", url(self.notifier.local_addr())),
            ("the gateway", url(self.gateway.health_addr())),
        ];
        let stop_back = CancellationToken::new();
        let mut back = Supervisor::new(stop_back.clone());
        back.spawn("presence", self.presence.run(stop_back.clone()));
        back.spawn("subscription", self.subscription.run(stop_back.clone()));
        back.spawn("the notifier", self.notifier.run(stop_back.clone()));

        let stop_front = shutdown.child_token();
        let mut front = Supervisor::new(stop_front.clone());
        front.spawn("the gateway", self.gateway.run(stop_front.clone()));
        front.spawn("start-up", {
            let stop = stop_front.clone();
            async move {
                let start = async {
                    all_serve(health).await?;
                    started.await
                };
                stop.run_until_cancelled(start).await.unwrap_or(Ok(()))
            }
        });
        let (mut front, mut back) = (pin!(front.run()), pin!(back.run()));
        let (front_ended, back_ended) = tokio::select! {
            front_ended = &mut front => {
                stop_back.cancel();
                (front_ended, back.await)
            }
            back_ended = &mut back => {
                stop_front.cancel();
                (front.await, back_ended)
            }
        };
        if let (Err(_), Err(other)) = (&front_ended, &back_ended) {
            error!(error = %other, "a service failed too");
        }
        info!("stopped");
        Ok(front_ended.and(back_ended)?)
    }
}

/// Returns the URL of a gRPC server that listens on an address.
pub(crate) fn url(address: SocketAddr) -> String {
    format!("http://{}", reachable(address))
}

async fn all_serve(health: [(&'static str, String); 4]) -> Result<(), Error> {
    for (service, url) in health {
        tokio::time::timeout(START_LIMIT, grpc::await_serving(&url))
            .await
            .map_err(|_| Error::NotServing { service, limit: START_LIMIT })??;
    }
    Ok(())
}

pub(crate) fn refused<E>(service: &'static str, flag: &'static str) -> impl FnOnce(E) -> Error
where
    E: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    move |source| Error::Bind { service, flag, source: source.into() }
}
