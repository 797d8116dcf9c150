//! SPEC A3, A4, A11, B3: what the less common ends of a session leave behind.

use std::time::{Duration, Instant};

use rollcall_conformance::{GRACE, offline, online, says, unlogined};
use rollcall_harness::{Dial, Rollcall};

/// SPEC A11's lower bound after a drain closed the connection, in the profile `fast`.
const MOVED_AFTER: Duration = Duration::from_secs(5);

// SPEC A3, A4, H7
#[tokio::test]
async fn a_kick_by_the_app_leaves_no_mark_on_any_platform_even_of_one_who_was_offline() {
    let rollcall = Rollcall::start().await;
    let app = rollcall.app().await;
    let mut alice = app.session("alice", "d").await;
    alice.subscribe(&["bob", "carol"]).await.ok();
    for user in ["bob", "carol"] {
        app.session_on("PLATFORM_ANDROID", user, "phone").await.lose().await;
        alice.expect(user, offline).await;
    }
    let _desk = app.session_on("PLATFORM_MAC", "bob", "desk").await;
    alice.expect("bob", online).await;

    for user in ["bob", "carol"] {
        app.kick(user).await;
        assert!(unlogined(&alice.expect_next(user).await), "{user}");
    }
    assert_eq!(alice.pushed_during(GRACE).await, []);
}

// SPEC B3, H3, H7
#[tokio::test]
async fn a_kick_and_the_end_of_a_token_clear_the_text_in_the_same_change() {
    let rollcall = Rollcall::start().await;
    let app = rollcall.app().await;
    let mut alice = app.session("alice", "d").await;
    alice.subscribe(&["kicked", "run out"]).await.ok();
    let mut kicked = app.session("kicked", "d").await;
    let mut run_out = rollcall.connect().await;
    let token = app.token_for("run out", 3);
    run_out.login_with(app.id, "run out", &token, "PLATFORM_LINUX", "d").await.ok();
    for (session, user) in [(&mut kicked, "kicked"), (&mut run_out, "run out")] {
        session.set("in a call").await.ok();
        alice.expect(user, says("in a call")).await;
    }

    app.kick("kicked").await;
    let left = alice.expect_next("kicked").await;
    assert!(unlogined(&left) && says("")(&left), "{left:?}");
    let left = alice.expect_next("run out").await;
    assert!(offline(&left) && says("")(&left), "{left:?}");
    assert_eq!(alice.pushed_during(GRACE).await, [], "one notification each, not two");
}

// SPEC A11
#[tokio::test]
async fn who_stays_on_a_gateway_that_stops_keeps_the_status_until_its_wait_is_over() {
    let mut rollcall = Rollcall::start().await;
    let app = rollcall.app().await;
    let gateways = rollcall.addresses().clients.clone();
    let at = |gateway: &String| Dial::new(gateway);
    // On another gateway than bob, where there is one.
    let mut alice = app.session_by(at(gateways.last().unwrap()), "PLATFORM_WEB", "alice", "d").await;
    let mut near = app.session_by(at(&gateways[0]), "PLATFORM_WEB", "near", "d").await;
    let mut bob = app.session_by(at(&gateways[0]), "PLATFORM_LINUX", "bob", "d").await;
    bob.set("still here").await.ok();
    for watcher in [&mut alice, &mut near] {
        watcher.subscribe(&["bob"]).await.ok();
        watcher.expect("bob", says("still here")).await;
    }

    let begun = Instant::now();
    let service = if gateways.len() > 1 { "gateway" } else { "rollcall" };
    rollcall.process(service, 0).terminate().await;

    for session in [&mut bob, &mut near] {
        assert_eq!(session.closed().await, Some(3000));
    }
    let of_bob = |session: &mut rollcall_harness::Raw| {
        session
            .take_unread()
            .into_iter()
            .filter(|status| status.user_id.as_str() == "bob")
            .collect::<Vec<_>>()
    };
    assert_eq!(of_bob(&mut near), [], "the status is held");
    if gateways.len() > 1 {
        let left = alice.expect_next("bob").await;
        assert!(offline(&left) && begun.elapsed() >= MOVED_AFTER, "{left:?} after {:?}", begun.elapsed());
    } else {
        assert_eq!(alice.closed().await, Some(3000));
        assert_eq!(of_bob(&mut alice), [], "the status is held");
    }
}
