//! A store that is gone for longer than what it has stored of heartbeats lasts, and one that has forgotten some.

use std::time::Duration;

use rollcall_faults::{EXPIRY, GRACE, Ring, at, cluster, log_in, say, watcher};
use rollcall_harness::{Deployment, General, Metrics, Rollcall, eventually};

/// Longer than any deadline that is stored in the profile `fast`, and than what is granted beyond it.
const AWAY: Duration = Duration::from_secs(14);

/// Moves all deadlines of sessions to one.
const MOVE_DEADLINES: &str = "for _, set in ipairs(redis.call('KEYS', '*timers:*')) do \
     for _, timer in ipairs(redis.call('ZRANGE', set, 0, -1)) do \
     redis.call('ZADD', set, ARGV[1], timer) end end";

/// A deadline that has passed, in µs since the Unix epoch.
const LONG_PASSED: &str = "1";

// FAULT 12, SPEC A6, SPEC A7, SPEC A8
#[tokio::test]
async fn a_store_that_stood_still_for_longer_than_deadlines_costs_nobody_the_status_who_lives() {
    let mut rollcall = cluster().await;
    let app = rollcall.app().await;
    let ring = Ring::start(&rollcall, &app, 10).await;
    let mut watcher = watcher(&rollcall, &app, &["alice", "closes", "silent"]).await;
    let mut alice = log_in(&app, at(&rollcall, 0), "alice", "d").await;
    let mut closes = log_in(&app, at(&rollcall, 0), "closes", "d").await;
    let mut silent = log_in(&app, at(&rollcall, 1), "silent", "d").await;
    for (user, name) in [(&mut alice, "alice"), (&mut closes, "closes"), (&mut silent, "silent")] {
        say(user, name, &mut watcher, "before").await;
    }

    rollcall.engines().redis.pause();
    closes.lose().await;
    silent.fall_silent().await;
    assert_eq!(watcher.pushed_during(AWAY).await, []);
    rollcall.engines().redis.resume();

    let mut gone = Vec::new();
    for _ in 0..2 {
        let next = watcher.next_status().await;
        assert_eq!((next.general, next.custom.as_str()), (General::Offline, ""), "{next:?}");
        gone.push(next.user_id.to_string());
    }
    gone.sort();
    assert_eq!(gone, ["closes", "silent"]);
    assert_eq!(watcher.pushed_during(EXPIRY + GRACE).await, [], "nobody else leaves");
    say(&mut alice, "alice", &mut watcher, "after").await;
    ring.say("after").await;
    ring.wait("the last text", |status| status.custom == "after").await;
    ring.assert_nobody_left();
    assert!(!rollcall.log().contains("ERROR"), "{}", rollcall.log());
}

// FAULT 12, SPEC A8
#[tokio::test]
async fn a_gateway_is_asked_about_deadlines_that_have_passed_and_keeps_who_lives() {
    let mut builder = Rollcall::builder().deployment(Deployment::Cluster);
    for service in ["gateway", "presence"] {
        builder = builder.setting(service, "expiry = \"60s\"");
    }
    // So that nobody is told of unasked.
    let builder = builder.setting("gateway", "upload_every = \"50s\"");
    let mut rollcall = builder.setting("gateway", "upload_left = \"1s\"").start().await;
    let app = rollcall.app().await;
    let ring = Ring::start(&rollcall, &app, 10).await;

    // A first report tells of each, which moves its deadline.
    let touched = "rollcall_presence_sessions_touched_total";
    eventually("a report of each", async || count(&rollcall, touched).await >= 10).await;

    rollcall.engines().redis.operate(&["EVAL", MOVE_DEADLINES, "0", LONG_PASSED]);

    let verdicts = |verdict| format!("rollcall_presence_verdicts_total{{verdict=\"{verdict}\"}}");
    eventually("an answer about each", async || count(&rollcall, &verdicts("live")).await >= 10).await;
    for verdict in ["ended", "unknown", "unanswered"] {
        assert_eq!(count(&rollcall, &verdicts(verdict)).await, 0, "{verdict}");
    }
    ring.say("after").await;
    ring.wait("the last text", |status| status.custom == "after").await;
    ring.assert_nobody_left();
}

/// Adds up what all processes count of a series.
async fn count(rollcall: &Rollcall, series: &str) -> u64 {
    let mut all = 0;
    for ops in rollcall.ops() {
        all += Metrics::read(ops).await.of(series);
    }
    all
}
