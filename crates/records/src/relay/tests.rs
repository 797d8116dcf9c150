//! Tests of the relay.

use std::sync::atomic::Ordering;

use prost::Message as _;
use rollcall_proto::{event::v1::Change, trace::TraceParent};

use super::*;
use crate::fixture::{Fixture, app, login, user};

const TRACE: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

async fn log_in(fixture: &Fixture, name: &str, counter: u64) {
    let trace = TraceParent::parse(TRACE);
    let decide = |state: &_, now| Ok(login(state, counter, now));
    fixture.users.apply(app(), &user(name), &trace, decide).await.unwrap();
}

#[tokio::test]
async fn entries_older_than_a_second_are_published_once_with_the_trace_of_their_call() {
    let fixture = Fixture::new();
    log_in(&fixture, "alice", 1).await;
    fixture.advance(Duration::from_millis(500));
    log_in(&fixture, "bob", 2).await;
    fixture.advance(Duration::from_millis(500));
    let relay = fixture.relay();
    assert_eq!(relay.pass().await.0, 1);
    let [message] = fixture.bus.take().try_into().unwrap();
    assert_eq!(Change::decode(message.payload).unwrap().user_id, "alice");
    assert_eq!(message.trace.as_str(), TRACE);
    assert_eq!(relay.pass().await.0, 0);
}

#[tokio::test]
async fn more_entries_than_a_page_are_published_in_order_in_one_pass() {
    let fixture = Fixture::new();
    for counter in 1..=2 * PAGE as u64 + 3 {
        log_in(&fixture, "alice", counter).await;
    }
    fixture.advance(Duration::from_secs(1));
    assert_eq!(fixture.relay().pass().await.0, 2 * PAGE + 3);
    let sequences: Vec<u64> = fixture
        .bus
        .take()
        .into_iter()
        .map(|message| Change::decode(message.payload).unwrap().sequence)
        .collect();
    assert_eq!(sequences, (1..=2 * PAGE as u64 + 3).collect::<Vec<_>>());
}

#[tokio::test(start_paused = true)]
async fn a_bus_that_comes_back_is_told_everything() {
    let fixture = Fixture::new();
    fixture.bus.broken.store(true, Ordering::SeqCst);
    for name in ["alice", "bob", "carol"] {
        log_in(&fixture, name, 1).await;
    }
    fixture.advance(Duration::from_secs(1));
    let shutdown = CancellationToken::new();
    let running = tokio::spawn(fixture.relay().run(shutdown.clone()));
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert!(fixture.bus.take().is_empty());

    fixture.bus.broken.store(false, Ordering::SeqCst);
    tokio::time::sleep(PAUSE_MAX + Duration::from_secs(1)).await;
    assert_eq!(fixture.bus.take().len(), 3);
    shutdown.cancel();
    running.await.unwrap();
}
