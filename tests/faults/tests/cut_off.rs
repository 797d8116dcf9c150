//! Gateways that are cut off from the services behind them, while clients reach them.

use std::time::Instant;

use rollcall_faults::{DEAD_AFTER, EXPIRY, GRACE, Ring, at, log_in, say, watcher};
use rollcall_harness::{
    Builder, Deployment, Direction, Fault, General, Heard, Link, Metrics, Proxy, Rollcall, ask, eventually,
    url_of,
};

/// All that a gateway is connected to, save for clients.
const LINKS: [Link; 4] = [Link::Nats, Link::Presence, Link::Subscription, Link::Notifier];

const ASKED: &str = "rollcall_gateway_clients_asked_to_move_total";
const CUT_OFFS: &str = "rollcall_gateway_cut_offs_total";
const SESSIONS: &str = "rollcall_gateway_sessions";

// FAULT 22, SPEC A11
#[tokio::test]
async fn clients_of_a_gateway_that_is_cut_off_move_unnoticed_and_who_cannot_is_offline_until_it_is_back() {
    let rollcall = breakable().start().await;
    let app = rollcall.app().await;
    let ring = Ring::start(&rollcall, &app, 20).await;
    let only = url_of(&rollcall.addresses().clients[0]);
    let (stays, heard) = app.sdk_at(&only, "stays", "d").await;
    stays.subscribe_user_status(&["user0"]).await.expect("a subscription");
    let mut watcher = watcher(&rollcall, &app, &["stays"]).await;
    watcher.expect("stays", |status| status.general == General::Online).await;
    ring.say("before").await;
    heard.wait_status("user0", |status| status.custom == "before").await;

    let cut = Instant::now();
    each(&rollcall, &LINKS, hold);

    watcher.expect("stays", |status| status.general == General::Offline).await;
    assert!(cut.elapsed() >= DEAD_AFTER, "OFFLINE after {:?}", cut.elapsed());
    // All but one who cannot.
    count_is(&rollcall, 1, SESSIONS, 21).await;
    count_is(&rollcall, 0, SESSIONS, 1).await;
    assert_eq!(readiness(&rollcall, 0).await, (503, "gateway: cut off from presence\n".to_owned()));
    at(&rollcall, 0).refused(503).await;
    assert_eq!(ring.say("meanwhile").await, 0, "calls failed");
    ring.wait("the text set meanwhile", |status| status.custom == "meanwhile").await;
    ring.assert_nobody_left();

    each(&rollcall, &LINKS, |link| link.set(Direction::Both, Fault::Nothing));
    watcher.expect("stays", |status| status.general == General::Online).await;
    heard.wait_status("user0", |status| status.custom == "meanwhile").await;
    eventually("the gateway to be ready", async || readiness(&rollcall, 0).await.0 == 200).await;
    let said = stays.set_self_status(Some("back")).await.expect("a set");
    watcher.expect("stays", |status| status.version == said.version).await;
    assert!(!heard.heard().iter().any(|heard| matches!(heard, Heard::Disconnected(_))), "it stayed");

    assert_eq!(ring.say("after").await, 0, "calls failed");
    ring.wait("the last text", |status| status.custom == "after").await;
    assert_eq!(watcher.pushed_during(GRACE).await, [], "what comes late changes nothing");
    ring.assert_nobody_left();
    assert!(rollcall.log().contains("presence answers again"), "{}", rollcall.log());
    assert!(!rollcall.log().contains("ERROR"), "{}", rollcall.log());
}

// FAULT 22, SPEC A11
#[tokio::test]
async fn a_gateway_that_is_back_asks_nobody_more_and_who_had_left_for_it_is_expected() {
    // Slow enough that it is back before all were asked, and before it would be dead.
    let builder = breakable().setting("gateway", "drain = \"20s\"");
    let rollcall = builder.setting("presence", "lease = \"30s\"").start().await;
    let app = rollcall.app().await;
    let names: Vec<String> = (0..10).map(|number| format!("user{number}")).collect();
    let mut watcher = watcher(&rollcall, &app, &names.iter().map(String::as_str).collect::<Vec<_>>()).await;
    let mut users = Vec::new();
    for name in &names {
        let mut user = log_in(&app, at(&rollcall, 0), name, "d").await;
        say(&mut user, name, &mut watcher, "here").await;
        users.push(user);
    }
    let mut first = users.remove(0);

    each(&rollcall, &LINKS, Proxy::down);
    first.asked_to_move().await;
    first.close().await;
    each(&rollcall, &LINKS, Proxy::up);

    eventually("the gateway to be ready", async || readiness(&rollcall, 0).await.0 == 200).await;
    count_is(&rollcall, 0, SESSIONS, 9).await;
    let asked = count(&rollcall, 0, ASKED).await;
    let mut first = log_in(&app, at(&rollcall, 1), "user0", "d").await;
    // By then other slices would have followed, and who is not expected back would be OFFLINE.
    assert_eq!(watcher.pushed_during(EXPIRY).await, []);
    assert_eq!(count(&rollcall, 0, ASKED).await, asked);
    assert!(asked < 10, "{asked} were asked");
    assert_eq!(count(&rollcall, 0, CUT_OFFS).await, 1);
    say(&mut first, "user0", &mut watcher, "elsewhere").await;
    for (name, user) in names[1..].iter().zip(&mut users) {
        say(user, name, &mut watcher, "still here").await;
    }
}

// FAULT 8
#[tokio::test]
async fn a_gateway_whose_bus_is_down_but_whose_reports_are_answered_stays_ready() {
    let rollcall = breakable().start().await;
    let app = rollcall.app().await;
    let mut watcher = watcher(&rollcall, &app, &["alice"]).await;
    let mut alice = log_in(&app, at(&rollcall, 0), "alice", "d").await;
    say(&mut alice, "alice", &mut watcher, "before").await;

    each(&rollcall, &[Link::Nats], hold);
    let past = "rollcall_gateway_reports_total{result=\"answered_past_bus\"}";
    eventually("reports past the bus", async || count(&rollcall, 0, past).await >= 5).await;

    assert_eq!(readiness(&rollcall, 0).await.0, 200);
    assert_eq!(count(&rollcall, 0, CUT_OFFS).await, 0);
    say(&mut alice, "alice", &mut watcher, "after").await;
}

/// A cluster whose first gateway reaches everything but its clients through proxies.
fn breakable() -> Builder {
    let builder = Rollcall::builder().deployment(Deployment::Cluster);
    LINKS.into_iter().fold(builder, |builder, link| builder.link("gateway", 0, link))
}

/// Does something to links of the first gateway.
fn each(rollcall: &Rollcall, links: &[Link], what: impl Fn(&Proxy)) {
    for link in links {
        what(rollcall.link("gateway", 0, *link));
    }
}

fn hold(link: &Proxy) {
    link.set(Direction::Both, Fault::Hold);
}

/// Finds where the tools of an operator reach a gateway, by its number from 0.
fn ops(rollcall: &Rollcall, gateway: usize) -> &str {
    let parts = rollcall.pids().zip(rollcall.ops());
    let mut gateways = parts.filter(|((service, _), _)| *service == "gateway");
    gateways.nth(gateway).expect("there is such a gateway").1
}

async fn readiness(rollcall: &Rollcall, gateway: usize) -> (u16, String) {
    ask(ops(rollcall, gateway), "/readyz").await
}

async fn count(rollcall: &Rollcall, gateway: usize, series: &str) -> u64 {
    Metrics::read(ops(rollcall, gateway)).await.of(series)
}

/// Waits until a gateway counts so many.
async fn count_is(rollcall: &Rollcall, gateway: usize, series: &str, expected: u64) {
    let what = format!("{series} of gateway {gateway} to be {expected}");
    eventually(&what, async || count(rollcall, gateway, series).await == expected).await;
}
