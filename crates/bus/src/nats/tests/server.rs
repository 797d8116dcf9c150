//! What happens to a server, and to its subscribers, while the bus is open.

use std::{collections::BTreeSet, time::Duration};

use async_nats::jetstream;
use futures_util::{FutureExt as _, StreamExt as _, future::join_all, stream::FuturesUnordered};
use rollcall_testkit::{Direction, Fault, NatsServer, Proxy};

use super::given::{
    PATIENCE, Served, connect, connect_as, ended, eventually, hasty, impatient, operator, options, watchful,
    within,
};
use crate::{
    NatsBus,
    contract::{heard, heartbeat, status},
    nats::{Options, STREAM},
    port::{Bus, Error, Subscription},
    subject::Subject,
};

/// Subscribes as soon as the bus lets.
async fn listener(bus: &impl Bus) -> Subscription {
    let mut listener = None;
    eventually("the bus subscribes", async || {
        listener = bus.subscribe_status().await.ok();
        listener.is_some()
    })
    .await;
    listener.unwrap()
}

/// Publishes until it is acknowledged.
async fn tell(bus: &impl Bus, text: &str) {
    eventually("the bus publishes", async || bus.publish(status(1, text)).await.is_ok()).await;
}

/// Waits until a change that is published is heard.
async fn hears_again(bus: &impl Bus) {
    // The machine may be silent for as long as a server that is given up, and the subscription end once more.
    eventually("a change is heard", async || {
        let mut after = listener(bus).await;
        tell(bus, "again").await;
        while let Some(message) = within(after.messages.recv()).await {
            // What was sent before may be heard now: the server had it all the time.
            if message == status(1, "again") {
                return true;
            }
        }
        false
    })
    .await;
}

/// Makes a bus on a server that is reached through a proxy.
async fn behind_a_proxy(options: Options) -> (NatsBus, Proxy, NatsServer) {
    let server = NatsServer::start();
    let proxy = Proxy::start(&format!("127.0.0.1:{}", server.port()));
    let mut bus = None;
    eventually("the bus is opened", async || {
        bus = NatsBus::connect(&proxy.through(&server.url("node")), options.clone()).await.ok();
        bus.is_some()
    })
    .await;
    (bus.expect("it was waited for"), proxy, server)
}

#[tokio::test]
async fn a_lost_connection_ends_subscriptions_and_another_hears_again() {
    let mut bus = Served::with(hasty("node")).await;
    let mut before = bus.subscribe_status().await.unwrap();
    let mut server_before = bus.serve(Subject::Heartbeat).await.unwrap();
    tell(&bus, "before").await;

    bus.server.kill();
    assert_eq!(heard(&mut before).await, status(1, "before"));
    ended(&mut before).await;
    assert!(within(server_before.requests.recv()).await.is_none());
    bus.server.restart();

    let mut after = listener(&bus).await;
    tell(&bus, "after").await;
    assert_eq!(heard(&mut after).await, status(1, "after"));
    let mut server = bus.serve(Subject::Heartbeat).await.unwrap();
    let (answer, ()) = tokio::join!(bus.request(heartbeat("hello"), PATIENCE), async {
        let request = server.requests.recv().await.unwrap();
        request.reply.send(request.message.payload).unwrap();
    });
    assert_eq!(answer.unwrap(), "hello");
}

#[tokio::test]
async fn calls_fail_while_the_server_is_away() {
    let mut bus = Served::with(hasty("node")).await;
    let mut listener = bus.subscribe_status().await.unwrap();

    bus.server.kill();
    ended(&mut listener).await;

    let published = within(bus.publish(status(1, "lost"))).await;
    assert!(matches!(published, Err(Error::Unavailable(_) | Error::Timeout { .. })), "{published:?}");
    let answer = within(bus.request(heartbeat("lost"), Duration::from_millis(100))).await;
    assert!(matches!(answer, Err(Error::Unavailable(_) | Error::Timeout { .. })), "{answer:?}");
    let subscribed = within(bus.subscribe_status()).await;
    assert!(matches!(subscribed, Err(Error::Unavailable(_))), "{subscribed:?}");
}

#[tokio::test]
async fn what_could_not_be_sent_is_not_sent_later() {
    let mut bus = Served::with(hasty("node")).await;
    let mut before = bus.subscribe_status().await.unwrap();
    bus.server.kill();

    // Some find the connection there, some find it lost.
    let publishes = (0..50).map(|n| bus.publish(status(1, format!("lost {n}"))));
    for published in within(join_all(publishes)).await {
        published.unwrap_err();
    }
    ended(&mut before).await;
    bus.server.restart();
    // Another process is there first, and would hear what is sent late.
    let other = connect(&bus.server, "node").await;
    let mut listener = other.subscribe_status().await.unwrap();

    tell(&bus, "kept").await;

    assert_eq!(heard(&mut listener).await, status(1, "kept"));
}

#[tokio::test]
async fn a_silent_server_is_given_up_and_found_again() {
    let bus = Served::with(watchful("node")).await;
    let mut before = listener(&bus).await;

    bus.server.pause();
    let published = within(bus.publish(status(1, "into the void"))).await;
    assert!(matches!(published, Err(Error::Unavailable(_) | Error::Timeout { .. })), "{published:?}");
    ended(&mut before).await;
    bus.server.resume();

    hears_again(&*bus).await;
}

#[tokio::test]
async fn a_connection_whose_peer_is_gone_without_a_word_ends_its_subscriptions_and_another_hears_again() {
    let (bus, proxy, _server) = behind_a_proxy(watchful("node")).await;
    let mut before = listener(&bus).await;

    proxy.vanish();
    let published = within(bus.publish(status(1, "into the void"))).await;
    assert!(matches!(published, Err(Error::Unavailable(_) | Error::Timeout { .. })), "{published:?}");
    ended(&mut before).await;

    hears_again(&bus).await;
}

#[tokio::test]
async fn a_connection_that_only_speaks_is_given_up_too() {
    let (bus, proxy, _server) = behind_a_proxy(watchful("node")).await;
    let mut before = listener(&bus).await;

    proxy.set(Direction::Down, Fault::Drop);
    ended(&mut before).await;
    proxy.set(Direction::Down, Fault::Nothing);

    hears_again(&bus).await;
}

#[tokio::test]
async fn a_connection_that_is_reset_ends_its_subscriptions_and_another_hears_again() {
    let (bus, proxy, _server) = behind_a_proxy(hasty("node")).await;
    for _ in 0..3 {
        let mut before = listener(&bus).await;
        proxy.reset();
        ended(&mut before).await;
        hears_again(&bus).await;
    }
}

#[tokio::test]
async fn a_server_that_comes_back_empty_gets_a_stream_again() {
    let mut bus = Served::with(hasty("node")).await;
    tell(&bus, "before").await;

    bus.server.kill();
    std::fs::remove_dir_all(bus.server.file("streams")).unwrap();
    bus.server.restart();

    tell(&bus, "after").await;
}

#[tokio::test]
async fn a_stream_that_is_deleted_is_made_again() {
    let bus = Served::with(hasty("node")).await;
    let jetstream = jetstream::new(operator(&bus.server).await);
    jetstream.delete_stream(STREAM).await.unwrap();

    let published = bus.publish(status(1, "to nobody")).await;
    assert!(matches!(published, Err(Error::Unavailable(_))), "{published:?}");

    tell(&bus, "after").await;
}

#[tokio::test]
async fn subscribers_hear_a_change_that_the_stream_does_not_take() {
    let bus = Served::with(impatient("node")).await;
    let mut listener = bus.subscribe_status().await.unwrap();
    let jetstream = jetstream::new(operator(&bus.server).await);
    jetstream.delete_stream(STREAM).await.unwrap();

    let published = bus.publish(status(1, "changed")).await;

    assert!(matches!(published, Err(Error::Timeout { subject: Subject::Status(1), .. })), "{published:?}");
    assert_eq!(heard(&mut listener).await, status(1, "changed"));
}

#[tokio::test]
async fn a_subscriber_that_does_not_read_is_dropped_and_counted() {
    let bus = Served::with(Options { subscriber_capacity: 16, ..options("node") }).await;
    let mut slow = bus.subscribe_status().await.unwrap();

    for n in 0..20 {
        bus.publish(status(1, n.to_string())).await.unwrap();
    }
    eventually("it is counted", async || bus.dropped_messages() > 0).await;

    for n in 0..16 {
        assert_eq!(heard(&mut slow).await, status(1, n.to_string()));
    }
    assert_eq!(slow.messages.recv().await, None);
    // Another one hears again.
    let mut listener = bus.subscribe_status().await.unwrap();
    bus.publish(status(1, "again")).await.unwrap();
    assert_eq!(heard(&mut listener).await, status(1, "again"));
}

#[tokio::test]
async fn what_the_client_itself_drops_ends_the_subscription_and_is_counted() {
    let bus = Served::with(Options { subscriber_capacity: 10_000, ..options("node") }).await;
    let mut slow = bus.subscribe_status().await.unwrap();
    let url = bus.server.url("operator");

    // Nothing of this thread's runtime goes on meanwhile: then there is more at once than the client can hold.
    let flood = std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let operator = connect_as(&url).await;
            for n in 0..30_000 {
                operator.publish("rollcall.status.1", n.to_string().into()).await.unwrap();
            }
            let jetstream = jetstream::new(connect_as(&url).await);
            eventually("the server has them all", async || {
                let mut stream = jetstream.get_stream(STREAM).await.unwrap();
                stream.info().await.unwrap().state.messages == 30_000
            })
            .await;
        });
    });
    flood.join().unwrap();
    ended(&mut slow).await;

    // One that is dropped for its own queue counts once.
    eventually("they are counted", async || bus.dropped_messages() > 1).await;
    let mut listener = bus.subscribe_status().await.unwrap();
    bus.publish(status(2, "again")).await.unwrap();
    within(async { while heard(&mut listener).await != status(2, "again") {} }).await;
}

#[tokio::test]
async fn subscriptions_end_when_the_bus_goes() {
    let server = NatsServer::start();
    let bus = connect(&server, "node").await;
    let mut listener = bus.subscribe_status().await.unwrap();
    let mut requests = bus.serve(Subject::Heartbeat).await.unwrap();

    drop(bus);

    ended(&mut listener).await;
    assert!(within(requests.requests.recv()).await.is_none());
}

#[tokio::test]
async fn publishes_that_are_under_way_at_once_keep_their_order() {
    for publish_window in [8, 256] {
        let bus = Served::with(Options { publish_window, ..options("node") }).await;
        let mut listener = bus.subscribe_status().await.unwrap();

        let publishes = join_all((0..500).map(|n| bus.publish(status(1, n.to_string())))).await;

        assert!(publishes.iter().all(Result::is_ok), "{publishes:?}");
        for n in 0..500 {
            assert_eq!(heard(&mut listener).await, status(1, n.to_string()));
        }
    }
}

#[tokio::test]
async fn changes_are_heard_and_few_wait_while_the_stream_acknowledges_nothing() {
    let bus = Served::with(Options { publish_window: 8, ..options("node") }).await;
    let mut listener = bus.subscribe_status().await.unwrap();
    let jetstream = jetstream::new(operator(&bus.server).await);
    jetstream.delete_stream(STREAM).await.unwrap();

    let mut publishes: FuturesUnordered<_> = (0..20).map(|n| bus.publish(status(1, n.to_string()))).collect();
    for _ in 8..20 {
        let published = within(publishes.next()).await.unwrap();
        assert!(matches!(published, Err(Error::Unavailable(_))), "{published:?}");
    }

    assert!(publishes.next().now_or_never().is_none(), "eight wait");
    let mut all = BTreeSet::new();
    for _ in 0..20 {
        all.insert(heard(&mut listener).await.payload);
    }
    assert_eq!(all.len(), 20);
    drop(publishes);
    eventually("the stream is made again", async || jetstream.get_stream(STREAM).await.is_ok()).await;
    tell(&bus, "kept").await;
    bus.publish(status(1, "kept too")).await.unwrap();
}

#[tokio::test]
async fn a_bus_of_several_servers_goes_to_one_that_is_there() {
    let (mut first, second) = (NatsServer::start(), NatsServer::start());
    let url = format!("{},{}", first.url("node"), second.url("node"));
    // The other has no stream yet: the first publish may find none.
    let bus = NatsBus::connect(&url, impatient("node")).await.unwrap();
    let mut before = bus.subscribe_status().await.unwrap();
    let notifier = connect(&second, "notifier").await;
    let mut listener = notifier.subscribe_status().await.unwrap();

    first.kill();
    ended(&mut before).await;
    tell(&bus, "kept").await;

    assert_eq!(heard(&mut listener).await, status(1, "kept"));
}
