//! Requests, above all those that nobody waits for any more.

use std::time::Duration;

use async_nats::Client;
use bytes::Bytes;
use futures_util::StreamExt as _;
use rollcall_testkit::NatsServer;

use super::given::{PATIENCE, Served, connect, ended, eventually, hasty, operator, within};
use crate::{
    NatsBus,
    contract::heartbeat,
    port::{Bus as _, Error, Requests},
    subject::Subject,
};

/// Asks until it is answered; whoever serves takes what comes before as well.
async fn ask(bus: &NatsBus, text: &str) {
    let limit = Duration::from_millis(500);
    eventually("the request is answered", async || bus.request(heartbeat(text), limit).await.is_ok()).await;
}

/// Answers requests until one says `last`, and returns what all of them said.
async fn serve_until_last(mut requests: Requests) -> Vec<Bytes> {
    let mut served = Vec::new();
    while served.last().is_none_or(|last| last != "last") {
        let request = within(requests.requests.recv()).await.expect("serving goes on");
        served.push(request.message.payload);
        drop(request.reply.send(Bytes::new()));
    }
    served
}

#[tokio::test]
async fn a_request_into_a_silent_server_is_not_served_when_it_goes_on() {
    // Who serves keeps the connection: it hears all that the server has once it goes on.
    let server = NatsServer::start();
    let presence = connect(&server, "presence").await;
    let requests = presence.serve(Subject::Heartbeat).await.unwrap();
    let (gateway, gone) = (connect(&server, "gateway").await, connect(&server, "gateway").await);

    server.pause();
    for bus in [&gateway, &gone] {
        let answer = bus.request(heartbeat("late"), Duration::from_millis(50)).await;
        assert!(matches!(answer, Err(Error::Timeout { .. })), "{answer:?}");
    }
    // That the connection is closed does not take back what was sent over it.
    drop(gone);
    server.resume();

    let (served, ()) = tokio::join!(serve_until_last(requests), ask(&gateway, "last"));
    assert!(served.iter().all(|payload| payload == "last"), "{served:?}");
}

#[tokio::test]
async fn a_request_while_the_server_is_away_is_not_served_when_it_comes_back() {
    let mut bus = Served::with(hasty("node")).await;
    let mut listener = bus.subscribe_status().await.unwrap();
    bus.server.kill();

    for _ in 0..20 {
        bus.request(heartbeat("late"), Duration::from_millis(5)).await.unwrap_err();
    }
    ended(&mut listener).await;
    for _ in 0..20 {
        bus.request(heartbeat("late"), Duration::from_millis(5)).await.unwrap_err();
    }
    bus.server.restart();

    let presence = connect(&bus.server, "presence").await;
    let requests = presence.serve(Subject::Heartbeat).await.unwrap();
    let (served, ()) = tokio::join!(serve_until_last(requests), ask(&bus, "last"));
    assert!(served.iter().all(|payload| payload == "last"), "{served:?}");
}

#[tokio::test]
async fn a_request_that_is_not_confirmed_is_not_served() {
    let bus = Served::start().await;
    let stranger = operator(&bus.server).await;
    let requests = bus.serve(Subject::Heartbeat).await.unwrap();
    let mut inbox = stranger.subscribe("_INBOX.stranger").await.unwrap();

    let message = ("rollcall.heartbeat", "_INBOX.stranger", Bytes::from("unconfirmed"));
    stranger.publish_with_reply(message.0, message.1, message.2).await.unwrap();
    let question = within(inbox.next()).await.unwrap();
    assert!(question.reply.is_some());
    // Nobody listens at this one.
    publish(&stranger, Some("_INBOX.gone")).await;
    // This is no request.
    publish(&stranger, None).await;

    let (served, ()) = tokio::join!(serve_until_last(requests), ask(&bus, "last"));
    assert!(served.iter().all(|payload| payload == "last"), "{served:?}");
}

async fn publish(client: &Client, reply: Option<&str>) {
    let payload = Bytes::from("unconfirmed");
    match reply {
        Some(reply) => {
            client.publish_with_reply("rollcall.heartbeat", reply.to_owned(), payload).await.unwrap();
        }
        None => client.publish("rollcall.heartbeat", payload).await.unwrap(),
    }
    client.flush().await.unwrap();
}

#[tokio::test]
async fn what_was_taken_is_answered_after_serving_has_ended() {
    let bus = Served::start().await;
    let mut requests = bus.serve(Subject::Heartbeat).await.unwrap();

    let (answer, ()) = tokio::join!(bus.request(heartbeat("hello"), PATIENCE), async {
        let request = requests.requests.recv().await.unwrap();
        drop(requests);
        eventually("nobody serves", async || {
            let answer = bus.request(heartbeat("who"), Duration::from_millis(500)).await;
            matches!(answer, Err(Error::NobodyServes(_)))
        })
        .await;
        request.reply.send(Bytes::from("served")).unwrap();
    });

    assert_eq!(answer.unwrap(), "served");
}
