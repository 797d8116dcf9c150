//! SPEC B6: custom statuses that clear by themselves.

use std::time::{Duration, Instant};

use rollcall_conformance::{GRACE, online, says};
use rollcall_harness::{Rollcall, UserStatus};

/// Tells a status that is ONLINE, of a user who says nothing.
fn cleared(status: &UserStatus) -> bool {
    online(status) && says("")(status)
}

// SPEC B6
#[tokio::test]
async fn a_custom_status_clears_by_itself_at_its_time_and_never_before_in_one_change() {
    let rollcall = Rollcall::start().await;
    let app = rollcall.app().await;
    let mut alice = app.session("alice", "d").await;
    alice.subscribe(&["bob"]).await.ok();
    let mut phone = app.session("bob", "phone").await;
    let mut desk = app.session("bob", "desk").await;

    for seconds in [1, 3] {
        let begun = Instant::now();
        let status = phone.set_for("at lunch", seconds).await.ok().status();
        assert_eq!(alice.expect("bob", says("at lunch")).await, status);
        assert_eq!(desk.expect("bob", says("at lunch")).await, status);

        let after = alice.expect_next("bob").await;
        assert!(begun.elapsed() >= Duration::from_secs(seconds.into()), "after {:?}", begun.elapsed());
        assert!(cleared(&after) && after.version > status.version, "{after:?}");
        assert_eq!(desk.expect_next("bob").await, after);
        assert_eq!(phone.expect("bob", says("")).await, after);
        assert_eq!(phone.status_of("bob").await, after);
    }
    assert_eq!(alice.pushed_during(GRACE).await, [], "one change, not two");
}

// SPEC B6
#[tokio::test]
async fn a_later_set_replaces_the_time_and_with_an_equal_text_nobody_hears_of_it() {
    let rollcall = Rollcall::start().await;
    let app = rollcall.app().await;
    let mut alice = app.session("alice", "d").await;
    alice.subscribe(&["bob"]).await.ok();
    let mut bob = app.session("bob", "d").await;

    let status = bob.set_for("busy", 1).await.ok().status();
    alice.expect("bob", says("busy")).await;
    assert_eq!(bob.set("busy").await.ok().status(), status);
    assert_eq!(alice.pushed_during(Duration::from_secs(2)).await, [], "the time was taken back");

    let begun = Instant::now();
    assert_eq!(bob.set_for("busy", 1).await.ok().status(), status);
    assert_eq!(bob.set_for("busy", 3).await.ok().status(), status);
    assert!(cleared(&alice.expect_next("bob").await));
    assert!(begun.elapsed() >= Duration::from_secs(3), "after {:?}", begun.elapsed());

    bob.set_for("one", 1).await.ok();
    bob.set("another").await.ok();
    alice.expect("bob", says("another")).await;
    assert_eq!(alice.pushed_during(Duration::from_secs(2)).await, []);
    assert!(says("another")(&bob.status_of("bob").await));
}

// SPEC B6
#[tokio::test]
async fn a_time_is_1_second_to_30_days_and_one_beyond_is_refused_and_changes_nothing() {
    let rollcall = Rollcall::start().await;
    let app = rollcall.app().await;
    let mut bob = app.session("bob", "d").await;
    let before = bob.set("before").await.ok().status();

    for seconds in [2_592_001, u32::MAX] {
        bob.set_for("refused", seconds).await.refused(6017);
        bob.set_for("", seconds).await.refused(6017);
    }
    assert_eq!(bob.status_of("bob").await, before);

    assert!(says("for a month")(&bob.set_for("for a month", 2_592_000).await.ok().status()));
    assert!(says("for ever")(&bob.set_for("for ever", 0).await.ok().status()));
    assert!(cleared(&bob.set_for("", 1).await.ok().status()), "without a text there is nothing to clear");
}

// SPEC B3, B6
#[tokio::test]
async fn who_left_and_came_back_has_no_time_left_from_before() {
    let rollcall = Rollcall::start().await;
    let app = rollcall.app().await;
    let mut bob = app.session("bob", "d").await;
    bob.set_for("before", 2).await.ok();
    bob.logout().await.ok();

    let mut bob = app.session("bob", "d").await;
    let status = bob.set("after").await.ok().status();
    assert_eq!(bob.pushed_during(Duration::from_secs(3)).await, []);
    assert_eq!(bob.status_of("bob").await, status);
}

// SPEC B6
#[tokio::test]
async fn the_sdk_that_set_it_raises_a_callback_when_it_clears() {
    let rollcall = Rollcall::start().await;
    let app = rollcall.app().await;
    let (bob, recorder) = app.sdk("bob", "d").await;
    let begun = Instant::now();
    // Part of a second counts as a whole one.
    let set = bob.set_self_status_for(Some("at lunch"), Duration::from_millis(1_100)).await.unwrap();
    recorder.wait_status("bob", says("at lunch")).await;

    let after = recorder.wait_status("bob", |status| status.version > set.version).await;
    assert!(cleared(&after), "{after:?}");
    assert!(begun.elapsed() >= Duration::from_secs(2), "after {:?}", begun.elapsed());
    for refused in [Duration::ZERO, Duration::from_hours(24 * 30 + 1), Duration::MAX] {
        let error = bob.set_self_status_for(Some("refused"), refused).await.unwrap_err();
        assert_eq!(error.code.number(), 6017);
    }
}
