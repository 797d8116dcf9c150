//! Clients as processes of their own, killed and stopped as a kernel or a user does.

use std::time::Duration;

use rollcall_conformance::{EXPIRY, offline, online, says};
use rollcall_harness::{App, Process, Proxy, Rollcall, eventually, url_of};
use serde_json::{Value, json};

/// Starts `rollcallctl` as a user.
fn ctl(rollcall: &Rollcall, app: &App, url: &str, user: &str, command: &[&str]) -> Process {
    let (app_id, token) = (app.id.to_string(), app.token(user));
    let who = ["--url", url, "--app-id", &app_id, "--user-id", user, "--token", &token, "--output", "json"];
    rollcall.ctl(user, &[command, &who].concat())
}

/// Returns the last status of a user that a `watch` has shown.
fn last_shown(watch: &Process, user: &str) -> Option<Value> {
    let output = watch.output();
    let lines = output.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    lines.rev().find(|status| status["user_id"] == user)
}

async fn shows(watch: &Process, user: &str, general: &str, custom: &str) {
    eventually(&format!("{user} to be shown as {general} {custom:?}"), async || {
        last_shown(watch, user)
            .is_some_and(|status| status["general"] == json!(general) && status["custom"] == json!(custom))
    })
    .await;
}

// SPEC A6, FAULT 1
#[tokio::test]
async fn the_watcher_of_a_client_process_that_is_killed_sees_offline() {
    // With an expiry of 400 s it can only be the end of the connection that is seen.
    let rollcall = Rollcall::builder().profile("default").start().await;
    let app = rollcall.app().await;
    let watch = ctl(&rollcall, &app, &rollcall.url(), "alice", &["watch", "bob"]);
    let mut bob = ctl(&rollcall, &app, &rollcall.url(), "bob", &["status", "set", "alive"]);
    shows(&watch, "bob", "ONLINE", "alive").await;

    bob.kill();

    shows(&watch, "bob", "OFFLINE", "").await;
}

// SPEC A7, FAULT 2
#[tokio::test]
async fn a_client_process_that_is_stopped_goes_offline_never_before_the_expiry_and_comes_back() {
    let rollcall = Rollcall::start().await;
    let app = rollcall.app().await;
    let mut alice = app.session("alice", "d").await;
    alice.subscribe(&["bob"]).await.ok();
    let proxy = Proxy::start(rollcall.addresses().client());
    let bob = ctl(&rollcall, &app, &url_of(proxy.address()), "bob", &["status", "set", "alive"]);
    alice.expect("bob", says("alive")).await;
    // Some heartbeats, so that it is not the login that counts.
    tokio::time::sleep(Duration::from_secs(3)).await;

    bob.stop();

    assert!(offline(&alice.expect_next("bob").await));
    // The proxy saw the last heartbeat before the gateway heard it.
    let silence = proxy.last_said().elapsed();
    assert!(silence >= EXPIRY, "OFFLINE after {silence:?} of silence, expected at least {EXPIRY:?}");
    bob.resume();
    alice.expect("bob", |status| online(status) && says("alive")(status)).await;
}

// SPEC A8
#[tokio::test]
async fn a_client_process_that_is_stopped_for_less_than_the_expiry_stays_online() {
    let rollcall = Rollcall::start().await;
    let app = rollcall.app().await;
    let mut alice = app.session("alice", "d").await;
    alice.subscribe(&["bob"]).await.ok();
    let bob = ctl(&rollcall, &app, &rollcall.url(), "bob", &["status", "set", "alive"]);
    alice.expect("bob", says("alive")).await;

    bob.stop();
    tokio::time::sleep(EXPIRY / 3).await;
    bob.resume();

    assert_eq!(alice.pushed_during(EXPIRY).await, []);
}

// SPEC F5
#[tokio::test]
async fn a_watching_process_that_was_stopped_shows_the_last_state_when_it_goes_on() {
    let rollcall = Rollcall::builder().profile("default").start().await;
    let app = rollcall.app().await;
    let watch = ctl(&rollcall, &app, &rollcall.url(), "alice", &["watch", "bob"]);
    let mut bob = app.session("bob", "d").await;
    shows(&watch, "bob", "ONLINE", "").await;

    watch.stop();
    for number in 0..500 {
        bob.set(&number.to_string()).await.ok();
    }
    watch.resume();

    shows(&watch, "bob", "ONLINE", "499").await;
}

// SPEC B1, ATTACK X11
#[tokio::test]
async fn a_terminal_that_watches_is_shown_control_characters_escaped() {
    let rollcall = Rollcall::start().await;
    let app = rollcall.app().await;
    let (app_id, token, url) = (app.id.to_string(), app.token("alice"), rollcall.url());
    let who = ["--url", &url, "--app-id", &app_id, "--user-id", "alice", "--token", &token];
    let watch = rollcall.ctl("watch", &[&["watch", "bob"], &who[..]].concat());
    let mut bob = app.session("bob", "d").await;

    bob.set("\u{1b}[2J\r\n\u{9b}31m\u{202e}busy").await.ok();

    eventually("the text to be shown", async || watch.output().contains("busy")).await;
    let output = watch.output();
    let line = output.lines().find(|line| line.contains("busy")).unwrap();
    assert!(line.contains("bob") && line.contains("\\u{1b}[2J"), "{line}");
    assert!(!output.contains(['\u{1b}', '\r', '\u{9b}', '\u{202e}']), "{output:?}");
}
