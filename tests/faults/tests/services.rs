//! The services behind the gateways, killed and restarted while users change their statuses.

use std::time::{Duration, Instant};

use rollcall_faults::{Ring, cluster, watched};
use rollcall_harness::{General, eventually};

const SERVICES: [&str; 3] = ["presence", "subscription", "notifier"];

// FAULT 6, FAULT 10
#[tokio::test]
async fn nobody_is_shown_as_gone_and_no_change_is_lost_when_a_service_is_killed() {
    let mut rollcall = cluster().await;
    let app = rollcall.app().await;
    let ring = Ring::start(&rollcall, &app, 20).await;
    for service in SERVICES {
        for number in 0..2 {
            // In the midst of calls.
            let text = format!("while {service} {number} dies");
            let kill = async { rollcall.process(service, number).kill() };
            let (failed, ()) = tokio::join!(ring.say(&text), kill);
            assert_eq!(failed, 0, "calls failed");
            ring.wait("the text set meanwhile", |status| status.custom == text).await;
            let text = format!("without {service} {number}");
            assert_eq!(ring.say(&text).await, 0, "calls failed");
            ring.wait("the text set with one less", |status| status.custom == text).await;
            rollcall.start_again(service, number).await;
        }
    }
    ring.assert_nobody_left();
}

// FAULT 6
#[tokio::test]
async fn what_changes_while_there_is_no_notifier_is_shown_when_there_is_one_again() {
    let mut rollcall = cluster().await;
    let app = rollcall.app().await;
    let ring = Ring::start(&rollcall, &app, 20).await;
    let (mut leaving, mut watcher) = watched(&rollcall, &app, "leaving").await;

    for number in 0..2 {
        rollcall.process("notifier", number).kill();
    }
    assert_eq!(ring.say("unheard").await, 0, "calls failed");
    leaving.logout().await.ok();
    for number in 0..2 {
        rollcall.start_again("notifier", number).await;
    }

    ring.wait("the text set meanwhile", |status| status.custom == "unheard").await;
    watcher.expect("leaving", |status| status.general == General::Unlogined).await;
    ring.assert_nobody_left();
}

// FAULT 24
#[tokio::test]
async fn a_notifier_that_stands_still_is_left_for_another_and_nothing_is_missed() {
    let mut rollcall = cluster().await;
    let app = rollcall.app().await;
    let ring = Ring::start(&rollcall, &app, 20).await;
    for number in 0..2 {
        rollcall.process("notifier", number).stop();
        let text = format!("while {number} stands still");
        assert_eq!(ring.say(&text).await, 0, "calls failed");
        ring.wait("the text set meanwhile", |status| status.custom == text).await;
        rollcall.process("notifier", number).resume();
    }
    ring.assert_nobody_left();
}

// FAULT 6
#[tokio::test]
async fn nobody_notices_that_services_are_restarted_one_after_the_other() {
    let mut rollcall = cluster().await;
    let app = rollcall.app().await;
    let ring = Ring::start(&rollcall, &app, 20).await;
    for service in SERVICES {
        for number in 0..2 {
            let text = format!("while {service} {number} stops");
            let stop = rollcall.process(service, number).terminate();
            let (failed, ()) = tokio::join!(ring.say(&text), stop);
            assert_eq!(failed, 0, "calls failed");
            let text = format!("without {service} {number}");
            assert_eq!(ring.say(&text).await, 0, "calls failed");
            ring.wait("the text set meanwhile", |status| status.custom == text).await;
            rollcall.start_again(service, number).await;
        }
    }
    ring.assert_nobody_left();
}

// FAULT 6, SPEC B6
#[tokio::test]
async fn a_custom_status_clears_at_its_time_although_presence_was_gone_meanwhile() {
    let mut rollcall = cluster().await;
    let app = rollcall.app().await;
    let (mut bob, mut watcher) = watched(&rollcall, &app, "bob").await;
    let begun = Instant::now();
    bob.set_for("at lunch", 3).await.ok();
    watcher.expect("bob", |status| status.custom == "at lunch").await;

    for number in 0..2 {
        rollcall.process("presence", number).kill();
    }
    for number in 0..2 {
        rollcall.start_again("presence", number).await;
    }

    let cleared = watcher.expect_next("bob").await;
    assert_eq!((cleared.general, cleared.custom.as_str()), (General::Online, ""));
    assert!(begun.elapsed() >= Duration::from_secs(3), "after {:?}", begun.elapsed());
}

// FAULT 6, SPEC D5
#[tokio::test]
async fn no_subscription_goes_while_there_is_no_presence_and_what_is_due_goes_when_there_is_one_again() {
    let mut rollcall = cluster().await;
    let app = rollcall.app().await;
    let (mut leaving, _watcher) = watched(&rollcall, &app, "leaving").await;
    leaving.subscribe(&["somebody"]).await.ok();
    leaving.logout().await.ok();
    for number in 0..2 {
        rollcall.process("presence", number).kill();
    }

    // Longer than a list is kept.
    tokio::time::sleep(Duration::from_secs(13)).await;
    assert_eq!(rollcall.listed(&app, "leaving").await, ["somebody"]);

    for number in 0..2 {
        rollcall.start_again("presence", number).await;
    }
    eventually("the subscription to go", async || rollcall.listed(&app, "leaving").await.is_empty()).await;
}
