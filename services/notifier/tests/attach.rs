//! The notifier over real gRPC, with a bus that the test plays.

#![expect(clippy::unwrap_used, reason = "a test may stop at the first surprise")]

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use async_trait::async_trait;
use bytes::Bytes;
use parking_lot::Mutex;
use prost::Message as _;
use rollcall_bus::{Bus, Error, Message, Replay, Requests, Start, Subject, Subscription};
use rollcall_notifier::{Config, Service};
use rollcall_proto::{
    event::v1::{Change, ChangeKind, Heads},
    notifier::v1::{
        AttachRequest, AttachResponse, Position, Resume, Resync, User,
        notifier_service_client::NotifierServiceClient,
    },
    trace::TraceParent,
};
use rollcall_runtime::{Clock, grpc, ops::Ops, shutdown::CancellationToken};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Code, Status, Streaming};

/// Long enough for any machine, for a test that fails.
const LIMIT: Duration = Duration::from_mins(1);

/// A bus with one subscriber at a time, whose subscription the test can end.
#[derive(Default)]
struct PlayedBus {
    subscriber: Mutex<Option<mpsc::Sender<Message>>>,
}

#[async_trait]
impl Bus for PlayedBus {
    async fn publish(&self, message: Message) -> Result<(), Error> {
        let subscriber = self.subscriber.lock().clone().unwrap();
        subscriber.send(message).await.map_err(|error| Error::Unavailable(error.to_string()))
    }

    async fn subscribe_status(&self) -> Result<Subscription, Error> {
        let (sender, messages) = mpsc::channel(16);
        *self.subscriber.lock() = Some(sender);
        Ok(Subscription { messages })
    }

    async fn replay(&self, _: Start) -> Result<Replay, Error> {
        Err(Error::Unavailable("not in these tests".to_owned()))
    }

    async fn request(&self, message: Message, _: Duration) -> Result<Bytes, Error> {
        Err(Error::NobodyServes(message.subject))
    }

    async fn serve(&self, subject: Subject) -> Result<Requests, Error> {
        Err(Error::NobodyServes(subject))
    }
}

impl PlayedBus {
    async fn tell(&self, payload: impl Into<Bytes>) {
        let message =
            Message { subject: Subject::Status(0), trace: TraceParent::default(), payload: payload.into() };
        self.publish(message).await.unwrap();
    }

    async fn change(&self, user: &str, version: u64) {
        self.tell(change(user, version).encode_to_vec()).await;
    }

    async fn change_in(&self, partition: u16, user: &str, version: u64) {
        let payload = change(user, version).encode_to_vec().into();
        let trace = TraceParent::default();
        self.publish(Message { subject: Subject::Status(partition), trace, payload }).await.unwrap();
    }

    async fn heads(&self, sequences: &[u64]) {
        let payload = Heads { sequences: sequences.to_vec(), store_epoch: 0 }.encode_to_vec().into();
        let trace = TraceParent::default();
        self.publish(Message { subject: Subject::Head, trace, payload }).await.unwrap();
    }

    fn end_subscription(&self) {
        self.subscriber.lock().take();
    }
}

struct Gateway {
    requests: mpsc::Sender<AttachRequest>,
    responses: Streaming<AttachResponse>,
}

impl Gateway {
    /// Attaches, as often as it takes.
    async fn attach(url: &str) -> Self {
        let attaching = async {
            loop {
                let mut client = NotifierServiceClient::new(grpc::channel(url).unwrap());
                let (requests, receiver) = mpsc::channel(16);
                match client.attach(ReceiverStream::new(receiver)).await {
                    Ok(responses) => return Self { requests, responses: responses.into_inner() },
                    Err(status) => assert_eq!(status.code(), Code::Unavailable, "{status}"),
                }
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        tokio::time::timeout(LIMIT, attaching).await.unwrap()
    }

    async fn add(&self, batch: u64, users: &[&str]) {
        let added = users.iter().map(|user| user_of(user)).collect();
        self.requests.send(AttachRequest { batch, added, ..AttachRequest::default() }).await.unwrap();
    }

    /// Returns the next message that does not only tell positions.
    async fn next(&mut self) -> Result<Option<AttachResponse>, Status> {
        loop {
            let next = tokio::time::timeout(LIMIT, self.responses.message()).await.unwrap();
            let told_only = |next: &AttachResponse| {
                *next == AttachResponse { told: next.told.clone(), ..AttachResponse::default() }
            };
            if !matches!(&next, Ok(Some(next)) if told_only(next)) {
                return next;
            }
        }
    }

    /// Collects the positions that it is told, until one satisfies `until`.
    async fn told(&mut self, until: impl Fn(&BTreeMap<u32, u64>) -> bool) -> BTreeMap<u32, u64> {
        let mut positions = BTreeMap::new();
        while !until(&positions) {
            let next = tokio::time::timeout(LIMIT, self.responses.message()).await.unwrap();
            let told = next.unwrap().unwrap().told.unwrap_or_default();
            positions.extend(told.positions.iter().map(|position| (position.partition, position.sequence)));
        }
        positions
    }

    async fn resync(&mut self) -> Resync {
        loop {
            if let Some(resync) = self.next().await.unwrap().unwrap().resync {
                return resync;
            }
        }
    }

    async fn acknowledged(&mut self) -> u64 {
        self.next().await.unwrap().unwrap().acknowledged
    }

    async fn changes(&mut self) -> Vec<Change> {
        self.next().await.unwrap().unwrap().changes
    }

    async fn refused(&mut self) -> Status {
        loop {
            match self.next().await {
                Ok(Some(_)) => {}
                Ok(None) => panic!("the stream ended without a status"),
                Err(status) => return status,
            }
        }
    }
}

fn user_of(user: &str) -> User {
    User { app_id: 1, user_id: user.to_owned() }
}

fn change(user: &str, record_version: u64) -> Change {
    Change {
        sequence: record_version,
        record_version,
        kind: ChangeKind::Status as i32,
        app_id: 1,
        user_id: user.to_owned(),
        ..Change::default()
    }
}

fn start() -> (Arc<PlayedBus>, String, CancellationToken) {
    let bus = Arc::new(PlayedBus::default());
    let config = Config { listen: "127.0.0.1:0".parse().unwrap() };
    let service =
        Service::bind(&config, Arc::<PlayedBus>::clone(&bus), Clock::new(), &Ops::default()).unwrap();
    let url = format!("http://{}", service.local_addr());
    let shutdown = CancellationToken::new();
    tokio::spawn(service.run(shutdown.clone()));
    (bus, url, shutdown)
}

#[tokio::test]
async fn a_gateway_hears_what_happens_after_its_interest_was_acknowledged() {
    let (bus, url, _) = start();
    let mut gateway = Gateway::attach(&url).await;
    gateway.add(1, &["alice"]).await;
    assert_eq!(gateway.acknowledged().await, 1);
    bus.change("carol", 1).await;
    bus.change("alice", 2).await;
    assert_eq!(gateway.changes().await, [change("alice", 2)]);
}

#[tokio::test]
async fn a_gateway_that_does_not_read_delays_no_other_and_gets_the_last_state() {
    const LAST: u64 = 20_000;
    let (bus, url, _) = start();
    let mut slow = Gateway::attach(&url).await;
    let mut quick = Gateway::attach(&url).await;
    for gateway in [&mut slow, &mut quick] {
        gateway.add(1, &["alice", "bob"]).await;
        assert_eq!(gateway.acknowledged().await, 1);
    }
    // Far more than the windows of HTTP/2 hold for the slow one.
    for version in 1..=LAST {
        bus.change("alice", version).await;
    }
    bus.change("bob", LAST + 1).await;
    for gateway in [&mut quick, &mut slow] {
        let mut last = 0;
        let bob = loop {
            let changes = gateway.changes().await;
            for change in changes.iter().filter(|change| change.user_id == "alice") {
                assert!(change.record_version > last);
                last = change.record_version;
            }
            if let Some(bob) = changes.into_iter().find(|change| change.user_id == "bob") {
                break bob;
            }
        };
        assert_eq!((last, bob.record_version), (LAST, LAST + 1));
    }
}

#[tokio::test]
async fn a_message_that_is_no_change_is_skipped() {
    let (bus, url, _) = start();
    let mut gateway = Gateway::attach(&url).await;
    gateway.add(1, &["alice"]).await;
    assert_eq!(gateway.acknowledged().await, 1);
    bus.tell(&b"\xff"[..]).await;
    bus.tell(&b""[..]).await;
    bus.change("alice", 1).await;
    assert_eq!(gateway.changes().await, [change("alice", 1)]);
}

#[tokio::test]
async fn a_malformed_user_or_a_batch_out_of_order_ends_the_stream() {
    let (_bus, url, _) = start();
    let mut gateway = Gateway::attach(&url).await;
    gateway.add(1, &["alice", "no\nuser"]).await;
    let status = gateway.refused().await;
    assert_eq!(status.code(), Code::InvalidArgument);
    assert!(
        status.message().contains("batch 1 names a user that is none: user id has byte 0x0a"),
        "{status}"
    );

    let mut gateway = Gateway::attach(&url).await;
    for batch in [2, 2] {
        gateway.add(batch, &["alice"]).await;
    }
    let status = gateway.refused().await;
    assert_eq!(status.code(), Code::InvalidArgument);
    assert_eq!(status.message(), "batch 2 came after 2, expected a greater one");
}

#[tokio::test]
async fn when_the_bus_is_lost_gateways_attach_anew_and_hear_again() {
    let (bus, url, _) = start();
    let mut gateway = Gateway::attach(&url).await;
    gateway.add(1, &["alice"]).await;
    assert_eq!(gateway.acknowledged().await, 1);
    bus.end_subscription();
    assert_eq!(gateway.refused().await.code(), Code::Unavailable);

    let mut gateway = Gateway::attach(&url).await;
    gateway.add(1, &["alice"]).await;
    assert_eq!(gateway.acknowledged().await, 1);
    bus.change("alice", 5).await;
    assert_eq!(gateway.changes().await, [change("alice", 5)]);
}

#[tokio::test]
async fn a_gateway_that_closes_its_side_is_let_go() {
    let (_bus, url, _) = start();
    let Gateway { requests, responses } = Gateway::attach(&url).await;
    drop(requests);
    let mut left = Gateway { requests: mpsc::channel(1).0, responses };
    assert_eq!(left.next().await.unwrap(), None);
}

#[tokio::test]
async fn at_shutdown_streams_end_and_the_notifier_stops() {
    let bus = Arc::new(PlayedBus::default());
    let config = Config { listen: "127.0.0.1:0".parse().unwrap() };
    let service = Service::bind(&config, bus, Clock::new(), &Ops::default()).unwrap();
    let url = format!("http://{}", service.local_addr());
    let shutdown = CancellationToken::new();
    let running = tokio::spawn(service.run(shutdown.clone()));
    let mut gateway = Gateway::attach(&url).await;
    shutdown.cancel();
    assert_eq!(gateway.refused().await.code(), Code::Unavailable);
    tokio::time::timeout(LIMIT, running).await.unwrap().unwrap().unwrap();
}

#[tokio::test]
async fn a_change_that_never_comes_is_read_again_by_gateways_and_positions_go_on_behind_it() {
    let (bus, url, _) = start();
    let mut gateway = Gateway::attach(&url).await;
    gateway.add(1, &["alice"]).await;
    assert_eq!(gateway.acknowledged().await, 1);
    bus.change_in(4, "alice", 1).await;
    bus.change_in(4, "alice", 3).await;
    bus.change_in(5, "alice", 1).await;
    let resync = gateway.resync().await;
    assert_eq!(resync, Resync { everything: false, partitions: vec![4] });
    bus.change_in(4, "alice", 4).await;
    assert_eq!(gateway.told(|told| told.get(&4) == Some(&4)).await.get(&4), Some(&4));
}

#[tokio::test]
async fn a_last_change_that_never_comes_is_read_again_by_gateways_when_heads_tell_of_it() {
    let (bus, url, _) = start();
    let mut gateway = Gateway::attach(&url).await;
    gateway.add(1, &["alice"]).await;
    assert_eq!(gateway.acknowledged().await, 1);
    bus.change_in(4, "alice", 1).await;
    assert_eq!(gateway.changes().await.len(), 1);

    let clock = Clock::new();
    let begun = clock.monotonic();
    let resync = loop {
        // All came of partition 4 but the last.
        bus.heads(&[0, 0, 0, 0, 2]).await;
        if let Ok(resync) = tokio::time::timeout(Duration::from_millis(100), gateway.resync()).await {
            break resync;
        }
    };
    assert_eq!(resync, Resync { everything: false, partitions: vec![4] });
    assert!(clock.monotonic().since(begun) >= Duration::from_millis(999), "it may be on its way for a while");
    bus.change_in(4, "alice", 3).await;
    gateway.told(|told| told.get(&4) == Some(&3)).await;
}

#[tokio::test]
async fn a_gateway_that_comes_from_elsewhere_is_told_what_it_may_have_missed() {
    let (bus, url, _) = start();
    let mut first = Gateway::attach(&url).await;
    bus.change_in(4, "alice", 1).await;
    bus.change_in(5, "alice", 1).await;
    first.told(|told| told.len() == 2).await;
    bus.change_in(5, "alice", 2).await;
    first.told(|told| told.get(&5) == Some(&2)).await;

    for (told_ms_ago, expected) in [
        (Some(0), Resync { everything: false, partitions: vec![5] }),
        (Some(3_600_000), Resync { everything: true, partitions: Vec::new() }),
        (None, Resync { everything: true, partitions: Vec::new() }),
    ] {
        let mut gateway = Gateway::attach(&url).await;
        let positions = [(4, 1), (5, 1), (6, 9)];
        let positions = positions.map(|(partition, sequence)| Position { partition, sequence }).to_vec();
        let resume = Some(Resume { positions, told_ms_ago });
        let request =
            AttachRequest { batch: 1, added: vec![user_of("alice")], resume, ..AttachRequest::default() };
        gateway.requests.send(request).await.unwrap();
        assert_eq!(gateway.resync().await, expected);
    }
}
