//! A bus on a server of its own.

use std::{
    ops::Deref,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use bytes::Bytes;
use rollcall_testkit::NatsServer;

use crate::{
    nats::{ConnectError, NatsBus, Options},
    port::{Bus, Error, Message, Replay, Requests, Start, Subscription},
    subject::Subject,
};

/// How long anything that ought to happen may take.
pub(super) const PATIENCE: Duration = Duration::from_secs(60);

/// A bus with its server, which ends with it.
pub(super) struct Served {
    bus: NatsBus,
    pub(super) server: NatsServer,
}

impl Served {
    /// Starts a server and makes a bus on it.
    pub(super) async fn start() -> Self {
        Self::with(options("node")).await
    }

    /// Starts a server and makes a bus on it.
    pub(super) async fn with(options: Options) -> Self {
        let server = NatsServer::start();
        let mut bus = None;
        eventually("the bus is opened", async || {
            bus = NatsBus::connect(&server.url("node"), options.clone()).await.ok();
            bus.is_some()
        })
        .await;
        Self { bus: bus.expect("it was waited for"), server }
    }
}

/// The default options of a user, with patience for a busy machine, and chance that is none.
pub(super) fn options(user: &str) -> Options {
    let draws = AtomicU64::new(0);
    let random = Arc::new(move || draws.fetch_add(7_919, Ordering::Relaxed));
    let patient = Duration::from_secs(20);
    let publishes = ["node", "presence", "subscription"].contains(&user);
    let default = Options::new(random);
    Options {
        inbox: format!("_INBOX.{user}"),
        stream: default.stream.filter(|_| publishes),
        publish_timeout: patient,
        connect_timeout: patient,
        ping_interval: patient,
        ..default
    }
}

/// Options with which a bus soon connects again.
pub(super) fn hasty(user: &str) -> Options {
    Options { backoff_max: Duration::from_millis(100), ..options(user) }
}

/// Options with which a publish soon fails that the stream does not acknowledge.
pub(super) fn impatient(user: &str) -> Options {
    Options { publish_timeout: Duration::from_millis(500), ..hasty(user) }
}

/// Options with which a silent server is soon given up. A busy machine may be as silent.
pub(super) fn watchful(user: &str) -> Options {
    let often = Duration::from_millis(100);
    Options { ping_interval: often, connect_timeout: Duration::from_secs(1), ..impatient(user) }
}

/// Connects as a user of a server.
pub(super) async fn connect(server: &NatsServer, user: &str) -> NatsBus {
    try_connect(server, user).await.expect("the bus can be opened")
}

/// Tries to connect as a user of a server.
pub(super) async fn try_connect(server: &NatsServer, user: &str) -> Result<NatsBus, ConnectError> {
    NatsBus::connect(&server.url(user), options(user)).await
}

/// Connects as the operator, without the adapter.
pub(super) async fn operator(server: &NatsServer) -> async_nats::Client {
    connect_as(&server.url("operator")).await
}

/// Connects as the user in the URL, without the adapter.
pub(super) async fn connect_as(url: &str) -> async_nats::Client {
    let server: async_nats::ServerAddr = url.parse().expect("the URL is one");
    let [user, password] = [server.username(), server.password()].map(|it| it.unwrap_or_default().to_owned());
    let options = async_nats::ConnectOptions::with_user_and_password(user, password);
    options.connect(server).await.expect("the user may connect")
}

/// Waits until a condition holds.
pub(super) async fn eventually(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    let wait = async {
        while !holds().await {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    let waited = tokio::time::timeout(PATIENCE, wait).await;
    assert!(waited.is_ok(), "{what}: not within {PATIENCE:?}");
}

/// Waits for something that must happen.
pub(super) async fn within<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, future).await.expect("it happens within the limit")
}

/// Waits for the end of a subscription, past what is queued.
pub(super) async fn ended(subscription: &mut Subscription) {
    within(async { while subscription.messages.recv().await.is_some() {} }).await;
}

impl Deref for Served {
    type Target = NatsBus;

    fn deref(&self) -> &NatsBus {
        &self.bus
    }
}

#[async_trait]
impl Bus for Served {
    async fn publish(&self, message: Message) -> Result<(), Error> {
        self.bus.publish(message).await
    }

    async fn subscribe_status(&self) -> Result<Subscription, Error> {
        self.bus.subscribe_status().await
    }

    async fn replay(&self, start: Start) -> Result<Replay, Error> {
        self.bus.replay(start).await
    }

    async fn request(&self, message: Message, timeout: Duration) -> Result<Bytes, Error> {
        self.bus.request(message, timeout).await
    }

    async fn serve(&self, subject: Subject) -> Result<Requests, Error> {
        self.bus.serve(subject).await
    }
}
