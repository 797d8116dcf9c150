//! Tests of subscription lists, over the memory store.

use prost::Message as _;
use rollcall_domain::{code::Code, time::Timestamp};
use rollcall_proto::{
    event::v1::{Change, ChangeKind},
    trace::TraceParent,
};

use super::*;
use crate::fixture::{Fixture, IDLE_AFTER, app, user};

async fn subscribe(fixture: &Fixture, names: &[&str]) -> Revised<usize> {
    let targets: Vec<UserId> = names.iter().map(|name| user(name)).collect();
    let me = user("me");
    let revise = |list: &mut SubscriptionList| Ok(list.subscribe(&me, &targets, 200)?.added.len());
    fixture.lists.revise(app(), &me, &TraceParent::default(), revise).await.unwrap()
}

async fn outbox(fixture: &Fixture) -> Vec<Change> {
    let partition = fixture.store.partitions().of(app(), Some(&user("me")));
    let entries = fixture.store.unpublished(partition, 100).await.unwrap();
    entries.into_iter().map(|entry| Change::decode(entry.bytes).unwrap()).collect()
}

#[tokio::test]
async fn a_changed_list_is_told_with_its_version_and_nothing_of_its_content() {
    let fixture = Fixture::new();
    let revised = subscribe(&fixture, &["a"]).await;
    assert_eq!((revised.value, revised.previous_version.0), (1, 0));
    let [entry] = outbox(&fixture).await.try_into().unwrap();
    assert_eq!(
        entry,
        Change {
            sequence: 1,
            record_version: revised.version.0,
            kind: ChangeKind::List.into(),
            app_id: 7,
            user_id: "me".to_owned(),
            ..Change::default()
        }
    );
}

#[tokio::test]
async fn an_equal_list_is_not_committed_and_a_new_order_is() {
    let fixture = Fixture::new();
    let first = subscribe(&fixture, &["a", "b"]).await;
    let equal = subscribe(&fixture, &["a", "b"]).await;
    assert_eq!((equal.version, equal.previous_version), (first.version, first.version));
    let ordered = subscribe(&fixture, &["a"]).await;
    assert!(ordered.version > first.version);
    assert_eq!(fixture.lists.read(app(), &user("me")).await.unwrap().list.ids(), [user("b"), user("a")]);
    assert_eq!(outbox(&fixture).await.len(), 2);
}

#[tokio::test]
async fn versions_go_on_over_an_emptied_list() {
    let fixture = Fixture::new();
    let full = subscribe(&fixture, &["a"]).await;
    let clear = |list: &mut SubscriptionList| Ok(list.unsubscribe(&[]));
    let emptied = fixture.lists.revise(app(), &user("me"), &TraceParent::default(), clear).await.unwrap();
    assert_eq!(emptied.value, [user("a")]);
    let held = fixture.lists.read(app(), &user("me")).await.unwrap();
    assert_eq!(held, HeldList { list: SubscriptionList::default(), version: emptied.version });
    let again = subscribe(&fixture, &["a"]).await;
    assert!(full.version < emptied.version && emptied.version < again.version);
}

#[tokio::test]
async fn a_refusal_changes_no_list() {
    let fixture = Fixture::new();
    let me = user("me");
    let revise = |list: &mut SubscriptionList| list.subscribe(&me, &[user("a"), me], 200);
    let error = fixture.lists.revise(app(), &me, &TraceParent::default(), revise).await.unwrap_err();
    assert_eq!(error.refusal().code, Code::InvalidParameter);
    assert_eq!(fixture.lists.read(app(), &me).await.unwrap(), HeldList::default());
}

#[tokio::test]
async fn friends_are_a_list_of_their_own_and_told_as_such() {
    let fixture = Fixture::new();
    let (me, trace) = (user("me"), TraceParent::default());
    subscribe(&fixture, &["a"]).await;
    let befriend = |list: &mut FriendList| list.add(&me, &[user("c"), user("b")], 3_000);
    let befriended = fixture.friends.revise(app(), &me, &trace, befriend).await.unwrap();
    assert_eq!((befriended.value, befriended.previous_version.0), (vec![user("c"), user("b")], 0));

    let held = fixture.friends.read(app(), &me).await.unwrap();
    assert_eq!(
        held,
        HeldList { list: [user("b"), user("c")].into_iter().collect(), version: befriended.version }
    );
    assert_eq!(fixture.lists.read(app(), &me).await.unwrap().list.ids(), [user("a")]);
    let versions = fixture.friends.versions(app(), &[user("b"), me]).await.unwrap();
    assert_eq!(versions, [RecordVersion(0), befriended.version]);
    let told: Vec<_> =
        outbox(&fixture).await.iter().map(|entry| (entry.kind(), entry.record_version)).collect();
    assert_eq!(told[1..], [(ChangeKind::Friends, befriended.version.0)]);
    assert_eq!(told[0].0, ChangeKind::List);
}

#[tokio::test]
async fn friends_who_are_there_or_gone_already_are_not_committed() {
    let fixture = Fixture::new();
    let (me, trace) = (user("me"), TraceParent::default());
    let befriend = |list: &mut FriendList| list.add(&me, &[user("a")], 3_000);
    let unfriend = |list: &mut FriendList| Ok(list.remove(&[user("a")]));
    let added = fixture.friends.revise(app(), &me, &trace, befriend).await.unwrap();
    let again = fixture.friends.revise(app(), &me, &trace, befriend).await.unwrap();
    assert_eq!((again.value.len(), again.version), (0, added.version));
    let removed = fixture.friends.revise(app(), &me, &trace, unfriend).await.unwrap();
    assert!(removed.version > added.version);
    let gone = fixture.friends.revise(app(), &me, &trace, unfriend).await.unwrap();
    assert_eq!((gone.value.len(), gone.version), (0, removed.version));
    assert_eq!(outbox(&fixture).await.len(), 2);
}

/// Returns in how long the list of `me` may go; `None` if it has no timer.
async fn goes_in(fixture: &Fixture) -> Option<Duration> {
    let partition = fixture.store.partitions().of(app(), Some(&user("me")));
    let (now, all) = (fixture.store.now().await.unwrap(), Timestamp(u64::MAX));
    let timers = fixture.lists.due(partition, all, None, 10).await.unwrap();
    assert!(timers.len() <= 1, "{timers:?}");
    timers.first().map(|timer| Duration::from_micros(timer.deadline.0 - now.0))
}

// SPEC D5
#[tokio::test]
async fn each_commit_gives_a_list_the_whole_span_and_an_emptied_one_has_none() {
    let fixture = Fixture::new();
    subscribe(&fixture, &["a"]).await;
    assert_eq!(goes_in(&fixture).await, Some(IDLE_AFTER));
    fixture.advance(IDLE_AFTER / 2);
    assert_eq!(goes_in(&fixture).await, Some(IDLE_AFTER / 2));
    subscribe(&fixture, &["b"]).await;
    assert_eq!(goes_in(&fixture).await, Some(IDLE_AFTER));

    let clear = |list: &mut SubscriptionList| Ok(list.unsubscribe(&[]));
    fixture.lists.revise(app(), &user("me"), &TraceParent::default(), clear).await.unwrap();
    assert_eq!(goes_in(&fixture).await, None);
}

// SPEC D5
#[tokio::test]
async fn a_list_that_is_read_for_who_is_online_is_kept_the_whole_span_without_a_commit() {
    let fixture = Fixture::new();
    let (lists, me) = (&fixture.lists, user("me"));
    assert_eq!(lists.read_online(app(), &me).await.unwrap(), HeldList::default());
    assert_eq!(goes_in(&fixture).await, None, "an empty one needs no timer");
    subscribe(&fixture, &["a"]).await;
    fixture.advance(IDLE_AFTER.saturating_sub(Duration::from_secs(1)));
    let before = lists.read(app(), &me).await.unwrap();
    assert_eq!(goes_in(&fixture).await, Some(Duration::from_secs(1)));

    assert_eq!(lists.read_online(app(), &me).await.unwrap(), before);

    assert_eq!(goes_in(&fixture).await, Some(IDLE_AFTER));
    assert_eq!(lists.read(app(), &me).await.unwrap(), before);
}

// SPEC D5
#[tokio::test]
async fn a_list_goes_only_while_its_timer_is_due() {
    let fixture = Fixture::new();
    let (lists, me) = (&fixture.lists, user("me"));
    subscribe(&fixture, &["a"]).await;
    let due = fixture.store.now().await.unwrap().plus(IDLE_AFTER);
    let early = due.minus(Duration::from_micros(1));
    assert!(!lists.let_go(app(), &me, early).await.unwrap());
    assert!(lists.let_go(app(), &me, due).await.unwrap());
    assert!(lists.read(app(), &me).await.unwrap().list.ids().is_empty());
    assert!(!lists.let_go(app(), &me, due).await.unwrap(), "it has gone already");
    assert_eq!(outbox(&fixture).await.len(), 2);
}
