//! Gateways that die, and gateways that are stopped.

use std::time::Instant;

use rollcall_faults::{DEAD_AFTER, MOVED_AFTER, Ring, cluster};
use rollcall_harness::{Dial, General};

// FAULT 5, SPEC A11
#[tokio::test]
async fn who_comes_back_after_a_gateway_was_killed_never_flickers_and_who_does_not_is_offline() {
    let mut rollcall = cluster().await;
    let app = rollcall.app().await;
    let ring = Ring::start(&rollcall, &app, 20).await;
    let at = |number: usize| Dial::new(&rollcall.addresses().clients[number]);
    let gone = app.session_by(at(0), "PLATFORM_LINUX", "gone", "d").await;
    let mut watcher = app.session_by(at(1), "PLATFORM_LINUX", "watcher", "d").await;
    watcher.subscribe(&["gone"]).await.ok();
    watcher.expect("gone", |status| status.general == General::Online).await;
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
    let at = |number: usize| Dial::new(&rollcall.addresses().clients[number]);
    let mut deaf = app.session_by(at(0), "PLATFORM_LINUX", "deaf", "d").await;
    let mut watcher = app.session_by(at(1), "PLATFORM_LINUX", "watcher", "d").await;
    watcher.subscribe(&["deaf"]).await.ok();
    watcher.expect("deaf", |status| status.general == General::Online).await;

    rollcall.process("gateway", 0).terminate().await;
    assert_eq!(deaf.closed().await, Some(3000));
    let closed = Instant::now();

    watcher.expect("deaf", |status| status.general == General::Offline).await;
    // The connection was closed a moment before its process ended.
    assert!(closed.elapsed() >= MOVED_AFTER.mul_f64(0.8), "OFFLINE after {:?}", closed.elapsed());
}
