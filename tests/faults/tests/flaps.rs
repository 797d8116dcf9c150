//! Clients that lose their connection and are back at once on another gateway, while the first still hears of the
//! old one.

use std::time::Duration;

use rollcall_faults::{EXPIRY, GRACE, at, cluster, log_in, proxy_at, say, watcher};
use rollcall_harness::{Deployment, Dial, Direction, Fault, General, Link, Raw, Rollcall};
use serde_json::json;

/// How long a client is away: 2 s at most.
const AWAY: Duration = Duration::from_millis(500);

/// How late the old close is in the profile `fast`.
const LATE: Duration = Duration::from_secs(3);

// FAULT 3, SPEC A5, SPEC H5
#[tokio::test]
async fn a_close_and_a_call_of_the_old_connection_that_arrive_late_change_nothing() {
    let rollcall = cluster().await;
    let app = rollcall.app().await;
    let mut watcher = watcher(&rollcall, &app, &["soon", "late"]).await;
    for (user, lateness) in [("soon", Duration::ZERO), ("late", LATE)] {
        let proxy = proxy_at(&rollcall, 0);
        let mut old = log_in(&app, Dial::new(proxy.address()), user, "d").await;
        say(&mut old, user, &mut watcher, "before").await;

        proxy.set(Direction::Both, Fault::Hold);
        old.begin(json!({ "setSelfStatus": { "custom": "too late" } })).await;
        old.lose().await;
        tokio::time::sleep(AWAY).await;
        let new = log_in(&app, at(&rollcall, 1), user, "d").await;
        tokio::time::sleep(lateness).await;
        proxy.set(Direction::Both, Fault::Nothing);

        // Nobody saw that the user was away.
        assert_eq!(watcher.pushed_during(GRACE).await, []);
        leaves_no_mark(new, user, &mut watcher).await;
    }
}

// FAULT 3, SPEC A5
#[tokio::test]
async fn the_late_close_of_another_device_does_not_end_the_user_who_is_back() {
    let rollcall = cluster().await;
    let app = rollcall.app().await;
    let mut watcher = watcher(&rollcall, &app, &["bob"]).await;
    let proxy = proxy_at(&rollcall, 0);
    let mut old = log_in(&app, Dial::new(proxy.address()), "bob", "old").await;
    say(&mut old, "bob", &mut watcher, "before").await;

    proxy.set(Direction::Both, Fault::Hold);
    old.lose().await;
    tokio::time::sleep(AWAY).await;
    let new = log_in(&app, at(&rollcall, 1), "bob", "new").await;
    tokio::time::sleep(LATE).await;
    proxy.set(Direction::Both, Fault::Nothing);

    assert_eq!(watcher.pushed_during(GRACE).await, []);
    leaves_no_mark(new, "bob", &mut watcher).await;
}

// FAULT 3, SPEC A5
#[tokio::test]
async fn a_close_whose_report_is_late_changes_nothing_for_the_user_who_is_back() {
    let rollcall = cluster_with_gateway_0_behind_proxies().await;
    let app = rollcall.app().await;
    let mut watcher = watcher(&rollcall, &app, &["bob"]).await;
    let mut old = log_in(&app, at(&rollcall, 0), "bob", "d").await;
    say(&mut old, "bob", &mut watcher, "before").await;

    cut_off(&rollcall, Fault::Hold);
    old.lose().await;
    tokio::time::sleep(AWAY).await;
    let new = log_in(&app, at(&rollcall, 1), "bob", "d").await;
    tokio::time::sleep(LATE).await;
    cut_off(&rollcall, Fault::Nothing);

    assert_eq!(watcher.pushed_during(EXPIRY).await, []);
    leaves_no_mark(new, "bob", &mut watcher).await;
}

// FAULT 3, FAULT 22, SPEC A5
#[tokio::test]
async fn a_gateway_that_was_dead_does_not_bring_back_a_connection_that_its_client_has_left() {
    let rollcall = cluster_with_gateway_0_behind_proxies().await;
    let app = rollcall.app().await;
    let mut watcher = watcher(&rollcall, &app, &["bob"]).await;
    // It goes on to beat, as one whose app was killed and started again behind a proxy that does not know.
    let mut old = log_in(&app, at(&rollcall, 0), "bob", "d").await;
    say(&mut old, "bob", &mut watcher, "before").await;

    cut_off(&rollcall, Fault::Drop);
    let new = log_in(&app, at(&rollcall, 1), "bob", "d").await;
    // Longer than the lease.
    assert_eq!(watcher.pushed_during(EXPIRY).await, []);
    for link in [Link::Nats, Link::Presence, Link::Notifier] {
        rollcall.link("gateway", 0, link).reset();
    }
    cut_off(&rollcall, Fault::Nothing);

    assert!(old.closed().await.is_some(), "the old connection is told to go");
    assert_eq!(watcher.pushed_during(GRACE).await, []);
    leaves_no_mark(new, "bob", &mut watcher).await;
}

/// Starts a cluster whose gateway 0 reaches everything that it needs to report and to hear through proxies.
async fn cluster_with_gateway_0_behind_proxies() -> Rollcall {
    let builder = Rollcall::builder().deployment(Deployment::Cluster);
    let links = [Link::Nats, Link::Presence, Link::Notifier];
    links.into_iter().fold(builder, |builder, to| builder.link("gateway", 0, to)).start().await
}

fn cut_off(rollcall: &Rollcall, fault: Fault) {
    for link in [Link::Nats, Link::Presence, Link::Notifier] {
        rollcall.link("gateway", 0, link).set(Direction::Both, fault);
    }
}

/// Checks that the user's session is the only one: it is heard, and after it there is nothing that makes OFFLINE.
async fn leaves_no_mark(mut session: Raw, user: &str, watcher: &mut Raw) {
    let before = watcher.status_of(user).await;
    assert_eq!((before.general, before.custom.as_str()), (General::Online, "before"));
    session.set("after").await.ok();
    assert_eq!(watcher.next_status().await.custom, "after");
    session.logout().await.ok();
    let last = watcher.next_status().await;
    assert_eq!((last.general, last.custom.as_str()), (General::Unlogined, ""));
    assert_eq!(watcher.pushed_during(GRACE).await, []);
}
