//! Claims on changes, which go to every subscriber.

use std::time::Duration;

use bytes::Bytes;
use rollcall_proto::trace::TraceParent;
use tokio::task::JoinSet;

use super::{
    Tested, heartbeat, status,
    tested::{brought, heard, heard_texts, within},
    trace,
};
use crate::{
    port::{Error, Message, Start},
    subject::Subject,
};

pub async fn a_subscriber_hears_changes_of_every_partition(bus: Tested) {
    let mut listener = bus.listener().await;

    for partition in [0, 1, 9, 10, 255, u16::MAX] {
        bus.tell(partition, "changed").await;
        assert_eq!(heard(&mut listener).await, status(partition, "changed"));
    }
}

pub async fn every_subscriber_hears_every_message_in_order(bus: Tested) {
    let mut listeners = [bus.listener().await, bus.listener().await, bus.listener().await];

    let texts: Vec<String> = (0..500).map(|n| n.to_string()).collect();
    for text in &texts {
        bus.tell(7, text).await;
    }

    for listener in &mut listeners {
        assert_eq!(heard_texts(listener, 500).await, texts);
    }
}

pub async fn what_was_published_before_is_not_heard(bus: Tested) {
    let mut early = bus.listener().await;
    bus.tell(1, "before").await;
    assert_eq!(heard_texts(&mut early, 1).await, ["before"]);

    let mut late = bus.listener().await;
    bus.tell(1, "after").await;

    assert_eq!(heard_texts(&mut late, 1).await, ["after"]);
    assert_eq!(heard_texts(&mut early, 1).await, ["after"]);
}

pub async fn a_message_without_a_subscriber_is_no_error(bus: Tested) {
    bus.tell(1, "to nobody").await;
}

pub async fn a_message_arrives_as_it_was_sent(bus: Tested) {
    let mut listener = bus.listener().await;

    let every_byte: Vec<u8> = (0..=u8::MAX).collect();
    let long = every_byte.repeat(128);
    for payload in [every_byte, vec![], b"\r\nPUB x 1\r\n".to_vec(), long] {
        let message = Message { payload: Bytes::from(payload), trace: trace(1), ..status(3, "") };
        within(bus.publish(message.clone())).await.expect("the bus publishes");
        assert_eq!(heard(&mut listener).await, message);
    }
}

pub async fn the_trace_context_travels(bus: Tested) {
    let mut listener = bus.listener().await;

    for context in [trace(1), TraceParent::default(), trace(2)] {
        let message = Message { trace: context.clone(), ..status(1, "traced") };
        within(bus.publish(message)).await.expect("the bus publishes");
        assert_eq!(heard(&mut listener).await.trace, context);
    }
}

pub async fn heads_are_heard_by_every_subscriber_and_not_kept(bus: Tested) {
    let mut listeners = [bus.listener().await, bus.listener().await];

    let head = Message { subject: Subject::Head, ..status(0, "head") };
    within(bus.publish(head.clone())).await.expect("the bus publishes");
    for listener in &mut listeners {
        assert_eq!(heard(listener).await, head);
    }
    bus.tell(1, "changed").await;
    let mut replay = bus.reader(Start::After(0)).await;
    assert_eq!(brought(&mut replay).await.message, status(1, "changed"));
}

pub async fn requests_are_not_heard_by_subscribers(bus: Tested) {
    let mut listener = bus.listener().await;
    let server = bus.echo("server").await;

    bus.ask("hello").await.expect("the request is answered");
    bus.tell(1, "changed").await;

    assert_eq!(heard_texts(&mut listener, 1).await, ["changed"]);
    server.abort();
}

pub async fn what_is_published_on_another_subject_is_not_heard(bus: Tested) {
    let mut listener = bus.listener().await;

    within(bus.publish(heartbeat("no change"))).await.expect("the bus publishes");
    bus.tell(1, "changed").await;

    assert_eq!(heard(&mut listener).await.subject, Subject::Status(1));
}

pub async fn a_subscriber_that_goes_does_not_stop_the_others(bus: Tested) {
    let going = bus.listener().await;
    let mut staying = bus.listener().await;
    let also_going = bus.listener().await;
    bus.tell(1, "all").await;

    drop((going, also_going));
    for n in 0..100 {
        bus.tell(1, n.to_string()).await;
    }

    assert_eq!(
        heard_texts(&mut staying, 101).await[1..],
        (0..100).map(|n| n.to_string()).collect::<Vec<_>>()
    );
}

pub async fn messages_wait_for_a_subscriber_that_reads_late(bus: Tested) {
    let mut listener = bus.listener().await;
    for n in 0..1000 {
        bus.tell(n, n.to_string()).await;
    }

    tokio::time::sleep(Duration::from_millis(50)).await;

    assert_eq!(heard_texts(&mut listener, 1000).await, (0..1000).map(|n| n.to_string()).collect::<Vec<_>>());
}

pub async fn concurrent_publishers_lose_nothing_and_each_keeps_its_order(bus: Tested) {
    const PUBLISHERS: u16 = 8;
    const MESSAGES: u64 = 200;
    let mut listeners = [bus.listener().await, bus.listener().await];

    let mut publishers = JoinSet::new();
    for publisher in 0..PUBLISHERS {
        let bus = bus.clone();
        publishers.spawn(async move {
            for n in 0..MESSAGES {
                // Two publishers share a subject.
                let message = status(publisher / 2, publisher.to_string());
                bus.publish(Message { trace: trace(n), ..message }).await?;
            }
            Ok::<_, Error>(())
        });
    }

    for listener in &mut listeners {
        let mut next = [0; PUBLISHERS as usize];
        for _ in 0..u64::from(PUBLISHERS) * MESSAGES {
            let message = heard(listener).await;
            let publisher = str::from_utf8(&message.payload).expect("the payload is text");
            let publisher: u16 = publisher.parse().expect("the payload is a number");
            assert_eq!(message.subject, Subject::Status(publisher / 2));
            let next = &mut next[usize::from(publisher)];
            assert_eq!(message.trace, trace(*next), "message of publisher {publisher}");
            *next += 1;
        }
        assert_eq!(next, [MESSAGES; PUBLISHERS as usize]);
    }
    for published in publishers.join_all().await {
        published.expect("the bus publishes");
    }
}
