//! Gateways that die, and gateways that are stopped.

use std::time::{Duration, Instant};

use rollcall_faults::{DEAD_AFTER, MOVED_AFTER, Ring, at, cluster, log_in, watched};
use rollcall_harness::General;

// FAULT 5, SPEC A11
#[tokio::test]
async fn who_comes_back_after_a_gateway_was_killed_never_flickers_and_who_does_not_is_offline() {
    let mut rollcall = cluster().await;
    let app = rollcall.app().await;
    let ring = Ring::start(&rollcall, &app, 20).await;
    let (gone, mut watcher) = watched(&rollcall, &app, "gone").await;
    ring.say("before").await;

    let killed = Instant::now();
    rollcall.process("gateway", 0).kill();

    watcher.expect("gone", |status| status.general == General::Offline).await;
    assert!(killed.elapsed() >= DEAD_AFTER, "OFFLINE after {:?}", killed.elapsed());
    ring.say("after").await;
    ring.wait("the last text", |status| status.custom == "after").await;
    ring.assert_nobody_left();
    drop(gone);
}

// FAULT 6, SPEC A11
#[tokio::test]
async fn nobody_notices_that_gateways_are_restarted_one_after_the_other() {
    let mut rollcall = cluster().await;
    let app = rollcall.app().await;
    let ring = Ring::start(&rollcall, &app, 20).await;
    for number in 0..2 {
        let mut failed = ring.say(&format!("before {number}")).await;
        let text = format!("while {number} stops");
        let ((), failures) = tokio::join!(rollcall.process("gateway", number).terminate(), ring.say(&text));
        failed += failures + ring.say(&format!("without {number}")).await;
        rollcall.start_again("gateway", number).await;
        let last = format!("after {number}");
        failed += ring.say(&last).await;
        assert_eq!(failed, 0, "calls failed");
        ring.wait("the last text", |status| status.custom == last).await;
    }
    ring.assert_nobody_left();
}

// SPEC A11
#[tokio::test]
async fn who_ignores_that_a_gateway_stops_is_offline_after_the_grace() {
    let mut rollcall = cluster().await;
    let app = rollcall.app().await;
    let (mut deaf, mut watcher) = watched(&rollcall, &app, "deaf").await;
    let mut streaming = log_in(&app, at(&rollcall, 0).grpc(), "streaming", "d").await;

    rollcall.process("gateway", 0).terminate().await;
    assert_eq!(deaf.closed().await, Some(3000));
    let closed = Instant::now();
    assert_eq!(streaming.closed().await, Some(3000));
    assert_eq!(streaming.grpc_status(), Some(14), "UNAVAILABLE");

    watcher.expect("deaf", |status| status.general == General::Offline).await;
    // The connection was closed a moment before its process ended.
    assert!(closed.elapsed() >= MOVED_AFTER.mul_f64(0.8), "OFFLINE after {:?}", closed.elapsed());
    // By now, it would have been declared dead.
    assert!(closed.elapsed() > DEAD_AFTER);
    assert!(rollcall.log().contains("a gateway took its leave"));
    assert!(!rollcall.log().contains("it is dead"), "{}", rollcall.log());
}

// FAULT 21
#[tokio::test]
async fn a_gateway_that_stood_still_for_less_than_a_lease_costs_nobody_the_status() {
    let mut rollcall = cluster().await;
    let app = rollcall.app().await;
    let (mut alice, mut watcher) = watched(&rollcall, &app, "alice").await;

    for seconds in [1, 3] {
        rollcall.process("gateway", 0).stop();
        tokio::time::sleep(Duration::from_secs(seconds)).await;
        rollcall.process("gateway", 0).resume();
        let text = format!("after {seconds} s");
        alice.set(&text).await.ok();
        let next = watcher.next_status().await;
        assert_eq!((next.general, next.custom), (General::Online, text));
    }
    // That it heard no answer while it stood still says nothing.
    assert!(!rollcall.log().contains("cut off"), "{}", rollcall.log());
}

// FAULT 21, SPEC A11
#[tokio::test]
async fn a_gateway_that_stood_still_for_longer_comes_back_under_another_name_with_its_clients() {
    let mut rollcall = cluster().await;
    let app = rollcall.app().await;
    let (mut alice, mut watcher) = watched(&rollcall, &app, "alice").await;

    let stopped = Instant::now();
    rollcall.process("gateway", 0).stop();
    watcher.expect("alice", |status| status.general == General::Offline).await;
    assert!(stopped.elapsed() >= DEAD_AFTER, "OFFLINE after {:?}", stopped.elapsed());
    tokio::time::sleep(Duration::from_secs(9).saturating_sub(stopped.elapsed())).await;
    rollcall.process("gateway", 0).resume();

    watcher.expect("alice", |status| status.general == General::Online).await;
    alice.set("on the same connection").await.ok();
    watcher.expect("alice", |status| status.custom == "on the same connection").await;
}
