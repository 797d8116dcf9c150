//! Clients that are gone: with a word, without one, and such as only seem to be.

use std::time::{Duration, Instant};

use rollcall_faults::{EXPIRY, GRACE, at, cluster, log_in, proxy_at, say, watcher};
use rollcall_harness::{Deployment, Dial, Direction, Fault, General, Raw, Rollcall, url_of};
use serde_json::json;

// FAULT 1, SPEC A6, SPEC B3
#[tokio::test]
async fn a_client_that_closes_resets_or_is_killed_is_offline_by_one_change_that_clears_its_text() {
    // With an expiry of 400 s it can only be the end of the connection that is seen.
    let rollcall = Rollcall::builder().deployment(Deployment::Cluster).profile("default").start().await;
    let app = rollcall.app().await;
    let mut watcher = watcher(&rollcall, &app, &["closes", "resets", "killed"]).await;
    let mut closes = log_in(&app, at(&rollcall, 0), "closes", "d").await;
    let mut resets = log_in(&app, at(&rollcall, 0).resets(), "resets", "d").await;
    say(&mut closes, "closes", &mut watcher, "here").await;
    say(&mut resets, "resets", &mut watcher, "here").await;
    let url = url_of(&rollcall.addresses().clients[0]);
    let (app_id, token) = (app.id.to_string(), app.token("killed"));
    let who = ["--url", &url, "--app-id", &app_id, "--user-id", "killed", "--token", &token];
    let mut killed = rollcall.ctl("killed", &[&["status", "set", "here"], &who[..]].concat());
    watcher.expect("killed", |status| status.custom == "here").await;

    closes.lose().await;
    is_gone_by_one_change(&mut watcher, "closes").await;
    resets.lose().await;
    is_gone_by_one_change(&mut watcher, "resets").await;
    killed.kill();
    is_gone_by_one_change(&mut watcher, "killed").await;
}

async fn is_gone_by_one_change(watcher: &mut Raw, user: &str) {
    let next = watcher.next_status().await;
    assert_eq!((next.user_id.as_str(), next.general, next.custom.as_str()), (user, General::Offline, ""));
    assert_eq!(watcher.pushed_during(GRACE).await, []);
    assert_eq!(watcher.status_of(user).await, next);
}

// FAULT 2, SPEC A7
#[tokio::test]
async fn a_client_that_vanishes_is_offline_after_the_expiry_and_one_that_still_speaks_is_not() {
    let rollcall = cluster().await;
    let app = rollcall.app().await;
    let mut watcher = watcher(&rollcall, &app, &["gone", "mute", "deaf"]).await;
    let [gone_proxy, mute_proxy, deaf_proxy] = [0, 0, 0].map(|gateway| proxy_at(&rollcall, gateway));
    let mut gone = log_in(&app, Dial::new(gone_proxy.address()), "gone", "d").await;
    let mut mute = log_in(&app, Dial::new(mute_proxy.address()), "mute", "d").await;
    let mut deaf = log_in(&app, Dial::new(deaf_proxy.address()), "deaf", "d").await;
    say(&mut gone, "gone", &mut watcher, "here").await;
    say(&mut mute, "mute", &mut watcher, "here").await;
    say(&mut deaf, "deaf", &mut watcher, "here").await;
    // Some heartbeats, so that it is not a call that counts.
    tokio::time::sleep(Duration::from_secs(3)).await;

    gone_proxy.vanish();
    mute_proxy.set(Direction::Up, Fault::Drop);
    deaf_proxy.set(Direction::Down, Fault::Drop);

    for _ in 0..2 {
        let next = watcher.next_status().await;
        let proxy = if next.user_id.as_str() == "gone" { &gone_proxy } else { &mute_proxy };
        // The proxy let the last heartbeat through before the gateway heard it.
        let silence = proxy.last_said().elapsed();
        assert!(silence >= EXPIRY, "OFFLINE after {silence:?}, expected at least {EXPIRY:?}: {next:?}");
        assert_ne!(next.user_id.as_str(), "deaf");
        assert_eq!((next.general, next.custom.as_str()), (General::Offline, ""));
    }
    assert_eq!(watcher.pushed_during(EXPIRY).await, [], "one change for each");
    assert_eq!(watcher.status_of("deaf").await.custom, "here");
    // The way is there again for who dials anew.
    let mut back = log_in(&app, Dial::new(gone_proxy.address()), "gone", "d").await;
    say(&mut back, "gone", &mut watcher, "back").await;
}

// FAULT 2, SPEC A8
#[tokio::test]
async fn a_client_that_beats_only_just_within_the_expiry_stays_online() {
    // 390 s of 400 s, with reports as rare as by default.
    let expiry = Duration::from_secs(20);
    let mut builder = Rollcall::builder().deployment(Deployment::Cluster);
    for service in ["gateway", "presence"] {
        builder = builder.setting(service, "expiry = \"20s\"");
    }
    let builder = builder.setting("gateway", "cut_off_after = \"10s\"");
    let rollcall = builder.setting("gateway", "report_every = \"2s\"").start().await;
    let app = rollcall.app().await;
    let mut watcher = watcher(&rollcall, &app, &["slow"]).await;
    let mut slow = log_in(&app, at(&rollcall, 0), "slow", "d").await;
    say(&mut slow, "slow", &mut watcher, "alive").await;
    slow.fall_silent().await;

    let mut beat = Instant::now();
    slow.call(json!({ "ping": {} })).await.ok();
    for _ in 0..2 {
        let until = beat + expiry.mul_f64(0.975);
        assert_eq!(watcher.pushed_during(until.saturating_duration_since(Instant::now())).await, []);
        beat = Instant::now();
        slow.call(json!({ "ping": {} })).await.ok();
    }
    assert_eq!(watcher.pushed_during(expiry / 4).await, []);
    assert_eq!(watcher.status_of("slow").await.custom, "alive");
}
