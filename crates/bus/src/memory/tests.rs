//! The memory bus: what every bus must do, and its own limits.

use futures_util::{FutureExt as _, future::BoxFuture, poll};

use super::*;
use crate::contract::{clock, heard, heartbeat, status, trace};

mod contract {
    //! The suite.

    crate::bus_contract!(crate::memory::MemoryBus::new(crate::contract::clock()));
}

/// Publishes as many messages as wait for a subscriber.
async fn fill(bus: &MemoryBus) {
    for n in 0..SUBSCRIBER_CAPACITY {
        bus.publish(status(1, n.to_string())).await.unwrap();
    }
    // With what this took of the task's budget, tokio would make later polls pending without need.
    tokio::task::yield_now().await;
}

#[tokio::test]
async fn a_publisher_waits_for_room_and_nothing_is_lost() {
    let bus = MemoryBus::new(clock());
    let mut slow = bus.subscribe_status().await.unwrap();
    let mut quick = bus.subscribe_status().await.unwrap();
    fill(&bus).await;

    let mut publish = std::pin::pin!(bus.publish(status(1, "last")));
    while quick.messages.try_recv().is_ok() {}
    assert!(poll!(&mut publish).is_pending());
    assert_eq!(quick.messages.try_recv().unwrap(), status(1, "last"));

    assert_eq!(heard(&mut slow).await, status(1, "0"));
    publish.await.unwrap();
    for n in 1..SUBSCRIBER_CAPACITY {
        assert_eq!(heard(&mut slow).await, status(1, n.to_string()));
    }
    assert_eq!(heard(&mut slow).await, status(1, "last"));
}

#[tokio::test]
async fn all_subscribers_hear_concurrent_publishers_in_one_order() {
    let bus = MemoryBus::new(clock());
    let mut slow = bus.subscribe_status().await.unwrap();
    let mut quick = bus.subscribe_status().await.unwrap();
    fill(&bus).await;
    while quick.messages.try_recv().is_ok() {}

    // Begun in this order, whoever gets room first.
    let mut publishes: Vec<_> = (0..5).map(|n| bus.publish(status(1, n.to_string()))).collect();
    for publish in &mut publishes {
        assert!(poll!(publish).is_pending());
    }
    for _ in 0..SUBSCRIBER_CAPACITY {
        slow.messages.recv().await.unwrap();
    }
    publishes.reverse();
    join_all(publishes).await;

    for n in 0..5 {
        assert_eq!(heard(&mut slow).await, status(1, n.to_string()));
        assert_eq!(heard(&mut quick).await, status(1, n.to_string()));
    }
}

#[tokio::test(start_paused = true)]
async fn subscribers_that_do_not_read_are_dropped_and_hold_the_others_up_once() {
    let bus = MemoryBus::new(clock());
    let mut hanging = [bus.subscribe_status().await.unwrap(), bus.subscribe_status().await.unwrap()];
    let mut quick = bus.subscribe_status().await.unwrap();
    fill(&bus).await;
    while quick.messages.try_recv().is_ok() {}

    let publishes = async {
        for _ in 0..SUBSCRIBER_CAPACITY {
            bus.publish(status(1, "held up")).await.unwrap();
        }
    };
    time::timeout(PATIENCE + Duration::from_secs(1), publishes).await.unwrap();

    assert_eq!(quick.messages.recv().await.unwrap(), status(1, "held up"));
    for hanging in &mut hanging {
        for n in 0..SUBSCRIBER_CAPACITY {
            assert_eq!(heard(hanging).await, status(1, n.to_string()));
        }
        assert_eq!(hanging.messages.recv().now_or_never(), Some(None));
    }
}

#[tokio::test(start_paused = true)]
async fn a_slow_subscriber_that_reads_is_kept() {
    let bus = MemoryBus::new(clock());
    let mut slow = bus.subscribe_status().await.unwrap();
    fill(&bus).await;

    for _ in 0..5 {
        let mut publish = std::pin::pin!(bus.publish(status(1, "more")));
        assert!(poll!(&mut publish).is_pending());
        time::advance(PATIENCE / 10 * 9).await;
        assert!(poll!(&mut publish).is_pending());
        slow.messages.recv().await.unwrap();
        publish.await.unwrap();
    }

    assert_eq!(slow.messages.len(), SUBSCRIBER_CAPACITY);
    assert_eq!(bus.0.subscribers.lock().await.len(), 1);
}

#[tokio::test]
async fn a_subscriber_that_goes_lets_a_waiting_publisher_go() {
    let bus = MemoryBus::new(clock());
    let gone = bus.subscribe_status().await.unwrap();
    fill(&bus).await;

    let mut publish = std::pin::pin!(bus.publish(status(1, "more")));
    assert!(poll!(&mut publish).is_pending());
    drop(gone);

    publish.await.unwrap();
    assert!(bus.0.subscribers.lock().await.is_empty());
}

#[tokio::test]
async fn a_publisher_that_gives_up_does_not_block_the_others() {
    let bus = MemoryBus::new(clock());
    let mut slow = bus.subscribe_status().await.unwrap();
    fill(&bus).await;
    let mut given_up = Box::pin(bus.publish(status(1, "given up")));
    assert!(poll!(&mut given_up).is_pending());
    drop(given_up);

    slow.messages.recv().await.unwrap();
    bus.publish(status(1, "next")).await.unwrap();

    assert_eq!(slow.messages.len(), SUBSCRIBER_CAPACITY);
}

#[tokio::test]
async fn subscribers_that_are_gone_are_not_held() {
    let bus = MemoryBus::new(clock());
    for _ in 0..3 {
        drop(bus.subscribe_status().await.unwrap());
    }
    let listener = bus.subscribe_status().await.unwrap();
    assert_eq!(bus.0.subscribers.lock().await.len(), 1);

    drop(listener);
    bus.publish(status(1, "to nobody")).await.unwrap();
    assert_eq!(bus.0.subscribers.lock().await.len(), 0);
}

#[tokio::test]
async fn streams_end_when_the_bus_goes() {
    let bus = MemoryBus::new(clock());
    let mut listener = bus.subscribe_status().await.unwrap();
    let mut server = bus.serve(Subject::Heartbeat).await.unwrap();
    let clone = bus.clone();
    bus.publish(Message { trace: trace(1), ..status(1, "last") }).await.unwrap();

    drop(bus);
    assert!(listener.messages.recv().await.is_some());
    assert!(listener.messages.recv().now_or_never().is_none());
    drop(clone);

    assert_eq!(listener.messages.recv().now_or_never(), Some(None));
    assert!(server.requests.recv().now_or_never().is_some_and(|request| request.is_none()));
}

#[tokio::test]
async fn requests_take_turns_past_a_full_queue() {
    let bus = MemoryBus::new(clock());
    let hanging = bus.serve(Subject::Heartbeat).await.unwrap();
    let second = bus.serve(Subject::Heartbeat).await.unwrap();
    let mut requests: Vec<_> = (0..SERVER_CAPACITY * 2).map(|_| ask(&bus)).collect();
    for request in &mut requests {
        assert!(poll!(request).is_pending());
    }
    assert_eq!([hanging.requests.len(), second.requests.len()], [SERVER_CAPACITY; 2]);

    let mut third = bus.serve(Subject::Heartbeat).await.unwrap();
    for _ in 0..10 {
        let mut request = ask(&bus);
        assert!(poll!(&mut request).is_pending());
        third.requests.try_recv().unwrap().reply.send(Bytes::from("third")).unwrap();
        assert_eq!(request.await.unwrap(), "third");
    }
}

#[tokio::test(start_paused = true)]
async fn a_request_waits_for_room_until_its_time_out() {
    let bus = MemoryBus::new(clock());
    let mut server = bus.serve(Subject::Heartbeat).await.unwrap();
    let mut requests: Vec<_> = (0..SERVER_CAPACITY).map(|_| ask(&bus)).collect();
    for request in &mut requests {
        assert!(poll!(request).is_pending());
    }
    assert!(matches!(ask(&bus).await, Err(Error::Timeout { subject: Subject::Heartbeat, .. })));

    let mut waiting = ask(&bus);
    assert!(poll!(&mut waiting).is_pending());
    server.requests.recv().await.unwrap();
    assert!(poll!(&mut waiting).is_pending());

    assert_eq!(server.requests.len(), SERVER_CAPACITY);
}

#[tokio::test]
async fn a_request_that_waits_for_one_who_goes_fails_at_once() {
    let bus = MemoryBus::new(clock());
    let server = bus.serve(Subject::Heartbeat).await.unwrap();
    let mut requests: Vec<_> = (0..SERVER_CAPACITY).map(|_| ask(&bus)).collect();
    for request in &mut requests {
        assert!(poll!(request).is_pending());
    }
    let mut waiting = ask(&bus);
    assert!(poll!(&mut waiting).is_pending());

    drop(server);

    assert!(matches!(waiting.await, Err(Error::NobodyServes(Subject::Heartbeat))));
}

/// Sends a request when it is polled first.
fn ask(bus: &MemoryBus) -> BoxFuture<'_, Result<Bytes, Error>> {
    bus.request(heartbeat("hello"), Duration::from_secs(1)).boxed()
}

#[tokio::test]
async fn a_reader_that_falls_behind_what_is_kept_is_dropped() {
    let bus = MemoryBus::new(clock());
    let mut slow = bus.replay(Start::Now).await.unwrap();
    bus.publish(status(1, "0")).await.unwrap();
    tokio::task::yield_now().await;

    for n in 1..KEPT_MAX + 2 * READER_CAPACITY {
        bus.publish(status(1, n.to_string())).await.unwrap();
    }

    let mut read = 0;
    while let Some(kept) = slow.messages.recv().await {
        read = kept.position;
    }
    let behind = bus.replay(Start::After(read)).await.unwrap();
    assert!(behind.is_cut && behind.after > read, "{read}");
}

#[tokio::test]
async fn a_replay_ends_with_the_bus() {
    let bus = MemoryBus::new(clock());
    let mut replay = bus.replay(Start::Now).await.unwrap();
    bus.publish(status(1, "last")).await.unwrap();
    drop(bus);
    while let Some(kept) = replay.messages.recv().await {
        assert_eq!(kept.message, status(1, "last"));
    }
}
