//! SPEC F2, F3, I2: notifications of friends.

use rollcall_conformance::{GRACE, borrowed, ids, offline, online, says};
use rollcall_harness::{App, Heard, Proxy, Raw, Rollcall, Setup, UserStatus, eventually, url_of};
use rollcall_proto::common::v1::{Edition, Limits};

/// An app in which friends are heard of, and subscriptions are not.
fn standard() -> Setup {
    Setup { edition: Edition::Standard, ..premium() }
}

/// An app in which friends and subscriptions are heard of.
fn premium() -> Setup {
    Setup { friend_status: true, ..Setup::default() }
}

/// Changes an app and waits until the gateways of some sessions know: `most`, the limit of ids in a query, is
/// another each time, and lower.
async fn set(app: &App, setup: Setup, most: usize, sessions: &mut [&mut Raw]) {
    let limits = Limits { query_ids: u32::try_from(most).unwrap(), ..Limits::default() };
    app.set(Setup { limits, ..setup }).await;
    let too_many = ids("q", most + 1);
    for session in sessions {
        let knows = async || session.query(&borrowed(&too_many)).await.code == 6017;
        eventually("the gateway to know how the app is set", knows).await;
    }
}

/// Waits until a session was shown such a status of each of some users, in whatever order.
async fn expect_each(session: &mut Raw, users: &[&str], until: impl Fn(&UserStatus) -> bool) {
    let mut left = users.to_vec();
    while !left.is_empty() {
        let status = session.next_status().await;
        left.retain(|user| *user != status.user_id.as_str() || !until(&status));
    }
}

/// Tells statuses of one user.
fn of<'a>(statuses: &'a [UserStatus], user: &str) -> Vec<&'a UserStatus> {
    statuses.iter().filter(|status| status.user_id.as_str() == user).collect()
}

// SPEC F2
#[tokio::test]
async fn every_session_of_a_user_hears_of_friends_without_a_call_in_any_edition() {
    let rollcall = Rollcall::start().await;
    for setup in [standard(), premium()] {
        let app = rollcall.app_with(setup).await;
        app.befriend("alice", &["bob"]).await;
        // One after the other, and so on different gateways of a cluster.
        let mut linux = app.session("alice", "d").await;
        let mut mac = app.session_on("PLATFORM_MAC", "alice", "d").await;
        let mut stranger = app.session("carol", "d").await;

        let mut bob = app.session("bob", "d").await;
        linux.expect("bob", online).await;
        mac.expect("bob", online).await;
        let status = bob.set("for friends").await.ok().status();
        for session in [&mut linux, &mut mac] {
            assert_eq!(session.expect_next("bob").await, status);
        }
        linux.set("unheard by bob").await.ok();
        assert_eq!(
            of(&bob.pushed_during(GRACE).await, "alice").len(),
            0,
            "hearing of somebody is not mutual"
        );
        assert_eq!(of(&stranger.take_unread(), "bob").len(), 0);
        bob.lose().await;
        for session in [&mut linux, &mut mac] {
            session.expect("bob", offline).await;
        }
    }
}

// SPEC F3
#[tokio::test]
async fn with_friend_status_off_a_friend_hears_nothing_unless_subscribed() {
    let rollcall = Rollcall::start().await;
    for setup in [Setup::default(), Setup { status: false, ..premium() }] {
        let app = rollcall.app_with(setup).await;
        app.befriend("alice", &["bob"]).await;
        app.befriend("carol", &["bob"]).await;
        let mut alice = app.session("alice", "d").await;
        let mut carol = app.session("carol", "d").await;
        if setup.status {
            carol.subscribe(&["bob"]).await.ok();
        }
        let mut bob = app.session("bob", "d").await;
        let status = bob.set("for subscribers").await.ok().status();
        if setup.status {
            assert_eq!(carol.expect("bob", says("for subscribers")).await, status);
        }
        assert_eq!(of(&alice.pushed_during(GRACE).await, "bob").len(), 0);
    }
}

// SPEC I2
#[tokio::test]
async fn friends_come_and_go_while_a_user_is_connected() {
    let rollcall = Rollcall::start().await;
    let app = rollcall.app_with(standard()).await;
    let mut bob = app.session("bob", "d").await;
    let mut carol = app.session("carol", "d").await;
    let shown = bob.set("before").await.ok().status();
    let mut linux = app.session("alice", "d").await;
    let mut mac = app.session_on("PLATFORM_MAC", "alice", "d").await;

    app.befriend("alice", &["bob"]).await;
    for session in [&mut linux, &mut mac] {
        assert_eq!(session.expect_next("bob").await, shown);
    }
    app.befriend("alice", &["carol"]).await;
    for session in [&mut linux, &mut mac] {
        session.expect("carol", online).await;
    }
    bob.set("heard").await.ok();
    for session in [&mut linux, &mut mac] {
        session.expect("bob", says("heard")).await;
    }

    app.unfriend("alice", &["bob"]).await;
    // Friends that go are told to nobody: the one who stays is heard of while the time of 2 s passes.
    for session in [&mut linux, &mut mac] {
        session.pushed_during(GRACE).await;
        session.pushed_during(GRACE).await;
    }
    bob.set("unheard").await.ok();
    carol.set("heard").await.ok();
    for session in [&mut linux, &mut mac] {
        session.expect("carol", says("heard")).await;
        assert_eq!(of(&session.pushed_during(GRACE).await, "bob").len(), 0);
    }

    linux.forget(&["bob"]);
    mac.forget(&["bob"]);
    app.befriend("alice", &["bob"]).await;
    for session in [&mut linux, &mut mac] {
        session.expect("bob", says("unheard")).await;
    }
}

// SPEC G1, F2
#[tokio::test]
async fn friends_of_connected_users_are_heard_of_once_friend_status_is_turned_on() {
    let rollcall = Rollcall::start().await;
    let off = Setup { friend_status: false, ..standard() };
    let app = rollcall.app_with(off).await;
    // More than anybody may subscribe to.
    let friends = ids("friend", 250);
    app.befriend("alice", &borrowed(&friends)).await;
    let mut linux = app.session("alice", "d").await;
    let mut mac = app.session_on("PLATFORM_MAC", "alice", "d").await;
    let _friend = app.session("friend7", "d").await;
    for session in [&mut linux, &mut mac] {
        let unread = session.pushed_during(GRACE).await;
        assert!(unread.iter().all(|status| status.user_id.as_str() == "alice"), "{unread:?}");
    }

    app.set(standard()).await;

    for session in [&mut linux, &mut mac] {
        let mut shown: Vec<UserStatus> = Vec::new();
        while shown.len() < friends.len() {
            shown.push(session.next_status().await);
        }
        let mut users: Vec<&str> = shown.iter().map(|status| status.user_id.as_str()).collect();
        users.sort_unstable();
        let mut expected = borrowed(&friends);
        expected.sort_unstable();
        assert_eq!(users, expected);
        assert!(online(of(&shown, "friend7")[0]));
    }
}

// SPEC G1, F2, F4
#[tokio::test]
async fn when_a_switch_that_friends_need_is_turned_on_again_watchers_are_told_what_they_missed_and_no_more() {
    let rollcall = Rollcall::start().await;
    for off in [Setup { friend_status: false, ..standard() }, Setup { status: false, ..standard() }] {
        let app = rollcall.app_with(standard()).await;
        app.befriend("alice", &["bob", "carol"]).await;
        let mut alice = app.session("alice", "d").await;
        let mut bob = app.session("bob", "d").await;
        let _carol = app.session("carol", "d").await;
        expect_each(&mut alice, &["bob", "carol"], online).await;

        set(&app, off, 400, &mut [&mut alice]).await;
        bob.set("missed and overtaken").await.ok();
        let last = bob.set("missed").await.ok().status();
        assert_eq!(alice.pushed_during(GRACE).await, []);

        set(&app, standard(), 300, &mut [&mut alice]).await;
        assert_eq!(alice.next_status().await, last);
        assert_eq!(alice.pushed_during(GRACE).await, []);
    }
}

// SPEC G1, F2
#[tokio::test]
async fn a_fall_to_standard_leaves_the_notifications_of_friends() {
    let rollcall = Rollcall::start().await;
    let app = rollcall.app_with(premium()).await;
    app.befriend("alice", &["friend", "both"]).await;
    let mut alice = app.session("alice", "d").await;
    alice.subscribe(&["subscribed"]).await.ok();
    let mut others = Vec::new();
    for user in ["friend", "both", "subscribed"] {
        others.push(app.session(user, "d").await);
        alice.expect(user, online).await;
    }
    alice.forget(&["both"]);
    alice.subscribe(&["both"]).await.ok();
    alice.expect("both", online).await;

    set(&app, standard(), 400, &mut [&mut alice]).await;
    for other in &mut others {
        other.set("in edition STANDARD").await.ok();
    }

    expect_each(&mut alice, &["friend", "both"], says("in edition STANDARD")).await;
    assert_eq!(of(&alice.pushed_during(GRACE).await, "subscribed").len(), 0);
    set(&app, premium(), 300, &mut [&mut alice]).await;
    alice.expect("subscribed", says("in edition STANDARD")).await;
}

// SPEC E2, F2
#[tokio::test]
async fn who_is_unsubscribed_is_heard_of_only_as_a_friend() {
    let rollcall = Rollcall::start().await;
    let app = rollcall.app_with(premium()).await;
    app.befriend("alice", &["friend"]).await;
    let mut alice = app.session("alice", "d").await;
    let mut friend = app.session("friend", "d").await;
    let mut other = app.session("other", "d").await;
    alice.expect("friend", online).await;
    alice.subscribe(&["other"]).await.ok();
    alice.forget(&["friend"]);
    alice.subscribe(&["friend"]).await.ok();
    alice.expect("friend", online).await;

    alice.unsubscribe(&[]).await.ok();
    alice.take_unread();

    other.set("unheard").await.ok();
    let status = friend.set("heard").await.ok().status();
    assert_eq!(alice.next_status().await, status);
    assert_eq!(alice.pushed_during(GRACE).await, []);
    assert_eq!(alice.subscriptions().await, [""; 0]);
}

// SPEC D3, D6
#[tokio::test]
async fn a_friend_who_is_subscribed_is_shown_anew_and_counts() {
    let rollcall = Rollcall::start().await;
    let limits = Limits { subscriptions: 1, ..Limits::default() };
    let app = rollcall.app_with(Setup { limits, ..premium() }).await;
    app.befriend("alice", &["bob"]).await;
    let mut alice = app.session("alice", "d").await;
    let _bob = app.session("bob", "d").await;
    let shown = alice.expect("bob", online).await;
    alice.subscribe(&["carol"]).await.ok();

    alice.forget(&["bob"]);
    let reply = alice.subscribe(&["bob"]).await.ok();
    assert_eq!(reply.evicted(), ["carol"]);
    assert_eq!(alice.expect_next("bob").await, shown);
    assert_eq!(alice.subscriptions().await, ["bob"]);
}

// SPEC F6, F2
#[tokio::test]
async fn an_sdk_raises_callbacks_for_friends_at_login_and_after_a_reconnect_for_what_differs() {
    let rollcall = Rollcall::start().await;
    let app = rollcall.app_with(standard()).await;
    let mut friends = ids("friend", 148);
    friends.extend(["bob".to_owned(), "carol".to_owned()]);
    app.befriend("alice", &borrowed(&friends)).await;
    let mut bob = app.session("bob", "d").await;
    let _carol = app.session("carol", "d").await;
    let proxy = Proxy::start(rollcall.addresses().client());

    let (_alice, recorder) = app.sdk_at(&url_of(proxy.address()), "alice", "d").await;

    recorder.wait_for("all statuses", |_| recorder.since(0).len() >= 151).await;
    assert_eq!(recorder.since(0).len(), 151, "each friend once, and alice");
    for heard in recorder.heard() {
        assert!(!matches!(heard, Heard::Statuses(statuses) if statuses.len() > 100));
    }
    let mark = recorder.mark();
    proxy.down();
    let lost = |heard: &[Heard]| heard.contains(&Heard::Disconnected(9508));
    recorder.wait_for("the loss of the connection", lost).await;
    let changed = bob.set("changed meanwhile").await.ok().status();
    proxy.up();
    recorder.wait_status("bob", says("changed meanwhile")).await;
    tokio::time::sleep(GRACE).await;
    assert_eq!(recorder.since(mark), [changed]);
}
