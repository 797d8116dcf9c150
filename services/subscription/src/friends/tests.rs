//! Tests of the rules around friends, over the memory store.

use std::{sync::Arc, time::Duration};

use prost::Message as _;
use rollcall_bus::memory::MemoryBus;
use rollcall_domain::{
    app::{Limits, Settings},
    status::RecordVersion,
    time::Timestamp,
};
use rollcall_proto::event::v1::{Change, ChangeKind};
use rollcall_records::{Intent, Publisher, Publishing};
use rollcall_runtime::{Clock, metrics::Registry};
use rollcall_store::{Commit, Key, MemoryStore, Partitions, Store, port::Write};

use super::*;

mod away;

const TRACE: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

struct Fixture {
    store: Arc<MemoryStore>,
    friends: Friends,
    /// Not run, so that entries stay in the outbox.
    _publishing: Publishing,
}

impl Fixture {
    /// Begins with one app as it is when it is new: edition STANDARD, both switches off.
    async fn new() -> Self {
        let store = Arc::new(MemoryStore::new(Partitions::EMBEDDED, Arc::new(|| Timestamp(1_000_000))));
        let (publisher, publishing) =
            Publisher::new(store.clone(), Arc::new(MemoryBus::new(Clock::store_clock())));
        let apps = Apps::new(store.clone(), Arc::new(|| Duration::ZERO));
        apps.create(app(), "test", Settings::default(), Vec::new()).await.unwrap();
        let metrics = Metrics::new(&Registry::default());
        let friends = Friends { lists: Lists::<FriendList>::new(store.clone(), publisher), apps, metrics };
        Self { store, friends, _publishing: publishing }
    }

    async fn allow(&self, friends: u32) {
        let limits = Limits { friends, ..Limits::default() };
        self.friends
            .apps
            .update(app(), &Intent { who: "test", expected: None }, |base| Ok(Settings { limits, ..*base }))
            .await
            .unwrap();
    }

    async fn add(&self, friends: &[impl ToString]) -> Result<Vec<UserId>, Error> {
        self.friends.add(app(), &user("me"), &texts(friends), &TraceParent::parse(TRACE)).await
    }

    async fn remove(&self, friends: &[impl ToString]) -> Result<Vec<UserId>, Error> {
        self.friends.remove(app(), &user("me"), &texts(friends), &TraceParent::parse(TRACE)).await
    }

    /// Imports edges, and returns what became of each: 0 for new, 1 for known, else the code.
    async fn import(&self, edges: &[(&str, &str)]) -> Vec<i32> {
        let edges = edges.iter().map(|(user, friend)| edge(user, friend)).collect();
        let results = self.friends.import(app(), edges, &TraceParent::parse(TRACE)).await.unwrap();
        let number = |result: Result<bool, Refusal>| {
            result.map_or_else(|refusal| refusal.code.number(), |added| i32::from(!added))
        };
        results.into_iter().map(number).collect()
    }

    async fn of(&self, name: &str) -> Vec<String> {
        let held = self.friends.all(app(), &user(name)).await.unwrap();
        held.list.ids().map(ToString::to_string).collect()
    }

    async fn outbox(&self, name: &str) -> Vec<Change> {
        let partition = self.store.partitions().of(app(), Some(&user(name)));
        let entries = self.store.unpublished(partition, 100).await.unwrap().into_iter();
        let changes = entries.map(|entry| Change::decode(entry.bytes).unwrap());
        changes.filter(|change| change.user_id == name).collect()
    }
}

fn app() -> AppId {
    AppId::new(7).unwrap()
}

fn user(name: &str) -> UserId {
    UserId::new(name).unwrap()
}

fn texts(ids: &[impl ToString]) -> Vec<String> {
    ids.iter().map(ToString::to_string).collect()
}

fn numbered(range: std::ops::Range<usize>) -> Vec<String> {
    range.map(|n| format!("user{n:04}")).collect()
}

fn code<T>(result: Result<T, Error>) -> Code {
    result.err().map_or(Code::Ok, |error| error.refusal().code)
}

// SPEC I1
#[tokio::test]
async fn friends_are_stored_and_told_in_any_edition_with_all_switches_off() {
    let fixture = Fixture::new().await;
    assert_eq!(fixture.add(&["b", "a"]).await.unwrap(), [user("b"), user("a")]);
    assert_eq!(fixture.remove(&["a", "x"]).await.unwrap(), [user("a")]);
    assert_eq!(fixture.of("me").await, ["b"]);
    assert_eq!(fixture.of("b").await, [""; 0], "the other direction is an edge of its own");

    let version = fixture.friends.all(app(), &user("me")).await.unwrap().version;
    let told = fixture.outbox("me").await;
    assert_eq!((told.len(), told[1].record_version), (2, version.0));
    assert!(told.iter().all(|change| change.kind() == ChangeKind::Friends && change.traceparent == TRACE));
}

// SPEC I1
#[tokio::test]
async fn what_changes_nothing_is_no_error_and_is_not_told() {
    let fixture = Fixture::new().await;
    fixture.add(&["a"]).await.unwrap();
    assert_eq!(fixture.add(&["a"]).await.unwrap(), []);
    assert_eq!(fixture.remove(&["b", "me"]).await.unwrap(), []);
    assert_eq!(fixture.import(&[("me", "a"), ("me", "a")]).await, [1, 1]);
    assert_eq!(fixture.outbox("me").await.len(), 1);
}

// SPEC I1
#[tokio::test]
async fn a_call_names_1_to_1000_friends() {
    let fixture = Fixture::new().await;
    assert_eq!(code(fixture.add(&[""; 0]).await), Code::InvalidParameter);
    assert_eq!(code(fixture.remove(&[""; 0]).await), Code::InvalidParameter);
    assert_eq!(code(fixture.add(&numbered(0..1_001)).await), Code::InvalidParameter);
    assert_eq!(code(fixture.remove(&numbered(0..1_001)).await), Code::InvalidParameter);
    assert_eq!(fixture.of("me").await, [""; 0]);
    assert_eq!(fixture.add(&numbered(0..1_000)).await.unwrap().len(), 1_000);
    assert_eq!(fixture.remove(&numbered(0..1_000)).await.unwrap().len(), 1_000);
}

// SPEC I1
#[tokio::test]
async fn a_refused_add_changes_nothing() {
    let fixture = Fixture::new().await;
    fixture.add(&["a"]).await.unwrap();
    assert_eq!(code(fixture.add(&["b", "me"]).await), Code::InvalidParameter);
    assert_eq!(code(fixture.add(&["b", "c\n"]).await), Code::BadUserId);
    assert_eq!(code(fixture.remove(&["a", ""]).await), Code::BadUserId);
    fixture.allow(2).await;
    let refused = fixture.add(&["b", "c"]).await.unwrap_err().refusal();
    assert_eq!(refused.code, Code::InvalidParameter);
    assert_eq!(refused.message, "the user has 1 friends and 2 are to be added, expected at most 2 together");
    assert_eq!(fixture.of("me").await, ["a"]);
    assert_eq!(fixture.outbox("me").await.len(), 1);
}

// SPEC G1, I1
#[tokio::test]
async fn a_lowered_limit_bounds_the_next_add_and_removes_nobody() {
    let fixture = Fixture::new().await;
    for thousand in 0..3 {
        fixture.add(&numbered(thousand * 1_000..thousand * 1_000 + 1_000)).await.unwrap();
    }
    assert_eq!(code(fixture.add(&["one more"]).await), Code::InvalidParameter);
    fixture.allow(10).await;
    assert_eq!(code(fixture.add(&["user0000"]).await), Code::Ok);
    assert_eq!(fixture.of("me").await.len(), 3_000);
    fixture.remove(&numbered(0..1_000)).await.unwrap();
    assert_eq!(code(fixture.add(&["one more"]).await), Code::InvalidParameter);
    assert_eq!(fixture.import(&[("me", "one more"), ("me", "user1000")]).await, [6017, 1]);
    assert_eq!(fixture.of("me").await.len(), 2_000);
}

// SPEC I1
#[tokio::test]
async fn an_import_tells_of_each_edge_in_order_and_one_that_is_refused_hinders_no_other() {
    let fixture = Fixture::new().await;
    fixture.allow(2).await;
    let edges = [
        ("me", "d"),
        ("other", "me"),
        ("me", "me"),
        ("me", "a\n"),
        ("", "a"),
        ("me", "c"),
        ("me", "d"),
        ("me", "b"),
        ("other", "c"),
    ];
    assert_eq!(fixture.import(&edges).await, [0, 0, 6017, 7003, 7003, 0, 1, 6017, 0]);
    assert_eq!(
        (fixture.of("me").await, fixture.of("other").await),
        (texts(&["c", "d"]), texts(&["c", "me"]))
    );
    // One commit for each user.
    assert_eq!((fixture.outbox("me").await.len(), fixture.outbox("other").await.len()), (1, 1));
    assert_eq!(edge("a", "").unwrap_err().message, "friend's user id is empty, expected 1 to 32 bytes");
}

// SPEC I1
#[tokio::test]
async fn an_import_goes_on_past_users_whose_friends_cannot_be_read() {
    let fixture = Fixture::new().await;
    let users = numbered(0..100);
    for user in &users[..50] {
        let key = Key::Friends(app(), UserId::new(user).unwrap());
        let (expected, write) = (None, Write::Put("\u{1}".into()));
        let (timers, guards) = (Vec::new(), Vec::new());
        let broken = Commit {
            key,
            expected,
            write,
            new_status: false,
            floor: RecordVersion(0),
            not_after: None,
            timers,
            guards,
            entry: None,
        };
        fixture.store.commit(broken).await.unwrap();
    }
    let edges: Vec<_> = users.iter().map(|user| (user.as_str(), "star")).collect();
    let expected: Vec<i32> = (0..100).map(|n| if n < 50 { 70500 } else { 0 }).collect();
    assert_eq!(fixture.import(&edges).await, expected);
}

// SPEC I1
#[tokio::test]
async fn an_import_of_a_thousand_users_gives_each_their_friend() {
    let fixture = Fixture::new().await;
    let users = numbered(0..1_000);
    let edges: Vec<_> = users.iter().rev().map(|user| (user.as_str(), "star")).collect();
    assert_eq!(fixture.import(&edges).await, [0; 1_000]);
    for user in &users {
        assert_eq!(fixture.of(user).await, ["star"]);
    }
}

// SPEC I1
#[tokio::test]
async fn who_stays_a_friend_is_on_one_page_once_whoever_comes_and_goes() {
    let fixture = Fixture::new().await;
    fixture.add(&["b", "d", "f", "h"]).await.unwrap();
    let page = async |last: Option<&UserId>| fixture.friends.page(app(), &user("me"), 2, last).await.unwrap();
    let first = page(None).await;
    let expected = Page { ids: vec![user("b"), user("d")], next: Some(user("d")), total: 4 };
    assert_eq!(first, expected);
    fixture.remove(&["d"]).await.unwrap();
    fixture.add(&["a", "e"]).await.unwrap();
    let second = page(first.next.as_ref()).await;
    let expected = Page { ids: vec![user("e"), user("f")], next: Some(user("f")), total: 5 };
    assert_eq!(second, expected);
    let last = page(second.next.as_ref()).await;
    assert_eq!(last, Page { ids: vec![user("h")], next: None, total: 5 });
    assert_eq!(page(Some(&user("h"))).await, Page { total: 5, ..Page::default() });
}

// SPEC I1
#[test]
fn a_page_has_at_most_1000_ids_and_begins_where_one_ended() {
    assert_eq!([0, 1, 1_000].map(|size| page_size(size).unwrap()), [1_000, 1, 1_000]);
    assert_eq!(page_size(1_001).unwrap_err().code, Code::InvalidParameter);
    assert_eq!(page_token("").unwrap(), None);
    assert_eq!(page_token("d").unwrap(), Some(user("d")));
    assert_eq!(page_token("\n").unwrap_err().code, Code::InvalidParameter);
}

// SPEC G3
#[tokio::test]
async fn friends_in_one_app_are_not_those_in_another_and_an_unknown_app_has_none() {
    let fixture = Fixture::new().await;
    fixture.add(&["a"]).await.unwrap();
    let (other, me, trace) = (AppId::new(8).unwrap(), user("me"), TraceParent::default());
    let friends = &fixture.friends;
    assert_eq!(code(friends.add(other, &me, &texts(&["a"]), &trace).await), Code::AppUnknown);
    assert_eq!(code(friends.remove(other, &me, &texts(&["a"]), &trace).await), Code::AppUnknown);
    assert_eq!(code(friends.import(other, vec![edge("me", "a")], &trace).await), Code::AppUnknown);
    assert_eq!(code(friends.all(other, &me).await), Code::AppUnknown);
    assert_eq!(code(friends.page(other, &me, 1, None).await), Code::AppUnknown);
    friends.apps.create(other, "test", Settings::default(), Vec::new()).await.unwrap();
    assert_eq!(friends.all(other, &me).await.unwrap(), HeldList::default());
}
