//! SPEC D5: the subscriptions of users who have left.

use std::time::{Duration, Instant};

use rollcall_conformance::{GRACE, online, says};
use rollcall_harness::{App, Metrics, Raw, Rollcall, eventually};

/// How long subscriptions outlive their user's last moment ONLINE, in the profile `fast`.
const IDLE_AFTER: Duration = Duration::from_secs(10);

/// Logs in, and returns how many subscriptions are kept from before.
async fn come_back(rollcall: &Rollcall, app: &App, user: &str) -> (Raw, u64) {
    let mut session = rollcall.connect().await;
    let reply = session.login(app, user, "d").await.ok();
    let kept = reply.result("login")["subscriptions"].as_u64().expect("a count");
    (session, kept)
}

// SPEC D5
#[tokio::test]
async fn subscriptions_go_a_while_after_the_last_moment_online_and_never_before() {
    let rollcall = Rollcall::start().await;
    let app = rollcall.app().await;
    let users = ["logged out", "lost"];
    let mut sessions = Vec::new();
    for user in users {
        let mut session = app.session(user, "d").await;
        session.subscribe(&["bob", "carol"]).await.ok();
        sessions.push(session);
    }
    // Longer than they would be kept if it counted from the subscribe.
    tokio::time::sleep(IDLE_AFTER / 2).await;
    let [mut logged_out, lost] = sessions.try_into().unwrap();
    let left = Instant::now();
    logged_out.logout().await.ok();
    lost.lose().await;

    for user in users {
        eventually("the subscriptions to go", async || rollcall.listed(&app, user).await.is_empty()).await;
        assert!(left.elapsed() >= IDLE_AFTER, "after {:?}", left.elapsed());
    }
    let _bob = app.session("bob", "d").await;
    for user in users {
        let (mut session, kept) = come_back(&rollcall, &app, user).await;
        assert_eq!((kept, session.subscriptions().await), (0, Vec::new()));
        let heard = session.pushed_during(GRACE).await;
        assert!(heard.iter().all(|status| status.user_id.as_str() == user), "{heard:?}");
        session.subscribe(&["bob"]).await.ok();
        session.expect("bob", online).await;
    }
}

// SPEC D5
#[tokio::test]
async fn who_is_online_again_by_then_keeps_them_and_the_time_begins_anew() {
    let rollcall = Rollcall::start().await;
    let app = rollcall.app().await;
    let mut alice = app.session("alice", "d").await;
    alice.subscribe(&["bob"]).await.ok();

    let begun = Instant::now();
    while begun.elapsed() < IDLE_AFTER * 2 {
        let left = Instant::now();
        alice.logout().await.ok();
        tokio::time::sleep(IDLE_AFTER / 3).await;
        let (session, kept) = come_back(&rollcall, &app, "alice").await;
        if left.elapsed() > IDLE_AFTER {
            // A machine so slow shows nothing.
            return;
        }
        assert_eq!(kept, 1);
        alice = session;
    }
}

// SPEC D5
#[tokio::test]
async fn one_who_stays_online_keeps_them() {
    let rollcall = Rollcall::start().await;
    let app = rollcall.app().await;
    let mut alice = app.session("alice", "d").await;
    alice.subscribe(&["bob"]).await.ok();

    tokio::time::sleep(IDLE_AFTER * 2 + GRACE).await;

    assert_eq!(rollcall.listed(&app, "alice").await, ["bob"]);
    let mut bob = app.session("bob", "d").await;
    bob.set("here").await.ok();
    alice.expect("bob", says("here")).await;
}

/// Counts the lists that were due and kept since their users are ONLINE, or were not long ago.
async fn put_off(rollcall: &Rollcall) -> u64 {
    let mut sum = 0;
    for process in rollcall.ops() {
        let metrics = Metrics::read(process).await;
        sum += metrics.of("rollcall_subscription_idle_lists_total{result=\"put_off\"}");
    }
    sum
}

// SPEC D5
#[tokio::test]
async fn a_login_puts_off_when_the_subscriptions_may_go() {
    let rollcall = Rollcall::start().await;
    let app = rollcall.app().await;
    let mut alice = app.session("alice", "d").await;
    alice.subscribe(&["bob"]).await.ok();
    tokio::time::sleep(IDLE_AFTER * 6 / 10).await;
    alice.logout().await.ok();
    let back = Instant::now();
    let (_alice, kept) = come_back(&rollcall, &app, "alice").await;
    assert_eq!(kept, 1);

    // Beyond the time that the subscribe gave, and before that of the login.
    tokio::time::sleep(IDLE_AFTER * 7 / 10).await;
    let looked_at = put_off(&rollcall).await;
    if back.elapsed() >= IDLE_AFTER {
        // A machine so slow shows nothing.
        return;
    }
    assert_eq!(looked_at, 0, "nobody looked at a list that was not due");
    eventually("the list to be due, and put off", async || put_off(&rollcall).await > 0).await;
    assert_eq!(rollcall.listed(&app, "alice").await, ["bob"]);
}
