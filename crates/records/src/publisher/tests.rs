//! Tests of publication at once.

use std::sync::atomic::Ordering;

use prost::Message as _;
use rollcall_proto::event::v1::Change;
use rollcall_store::Partitions;

use crate::fixture::{Fixture, app, login, session, user};

use super::*;

const TRACE: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

async fn log_in(fixture: &Fixture, name: &str, counter: u64) {
    let trace = TraceParent::parse(TRACE);
    let decide = |state: &_, now| Ok(login(state, counter, now));
    fixture.users.apply(app(), &user(name), &trace, decide).await.unwrap();
}

async fn unpublished(store: &dyn Store) -> usize {
    let mut count = 0;
    for partition in store.partitions().all() {
        count += store.unpublished(partition, 10_000).await.unwrap().len();
    }
    count
}

/// Runs the work until all that waits is published.
async fn finish(publishing: Publishing) {
    let shutdown = CancellationToken::new();
    shutdown.cancel();
    publishing.run(shutdown).await;
}

#[tokio::test]
async fn commits_are_published_on_their_partition_with_their_trace_and_then_forgotten() {
    let fixture = Fixture::new();
    log_in(&fixture, "alice", 1).await;
    finish(fixture.publishing).await;
    let [message] = fixture.bus.take().try_into().unwrap();
    let partition = Partitions::EMBEDDED.of(app(), Some(&user("alice")));
    assert_eq!(message.subject, Subject::Status(partition.0));
    assert_eq!(message.trace.as_str(), TRACE);
    let change = Change::decode(message.payload).unwrap();
    assert_eq!((change.sequence, change.user_id.as_str()), (1, "alice"));
    assert_eq!(unpublished(&*fixture.store).await, 0);
}

#[tokio::test]
async fn a_partition_is_published_in_order_whatever_the_order_of_offers() {
    let fixture = Fixture::new();
    for counter in 1..=5 {
        log_in(&fixture, "alice", counter).await;
    }
    let Fixture { mut publishing, bus, .. } = fixture;
    let mut offered = Vec::new();
    publishing.queue.recv_many(&mut offered, BATCH).await;
    publishing.publish(offered.into_iter().rev()).await;
    let sequences = bus.take().into_iter().map(|message| Change::decode(message.payload).unwrap().sequence);
    assert_eq!(sequences.collect::<Vec<_>>(), [1, 2, 3, 4, 5]);
}

#[tokio::test]
async fn what_the_bus_refuses_stays_in_the_outbox_and_the_commit_stands() {
    let fixture = Fixture::new();
    fixture.bus.broken.store(true, Ordering::SeqCst);
    log_in(&fixture, "alice", 1).await;
    finish(fixture.publishing).await;
    assert_eq!(unpublished(&*fixture.store).await, 1);
    let status = fixture.users.states(app(), &[user("alice")]).await.unwrap().remove(0).unwrap();
    assert!(status.1.0 > 0);
}

#[tokio::test]
async fn a_full_queue_leaves_entries_to_the_relay_and_never_waits() {
    let fixture = Fixture::new();
    for counter in 0..QUEUE as u64 + 10 {
        let set = |state: &rollcall_domain::user::UserState, now| {
            Ok(if counter % 2 == 0 { login(state, 1, now) } else { state.on_logout(session(1), now) })
        };
        fixture.users.apply(app(), &user("alice"), &TraceParent::default(), set).await.unwrap();
    }
    assert_eq!(fixture.publishing.counts.left(), 10);
    finish(fixture.publishing).await;
    assert_eq!(unpublished(&*fixture.store).await, 10);
}
