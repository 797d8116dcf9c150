//! SPEC F: notifications.

use rollcall_conformance::{GRACE, borrowed, ids, offline, online, says};
use rollcall_harness::{Heard, Proxy, Recorder, Rollcall, Setup, UserStatus, stream_url_of, url_of};
use serde_json::json;

// SPEC F1
#[tokio::test]
async fn a_callback_carries_a_list_of_statuses_each_with_its_version() {
    let rollcall = Rollcall::start().await;
    let app = rollcall.app().await;
    let mut bob = app.session("bob", "d").await;
    let set = bob.set("busy").await.ok().status();
    let (alice, recorder) = app.sdk("alice", "d").await;

    alice.subscribe_user_status(&["bob", "carol"]).await.unwrap();

    let shown = recorder.wait_status("bob", online).await;
    assert_eq!(shown, set);
    assert!(shown.version > 0);
    let carol = recorder.wait_status("carol", |_| true).await;
    assert_eq!(carol.version, 0, "what never changed has version 0");
}

// SPEC F2
#[tokio::test]
async fn every_session_of_a_user_hears_the_own_status_ungated() {
    let rollcall = Rollcall::start().await;
    for setup in [Setup::standard(), Setup::switched_off(), Setup::default()] {
        let app = rollcall.app_with(setup).await;
        let mut setting = app.session("bob", "setting").await;
        // Another platform, for edition STANDARD has but one session on each.
        let mut desk = app.session_on("PLATFORM_MAC", "bob", "desk").await;
        let mut web = app.session_by(rollcall.dial().protobuf(), "PLATFORM_WEB", "bob", "web").await;

        let status = setting.set("for all of mine").await.ok().status();

        assert_eq!(desk.expect("bob", says("for all of mine")).await, status);
        assert_eq!(web.expect("bob", says("for all of mine")).await, status);
    }
}

// SPEC F2
#[tokio::test]
async fn every_session_of_every_subscriber_hears_and_nobody_else_does() {
    let rollcall = Rollcall::start().await;
    let app = rollcall.app().await;
    let mut bob = app.session("bob", "d").await;
    let mut hearing = Vec::new();
    for (user, device) in [("alice", "one"), ("alice", "two"), ("carol", "one")] {
        hearing.push(app.session(user, device).await);
    }
    hearing[0].subscribe(&["bob"]).await.ok();
    hearing[2].subscribe(&["bob"]).await.ok();
    let mut stranger = app.session("dave", "d").await;
    stranger.subscribe(&["alice", "carol", "bo", "bobby", "Bob"]).await.ok();
    stranger.pushed_during(GRACE).await;

    let status = bob.set("for subscribers").await.ok().status();

    for session in &mut hearing {
        assert_eq!(session.expect("bob", says("for subscribers")).await, status);
    }
    assert_eq!(stranger.pushed_during(GRACE).await, []);
    // Hearing of somebody is not mutual.
    hearing[0].set("unheard by bob").await.ok();
    let heard_by_bob = bob.pushed_during(GRACE).await;
    assert!(heard_by_bob.iter().all(|status| status.user_id.as_str() == "bob"), "{heard_by_bob:?}");
}

// SPEC F4
#[tokio::test]
async fn a_session_is_sent_strictly_increasing_versions() {
    let rollcall = Rollcall::start().await;
    let app = rollcall.app().await;
    let mut watcher = app.session("alice", "d").await;
    watcher.subscribe(&["bob"]).await.ok();
    let mut reader = app.session("alice", "reader").await;
    let mut phone = app.session("bob", "phone").await;
    let mut desk = app.session("bob", "desk").await;

    // Changes by two sessions, queries that run ahead of notifications, and a user that comes and goes. A version
    // that is not newer than the one before fails in the raw client, on any session.
    for round in 0..100 {
        phone.begin(json!({ "setSelfStatus": { "custom": format!("phone {round}") } })).await;
        desk.set(&format!("desk {round}")).await.ok();
        if round % 5 == 0 {
            reader.status_of("bob").await;
        }
        if round % 10 == 0 {
            app.session("bob", "tablet").await.logout().await.ok();
        }
    }
    let last = phone.set("the last").await.ok().status();

    for session in [&mut watcher, &mut reader, &mut desk] {
        assert_eq!(session.expect("bob", says("the last")).await, last);
        assert_eq!(session.pushed_during(GRACE).await, []);
    }
}

// SPEC F4
#[tokio::test]
async fn an_sdk_surfaces_strictly_increasing_versions_over_its_reconnects() {
    let rollcall = Rollcall::start().await;
    let app = rollcall.app().await;
    let mut bob = app.session("bob", "d").await;
    // Who does not change is told by the server anew at each connection.
    let _carol = app.session("carol", "d").await;
    // From one gateway to the other, where there are two.
    let proxy = Proxy::over(&rollcall.addresses().clients);
    for url in [url_of(proxy.address()), stream_url_of(proxy.address())] {
        let (alice, recorder) = app.sdk_at(&url, "alice", "d").await;
        alice.subscribe_user_status(&["bob", "carol"]).await.unwrap();
        recorder.wait_status("carol", online).await;
        for cut in 1..=5 {
            for number in 0..20 {
                bob.set(&format!("{cut}.{number}")).await.ok();
            }
            proxy.cut();
            for number in 20..40 {
                bob.set(&format!("{cut}.{number}")).await.ok();
            }
            recorder.wait_for("the next connection", |heard| connections(heard) == 1 + cut).await;
        }
        let last = bob.set(&format!("the last over {url}")).await.ok().status();

        assert_eq!(recorder.wait_status("bob", says(&last.custom)).await, last);
        tokio::time::sleep(GRACE).await;
        for user in ["alice", "bob", "carol"] {
            assert_increasing(&recorder.shown(user));
        }
        alice.logout().await.unwrap();
    }
}

// SPEC F4
#[tokio::test]
async fn an_sdk_that_unsubscribes_and_subscribes_anew_is_shown_the_same_version_anew() {
    let rollcall = Rollcall::start().await;
    let app = rollcall.app().await;
    let _bob = app.session("bob", "d").await;
    let (alice, recorder) = app.sdk("alice", "d").await;
    for times in 1..=3 {
        alice.subscribe_user_status(&["bob"]).await.unwrap();
        recorder.wait_for("bob to be shown", |_| recorder.shown("bob").len() == times).await;
        match times {
            1 => alice.unsubscribe_user_status(&["bob"]).await.unwrap(),
            _ => alice.unsubscribe_user_status::<&str>(&[]).await.unwrap(),
        }
    }
    let shown = recorder.shown("bob");
    assert!(online(&shown[0]) && shown.iter().all(|status| *status == shown[0]), "{shown:?}");
}

fn connections(heard: &[Heard]) -> usize {
    heard.iter().filter(|heard| **heard == Heard::Connected).count()
}

fn assert_increasing(shown: &[UserStatus]) {
    assert!(shown.is_sorted_by(|a, b| a.version < b.version), "{shown:?}");
}

// SPEC F5
#[tokio::test]
async fn a_slow_client_may_skip_states_but_never_the_last() {
    const CHANGES: usize = 2000;
    // With an expiry of 400 s the client is slow, and not silent.
    let rollcall = Rollcall::builder().profile("default").start().await;
    let app = rollcall.app().await;
    let dial = rollcall.dial().receive_buffer(4096);
    let mut slow = app.session_by(dial, "PLATFORM_LINUX", "alice", "slow").await;
    let mut targets: Vec<String> = (0..199).map(|number| format!("{number:0>32}")).collect();
    targets.push("bob".to_owned());
    for part in targets.chunks(100) {
        slow.subscribe(&borrowed(part)).await.ok();
    }
    slow.expect_next("bob").await;
    let mut bob = app.session("bob", "d").await;

    // Replies that the client does not read either: 7 KiB each, in all more than the kernel holds back, 4 MiB.
    for _ in 0..700 {
        slow.begin(json!({ "listSubscriptions": {} })).await;
    }
    let mut last = bob.set("the first").await.ok().status();
    for number in 0..CHANGES {
        last = bob.set(&number.to_string()).await.ok().status();
    }
    bob.lose().await;

    // Versions are checked by the raw client as they come.
    let mut read = 1;
    let mut status = slow.expect_next("bob").await;
    while !offline(&status) {
        read += 1;
        status = slow.expect_next("bob").await;
    }
    assert!(says("")(&status) && status.version > last.version, "{status:?} after {last:?}");
    assert!(read < CHANGES, "the client was slow enough to skip states");
    assert_eq!(slow.pushed_during(GRACE).await, []);
}

// SPEC F6
#[tokio::test]
async fn a_first_login_raises_callbacks_for_the_user_and_all_it_watches_at_most_100_each() {
    let rollcall = Rollcall::start().await;
    let app = rollcall.app().await;
    let targets = ids("u", 150);
    let mut before = app.session("alice", "before").await;
    for part in targets.chunks(100) {
        before.subscribe(&borrowed(part)).await.ok();
    }
    let _u7 = app.session("u7", "d").await;

    let (_alice, recorder) = app.sdk("alice", "new").await;

    recorder.wait_for("all statuses", |_| recorder.since(0).len() >= 151).await;
    tokio::time::sleep(GRACE).await;
    let mut shown: Vec<String> =
        recorder.since(0).iter().map(|status| status.user_id.as_str().to_owned()).collect();
    shown.sort();
    let mut expected = targets;
    expected.push("alice".to_owned());
    expected.sort();
    assert_eq!(shown, expected, "each once");
    assert!(online(&recorder.shown("u7")[0]));
    for heard in recorder.heard() {
        assert!(!matches!(heard, Heard::Statuses(statuses) if statuses.len() > 100));
    }
}

// SPEC F6
#[tokio::test]
async fn after_a_reconnect_callbacks_come_only_for_what_differs() {
    let rollcall = Rollcall::start().await;
    let app = rollcall.app().await;
    let proxy = Proxy::start(rollcall.addresses().client());
    let (alice, recorder) = app.sdk_at(&url_of(proxy.address()), "alice", "d").await;
    let mut bob = app.session("bob", "d").await;
    let mut carol = app.session("carol", "d").await;
    alice.subscribe_user_status(&["bob", "carol", "dave"]).await.unwrap();
    for (user, general) in [("bob", online as fn(&UserStatus) -> bool), ("carol", online), ("dave", |_| true)]
    {
        recorder.wait_status(user, general).await;
    }
    // Carol changes and changes back: a newer version of what was shown is no difference.
    carol.set("").await.ok();
    let mark = recorder.mark();

    proxy.down();
    recorder.wait_for("the loss of the connection", lost).await;
    let changed = bob.set("changed meanwhile").await.ok().status();
    carol.set("for a moment").await.ok();
    carol.set("").await.ok();
    proxy.up();

    recorder.wait_status("bob", says("changed meanwhile")).await;
    tokio::time::sleep(GRACE).await;
    assert_eq!(recorder.since(mark), [changed]);
    reconnected_in_order(&recorder);
}

fn lost(heard: &[Heard]) -> bool {
    heard.contains(&Heard::Disconnected(9508))
}

/// Checks the callbacks of the connection over one loss.
fn reconnected_in_order(recorder: &Recorder) {
    let heard = recorder.heard();
    let about_connection: Vec<_> =
        heard.into_iter().filter(|heard| !matches!(heard, Heard::Statuses(_))).collect();
    let expected =
        [Heard::Connecting, Heard::Connected, Heard::Disconnected(9508), Heard::Connecting, Heard::Connected];
    assert_eq!(about_connection, expected);
}
