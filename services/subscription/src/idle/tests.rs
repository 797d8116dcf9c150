//! Tests of lists whose users have left, over the memory store, with a presence that says what it is told to.

use std::{
    collections::HashMap,
    sync::atomic::{AtomicU64, Ordering},
};

use parking_lot::Mutex;
use prost::Message as _;
use rollcall_bus::memory::MemoryBus;
use rollcall_domain::{
    id::{AppId, UserId},
    subscription::SubscriptionList,
};
use rollcall_proto::{
    event::v1::{Change, ChangeKind},
    presence::v1::{
        GetLastOnlineResponse,
        last_online_service_server::{LastOnlineService, LastOnlineServiceServer},
    },
    trace::TraceParent,
};
use rollcall_records::{Publisher, Publishing};
use rollcall_runtime::{
    Clock,
    grpc::{self, Listener},
    metrics::Registry,
};
use rollcall_store::{MemoryStore, Partitions};
use tonic::{Response, Status, service::Routes};

use super::*;

const SPAN: Duration = Duration::from_hours(24);
const HOUR: Duration = Duration::from_hours(1);
const INSTANT: Duration = Duration::from_micros(1);
/// The store's time at the beginning.
const START: Timestamp = Timestamp(1_767_225_600_000_000);

/// What a user does between the question and the commit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Meanwhile {
    ComesBack,
    Subscribes,
}

/// A presence that says of each user what it was told to; of others, that they never were ONLINE.
#[derive(Clone)]
struct Told {
    answers: Arc<Mutex<HashMap<String, LastOnline>>>,
    asked: Arc<Mutex<Vec<usize>>>,
    /// Answers fewer than it was asked for.
    short: Arc<Mutex<bool>>,
    meanwhile: Arc<Mutex<Option<Meanwhile>>>,
    lists: Lists<SubscriptionList>,
}

#[tonic::async_trait]
impl LastOnlineService for Told {
    async fn get_last_online(
        &self,
        request: Request<GetLastOnlineRequest>,
    ) -> Result<Response<GetLastOnlineResponse>, Status> {
        let users = request.into_inner().users;
        self.asked.lock().push(users.len());
        let meanwhile = self.meanwhile.lock().take();
        match meanwhile {
            Some(Meanwhile::ComesBack) => {
                self.lists.read_online(app(), &user("me")).await.unwrap();
            }
            Some(Meanwhile::Subscribes) => subscribe(&self.lists, "me", &["b"]).await,
            None => {}
        }
        let answers = self.answers.lock();
        let mut users: Vec<_> =
            users.iter().map(|user| answers.get(&user.user_id).copied().unwrap_or_default()).collect();
        if *self.short.lock() {
            users.clear();
        }
        Ok(Response::new(GetLastOnlineResponse { users }))
    }
}

struct Fixture {
    clock: Arc<AtomicU64>,
    store: Arc<MemoryStore>,
    idle: Idle,
    told: Told,
    stop: CancellationToken,
    /// Not run, so that entries stay in the outbox.
    _publishing: Publishing,
}

impl Fixture {
    async fn new() -> Self {
        let clock = Arc::new(AtomicU64::new(START.0));
        let read = Arc::clone(&clock);
        let now = move || Timestamp(read.load(Ordering::SeqCst));
        let store = Arc::new(MemoryStore::new(Partitions::EMBEDDED, Arc::new(now)));
        let (publisher, publishing) =
            Publisher::new(store.clone(), Arc::new(MemoryBus::new(Clock::store_clock())));
        let lists = Lists::<SubscriptionList>::new(store.clone(), publisher, SPAN);
        let told = Told {
            answers: Arc::default(),
            asked: Arc::default(),
            short: Arc::default(),
            meanwhile: Arc::default(),
            lists: lists.clone(),
        };
        let listener = Listener::bind(([127, 0, 0, 1], 0).into()).unwrap();
        let url = format!("http://{}", listener.local_addr());
        let stop = CancellationToken::new();
        let routes = Routes::new(LastOnlineServiceServer::new(told.clone()));
        tokio::spawn(grpc::serve(listener, routes, &[], stop.clone()));
        let idle = Idle {
            lists,
            presence: Presence::new(Endpoints::new(&url, Clock::new()).unwrap()),
            store: store.clone(),
            after: SPAN,
            every: HOUR,
            metrics: Metrics::new(&Registry::default()),
        };
        let fixture = Self { clock, store, idle, told, stop, _publishing: publishing };
        subscribe(&fixture.idle.lists, "me", &["a"]).await;
        fixture
    }

    fn advance(&self, duration: Duration) {
        self.clock.fetch_add(u64::try_from(duration.as_micros()).unwrap(), Ordering::SeqCst);
    }

    /// Has presence say that `me` is ONLINE.
    fn online(&self) {
        self.answer(LastOnline { online: true, ..LastOnline::default() });
    }

    /// Has presence say that `me` left ONLINE so long after the start.
    fn left(&self, after: Duration) {
        self.answer(LastOnline { left_at: START.plus(after).0, ..LastOnline::default() });
    }

    fn answer(&self, answer: LastOnline) {
        self.told.answers.lock().insert("me".to_owned(), answer);
    }

    async fn look(&self) -> Looked {
        self.idle.look().await.unwrap()
    }

    /// Says whether the list of `me` is kept.
    async fn kept(&self) -> bool {
        !self.idle.lists.read(app(), &user("me")).await.unwrap().list.ids().is_empty()
    }
}

impl Drop for Fixture {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

fn app() -> AppId {
    AppId::new(7).unwrap()
}

fn user(name: &str) -> UserId {
    UserId::new(name).unwrap()
}

async fn subscribe(lists: &Lists<SubscriptionList>, name: &str, targets: &[&str]) {
    let targets: Vec<UserId> = targets.iter().map(|name| user(name)).collect();
    let revise = |list: &mut SubscriptionList| list.subscribe(&user(name), &targets, 200);
    lists.revise(app(), &user(name), &TraceParent::default(), revise).await.unwrap();
}

const GONE: Looked = Looked { gone: 1, put_off: 0, unknown: 0 };
const PUT_OFF: Looked = Looked { gone: 0, put_off: 1, unknown: 0 };
const UNKNOWN: Looked = Looked { gone: 0, put_off: 0, unknown: 1 };
const NOTHING: Looked = Looked { gone: 0, put_off: 0, unknown: 0 };

// SPEC D5
#[tokio::test]
async fn a_list_goes_24_h_after_its_user_left_online_and_not_before() {
    let fixture = Fixture::new().await;
    fixture.left(HOUR);
    fixture.advance(SPAN.saturating_sub(INSTANT));
    assert_eq!(fixture.look().await, NOTHING);
    assert!(fixture.told.asked.lock().is_empty(), "presence is asked only when a timer is due");
    fixture.advance(INSTANT);
    assert_eq!(fixture.look().await, PUT_OFF);
    fixture.advance(HOUR.saturating_sub(INSTANT));
    assert_eq!(fixture.look().await, NOTHING);
    assert!(fixture.kept().await);

    fixture.advance(INSTANT);
    assert_eq!(fixture.look().await, GONE);

    assert!(!fixture.kept().await);
    assert_eq!(fixture.look().await, NOTHING);
    fixture.advance(SPAN * 2);
    assert_eq!(fixture.look().await, NOTHING, "an empty list has no timer");
}

// SPEC D5
#[tokio::test]
async fn gateways_hear_of_a_list_that_has_gone_and_its_versions_go_on() {
    let fixture = Fixture::new().await;
    let before = fixture.idle.lists.read(app(), &user("me")).await.unwrap().version;
    fixture.advance(SPAN);
    assert_eq!(fixture.look().await, GONE);
    let after = fixture.idle.lists.read(app(), &user("me")).await.unwrap().version;
    let partition = fixture.store.partitions().of(app(), Some(&user("me")));
    let entries = fixture.store.unpublished(partition, 10).await.unwrap().into_iter();
    let told: Vec<_> = entries
        .map(|entry| Change::decode(entry.bytes).unwrap())
        .map(|change| (change.kind(), change.user_id.clone(), change.record_version))
        .collect();
    let list = |version| (ChangeKind::List, "me".to_owned(), version);
    assert_eq!(told, [list(before.0), list(after.0)]);
    assert!(after > before);
}

// SPEC D5
#[tokio::test]
async fn who_stays_online_keeps_the_list_for_ever() {
    let fixture = Fixture::new().await;
    fixture.online();
    for _ in 0..10 {
        fixture.advance(SPAN);
        assert_eq!(fixture.look().await, PUT_OFF);
    }
    fixture.left(SPAN * 10);
    fixture.advance(SPAN);
    assert_eq!(fixture.look().await, GONE);
}

// SPEC D5
#[tokio::test]
async fn the_list_of_who_never_was_online_goes_24_h_after_it_was_made() {
    let fixture = Fixture::new().await;
    fixture.advance(SPAN.saturating_sub(INSTANT));
    subscribe(&fixture.idle.lists, "me", &["b"]).await;
    fixture.advance(INSTANT);
    assert_eq!(fixture.look().await, NOTHING);
    fixture.advance(SPAN);
    assert_eq!(fixture.look().await, GONE);
}

// SPEC D5
#[tokio::test]
async fn who_comes_back_or_subscribes_between_the_question_and_the_commit_keeps_the_list() {
    for meanwhile in [Meanwhile::ComesBack, Meanwhile::Subscribes] {
        let fixture = Fixture::new().await;
        fixture.advance(SPAN);
        *fixture.told.meanwhile.lock() = Some(meanwhile);
        assert_eq!(fixture.look().await, NOTHING, "{meanwhile:?}");
        assert!(fixture.kept().await);
        fixture.advance(SPAN.saturating_sub(INSTANT));
        assert_eq!(fixture.look().await, NOTHING, "for the whole span");
        fixture.advance(INSTANT);
        assert_eq!(fixture.look().await, GONE);
    }
}

// SPEC D5
#[tokio::test]
async fn nothing_goes_while_presence_does_not_tell() {
    let fixture = Fixture::new().await;
    fixture.advance(SPAN);
    fixture.answer(LastOnline { unreadable: true, ..LastOnline::default() });
    assert_eq!(fixture.look().await, UNKNOWN);
    *fixture.told.short.lock() = true;
    assert_eq!(fixture.look().await, UNKNOWN);
    *fixture.told.short.lock() = false;
    fixture.stop.cancel();
    // The server takes its time to stop.
    while fixture.idle.look().await.is_ok() {}
    assert!(fixture.kept().await);
}

// SPEC D5
#[tokio::test]
async fn one_look_lets_go_of_more_lists_than_a_page_holds() {
    let fixture = Fixture::new().await;
    let count = fixture.store.partitions().all().count() * (PAGE + 50);
    for n in 0..count {
        subscribe(&fixture.idle.lists, &format!("user{n}"), &["a"]).await;
    }
    fixture.online();
    fixture.advance(SPAN);
    let looked = fixture.look().await;
    assert_eq!(looked, Looked { gone: count, put_off: 1, unknown: 0 });
    let asked = fixture.told.asked.lock();
    assert!(asked.iter().all(|users| *users <= PAGE), "{asked:?}");
}

// SPEC D5
#[tokio::test]
async fn of_two_instances_one_lets_a_list_go() {
    let fixture = Fixture::new().await;
    fixture.advance(SPAN);
    let (one, other) = tokio::join!(fixture.idle.look(), fixture.idle.look());
    assert_eq!(one.unwrap().gone + other.unwrap().gone, 1);
}
