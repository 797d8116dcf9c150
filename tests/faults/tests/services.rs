//! The services behind the gateways, killed and restarted while users change their statuses.

use rollcall_faults::{Ring, cluster};

const SERVICES: [&str; 3] = ["presence", "subscription", "notifier"];

// FAULT 6, FAULT 10
#[tokio::test]
async fn nobody_is_shown_as_gone_and_no_change_is_lost_when_a_service_is_killed() {
    let mut rollcall = cluster().await;
    let app = rollcall.app().await;
    let ring = Ring::start(&rollcall, &app, 20).await;
    for service in SERVICES {
        for number in 0..2 {
            rollcall.process(service, number).kill();
            let text = format!("without {service} {number}");
            ring.say(&text).await;
            ring.wait("the text set meanwhile", |status| status.custom == text).await;
            rollcall.start_again(service, number).await;
        }
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
            rollcall.process(service, number).terminate().await;
            let text = format!("without {service} {number}");
            ring.say(&text).await;
            ring.wait("the text set meanwhile", |status| status.custom == text).await;
            rollcall.start_again(service, number).await;
        }
    }
    ring.assert_nobody_left();
}
