//! SPEC B: the custom status.

use std::time::Duration;

use rollcall_conformance::{GRACE, offline, online, says, unlogined};
use rollcall_harness::{Heard, Proxy, Rollcall, Setup, UserStatus, url_of};
use serde_json::json;

// SPEC B1
#[tokio::test]
async fn a_custom_status_has_at_most_100_bytes_and_a_longer_one_changes_nothing() {
    let rollcall = Rollcall::start().await;
    let app = rollcall.app().await;
    let mut alice = app.session("alice", "d").await;
    let mut bob = app.session("bob", "d").await;

    for allowed in ["x".repeat(100), "한".repeat(33), "é".repeat(50)] {
        let status = bob.set(&allowed).await.ok().status();
        assert_eq!(status.custom, allowed);
        assert_eq!(alice.status_of("bob").await, status);
    }
    let before = alice.status_of("bob").await;
    alice.subscribe(&["bob"]).await.ok();
    alice.expect_next("bob").await;
    for refused in ["x".repeat(101), "한".repeat(34), "é".repeat(51), "x".repeat(4000)] {
        bob.set(&refused).await.refused(6017);
        assert_eq!(alice.status_of("bob").await, before);
    }
    assert_eq!(alice.pushed_during(GRACE).await, [], "nobody hears of a refused call");
}

// SPEC B1
#[tokio::test]
async fn a_nul_is_refused_wherever_it_stands() {
    let rollcall = Rollcall::start().await;
    let app = rollcall.app().await;
    let mut bob = app.session("bob", "d").await;
    let before = bob.set("before").await.ok().status();

    for refused in ["\0", "a\0", "\0a", "a\0b"] {
        bob.set(refused).await.refused(6017);
    }

    assert_eq!(bob.status_of("bob").await, before);
}

// SPEC B1, ATTACK X11
#[tokio::test]
async fn every_other_text_is_stored_and_delivered_byte_for_byte() {
    let rollcall = Rollcall::start().await;
    let app = rollcall.app().await;
    let mut alice = app.session("alice", "d").await;
    alice.subscribe(&["bob", "carol"]).await.ok();
    let mut bob = app.session("bob", "d").await;
    let mut carol = app.session_by(rollcall.dial().protobuf(), "PLATFORM_MAC", "carol", "d").await;

    for text in [
        "\u{1b}[2J\u{1b}]0;title\u{7}",
        "\r\n\t\u{8}\u{7f}\u{1}",
        "\u{85}\u{9b}31m",
        "\u{200b}\u{202e}desrever\u{2066}",
        "e\u{301} is not é",
        "👩‍👩‍👧 \u{10ffff}\u{feff}",
        "<script>alert(1)</script>&amp;",
        "{\"custom\":\"\\u0000\"} ' -- %s ${x}",
        "   ",
    ] {
        for (session, user) in [(&mut bob, "bob"), (&mut carol, "carol")] {
            let status = session.set(text).await.ok().status();
            assert_eq!(status.custom, text);
            assert_eq!(session.status_of(user).await, status);
            assert_eq!(alice.expect(user, says(text)).await, status);
        }
    }
}

// SPEC B2
#[tokio::test]
async fn an_empty_a_null_and_an_absent_text_clear_it() {
    let rollcall = Rollcall::start().await;
    let app = rollcall.app().await;
    let mut alice = app.session("alice", "d").await;
    alice.subscribe(&["bob"]).await.ok();
    let mut bob = app.session("bob", "d").await;

    for clearing in [json!({ "custom": "" }), json!({ "custom": null }), json!({})] {
        bob.set("busy").await.ok();
        alice.expect("bob", says("busy")).await;
        let status = bob.call(json!({ "setSelfStatus": clearing })).await.ok().status();
        assert!(online(&status) && says("")(&status), "{status:?}");
        assert_eq!(alice.expect_next("bob").await, status);
        assert_eq!(bob.status_of("bob").await, status);
    }
}

// SPEC B3
#[tokio::test]
async fn leaving_online_clears_it_in_the_same_change_whatever_the_end() {
    let rollcall = Rollcall::start().await;
    let app = rollcall.app().await;
    let mut alice = app.session("alice", "d").await;
    let users = ["lost", "logged out", "silent"];
    alice.subscribe(&users).await.ok();
    let mut sessions = Vec::new();
    for user in users {
        let mut session = app.session(user, "d").await;
        session.set("in a call").await.ok();
        alice.expect(user, says("in a call")).await;
        sessions.push(session);
    }
    let [lost, mut logged_out, mut silent] = sessions.try_into().unwrap();

    let end: fn(&UserStatus) -> bool = |status| offline(status) && says("")(status);
    lost.lose().await;
    assert!(end(&alice.expect_next("lost").await));
    logged_out.logout().await.ok();
    let left = alice.expect_next("logged out").await;
    assert!(unlogined(&left) && says("")(&left), "{left:?}");
    silent.fall_silent().await;
    assert!(end(&alice.expect_next("silent").await));

    assert_eq!(alice.pushed_during(GRACE).await, [], "one notification, not two");
    for user in users {
        let mut back = app.session(user, "d").await;
        let status = back.status_of(user).await;
        assert!(online(&status) && says("")(&status), "who comes back finds it empty: {status:?}");
        assert_eq!(alice.expect_next(user).await, status);
    }
}

// SPEC B3
#[tokio::test]
async fn an_sdk_that_comes_back_raises_one_callback_for_the_text_that_is_gone() {
    let rollcall = Rollcall::start().await;
    let app = rollcall.app().await;
    let proxy = Proxy::start(rollcall.addresses().client());
    let (bob, recorder) = app.sdk_at(&url_of(proxy.address()), "bob", "d").await;
    bob.set_self_status(Some("in a call")).await.unwrap();
    recorder.wait_status("bob", says("in a call")).await;
    let mark = recorder.mark();
    let mut alice = app.session("alice", "d").await;

    // Who is back before the loss is known never left ONLINE, and keeps the text.
    proxy.down();
    while !offline(&alice.status_of("bob").await) {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    proxy.up();

    recorder.wait_for("the second connection", |heard| connections(heard) == 2).await;
    let back = recorder.wait_status("bob", says("")).await;
    assert!(online(&back), "{back:?}");
    tokio::time::sleep(GRACE).await;
    assert_eq!(recorder.since(mark), [back]);
}

fn connections(heard: &[Heard]) -> usize {
    heard.iter().filter(|heard| **heard == Heard::Connected).count()
}

// SPEC B4
#[tokio::test]
async fn own_status_is_set_without_edition_and_switch() {
    let rollcall = Rollcall::start().await;
    for setup in [Setup::standard(), Setup::switched_off()] {
        let app = rollcall.app_with(setup).await;
        let mut bob = app.session("bob", "d").await;
        let status = bob.set("free").await.ok().status();
        assert_eq!(bob.status_of("bob").await, status);
    }
}

// SPEC B4
#[tokio::test]
async fn sets_are_never_refused_for_their_rate() {
    let rollcall = Rollcall::start().await;
    let app = rollcall.app().await;
    let mut bob = app.session("bob", "d").await;

    for number in 0..300 {
        let text = format!("text {number}");
        assert_eq!(bob.set(&text).await.ok().status().custom, text);
    }
}

// SPEC B4
#[tokio::test]
async fn sets_that_wait_are_answered_with_the_newest_that_overtook_them() {
    const SETS: usize = 500;
    let rollcall = Rollcall::start().await;
    let app = rollcall.app().await;
    let mut bob = app.session("bob", "d").await;
    let mut calls = Vec::new();
    for number in 0..SETS {
        calls.push(bob.begin(json!({ "setSelfStatus": { "custom": number.to_string() } })).await);
    }

    let (mut version, mut stored) = (0, 0);
    for (number, call) in calls.into_iter().enumerate() {
        let status = bob.reply(call).await.ok().status();
        let text: usize = status.custom.parse().unwrap();
        assert!((number..SETS).contains(&text), "set {number} was answered with text {text}");
        assert!(status.version >= version, "set {number} was answered with an older version");
        stored += usize::from(status.version > version);
        version = status.version;
    }
    // One is stored at a time, and the others come all at once.
    assert!(stored < SETS, "some were overtaken");

    let last = bob.status_of("bob").await;
    assert_eq!((last.custom, last.version), ((SETS - 1).to_string(), version));
}

// SPEC B5
#[tokio::test]
async fn the_reply_to_a_set_carries_what_is_stored_and_other_sessions_hear_of_it() {
    let rollcall = Rollcall::start().await;
    let app = rollcall.app().await;
    let mut alice = app.session("alice", "d").await;
    alice.subscribe(&["bob"]).await.ok();
    let mut phone = app.session("bob", "phone").await;
    let mut desk = app.session("bob", "desk").await;
    let before = phone.status_of("bob").await;

    let status = phone.set("lunch").await.ok().status();

    assert!(online(&status) && says("lunch")(&status) && status.version > before.version, "{status:?}");
    assert_eq!(alice.expect("bob", says("lunch")).await, status);
    assert_eq!(desk.expect("bob", says("lunch")).await, status);
    for session in [&mut alice, &mut desk, &mut phone] {
        assert_eq!(session.status_of("bob").await, status);
    }
}

// SPEC B5
#[tokio::test]
async fn an_equal_text_makes_no_version_and_nobody_else_hears_of_it() {
    let rollcall = Rollcall::start().await;
    let app = rollcall.app().await;
    let mut alice = app.session("alice", "d").await;
    alice.subscribe(&["bob"]).await.ok();
    let mut phone = app.session("bob", "phone").await;
    let mut desk = app.session("bob", "desk").await;
    let status = phone.set("lunch").await.ok().status();
    alice.expect("bob", says("lunch")).await;
    desk.expect("bob", says("lunch")).await;

    // By the same session and by another one.
    assert_eq!(phone.set("lunch").await.ok().status(), status);
    assert_eq!(desk.set("lunch").await.ok().status(), status);

    assert_eq!(alice.pushed_during(GRACE).await, []);
    assert_eq!(desk.pushed_during(Duration::from_millis(100)).await, []);
}

// SPEC B5
#[tokio::test]
async fn the_sdk_that_sets_raises_the_callback_also_when_the_text_is_equal() {
    let rollcall = Rollcall::start().await;
    let app = rollcall.app().await;
    let (bob, phone) = app.sdk("bob", "phone").await;
    let (_other, desk) = app.sdk("bob", "desk").await;
    let says_lunch = |shown: &[UserStatus]| shown.iter().filter(|status| says("lunch")(status)).count();

    let first = bob.set_self_status(Some("lunch")).await.unwrap();
    phone.wait_for("a callback", |_| says_lunch(&phone.shown("bob")) == 1).await;
    let second = bob.set_self_status(Some("lunch")).await.unwrap();

    assert_eq!(first, second);
    phone.wait_for("the echo", |_| says_lunch(&phone.shown("bob")) == 2).await;
    desk.wait_status("bob", says("lunch")).await;
    tokio::time::sleep(GRACE).await;
    assert_eq!(says_lunch(&phone.shown("bob")), 2, "one callback for each call");
    assert_eq!(says_lunch(&desk.shown("bob")), 1, "others hear of real changes only");
}
