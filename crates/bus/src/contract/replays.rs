//! Claims on what is kept, for those who read it later.

use std::collections::BTreeSet;

use bytes::Bytes;
use rollcall_domain::time::Timestamp;

use super::{
    Tested, brought, status,
    tested::{brought_texts, within},
    trace,
};
use crate::port::{Message, Replay, Start};

/// Publishes messages that say these numbers, each about the partition of that number.
async fn tell(bus: &Tested, numbers: impl IntoIterator<Item = u16>) {
    for n in numbers {
        bus.tell(n, n.to_string()).await;
    }
}

fn texts(numbers: impl IntoIterator<Item = u16>) -> Vec<String> {
    numbers.into_iter().map(|n| n.to_string()).collect()
}

pub async fn what_is_kept_is_brought_as_it_was_sent_and_in_its_order(bus: Tested) {
    let every_byte: Vec<u8> = (0..=u8::MAX).collect();
    let payloads = [every_byte, vec![], b"text".to_vec()];
    let messages = payloads.into_iter().enumerate().map(|(n, payload)| Message {
        payload: Bytes::from(payload),
        trace: trace(n as u64),
        ..status(u16::MAX - 1, "")
    });
    let messages: Vec<Message> = messages.collect();
    for message in &messages {
        within(bus.publish(message.clone())).await.expect("the bus publishes");
    }

    let mut replay = bus.reader(Start::After(0)).await;
    assert_eq!((replay.after, replay.is_cut, &replay.before), (0, false, &vec![]));
    for message in messages {
        assert_eq!(brought(&mut replay).await.message, message);
    }
}

pub async fn a_replay_goes_on_with_what_is_published(bus: Tested) {
    tell(&bus, 0..10).await;
    let mut replay = bus.reader(Start::After(0)).await;
    assert_eq!(brought_texts(&mut replay, 10).await, texts(0..10));
    for n in 10..300 {
        tell(&bus, [n]).await;
        assert_eq!(brought_texts(&mut replay, 1).await, texts([n]));
    }
}

pub async fn a_replay_from_now_brings_nothing_that_was_published_before(bus: Tested) {
    let mut first = bus.reader(Start::Now).await;
    tell(&bus, 0..10).await;
    let mut second = bus.reader(Start::Now).await;
    assert_eq!(second.after, 10);
    tell(&bus, [10]).await;

    assert_eq!(brought_texts(&mut second, 1).await, texts([10]));
    assert_eq!(brought_texts(&mut first, 11).await, texts(0..=10));
}

pub async fn a_replay_begins_after_a_position(bus: Tested) {
    tell(&bus, 0..10).await;
    for after in 0..10 {
        let mut replay = bus.reader(Start::After(after)).await;
        assert_eq!((replay.after, replay.is_cut), (after, false));
        assert_eq!(brought(&mut replay).await.position, after + 1);
    }
    // The last one: there is nothing yet.
    let mut replay = bus.reader(Start::After(10)).await;
    tell(&bus, [10]).await;
    assert_eq!(brought_texts(&mut replay, 1).await, texts([10]));
}

pub async fn a_replay_begins_at_a_time(bus: Tested) {
    tell(&bus, 0..10).await;
    let mut all = bus.reader(Start::Since(Timestamp(0))).await;
    assert!(!all.is_cut, "nothing has gone yet");
    let mut times = Vec::new();
    for _ in 0..10 {
        times.push(brought(&mut all).await.at);
    }
    for time in &times {
        let mut replay = bus.reader(Start::Since(*time)).await;
        let first = brought(&mut replay).await;
        assert_eq!((first.at, first.position), (*time, replay.after + 1));
        assert!(!replay.is_cut);
    }
    let later = Timestamp(times[9].0 + 1);
    assert_eq!(bus.reader(Start::Since(later)).await.after, 10);
}

pub async fn a_position_that_was_not_reached_is_anothers_and_all_is_brought(bus: Tested) {
    tell(&bus, 0..3).await;
    for position in [4, u64::MAX] {
        let mut replay = bus.reader(Start::After(position)).await;
        assert_eq!((replay.after, replay.is_cut), (0, true), "{position}");
        assert_eq!(brought_texts(&mut replay, 3).await, texts(0..3));
    }
}

pub async fn the_last_message_of_each_quiet_partition_is_told(bus: Tested) {
    let before = |replay: &Replay| -> BTreeSet<Bytes> {
        replay.before.iter().map(|kept| kept.message.payload.clone()).collect()
    };
    for (partition, text) in [(1, "1a"), (2, "2a"), (1, "1b"), (3, "3a"), (2, "2b")] {
        bus.tell(partition, text).await;
    }
    let texts =
        |texts: &[&'static str]| texts.iter().map(|text| Bytes::from_static(text.as_bytes())).collect();
    assert_eq!(before(&bus.reader(Start::Now).await), texts(&["1b", "2b", "3a"]));
    assert_eq!(before(&bus.reader(Start::After(4)).await), texts(&["1b", "3a"]));
    assert_eq!(before(&bus.reader(Start::After(2)).await), texts(&[]));
}

pub async fn positions_and_times_increase_and_it_is_told_how_many_follow(bus: Tested) {
    tell(&bus, 0..50).await;
    let mut replay = bus.reader(Start::After(0)).await;
    let (mut position, mut at) = (0, Timestamp(0));
    for n in 0..50 {
        let kept = brought(&mut replay).await;
        assert!(kept.position > position && kept.at >= at);
        assert_eq!(kept.behind, 49 - n);
        (position, at) = (kept.position, kept.at);
    }
}

pub async fn a_replay_waits_for_a_slow_reader(bus: Tested) {
    const MESSAGES: u16 = 3_000;
    let mut replay = bus.reader(Start::Now).await;
    let publishes = (0..MESSAGES).map(|n| bus.publish(status(0, n.to_string())));
    for published in within(futures_util::future::join_all(publishes)).await {
        published.expect("the bus publishes");
    }
    assert_eq!(brought_texts(&mut replay, MESSAGES.into()).await, texts(0..MESSAGES));
}

pub async fn each_reader_is_brought_everything_once(bus: Tested) {
    tell(&bus, 0..5).await;
    let mut readers = [bus.reader(Start::After(0)).await, bus.reader(Start::After(0)).await];
    let going = bus.reader(Start::After(0)).await;
    tell(&bus, 5..10).await;
    drop(going);
    tell(&bus, 10..15).await;
    for reader in &mut readers {
        assert_eq!(brought_texts(reader, 15).await, texts(0..15));
    }
}

pub async fn requests_are_not_kept(bus: Tested) {
    let server = bus.echo("server").await;
    bus.ask("hello").await.expect("the request is answered");
    bus.tell(1, "changed").await;

    let mut replay = bus.reader(Start::After(0)).await;
    assert_eq!(brought(&mut replay).await.message, status(1, "changed"));
    server.abort();
}
