//! SPEC A: the general status.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use rollcall_conformance::{EXPIRY, GRACE, alice_watching_bob, offline, online, says, unlogined};
use rollcall_harness::{
    App, General, Proxy, Raw, Recorder, Rollcall, eventually, tungstenite::Message, url_of,
};
use rollcall_proto::presence::v1::GetUserStatusRequest;
use serde_json::json;

/// Waits until a user's status is of a kind, as a query shows it.
async fn settles(reader: &mut Raw, user: &str, general: General) {
    eventually(&format!("{user} to be {general}"), async || reader.status_of(user).await.general == general)
        .await;
}

// SPEC A1
#[tokio::test]
async fn general_statuses_go_over_the_wire_by_the_numbers_of_the_source() {
    let rollcall = Rollcall::start().await;
    let app = rollcall.app().await;
    let mut reader = app.session("online", "d").await;
    app.session("offline", "d").await.lose().await;
    app.session("logged out", "d").await.logout().await.ok();
    settles(&mut reader, "offline", General::Offline).await;
    let user_ids = ["online", "offline", "logged out", "never"].map(str::to_owned).to_vec();

    let request = GetUserStatusRequest { app_id: app.id, user_ids, ..Default::default() };
    let response = rollcall.presence().get_user_status(request).await.unwrap().into_inner();

    let numbers: Vec<i32> = response.statuses.iter().map(|status| status.general).collect();
    assert_eq!(numbers, [1, 2, 3, 3]);
}

// SPEC A1, L1
#[tokio::test]
async fn an_sdk_shows_unknown_until_it_has_heard_and_hears_it_of_nobody() {
    let rollcall = Rollcall::start().await;
    let app = rollcall.app().await;
    let proxy = Proxy::start(rollcall.addresses().client());
    proxy.down();
    let client = app.client_at(&url_of(proxy.address()), "d");
    let recorder = Arc::new(Recorder::default());
    client.add_listener(Arc::clone(&recorder));
    let shown = |user: &str| client.shown_status(user).unwrap();
    let unknown = |user: &str| (shown(user).general, shown(user).version) == (General::Unknown, 0);

    client.start(app.id, "alice", &app.token("alice")).await.unwrap();
    assert!(unknown("alice") && unknown("bob"));
    proxy.up();

    recorder.wait_status("alice", online).await;
    assert!(online(&shown("alice")) && unknown("bob"));
    client.subscribe_user_status(&["bob"]).await.unwrap();
    let bob = recorder.wait_status("bob", |_| true).await;
    assert_eq!((bob.general, shown("bob")), (General::Unlogined, bob.clone()));
    assert!(recorder.since(0).iter().all(|status| status.general != General::Unknown));
}

// SPEC A2
#[tokio::test]
async fn a_user_stays_online_while_one_of_several_sessions_is_left() {
    let rollcall = Rollcall::start().await;
    let app = rollcall.app().await;
    let mut alice = app.session("alice", "d").await;
    alice.subscribe(&["bob"]).await.ok();
    let phone = app.session_on("PLATFORM_ANDROID", "bob", "phone").await;
    let mut desk = app.session_on("PLATFORM_LINUX", "bob", "desk").await;
    let web = app.session_on("PLATFORM_WEB", "bob", "web").await;
    alice.expect("bob", online).await;

    phone.lose().await;
    web.close().await;

    assert_eq!(alice.pushed_during(GRACE).await, [], "nobody hears that a session of several has ended");
    desk.set("still here").await.ok();
    let next = alice.expect_next("bob").await;
    assert!(online(&next) && says("still here")(&next), "{next:?}");
}

// SPEC A3
#[tokio::test]
async fn a_mark_lasts_until_its_own_platform_logs_in_or_out() {
    let rollcall = Rollcall::start().await;
    let app = rollcall.app().await;
    let mut alice = app.session("alice", "d").await;
    app.session_on("PLATFORM_ANDROID", "bob", "phone").await.lose().await;
    settles(&mut alice, "bob", General::Offline).await;
    app.session_on("PLATFORM_WEB", "bob", "web").await.lose().await;
    settles(&mut alice, "bob", General::Offline).await;

    // The web's mark goes, the phone's stays.
    app.session_on("PLATFORM_WEB", "bob", "web").await.logout().await.ok();
    assert_eq!(alice.status_of("bob").await.general, General::Offline);
    // A platform without a mark changes nothing about it.
    app.session_on("PLATFORM_MAC", "bob", "desk").await.logout().await.ok();
    assert_eq!(alice.status_of("bob").await.general, General::Offline);
    // Another device of the phone's platform removes the last mark.
    app.session_on("PLATFORM_ANDROID", "bob", "other-phone").await.logout().await.ok();
    assert_eq!(alice.status_of("bob").await.general, General::Unlogined);
}

// SPEC A3
#[tokio::test]
async fn only_the_end_of_a_platforms_last_session_leaves_a_mark() {
    let rollcall = Rollcall::start().await;
    let app = rollcall.app().await;
    let mut alice = app.session("alice", "d").await;
    alice.subscribe(&["bob"]).await.ok();

    let lost = app.session_on("PLATFORM_ANDROID", "bob", "one").await;
    let mut left = app.session_on("PLATFORM_ANDROID", "bob", "two").await;
    alice.expect("bob", online).await;
    lost.lose().await;
    assert_eq!(alice.pushed_during(GRACE).await, []);
    left.logout().await.ok();
    assert!(unlogined(&alice.expect_next("bob").await), "the platform's last session ended by logout");

    let mut logged_out = app.session_on("PLATFORM_ANDROID", "bob", "one").await;
    let left = app.session_on("PLATFORM_ANDROID", "bob", "two").await;
    alice.expect("bob", online).await;
    logged_out.logout().await.ok();
    left.lose().await;
    assert!(offline(&alice.expect_next("bob").await), "the platform's last session ended without logout");
}

// SPEC A4
#[tokio::test]
async fn a_user_is_unlogined_before_the_first_login_and_after_logout() {
    let rollcall = Rollcall::start().await;
    let app = rollcall.app().await;
    let mut alice = app.session("alice", "d").await;
    alice.subscribe(&["bob"]).await.ok();
    assert!(unlogined(&alice.expect_next("bob").await));

    let mut bob = app.session("bob", "d").await;
    assert!(online(&alice.expect_next("bob").await));
    bob.logout().await.ok();

    assert!(unlogined(&alice.expect_next("bob").await));
    assert!(unlogined(&alice.status_of("bob").await));
}

/// Ends two sessions of a user in one of two orders: the phone by losing it, the desk by logout.
async fn end_two(app: &App, user: &str, phone_first: bool) {
    let phone = app.session_on("PLATFORM_IPHONE", user, "phone").await;
    let mut desk = app.session_on("PLATFORM_WINDOWS", user, "desk").await;
    if phone_first {
        phone.lose().await;
        tokio::time::sleep(Duration::from_millis(300)).await;
        desk.logout().await.ok();
    } else {
        desk.logout().await.ok();
        phone.lose().await;
    }
}

// SPEC A5
#[tokio::test]
async fn devices_aggregate_whatever_the_order_in_which_they_end() {
    let rollcall = Rollcall::start().await;
    let app = rollcall.app().await;
    let mut alice = app.session("alice", "d").await;
    alice.subscribe(&["bob", "carol"]).await.ok();

    end_two(&app, "bob", true).await;
    end_two(&app, "carol", false).await;

    for user in ["bob", "carol"] {
        alice.expect(user, offline).await;
        settles(&mut alice, user, General::Offline).await;
    }
}

// SPEC A5
#[tokio::test]
async fn the_late_end_of_an_older_session_never_overrides_a_newer_login() {
    let rollcall = Rollcall::start().await;
    let app = rollcall.app().await;
    let mut alice = app.session("alice", "d").await;
    alice.subscribe(&["bob"]).await.ok();
    let mut older = app.session("bob", "phone").await;
    alice.expect("bob", online).await;

    let mut newer = app.session("bob", "phone").await;
    older.closed().await;
    older.lose().await;

    assert_eq!(alice.pushed_during(GRACE).await, []);
    newer.set("the newer one").await.ok();
    let next = alice.expect_next("bob").await;
    assert!(online(&next) && says("the newer one")(&next), "{next:?}");
}

// SPEC A6
#[tokio::test]
async fn a_connection_that_ends_without_logout_makes_offline_long_before_the_expiry() {
    // With an expiry of 400 s nothing but the end of the connection can be what watchers hear of.
    let rollcall = Rollcall::builder().profile("default").start().await;
    let app = rollcall.app().await;
    let mut alice = app.session("alice", "d").await;
    alice.subscribe(&["fin", "reset", "closed"]).await.ok();
    let fin = app.session("fin", "d").await;
    let reset = app.session_by(rollcall.dial().resets(), "PLATFORM_LINUX", "reset", "d").await;
    let closed = app.session("closed", "d").await;
    for user in ["fin", "reset", "closed"] {
        alice.expect(user, online).await;
    }

    fin.lose().await;
    alice.expect("fin", offline).await;
    reset.lose().await;
    alice.expect("reset", offline).await;
    closed.close().await;
    alice.expect("closed", offline).await;
}

// SPEC A7
#[tokio::test]
async fn a_silent_client_goes_offline_and_never_before_the_expiry() {
    let rollcall = Rollcall::start().await;
    let app = rollcall.app().await;
    let mut alice = app.session("alice", "d").await;
    alice.subscribe(&["bob"]).await.ok();
    let mut bob = app.session("bob", "d").await;
    alice.expect("bob", online).await;
    // Some heartbeats, so that it is not the login that counts.
    tokio::time::sleep(Duration::from_secs(3)).await;

    bob.fall_silent().await;
    let sent = Instant::now();
    bob.call(json!({ "ping": {} })).await.ok();

    // The frame was heard after `sent`, and what was seen happened before `elapsed`.
    assert!(offline(&alice.expect_next("bob").await));
    let elapsed = sent.elapsed();
    assert!(elapsed >= EXPIRY, "OFFLINE {elapsed:?} after the last frame, expected at least {EXPIRY:?}");
    assert_eq!(bob.closed().await, Some(3002));
}

// SPEC A7
#[tokio::test]
async fn one_silent_session_of_two_does_not_make_the_user_offline() {
    let rollcall = Rollcall::start().await;
    let app = rollcall.app().await;
    let mut alice = app.session("alice", "d").await;
    alice.subscribe(&["bob"]).await.ok();
    let mut silent = app.session("bob", "one").await;
    let _beating = app.session("bob", "two").await;
    alice.expect("bob", online).await;

    silent.fall_silent().await;

    assert_eq!(silent.closed().await, Some(3002));
    assert_eq!(alice.pushed_during(GRACE).await, []);
}

// SPEC A7
#[tokio::test]
async fn any_frame_counts_as_a_heartbeat() {
    let rollcall = Rollcall::start().await;
    let app = rollcall.app().await;
    let mut alice = app.session("alice", "d").await;
    let mut bob = app.session("bob", "d").await;
    bob.fall_silent().await;
    alice.subscribe(&["bob"]).await.ok();
    alice.expect("bob", online).await;

    for call in [
        json!({ "listSubscriptions": {} }),
        json!({ "getUserStatus": { "userIds": ["bob"] } }),
        json!({ "unsubscribe": { "userIds": ["nobody"] } }),
    ] {
        bob.call(call).await.ok();
        assert_eq!(alice.pushed_during(EXPIRY / 2).await, []);
    }
    assert!(online(&alice.status_of("bob").await));
}

// SPEC A7
#[tokio::test]
async fn a_ping_of_the_websocket_itself_counts_as_a_heartbeat() {
    let rollcall = Rollcall::start().await;
    let app = rollcall.app().await;
    let (mut alice, mut bob) = alice_watching_bob(&app).await;
    bob.fall_silent().await;

    for _ in 0..3 {
        bob.send_message(Message::Ping(vec![7].into())).await;
        assert_eq!(alice.pushed_during(EXPIRY / 2).await, []);
    }
    assert!(online(&alice.status_of("bob").await));
}

// SPEC A8
#[tokio::test]
async fn a_quiet_client_that_heartbeats_stays_online() {
    let rollcall = Rollcall::start().await;
    let app = rollcall.app().await;
    let mut alice = app.session("alice", "d").await;
    let (bob, _) = app.sdk("bob", "d").await;
    bob.set_self_status(Some("in the background")).await.unwrap();
    alice.subscribe(&["bob"]).await.ok();
    let before = alice.expect_next("bob").await;

    assert_eq!(alice.pushed_during(EXPIRY + Duration::from_secs(3)).await, []);

    assert_eq!(alice.status_of("bob").await, before);
}

// SPEC A9
#[tokio::test]
async fn no_call_sets_a_general_status_or_addresses_a_device() {
    let rollcall = Rollcall::start().await;
    let app = rollcall.app().await;
    let mut alice = app.session("alice", "phone").await;
    let mut desk = app.session("alice", "desk").await;

    // What the protocol does not know it ignores, whatever a client hopes.
    for (custom, wish) in [
        ("1", json!({ "general": "GENERAL_STATUS_OFFLINE" })),
        ("2", json!({ "status": { "general": 2 } })),
        ("3", json!({ "deviceId": "desk", "platform": "PLATFORM_LINUX" })),
    ] {
        let mut set = json!({ "custom": custom });
        set.as_object_mut().unwrap().extend(wish.as_object().unwrap().clone());
        let status = alice.call(json!({ "setSelfStatus": set })).await.ok().status();
        assert_eq!((status.general, status.custom.as_str()), (General::Online, custom));
        // Both devices have one status.
        assert_eq!(desk.status_of("alice").await, status);
    }
    alice.call(json!({ "setGeneralStatus": { "general": 2 } })).await.refused(6017);
    assert!(online(&alice.status_of("alice").await));
}

// SPEC A10
#[tokio::test]
async fn an_id_that_never_logged_in_reads_as_unlogined() {
    let rollcall = Rollcall::start().await;
    let app = rollcall.app().await;
    let mut alice = app.session("alice", "d").await;

    let status = alice.status_of("never").await;

    assert_eq!(status.user_id.as_str(), "never");
    assert_eq!((status.general, status.custom.as_str(), status.version), (General::Unlogined, "", 0));
}

// SPEC A10
#[tokio::test]
async fn a_malformed_id_fails_by_itself_and_not_the_batch() {
    let rollcall = Rollcall::start().await;
    let app = rollcall.app().await;
    let mut alice = app.session("alice", "d").await;
    let long = "x".repeat(33);

    let reply = alice.query(&["alice", "tab\there", "", "über", &long, "bob"]).await.ok();

    let read: Vec<_> = reply.statuses().iter().map(|status| status.user_id.to_string()).collect();
    assert_eq!(read, ["alice", "bob"]);
    let failed = ["tab\there", "", "über", &long].map(|id| (id.to_owned(), 7003));
    assert_eq!(reply.failures(), failed);
}
