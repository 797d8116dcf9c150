//! Links that stand still.

use std::time::Duration;

use rollcall_faults::{EXPIRY, at, log_in, say, watcher};
use rollcall_harness::{Deployment, Direction, Fault, Link, Rollcall};

/// SPEC K: the store did not serve a call in time.
const SERVER_TIMEOUT: i32 = 70_169;

/// How long the store is out of reach in the profile `fast`.
const AWAY: Duration = Duration::from_secs(10);

// FAULT 24, SPEC F5
#[tokio::test]
async fn a_gateway_whose_stream_is_stalled_delays_nobody_elsewhere_and_shows_the_last_state_afterwards() {
    let builder = Rollcall::builder().deployment(Deployment::Cluster);
    let rollcall = builder.link("gateway", 0, Link::Notifier).start().await;
    let app = rollcall.app().await;
    let mut elsewhere = watcher(&rollcall, &app, &["bob"]).await;
    let mut here = log_in(&app, at(&rollcall, 0), "another", "d").await;
    here.subscribe(&["bob"]).await.ok();
    let mut bob = log_in(&app, at(&rollcall, 1), "bob", "d").await;
    say(&mut bob, "bob", &mut elsewhere, "before").await;
    here.expect("bob", |status| status.custom == "before").await;

    let stream = rollcall.link("gateway", 0, Link::Notifier);
    for (round, stalled) in [EXPIRY / 8, EXPIRY].into_iter().enumerate() {
        stream.set(Direction::Both, Fault::Hold);
        for number in 0..100 {
            // Each is waited for, one after the other.
            say(&mut bob, "bob", &mut elsewhere, &format!("{round} {number}")).await;
        }
        here.pushed_during(stalled).await;
        stream.set(Direction::Both, Fault::Nothing);
        let last = format!("{round} 99");
        here.expect("bob", |status| status.custom == last).await;
    }
}

// FAULT 12
#[tokio::test]
async fn while_the_store_is_out_of_reach_sets_fail_and_take_no_effect_later_and_nobody_leaves() {
    let mut builder = Rollcall::builder().deployment(Deployment::Cluster);
    for service in ["gateway", "presence"] {
        // By default the store is away for 60 s of 400 s.
        builder = builder.setting(service, "expiry = \"20s\"");
    }
    let places = [("presence", 0), ("presence", 1), ("subscription", 0), ("subscription", 1)];
    for (service, number) in places {
        builder = builder.link(service, number, Link::Redis);
    }
    let rollcall = builder.start().await;
    let links = places.map(|(service, number)| rollcall.link(service, number, Link::Redis));
    let app = rollcall.app().await;
    let mut watcher = watcher(&rollcall, &app, &["bob"]).await;
    let mut bob = log_in(&app, at(&rollcall, 0), "bob", "d").await;
    say(&mut bob, "bob", &mut watcher, "before").await;

    // What is sent meanwhile arrives afterwards, as kernels send again.
    for link in links {
        link.set(Direction::Both, Fault::Hold);
    }
    assert_eq!(bob.set("never").await.code, SERVER_TIMEOUT);
    assert_eq!(watcher.pushed_during(AWAY).await, []);
    for link in links {
        link.set(Direction::Both, Fault::Nothing);
    }

    assert_eq!(watcher.pushed_during(EXPIRY).await, []);
    say(&mut bob, "bob", &mut watcher, "after").await;
}
