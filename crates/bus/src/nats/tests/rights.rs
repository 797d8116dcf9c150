//! What the users of `deploy/nats/users.conf` may do: what their service needs, and nothing more.

use async_nats::{Client, ConnectOptions, Event};
use bytes::Bytes;
use rollcall_testkit::NatsServer;
use tokio::sync::mpsc;

use super::given::{PATIENCE, connect, options, try_connect, within};
use crate::{
    NatsBus,
    contract::{brought, heard, heartbeat, status},
    nats::{ConnectError, Options, STREAM},
    port::{Bus as _, Error, Start},
    subject::Subject,
};

const USERS: [&str; 6] = ["gateway", "presence", "subscription", "notifier", "node", "tap"];

#[tokio::test]
async fn each_user_may_do_what_its_service_does() {
    let server = NatsServer::start();
    let presence = connect(&server, "presence").await;
    let subscription = connect(&server, "subscription").await;
    let notifier = connect(&server, "notifier").await;
    let gateway = connect(&server, "gateway").await;

    let mut listener = notifier.subscribe_status().await.unwrap();
    presence.publish(status(1, "by presence")).await.unwrap();
    assert_eq!(heard(&mut listener).await, status(1, "by presence"));
    subscription.publish(status(2, "by subscription")).await.unwrap();
    assert_eq!(heard(&mut listener).await, status(2, "by subscription"));

    let mut replay = notifier.replay(Start::After(0)).await.unwrap();
    assert_eq!(brought(&mut replay).await.message, status(1, "by presence"));

    let mut requests = presence.serve(Subject::Heartbeat).await.unwrap();
    let (answer, ()) = tokio::join!(gateway.request(heartbeat("hello"), PATIENCE), async {
        let request = requests.requests.recv().await.unwrap();
        request.reply.send(Bytes::from("heard")).unwrap();
    });
    assert_eq!(answer.unwrap(), "heard");
}

#[tokio::test]
async fn either_publisher_may_make_the_stream() {
    for user in ["presence", "subscription", "node"] {
        let server = NatsServer::start();
        connect(&server, user).await.publish(status(1, "first")).await.unwrap();
    }
}

#[tokio::test]
async fn a_gateway_may_not_serve_reports_nor_hear_changes() {
    let server = NatsServer::start();
    let gateway = connect(&server, "gateway").await;

    // The server's word may come after that the subscription is in force; then it ends.
    match gateway.serve(Subject::Heartbeat).await {
        Err(error) => assert!(matches!(error, Error::Unavailable(_)), "{error:?}"),
        Ok(mut requests) => assert!(within(requests.requests.recv()).await.is_none()),
    }
    match gateway.subscribe_status().await {
        Err(error) => assert!(matches!(error, Error::Unavailable(_)), "{error:?}"),
        Ok(mut listener) => assert_eq!(within(listener.messages.recv()).await, None),
    }
}

#[tokio::test]
async fn an_inbox_that_is_anothers_is_told() {
    let server = NatsServer::start();
    let with_inbox = Options { inbox: "_INBOX.gateway".to_owned(), ..options("presence") };

    let refused = NatsBus::connect(&server.url("presence"), with_inbox).await.err().unwrap();

    assert!(matches!(refused, ConnectError::Unusable(_)), "{refused:?}");
    let text = refused.to_string();
    assert!(text.contains("Permissions Violation") && text.contains("_INBOX.gateway."), "{text}");
}

#[tokio::test]
async fn no_user_may_subscribe_to_more() {
    let server = NatsServer::start();
    drop(connect(&server, "presence").await);
    for user in USERS {
        let (client, mut refusals) = stranger(&server, user).await;
        let mut forbidden = vec![">", "rollcall.>", "_INBOX.>", "$JS.>", "$SYS.>", "rollcall.heartbeat"];
        if !["notifier", "node", "tap"].contains(&user) {
            forbidden.extend(["rollcall.status.*", "rollcall.status.1"]);
        }
        for other in USERS.iter().filter(|other| **other != user) {
            let mut subscription = client.subscribe(format!("_INBOX.{other}.>")).await.unwrap();
            refused(&mut refusals, user, other).await;
            drop(subscription.unsubscribe().await);
        }
        for subject in forbidden {
            // It is held until it is refused.
            let _subscription = client.subscribe(subject).await.unwrap();
            refused(&mut refusals, user, subject).await;
        }
        if !["presence", "node"].contains(&user) {
            let group = "presence".to_owned();
            let _subscription = client.queue_subscribe("rollcall.heartbeat", group).await.unwrap();
            refused(&mut refusals, user, "the queue group of presence").await;
        }
    }
}

#[tokio::test]
async fn no_user_may_publish_more() {
    let server = NatsServer::start();
    drop(connect(&server, "presence").await);
    for user in USERS {
        let (client, mut refusals) = stranger(&server, user).await;
        let mut forbidden = vec![
            "rollcall.head".to_owned(),
            "rollcall.status.1.2".to_owned(),
            "_INBOX.other.1".to_owned(),
            format!("$JS.API.STREAM.DELETE.{STREAM}"),
            format!("$JS.API.STREAM.PURGE.{STREAM}"),
            format!("$JS.API.STREAM.UPDATE.{STREAM}"),
            format!("$JS.API.STREAM.MSG.DELETE.{STREAM}"),
            format!("$JS.API.CONSUMER.CREATE.{STREAM}"),
            format!("$JS.API.CONSUMER.DELETE.{STREAM}.other"),
            "$JS.API.CONSUMER.CREATE.OTHER.name.rollcall.status.*".to_owned(),
            "$JS.API.STREAM.CREATE.OTHER".to_owned(),
            "$SYS.REQ.SERVER.PING".to_owned(),
        ];
        if !["notifier", "node", "tap"].contains(&user) {
            forbidden.push(format!("$JS.API.CONSUMER.CREATE.{STREAM}.name.rollcall.status.*"));
            forbidden.push(format!("$JS.API.CONSUMER.MSG.NEXT.{STREAM}.name"));
        }
        if ["gateway", "notifier", "tap"].contains(&user) {
            forbidden.extend(["rollcall.status.1".to_owned(), format!("$JS.API.STREAM.CREATE.{STREAM}")]);
        }
        if ["subscription", "notifier", "tap"].contains(&user) {
            forbidden.push("rollcall.heartbeat".to_owned());
        }
        for subject in forbidden {
            client.publish(subject.clone(), Bytes::new()).await.unwrap();
            refused(&mut refusals, user, &subject).await;
        }
    }
}

#[tokio::test]
async fn a_stranger_is_refused() {
    let server = NatsServer::start();
    let refused = try_connect(&server, "nobody").await.err().unwrap();
    assert!(refused.to_string().contains("authorization violation"), "{refused}");
}

/// Connects without the adapter; the queue brings what the server refuses.
async fn stranger(server: &NatsServer, user: &str) -> (Client, mpsc::Receiver<String>) {
    let (sender, refusals) = mpsc::channel(100);
    let options = ConnectOptions::with_user_and_password(user.to_owned(), "secret".to_owned());
    let options = options.event_callback(move |event| {
        if let Event::ServerError(error) = event {
            sender.try_send(error.to_string()).expect("the queue has room");
        }
        std::future::ready(())
    });
    let client = options.connect(format!("127.0.0.1:{}", server.port())).await.unwrap();
    (client, refusals)
}

async fn refused(refusals: &mut mpsc::Receiver<String>, user: &str, what: &str) {
    let refusal = tokio::time::timeout(PATIENCE, refusals.recv()).await;
    let refusal = refusal.unwrap_or_else(|_| panic!("{user} is not refused {what}")).unwrap();
    assert!(refusal.to_lowercase().contains("permissions violation"), "{user}, {what}: {refusal}");
}
