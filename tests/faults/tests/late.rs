//! What gateways tell too late, or by another way than usual.

use std::time::Duration;

use rollcall_faults::{EXPIRY, GRACE, at, log_in, say, watcher};
use rollcall_harness::{Deployment, Direction, Fault, General, Link, Metrics, Rollcall, eventually};

// FAULT 4, SPEC A5
#[tokio::test]
async fn a_late_heartbeat_of_a_closed_session_revives_nobody() {
    let ways = [Link::Nats, Link::Presence, Link::Notifier];
    let builder = Rollcall::builder().deployment(Deployment::Cluster);
    let rollcall = ways.into_iter().fold(builder, |builder, to| builder.link("gateway", 0, to)).start().await;
    let app = rollcall.app().await;
    let mut watcher = watcher(&rollcall, &app, &["bob"]).await;
    let mut old = log_in(&app, at(&rollcall, 0), "bob", "d").await;
    say(&mut old, "bob", &mut watcher, "before").await;

    // Gateway 0 speaks and hears nothing: it does not learn that another session takes the place of the one that
    // beats there, and that this one logs out.
    for way in ways {
        rollcall.link("gateway", 0, way).set(Direction::Down, Fault::Hold);
    }
    let mut new = log_in(&app, at(&rollcall, 1), "bob", "d").await;
    new.logout().await.ok();
    let last = watcher.expect_next("bob").await;
    assert_eq!(last.general, General::Unlogined);
    eventually("presence to be told of a session that is no more", async || missing(&rollcall).await > 0)
        .await;
    assert_eq!(watcher.pushed_during(GRACE).await, []);

    // What it learns first is that presence does not hold the session. It asserts it, in vain.
    for way in [Link::Nats, Link::Presence] {
        rollcall.link("gateway", 0, way).set(Direction::Down, Fault::Nothing);
    }
    assert!(old.closed().await.is_some(), "the old connection is told to go");
    assert_eq!(watcher.pushed_during(GRACE).await, []);
    rollcall.link("gateway", 0, Link::Notifier).set(Direction::Down, Fault::Nothing);
    assert_eq!(watcher.pushed_during(GRACE).await, []);
    assert_eq!(watcher.status_of("bob").await, last);
}

// FAULT 4, FAULT 8
#[tokio::test]
async fn reports_that_the_bus_swallows_for_longer_than_the_expiry_arrive_by_the_other_way() {
    let builder = Rollcall::builder().deployment(Deployment::Cluster);
    let rollcall = builder.link("gateway", 0, Link::Nats).start().await;
    let app = rollcall.app().await;
    let mut watcher = watcher(&rollcall, &app, &["bob"]).await;
    let mut bob = log_in(&app, at(&rollcall, 0), "bob", "d").await;
    say(&mut bob, "bob", &mut watcher, "before").await;

    for direction in [Direction::Up, Direction::Down] {
        rollcall.link("gateway", 0, Link::Nats).set(direction, Fault::Drop);
        assert_eq!(watcher.pushed_during(EXPIRY + Duration::from_secs(2)).await, [], "{direction:?}");
        rollcall.link("gateway", 0, Link::Nats).set(direction, Fault::Nothing);
    }

    // Who closes is gone at once all the same.
    rollcall.link("gateway", 0, Link::Nats).set(Direction::Up, Fault::Drop);
    bob.lose().await;
    assert_eq!(watcher.next_status().await.general, General::Offline);
}

/// Counts the sessions that presence was told of and did not hold.
async fn missing(rollcall: &Rollcall) -> u64 {
    let mut missing = 0;
    for ops in rollcall.ops() {
        let metrics = Metrics::read(ops).await;
        let series = "rollcall_presence_sessions_missing_total";
        if metrics.series().any(|found| found == series) {
            missing += metrics.of(series);
        }
    }
    missing
}
