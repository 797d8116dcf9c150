//! What the router promises, seen through the mailboxes of streams.

use std::future::Future;

use rollcall_domain::{
    epoch::Epoch,
    id::{AppId, UserId},
};
use rollcall_proto::{
    event::v1::{Change, ChangeKind},
    notifier::v1::AttachResponse,
};

use super::*;

fn user(name: &str) -> User {
    User { app: AppId::new(1).unwrap(), user: UserId::new(name).unwrap() }
}

fn event(name: &str, record_version: u64) -> Event {
    let change = Change {
        record_version,
        kind: ChangeKind::Status as i32,
        app_id: 1,
        user_id: name.to_owned(),
        ..Change::default()
    };
    Event::read(Partition(0), change).unwrap()
}

fn open(limit: usize) -> Router {
    let router = Router::new(limit, Clock::new());
    router.open([]);
    router
}

/// Returns what is ready, without waiting.
fn ready(mailbox: &Mailbox) -> Option<Result<AttachResponse, StreamEnd>> {
    let next = std::pin::pin!(mailbox.next());
    match next.poll(&mut std::task::Context::from_waker(std::task::Waker::noop())) {
        std::task::Poll::Ready(next) => Some(next),
        std::task::Poll::Pending => None,
    }
}

fn versions(mailbox: &Mailbox) -> Vec<(String, u64)> {
    let changes = ready(mailbox).map(|next| next.unwrap().changes).unwrap_or_default();
    changes.into_iter().map(|change| (change.user_id, change.record_version)).collect()
}

#[tokio::test]
async fn a_change_goes_to_those_interested_and_to_nobody_else() {
    let router = open(10);
    let Attached { stream: a, mailbox: mailbox_a, .. } = router.attach().unwrap();
    let Attached { stream: b, mailbox: mailbox_b, .. } = router.attach().unwrap();
    router.update(a, &[user("alice"), user("bob")], &[]).await.unwrap();
    router.update(b, &[user("bob")], &[]).await.unwrap();

    assert_eq!(router.route(&event("alice", 1)), 1);
    assert_eq!(router.route(&event("bob", 2)), 2);
    assert_eq!(router.route(&event("carol", 3)), 0);
    assert_eq!(versions(&mailbox_a), [("alice".to_owned(), 1), ("bob".to_owned(), 2)]);
    assert_eq!(versions(&mailbox_b), [("bob".to_owned(), 2)]);
}

#[tokio::test]
async fn a_stream_that_is_not_read_holds_the_latest_only_and_delays_nobody() {
    let router = open(10);
    let Attached { stream: slow, mailbox: slow_mailbox, .. } = router.attach().unwrap();
    let Attached { stream: quick, mailbox: quick_mailbox, .. } = router.attach().unwrap();
    for stream in [slow, quick] {
        router.update(stream, &[user("alice")], &[]).await.unwrap();
    }
    for version in 1..=1000 {
        router.route(&event("alice", version));
        assert_eq!(versions(&quick_mailbox), [("alice".to_owned(), version)]);
    }
    assert_eq!(versions(&slow_mailbox), [("alice".to_owned(), 1000)]);
    assert_eq!(ready(&slow_mailbox), None);
}

#[tokio::test]
async fn what_waits_of_a_user_goes_with_the_interest() {
    let router = open(10);
    let Attached { stream, mailbox, .. } = router.attach().unwrap();
    router.update(stream, &[user("alice"), user("bob")], &[]).await.unwrap();
    router.route(&event("alice", 1));
    router.route(&event("bob", 1));
    router.update(stream, &[], &[user("alice")]).await.unwrap();
    router.route(&event("alice", 2));
    assert_eq!(versions(&mailbox), [("bob".to_owned(), 1)]);
}

#[tokio::test]
async fn who_is_added_and_removed_at_once_is_in_the_interest() {
    let router = open(10);
    let Attached { stream, mailbox, .. } = router.attach().unwrap();
    router.update(stream, &[user("alice")], &[user("alice")]).await.unwrap();
    router.route(&event("alice", 1));
    assert_eq!(versions(&mailbox), [("alice".to_owned(), 1)]);
}

#[tokio::test]
async fn many_changes_are_split_into_messages() {
    let router = open(1000);
    let Attached { stream, mailbox, .. } = router.attach().unwrap();
    let names: Vec<String> = (0..300).map(|n| format!("user{n}")).collect();
    let users: Vec<User> = names.iter().map(|name| user(name)).collect();
    router.update(stream, &users, &[]).await.unwrap();
    mailbox.acknowledge(7);
    for name in &names {
        router.route(&event(name, 1));
    }
    let first = ready(&mailbox).unwrap().unwrap();
    let second = ready(&mailbox).unwrap().unwrap();
    assert_eq!((first.acknowledged, first.changes.len()), (7, 256));
    assert_eq!((second.acknowledged, second.changes.len()), (0, 44));
    assert_eq!(ready(&mailbox), None);
}

#[tokio::test]
async fn a_stream_that_ended_leaves_nothing_behind() {
    let router = open(10);
    let Attached { stream, .. } = router.attach().unwrap();
    router.update(stream, &[user("alice")], &[]).await.unwrap();
    router.detach(stream).await;
    assert_eq!(router.route(&event("alice", 1)), 0);
    assert!(router.index.lock().mailboxes.is_empty());
}

#[tokio::test]
async fn a_stream_has_a_limit() {
    let router = open(1);
    let Attached { stream, .. } = router.attach().unwrap();
    router.update(stream, &[user("alice")], &[]).await.unwrap();
    router.update(stream, &[user("alice")], &[]).await.unwrap();
    let refused = router.update(stream, &[user("bob")], &[]).await.unwrap_err();
    assert_eq!(refused, StreamEnd::TooManyUsers { limit: 1 });
    router.update(stream, &[user("bob")], &[user("alice")]).await.unwrap();
}

#[tokio::test]
async fn nobody_is_attached_while_changes_are_not_heard() {
    let router = Router::new(10, Clock::new());
    assert_eq!(router.attach().unwrap_err(), StreamEnd::BusLost);
    router.open([]);
    let Attached { mailbox, .. } = router.attach().unwrap();
    router.close(StreamEnd::BusLost);
    assert_eq!(ready(&mailbox), Some(Err(StreamEnd::BusLost)));
    assert_eq!(router.attach().unwrap_err(), StreamEnd::BusLost);
}

fn change(name: &str, sequence: u64) -> Event {
    let mut event = event(name, sequence);
    Arc::make_mut(&mut event.change).sequence = sequence;
    event
}

fn told(mailbox: &Mailbox) -> Option<Vec<(u32, u64)>> {
    let told = ready(mailbox)?.unwrap().told?;
    Some(told.positions.iter().map(|position| (position.partition, position.sequence)).collect())
}

#[tokio::test]
async fn a_position_is_told_after_all_changes_before_it_and_only_when_it_moved() {
    let router = open(1000);
    let Attached { stream, mailbox, .. } = router.attach().unwrap();
    let users: Vec<User> = (0..300).map(|n| user(&format!("user{n}"))).collect();
    router.update(stream, &users, &[]).await.unwrap();
    for n in 0..300 {
        router.route(&change(&format!("user{n}"), n + 1));
    }
    router.tell();
    router.route(&change("user7", 301));
    router.tell();

    assert_eq!(told(&mailbox), None, "256 of 300 changes are in the first message");
    assert_eq!(told(&mailbox), Some(vec![(0, 300)]), "what came later is told another time");
    router.tell();
    assert_eq!(told(&mailbox), Some(vec![(0, 301)]));
    router.tell();
    assert_eq!(told(&mailbox), Some(Vec::new()));
}

#[tokio::test]
async fn who_comes_after_a_change_may_have_missed_it() {
    let router = open(10);
    router.route(&change("alice", 1));
    let heard = |sequence| Heard { positions: [(Partition(0), sequence)].into(), ago: Some(Duration::ZERO) };
    let listening = Duration::from_secs(1);
    assert_eq!(router.missed_since(&heard(1), listening), Missed::Of([].into()));
    router.skip(Partition(0), 2);
    assert_eq!(router.missed_since(&heard(1), listening), Missed::Of([Partition(0)].into()));
    assert_eq!(router.missed_since(&heard(2), Duration::ZERO), Missed::Everything);
}

/// Takes what a stream is to read again.
fn resync(mailbox: &Mailbox) -> Option<Missed> {
    Some(Missed::from_wire(&ready(mailbox)?.unwrap().resync?))
}

// FAULT 11
#[tokio::test]
async fn a_new_epoch_of_the_store_has_everything_read_again_once_and_late_heads_of_one_that_was_left_say_nothing()
 {
    let router = open(10);
    let Attached { mailbox, .. } = router.attach().unwrap();
    let [old, new] = [1, 2].map(Epoch::new);
    assert_eq!(router.compare(&[7], old), Compared::Missed(0), "the first that is heard of is not new");
    assert_eq!(resync(&mailbox), None);

    assert_eq!(router.compare(&[4], new), Compared::NewEpoch);
    assert_eq!(resync(&mailbox), Some(Missed::Everything));

    for (heads, epoch) in [(4, new), (7, old), (9, old), (4, new), (4, None)] {
        assert_eq!(router.compare(&[heads], epoch), Compared::Missed(0));
    }
    assert_eq!(resync(&mailbox), None);
    // Nor do they count when others come a while later.
    let later = Clock::new().monotonic().plus(Duration::from_secs(60));
    assert_eq!(router.index.lock().positions.compare(&[9], later), [].into());
}
