//! Tests of the rules around lists, over the memory store.

use std::{sync::Arc, time::Duration};

use prost::Message as _;
use rollcall_bus::memory::MemoryBus;
use rollcall_domain::{app::Edition, time::Timestamp};
use rollcall_proto::{
    event::v1::{Change, ChangeKind},
    trace::TraceParent,
};
use rollcall_records::{Intent, Publisher, Publishing};
use rollcall_runtime::{Clock, metrics::Registry};
use rollcall_store::{MemoryStore, Partitions, Store};

use super::*;

const TEST: Intent<'_> = Intent { who: "test", expected: None };
const TRACE: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

struct Fixture {
    store: Arc<MemoryStore>,
    subscriptions: Subscriptions,
    /// Not run, so that entries stay in the outbox.
    _publishing: Publishing,
}

impl Fixture {
    /// Begins with one app, PREMIUM and with *status* on.
    async fn new() -> Self {
        let store = Arc::new(MemoryStore::new(Partitions::EMBEDDED, Arc::new(|| Timestamp(1_000_000))));
        let (publisher, publishing) =
            Publisher::new(store.clone(), Arc::new(MemoryBus::new(Clock::store_clock())));
        let apps = Apps::new(store.clone(), Arc::new(|| Duration::ZERO));
        apps.create(app(), "test", settings(Edition::Premium, true), Vec::new()).await.unwrap();
        let subscriptions = Subscriptions {
            lists: Lists::<SubscriptionList>::new(store.clone(), publisher, Duration::from_hours(24)),
            apps,
            windows: Windows::new(store.clone(), Duration::from_secs(5)),
            metrics: Metrics::new(&Registry::default()),
        };
        Self { store, subscriptions, _publishing: publishing }
    }

    async fn set(&self, settings: Settings) {
        self.subscriptions.apps.update(app(), &TEST, |_| Ok(settings)).await.unwrap();
    }

    async fn subscribe(&self, targets: &[impl ToString]) -> Result<Revised<Subscribed>, Error> {
        let trace = TraceParent::parse(TRACE);
        self.subscriptions.subscribe(app(), &user("me"), &texts(targets), &trace).await
    }

    async fn unsubscribe(&self, targets: &[impl ToString]) -> Result<Revised<Vec<UserId>>, Error> {
        let trace = TraceParent::parse(TRACE);
        self.subscriptions.unsubscribe(app(), &user("me"), &texts(targets), &trace).await
    }

    async fn list(&self) -> Vec<String> {
        let held = self.subscriptions.list(app(), &user("me"), false).await.unwrap();
        texts(held.list.ids())
    }

    async fn outbox(&self) -> Vec<Change> {
        let partition = self.store.partitions().of(app(), Some(&user("me")));
        let entries = self.store.unpublished(partition, 100).await.unwrap();
        entries.into_iter().map(|entry| Change::decode(entry.bytes).unwrap()).collect()
    }
}

fn app() -> AppId {
    AppId::new(7).unwrap()
}

fn user(name: &str) -> UserId {
    UserId::new(name).unwrap()
}

fn settings(edition: Edition, status: bool) -> Settings {
    Settings { edition, status, ..Settings::default() }
}

fn texts(ids: &[impl ToString]) -> Vec<String> {
    ids.iter().map(ToString::to_string).collect()
}

fn numbered(range: std::ops::Range<usize>) -> Vec<String> {
    range.map(|n| format!("user{n}")).collect()
}

fn code<T>(result: Result<T, Error>) -> Code {
    result.err().map_or(Code::Ok, |error| error.refusal().code)
}

const NONE: &[&str] = &[];

// SPEC D1, E1
#[tokio::test]
async fn subscribes_and_unsubscribes_beyond_their_windows_are_refused_and_one_made_again_does_not_count() {
    let fixture = Fixture::new().await;
    for _ in 0..20 {
        assert_eq!(code(fixture.subscribe(&["me"]).await), Code::InvalidParameter);
        assert_eq!(code(fixture.subscribe(&["a"]).await), Code::Ok);
        assert_eq!(code(fixture.unsubscribe(&["b"]).await), Code::Ok);
    }
    assert_eq!(code(fixture.subscribe(&["b"]).await), Code::RateLimit);
    assert_eq!(code(fixture.unsubscribe(&["a"]).await), Code::RateLimit);
    assert_eq!(fixture.list().await, ["a"]);

    let trace = TraceParent::default();
    let again = || Call { again: true, ..Call::from(&trace) };
    let (subscriptions, me) = (&fixture.subscriptions, user("me"));
    assert_eq!(code(subscriptions.subscribe(app(), &me, &texts(&["b"]), again()).await), Code::Ok);
    assert_eq!(code(subscriptions.unsubscribe(app(), &me, &texts(&["a"]), again()).await), Code::Ok);
    assert_eq!(fixture.list().await, ["b"]);
}

// SPEC D4
#[tokio::test]
async fn a_subscribe_is_stored_and_told_with_the_version_of_the_list() {
    let fixture = Fixture::new().await;
    let first = fixture.subscribe(&["a", "b"]).await.unwrap();
    assert_eq!(first.value, Subscribed { added: vec![user("a"), user("b")], evicted: Vec::new() });
    assert_eq!(first.previous_version.0, 0);
    let second = fixture.subscribe(&["c"]).await.unwrap();
    assert_eq!(second.previous_version, first.version);
    assert_eq!(fixture.list().await, ["a", "b", "c"]);

    let entries = fixture.outbox().await;
    let told: Vec<_> = entries.iter().map(|entry| (entry.kind(), entry.record_version)).collect();
    assert_eq!(told, [(ChangeKind::List, first.version.0), (ChangeKind::List, second.version.0)]);
    assert!(entries.iter().all(|entry| entry.status_version == 0 && entry.traceparent == TRACE));
}

#[tokio::test]
async fn a_call_that_comes_after_its_last_moment_is_answered_with_a_timeout_and_changes_nothing() {
    let fixture = Fixture::new().await;
    fixture.subscribe(&["a"]).await.unwrap();
    let (trace, now) = (TraceParent::default(), fixture.store.now().await.unwrap());
    let subscribe = async |last| {
        let call = Call::until(&trace, Some(last));
        code(fixture.subscriptions.subscribe(app(), &user("me"), &["b".to_owned()], call).await)
    };
    let unsubscribe = async |last| {
        let call = Call::until(&trace, Some(last));
        code(fixture.subscriptions.unsubscribe(app(), &user("me"), &[], call).await)
    };
    let late = now.minus(Duration::from_micros(1));
    assert_eq!((subscribe(late).await, unsubscribe(late).await), (Code::Timeout, Code::Timeout));
    assert_eq!(fixture.list().await, ["a"]);
    assert_eq!(fixture.outbox().await.len(), 1);
    assert_eq!((subscribe(now).await, unsubscribe(now).await), (Code::Ok, Code::Ok));
    assert_eq!(fixture.list().await, [""; 0]);
}

// SPEC D1
#[tokio::test]
async fn a_subscribe_names_1_to_100_ids() {
    let fixture = Fixture::new().await;
    assert_eq!(code(fixture.subscribe(NONE).await), Code::InvalidParameter);
    assert_eq!(code(fixture.subscribe(&numbered(0..101)).await), Code::InvalidParameter);
    assert!(fixture.list().await.is_empty());
    assert_eq!(fixture.subscribe(&numbered(0..100)).await.unwrap().value.added.len(), 100);
}

// SPEC D2
#[tokio::test]
async fn the_201st_subscription_evicts_the_least_recently_subscribed() {
    let fixture = Fixture::new().await;
    fixture.subscribe(&numbered(0..100)).await.unwrap();
    fixture.subscribe(&numbered(100..200)).await.unwrap();
    fixture.subscribe(&["user0"]).await.unwrap();
    let revised = fixture.subscribe(&["new"]).await.unwrap();
    assert_eq!(revised.value, Subscribed { added: vec![user("new")], evicted: vec![user("user1")] });
    assert_eq!(fixture.list().await.len(), 200);
}

// SPEC D2
#[tokio::test]
async fn the_limits_of_the_app_apply_to_the_next_call() {
    let fixture = Fixture::new().await;
    fixture.subscribe(&["a", "b", "c"]).await.unwrap();
    let limits = Limits { subscribe_ids: 2, subscriptions: 2, ..Limits::default() };
    fixture.set(Settings { limits, ..settings(Edition::Premium, true) }).await;
    assert_eq!(code(fixture.subscribe(&["d", "e", "f"]).await), Code::InvalidParameter);
    assert_eq!(code(fixture.unsubscribe(&["d", "e", "f"]).await), Code::InvalidParameter);
    assert_eq!(fixture.list().await, ["a", "b", "c"]);
    let revised = fixture.subscribe(&["d"]).await.unwrap();
    assert_eq!(revised.value.evicted, [user("a"), user("b")]);
    assert_eq!(fixture.list().await, ["c", "d"]);
}

// SPEC D3
#[tokio::test]
async fn one_bad_id_refuses_the_whole_call_and_changes_nothing() {
    let fixture = Fixture::new().await;
    fixture.subscribe(&["a"]).await.unwrap();
    assert_eq!(code(fixture.subscribe(&["b", "me"]).await), Code::InvalidParameter);
    assert_eq!(code(fixture.subscribe(&["b", "c\n"]).await), Code::BadUserId);
    assert_eq!(code(fixture.unsubscribe(&["a", ""]).await), Code::BadUserId);
    assert_eq!(fixture.list().await, ["a"]);
    assert_eq!(fixture.outbox().await.len(), 1);
}

// SPEC E1
#[tokio::test]
async fn an_unsubscribe_answers_with_what_was_on_the_list() {
    let fixture = Fixture::new().await;
    let before = fixture.subscribe(&["a", "b", "c"]).await.unwrap();
    let removed = fixture.unsubscribe(&["c", "nobody", "a", "me"]).await.unwrap();
    assert_eq!(removed.value, [user("a"), user("c")]);
    assert_eq!(removed.previous_version, before.version);
    let nothing = fixture.unsubscribe(&["nobody"]).await.unwrap();
    assert_eq!(
        (nothing.value.len(), nothing.version, nothing.previous_version),
        (0, removed.version, removed.version)
    );
    assert_eq!(fixture.outbox().await.len(), 2);
}

// SPEC E1
#[tokio::test]
async fn an_empty_list_clears_all() {
    let fixture = Fixture::new().await;
    let before = fixture.subscribe(&["a", "b"]).await.unwrap();
    let cleared = fixture.unsubscribe(NONE).await.unwrap();
    assert_eq!(cleared.value, [user("a"), user("b")]);
    assert!(cleared.version > before.version);
    assert!(fixture.list().await.is_empty());
    assert!(fixture.subscribe(&["a"]).await.unwrap().version > cleared.version);
}

// SPEC K1
#[tokio::test]
async fn arguments_are_checked_before_the_edition_and_the_edition_before_the_switch() {
    let fixture = Fixture::new().await;
    fixture.set(settings(Edition::Standard, false)).await;
    assert_eq!(code(fixture.subscribe(&["me"]).await), Code::InvalidParameter);
    assert_eq!(code(fixture.subscribe(&[""]).await), Code::BadUserId);
    assert_eq!(code(fixture.subscribe(&["a"]).await), Code::EditionLacksIt);
    assert_eq!(code(fixture.unsubscribe(&["a"]).await), Code::EditionLacksIt);
    fixture.set(settings(Edition::Premium, false)).await;
    assert_eq!(code(fixture.subscribe(&["a"]).await), Code::FeatureOff);
    assert_eq!(code(fixture.unsubscribe(NONE).await), Code::FeatureOff);
}

// SPEC G1
#[tokio::test]
async fn a_list_is_kept_and_read_while_the_switch_is_off() {
    let fixture = Fixture::new().await;
    fixture.subscribe(&["a"]).await.unwrap();
    fixture.set(settings(Edition::Standard, false)).await;
    assert_eq!(fixture.list().await, ["a"]);
}

// SPEC G3
#[tokio::test]
async fn lists_of_one_app_are_not_those_of_another() {
    let fixture = Fixture::new().await;
    fixture.subscribe(&["a"]).await.unwrap();
    let other = AppId::new(8).unwrap();
    let subscriptions = &fixture.subscriptions;
    assert_eq!(code(subscriptions.list(other, &user("me"), false).await), Code::AppUnknown);
    let trace = TraceParent::default();
    let unknown = subscriptions.subscribe(other, &user("me"), &["a".to_owned()], &trace).await;
    assert_eq!(code(unknown), Code::AppUnknown);
    subscriptions.apps.create(other, "test", settings(Edition::Premium, true), Vec::new()).await.unwrap();
    assert_eq!(subscriptions.list(other, &user("me"), false).await.unwrap(), HeldList::default());
}
