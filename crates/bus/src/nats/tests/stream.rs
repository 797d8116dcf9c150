//! The stream that captures changes.

use std::time::Duration;

use async_nats::jetstream::{
    self,
    consumer::{DeliverPolicy, pull},
    stream::{Config, RetentionPolicy},
};
use futures_util::{StreamExt as _, future::join_all};
use rollcall_domain::time::Timestamp;
use rollcall_proto::trace::{TRACEPARENT, TraceParent};
use rollcall_testkit::NatsServer;

use super::given::{Served, connect, eventually, hasty, operator, options, try_connect, within};
use crate::{
    NatsBus,
    contract::{brought, status, trace},
    nats::{ConnectError, Limits, Options, STREAM, StreamError},
    port::{Bus as _, Message, Start},
};

/// Returns the settings of the stream.
async fn settings(server: &NatsServer) -> Config {
    let jetstream = jetstream::new(operator(server).await);
    jetstream.get_stream(STREAM).await.unwrap().cached_info().config.clone()
}

/// Makes a stream with other settings than the adapter's.
async fn make(server: &NatsServer, config: Config) {
    jetstream::new(operator(server).await).create_stream(config).await.unwrap();
}

fn stream_with(subjects: &[&str]) -> Config {
    let subjects = subjects.iter().map(|&subject| subject.to_owned()).collect();
    Config { name: STREAM.to_owned(), subjects, ..Config::default() }
}

#[tokio::test]
async fn it_is_made_with_the_limits_that_are_configured() {
    let server = NatsServer::start();
    let limits = Limits { max_age: Duration::from_secs(60), max_bytes: 1 << 20, ..Limits::default() };
    let with_limits = Options { stream: Some(limits), ..options("presence") };
    NatsBus::connect(&server.url("presence"), with_limits).await.unwrap();

    let made = settings(&server).await;
    assert_eq!((made.max_age, made.max_bytes), (limits.max_age, 1 << 20));
    assert_eq!(made.subjects, ["rollcall.status.*"]);
    assert!(!made.no_ack);
}

#[tokio::test]
async fn what_is_there_is_left_as_it_is() {
    let server = NatsServer::start();
    let larger = Config {
        max_age: Duration::from_secs(30 * 24 * 60 * 60),
        max_messages_per_subject: 1_000,
        ..stream_with(&["rollcall.status.>", "elsewhere"])
    };
    make(&server, larger).await;
    let before = settings(&server).await;

    connect(&server, "presence").await.publish(status(1, "kept")).await.unwrap();

    assert_eq!(settings(&server).await, before);
}

#[tokio::test]
async fn one_that_would_lose_changes_or_answer_requests_is_refused() {
    let interest = Config { retention: RetentionPolicy::Interest, ..stream_with(&["rollcall.status.*"]) };
    for (unfit, fault) in [
        (stream_with(&["rollcall.status.1"]), r#"expected "rollcall.status.*""#),
        (stream_with(&["rollcall.>"]), "it would answer requests"),
        (interest, "expected limits"),
    ] {
        let server = NatsServer::start();
        make(&server, Config { no_ack: unfit.subjects == ["rollcall.>"], ..unfit }).await;

        let refused = try_connect(&server, "presence").await.err().unwrap();

        assert!(matches!(refused, ConnectError::Stream(StreamError::Unfit(_))), "{refused:?}");
        let text = refused.to_string();
        assert!(text.starts_with("stream ROLLCALL_STATUS is not as it must be"), "{text}");
        assert!(text.contains(fault), "{text}");
    }
}

#[tokio::test]
async fn another_stream_in_its_place_is_told() {
    let server = NatsServer::start();
    make(&server, Config { name: "OTHER".to_owned(), ..stream_with(&["rollcall.status.>"]) }).await;

    let refused = try_connect(&server, "presence").await.err().unwrap();

    assert!(matches!(refused, ConnectError::Stream(StreamError::Overlap)), "{refused:?}");
}

#[tokio::test]
async fn a_server_without_jetstream_is_told_to_those_who_publish() {
    let server = NatsServer::start_with("jetstream: disabled", &[]);

    let refused = try_connect(&server, "presence").await.err().unwrap();

    assert!(matches!(refused, ConnectError::Stream(StreamError::NoJetStream)), "{refused:?}");
    connect(&server, "gateway").await;
}

#[tokio::test]
async fn many_who_start_at_once_agree_on_it() {
    let server = NatsServer::start();
    // Each would make it with limits of its own.
    let starts = (0..8).map(async |n| {
        let limits = Limits { max_bytes: (n + 1) << 20, ..Limits::default() };
        let options = Options { stream: Some(limits), ..options("presence") };
        NatsBus::connect(&server.url("presence"), options).await
    });

    for (n, bus) in join_all(starts).await.into_iter().enumerate() {
        let bus = bus.unwrap_or_else(|error| panic!("{n}: {error}"));
        bus.publish(status(1, n.to_string())).await.unwrap();
    }
}

#[tokio::test]
async fn every_change_that_was_acknowledged_is_in_it() {
    let mut bus = Served::start().await;
    let publishes = (0..100_u16).map(|n| {
        let message = Message { trace: trace(u64::from(n)), ..status(n % 10, n.to_string()) };
        bus.publish(message)
    });
    assert!(join_all(publishes).await.iter().all(Result::is_ok));

    // Also after a crash of the server.
    bus.server.kill();
    bus.server.restart();

    let jetstream = jetstream::new(operator(&bus.server).await);
    let stream = jetstream.get_stream(STREAM).await.unwrap();
    let consumer = pull::Config { deliver_policy: DeliverPolicy::All, ..Default::default() };
    let consumer = stream.create_consumer(consumer).await.unwrap();
    let mut messages = consumer.messages().await.unwrap();
    let mut kept = Vec::new();
    while kept.len() < 100 {
        let message = within(messages.next()).await.unwrap().unwrap();
        let n: u16 = str::from_utf8(&message.payload).unwrap().parse().unwrap();
        assert_eq!(message.subject.as_str(), format!("rollcall.status.{}", n % 10));
        let header = message.headers.as_ref().unwrap().get(TRACEPARENT).unwrap();
        assert_eq!(TraceParent::parse(header.as_str()), trace(u64::from(n)));
        kept.push(n);
    }
    // One publisher began them in this order.
    assert_eq!(kept, (0..100).collect::<Vec<_>>());
}

#[tokio::test]
async fn who_wants_what_is_kept_no_more_is_told_and_brought_the_rest() {
    let server = NatsServer::start();
    make(&server, Config { max_messages: 3, ..stream_with(&["rollcall.status.*"]) }).await;
    let bus = connect(&server, "node").await;
    for n in 1..=5_u16 {
        bus.publish(status(n, n.to_string())).await.unwrap();
    }

    for (start, after, is_cut) in [
        (Start::After(0), 2, true),
        (Start::After(1), 2, true),
        (Start::After(2), 2, false),
        (Start::After(4), 4, false),
        (Start::Since(Timestamp(0)), 2, true),
        (Start::Since(Timestamp(u64::MAX)), 5, false),
    ] {
        let mut replay = bus.replay(start).await.unwrap();
        assert_eq!((replay.after, replay.is_cut), (after, is_cut), "{start:?}");
        for position in after + 1..=5 {
            assert_eq!(brought(&mut replay).await.position, position, "{start:?}");
        }
    }
}

#[tokio::test]
async fn a_replay_ends_with_its_connection_and_another_goes_on_where_it_stopped() {
    let mut bus = Served::with(hasty("node")).await;
    let mut replay = bus.replay(Start::Now).await.unwrap();
    bus.publish(status(1, "first")).await.unwrap();
    let first = brought(&mut replay).await;

    bus.server.kill();
    within(async { while replay.messages.recv().await.is_some() {} }).await;
    bus.server.restart();
    eventually("the bus is back", async || bus.publish(status(1, "second")).await.is_ok()).await;

    let mut replay = bus.replay(Start::After(first.position)).await.unwrap();
    let second = brought(&mut replay).await;
    assert_eq!((second.message, replay.is_cut), (status(1, "second"), false));
}

#[tokio::test]
async fn a_replay_whose_consumer_the_server_drops_ends() {
    let bus = Served::start().await;
    let mut replay = bus.replay(Start::Now).await.unwrap();

    let jetstream = jetstream::new(operator(&bus.server).await);
    let stream = jetstream.get_stream(STREAM).await.unwrap();
    let mut names = stream.consumer_names();
    while let Some(name) = within(names.next()).await {
        stream.delete_consumer(&name.unwrap()).await.unwrap();
    }

    assert!(within(replay.messages.recv()).await.is_none());
}
