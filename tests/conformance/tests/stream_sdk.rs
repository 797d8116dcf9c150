//! The SDK over gRPC streams: nothing about it is different.

use std::sync::Arc;

use rollcall_client::Code;
use rollcall_conformance::{GRACE, offline, online, says, unlogined};
use rollcall_harness::{
    Deployment, Direction, Fault, Heard, LoginPolicy, Proxy, Recorder, Rollcall, Setup, eventually,
    stream_url_of,
};

// SPEC L1
#[tokio::test]
async fn every_call_of_the_sdk_is_served_over_a_stream() {
    let rollcall = Rollcall::start().await;
    let app = rollcall.app().await;
    let (alice, heard) = app.sdk_at(&rollcall.stream_url(), "alice", "d").await;
    let (bob, _) = app.sdk_at(&rollcall.stream_url(), "bob", "d").await;

    alice.subscribe_user_status(&["bob"]).await.unwrap();
    heard.wait_status("bob", online).await;
    let set = bob.set_self_status(Some("over a stream")).await.unwrap();
    assert_eq!(heard.wait_status("bob", says("over a stream")).await, set);
    assert_eq!(alice.get_user_status(&["bob"]).await.unwrap().statuses, [set]);
    let long = "x".repeat(101);
    assert_eq!(bob.set_self_status(Some(&long)).await.unwrap_err().code, Code::InvalidParameter);
    bob.refresh_token(&app.token("bob")).await.unwrap();
    assert_eq!(alice.list_subscriptions().await.unwrap(), ["bob".parse().unwrap()]);
    bob.logout().await.unwrap();
    heard.wait_status("bob", unlogined).await;
    assert_eq!(bob.set_self_status(None).await.unwrap_err().code, Code::NotLoggedIn);
    let refused = bob.login(app.id, "bob", "no token").await.unwrap_err();
    assert_eq!(refused.code, Code::BadToken);
    alice.unsubscribe_user_status::<&str>(&[]).await.unwrap();
}

// SPEC F4, F6, A6
#[tokio::test]
async fn an_sdk_that_loses_its_stream_comes_back_and_raises_only_what_differs() {
    let rollcall = Rollcall::start().await;
    let app = rollcall.app().await;
    let proxy = Proxy::start(rollcall.addresses().client());
    let (alice, heard) = app.sdk_at(&stream_url_of(proxy.address()), "alice", "d").await;
    let mut bob = app.session("bob", "d").await;
    let mut carol = app.session("carol", "d").await;
    alice.subscribe_user_status(&["bob", "carol"]).await.unwrap();
    carol.subscribe(&["alice"]).await.ok();
    for user in ["bob", "carol"] {
        heard.wait_status(user, online).await;
    }
    let mark = heard.mark();

    proxy.down();
    heard.wait_for("the loss", |heard| heard.contains(&Heard::Disconnected(9508))).await;
    carol.expect("alice", offline).await;
    assert_eq!(alice.set_self_status(None).await.unwrap_err().code, Code::Disconnected);
    let changed = bob.set("changed meanwhile").await.ok().status();
    proxy.up();

    heard.wait_status("bob", says("changed meanwhile")).await;
    carol.expect("alice", online).await;
    tokio::time::sleep(GRACE).await;
    assert_eq!(heard.since(mark), [changed]);
}

// SPEC L1
#[tokio::test]
async fn a_stream_whose_server_is_silent_is_given_up_and_another_is_opened() {
    let rollcall = Rollcall::start().await;
    let app = rollcall.app().await;
    let proxy = Proxy::start(rollcall.addresses().client());
    let (alice, heard) = app.sdk_at(&stream_url_of(proxy.address()), "alice", "d").await;
    proxy.set(Direction::Both, Fault::Hold);
    heard.wait_for("the loss", |heard| heard.contains(&Heard::Disconnected(9508))).await;
    proxy.set(Direction::Both, Fault::Nothing);
    eventually("calls to succeed again", async || alice.set_self_status(Some("heard")).await.is_ok()).await;
}

// SPEC H4
#[tokio::test]
async fn an_sdk_over_a_stream_hears_that_it_was_kicked_and_stays_away() {
    let rollcall = Rollcall::start().await;
    let app = rollcall.app_with(Setup { login_policy: LoginPolicy::Single, ..Setup::default() }).await;
    let (alice, heard) = app.sdk_at(&rollcall.stream_url(), "alice", "one").await;
    let _newer = app.sdk("alice", "two").await;
    heard.wait_for("the kick", |heard| heard.contains(&Heard::Kicked)).await;
    assert_eq!(alice.get_login_user(), None);
}

// SPEC A11
#[tokio::test]
async fn an_sdk_over_a_stream_leaves_a_gateway_that_stops_and_nobody_notices() {
    let mut rollcall = Rollcall::builder().deployment(Deployment::Cluster).start().await;
    let app = rollcall.app().await;
    let proxy = Proxy::over(&rollcall.addresses().clients);
    let url = stream_url_of(proxy.address());
    let (alice, alice_heard) = app.sdk_at(&url, "alice", "d").await;
    let (bob, bob_heard) = app.sdk_at(&url, "bob", "d").await;
    for (client, heard, other) in [(&alice, &alice_heard, "bob"), (&bob, &bob_heard, "alice")] {
        client.subscribe_user_status(&[other]).await.unwrap();
        heard.wait_status(other, online).await;
    }

    // One of the two is on it.
    rollcall.process("gateway", 0).terminate().await;

    alice.set_self_status(Some("after")).await.unwrap();
    bob_heard.wait_status("alice", says("after")).await;
    bob.set_self_status(Some("after")).await.unwrap();
    alice_heard.wait_status("bob", says("after")).await;
    for (heard, other) in [(&alice_heard, "bob"), (&bob_heard, "alice")] {
        let shown = heard.shown(other);
        let begun = shown.iter().position(online).unwrap();
        assert!(shown[begun..].iter().all(online), "{shown:?}");
        assert!(!heard.heard().contains(&Heard::Disconnected(9508)), "it moved before it was closed");
    }
}

// SPEC F5
#[tokio::test]
async fn a_client_process_that_stood_still_reads_on_over_its_stream() {
    // With an expiry of 400 s the client is slow, and not silent.
    let rollcall = Rollcall::builder().profile("default").start().await;
    let app = rollcall.app().await;
    let (app_id, token, url) = (app.id.to_string(), app.token("alice"), rollcall.stream_url());
    let who = ["--url", &url, "--app-id", &app_id, "--user-id", "alice", "--token", &token];
    let watch = rollcall.ctl("watch", &[&["watch", "bob", "--output", "json"], &who[..]].concat());
    let mut bob = app.session("bob", "d").await;
    eventually("bob to be shown", async || watch.output().contains("ONLINE")).await;

    watch.stop();
    // More than a window holds, each in a small frame of its own.
    for number in 0..2000 {
        bob.set(&number.to_string()).await.ok();
    }
    bob.set("the last").await.ok();
    watch.resume();

    eventually("the last to be shown", async || watch.output().contains("the last")).await;
    assert!(!watch.errors().contains("connection lost"), "{}", watch.errors());
}

#[tokio::test]
async fn an_address_that_can_never_work_is_refused_at_once() {
    let rollcall = Rollcall::start().await;
    let app = rollcall.app().await;
    let address = rollcall.addresses().client();
    for wrong in [
        format!("grpcs://{address}"),
        format!("https://{address}"),
        format!("grpc://{address}/v1/connect"),
        "grpc://".to_owned(),
        String::new(),
    ] {
        let client = app.client_at(&wrong, "d");
        let error = client.login(app.id, "alice", &app.token("alice")).await.unwrap_err();
        assert_eq!(error.code, Code::InvalidParameter, "{wrong}: {error}");
        assert!(
            error.description.contains("expected ws://host:port/v1/connect or grpc://host:port"),
            "{error}"
        );
    }
    let client = app.client_at(&format!("http://{address}/"), "d");
    let heard = Arc::new(Recorder::default());
    client.add_listener(Arc::clone(&heard));
    client.login(app.id, "alice", &app.token("alice")).await.unwrap();
    heard.wait_status("alice", online).await;
}
