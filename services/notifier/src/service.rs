//! The notifier as a whole: hears the bus, serves gateways and followers of the feed.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use bytes::Bytes;
use prost::Message as _;
use rollcall_bus::{Bus, Kept, Message, Start, Subject, Subscription};
use rollcall_domain::{epoch::Epoch, partition::Partition};
use rollcall_proto::{
    event::v1::{
        Change, Heads,
        event_service_server::{self, EventServiceServer},
    },
    notifier::v1::notifier_service_server::{self, NotifierServiceServer},
};
use rollcall_runtime::{
    Clock,
    grpc::{self, Listener},
    ops::{self, Ops},
    rng,
    shutdown::CancellationToken,
    supervise::Supervisor,
    tls::Tls,
    trace,
};
use tokio::time::{MissedTickBehavior, timeout};
use tonic::service::Routes;
use tracing::{debug, field::Empty, info, info_span, warn};

use crate::{
    config::Config,
    error::{Error, StreamEnd},
    event::Event,
    feed::Feed,
    grpc::Grpc,
    metrics::{FeedMetrics, Metrics},
    router::{Compared, INTEREST_LIMIT, Router},
};

/// The longest pause before the bus is tried a second time; it doubles with every failure.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
/// How often gateways are told up to where everything was heard.
const TELL_EVERY: Duration = Duration::from_secs(1);
/// How long it may take to learn what was published last; without, more is read again than need be.
const PUBLISHED_LIMIT: Duration = Duration::from_millis(500);
/// The longest pause there is between two tries.
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// A notifier that listens and does not serve yet.
pub struct Service {
    listener: Listener,
    bus: Arc<dyn Bus>,
    ready: ops::Part,
    router: Arc<Router>,
    metrics: Metrics,
    feed: Arc<FeedMetrics>,
    clock: Clock,
}

impl Service {
    /// Listens on the configured address.
    pub fn bind(config: &Config, bus: Arc<dyn Bus>, clock: Clock, ops: &Ops) -> Result<Self, Error> {
        let ready = ops.readiness.part("notifier");
        let listener = Listener::bind(config.listen)?;
        let router = Arc::new(Router::new(INTEREST_LIMIT, clock.clone()));
        let metrics = Metrics::new(&ops.metrics, &router);
        let feed = Arc::new(FeedMetrics::new(&ops.metrics));
        Ok(Self { listener, bus, ready, router, metrics, feed, clock })
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

    /// Serves until `shutdown`.
    ///
    /// Gateways can attach while the bus is heard. Whenever its subscription ends, changes may have been missed:
    /// all streams end, and gateways attach anew and are told what to read again.
    pub async fn run(self, shutdown: CancellationToken) -> Result<(), Error> {
        let router = self.router;
        let bus = Arc::clone(&self.bus);
        let mut ear =
            Ear { bus: self.bus, router: Arc::clone(&router), ready: self.ready, metrics: self.metrics };
        // Before the server, so that the first gateway need not try twice.
        let first = ear.subscribe().await;

        let stop = shutdown.child_token();
        let mut tasks = Supervisor::new(stop.clone());
        let feed = Feed::new(bus, self.clock, self.feed, stop.clone());
        let routes = Routes::new(NotifierServiceServer::new(Grpc::new(Arc::clone(&router))))
            .add_service(EventServiceServer::new(feed));
        let names = [notifier_service_server::SERVICE_NAME, event_service_server::SERVICE_NAME];
        let stopping = stop.clone();
        tasks.spawn("gRPC server", async move { grpc::serve(self.listener, routes, &names, stopping).await });
        tasks.spawn("listening to the bus", async move {
            stop.run_until_cancelled(ear.run(first)).await;
            router.close(StreamEnd::Stopping);
            Ok::<(), Error>(())
        });
        Ok(tasks.run().await?)
    }
}

/// A subscription to the bus.
struct Heard {
    /// Entries that were published before, the last of each partition.
    published: Vec<(Partition, u64)>,
    subscription: Subscription,
}

/// Hears the bus, and routes what it hears.
struct Ear {
    bus: Arc<dyn Bus>,
    router: Arc<Router>,
    ready: ops::Part,
    metrics: Metrics,
}

impl Ear {
    async fn run(&mut self, first: Option<Heard>) {
        let mut subscription = first;
        let mut pause = FIRST_PAUSE;
        loop {
            if let Some(subscription) = subscription.take() {
                self.hear(subscription).await;
                pause = FIRST_PAUSE;
            }
            tokio::time::sleep(rng::jitter(pause)).await;
            pause = LONGEST_PAUSE.min(pause * 2);
            subscription = self.subscribe().await;
        }
    }

    async fn subscribe(&self) -> Option<Heard> {
        // Before the subscription: what is published meanwhile is missed, and found to be.
        let published = timeout(PUBLISHED_LIMIT, self.published()).await.unwrap_or_default();
        match self.bus.subscribe_status().await {
            Ok(subscription) => Some(Heard { published, subscription }),
            Err(error) => {
                warn!(%error, "could not subscribe to changes, trying again");
                None
            }
        }
    }

    /// Lists the last entries that were published, as far as they are known.
    async fn published(&self) -> Vec<(Partition, u64)> {
        let before = match self.bus.replay(Start::Now).await {
            Ok(replay) => replay.before,
            Err(error) => {
                debug!(%error, "could not learn what was published last");
                Vec::new()
            }
        };
        let read = before.into_iter().filter_map(|Kept { message, .. }| match message.subject {
            Subject::Status(partition) => Some((Partition(partition), Change::decode(message.payload).ok()?)),
            _ => None,
        });
        read.map(|(partition, change)| (partition, change.sequence)).collect()
    }

    /// Routes all that a subscription brings, until it ends.
    async fn hear(&mut self, Heard { published, mut subscription }: Heard) {
        self.router.open(published);
        self.ready.ready();
        info!("listening to changes");
        let mut tell = tokio::time::interval(TELL_EVERY);
        tell.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                message = subscription.messages.recv() => match message {
                    Some(message) => self.route(message),
                    None => break,
                },
                _ = tell.tick() => self.tell(),
            }
        }
        warn!("the bus ended the subscription to changes, all gateways attach again");
        self.metrics.lost.inc();
        self.ready.not_ready("changes are not heard");
        self.router.close(StreamEnd::BusLost);
    }

    fn tell(&self) {
        self.count_missed(self.router.tell());
    }

    fn compare(&self, heads: Bytes) {
        match Heads::decode(heads) {
            Ok(Heads { sequences, store_epoch }) => {
                self.metrics.heads.inc();
                match self.router.compare(&sequences, Epoch::new(store_epoch)) {
                    Compared::Missed(partitions) => self.count_missed(partitions),
                    Compared::NewEpoch => {
                        self.metrics.epochs.inc();
                        warn!(
                            "the store is in a new epoch and may have lost changes, gateways read everything again"
                        );
                    }
                }
            }
            Err(error) => {
                self.metrics.malformed.inc();
                warn!(%error, "skipped heads that cannot be read");
            }
        }
    }

    fn count_missed(&self, missed: usize) {
        if missed > 0 {
            self.metrics.missed.inc_by(missed as u64);
            warn!(partitions = missed, "changes did not come, gateways read again");
        }
    }

    fn route(&self, message: Message) {
        let subject = message.subject;
        let partition = match subject {
            Subject::Status(partition) => Partition(partition),
            Subject::Head => return self.compare(message.payload),
            Subject::Heartbeat => return,
        };
        let change = match Change::decode(message.payload) {
            Ok(change) => change,
            Err(error) => {
                self.metrics.malformed.inc();
                warn!(%subject, %error, "skipped a message that is no change");
                return;
            }
        };
        let sequence = change.sequence;
        match Event::read(partition, change) {
            Ok(mut event) => {
                let span = trace::follow(&message.trace, || {
                    info_span!(
                        target: trace::TARGET,
                        "notifier.route",
                        otel.kind = "consumer",
                        messaging.operation.type = "process",
                        messaging.destination.template = "rollcall.status.{partition}",
                        rollcall.gateways = Empty,
                    )
                });
                event.follow(&span);
                let gateways = self.router.route(&event);
                span.record("rollcall.gateways", gateways);
                self.metrics.routed(gateways);
                debug!(
                    %subject,
                    kind = ?event.kind,
                    sequence = event.change.sequence,
                    record_version = event.version.0,
                    traceparent = event.change.traceparent,
                    gateways,
                    "routed a change"
                );
            }
            Err(error) => {
                self.router.skip(partition, sequence);
                self.metrics.malformed.inc();
                warn!(%subject, %error, "skipped a change that cannot be routed");
            }
        }
    }
}
