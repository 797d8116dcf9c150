//! SPEC A9: what more is told of a user than the status, and to whom.

use rollcall_conformance::{offline, online};
use rollcall_harness::{App, Rollcall, eventually};
use rollcall_proto::{
    common::v1::{OnlineDetail, Platform},
    presence::v1::{GetUserStatusRequest, GetUserStatusResponse},
};
use serde_json::json;

/// Asks as the app's backend.
async fn ask(rollcall: &Rollcall, app: &App, users: &[&str], caller: &str) -> GetUserStatusResponse {
    let request = GetUserStatusRequest {
        app_id: app.id,
        user_ids: users.iter().map(|user| (*user).to_owned()).collect(),
        caller_id: caller.to_owned(),
        with_details: true,
    };
    rollcall.presence().get_user_status(request).await.unwrap().into_inner()
}

// SPEC A9
#[tokio::test]
async fn the_own_query_tells_the_callers_platforms_and_a_query_of_others_nothing() {
    let rollcall = Rollcall::start().await;
    let app = rollcall.app().await;
    let mut desk = app.session_by(rollcall.dial(), "PLATFORM_MAC", "bob", "desk").await;
    let _phone = app.session_by(rollcall.dial(), "PLATFORM_IPHONE", "bob", "phone").await;
    let _alice = app.session("alice", "d").await;

    for own in [&["bob"][..], &["bob", "bob"]] {
        let reply = desk.query(own).await.ok();
        let detail = &reply.result("getUserStatus")["own"];
        let platforms = json!(["PLATFORM_IPHONE", "PLATFORM_MAC"]);
        assert_eq!(*detail, json!({ "userId": "bob", "platforms": platforms }), "no time while ONLINE");
    }
    for others in [&["alice"][..], &["alice", "bob"], &["nobody"]] {
        let reply = desk.query(others).await.ok();
        let fields = reply.result("getUserStatus").as_object().unwrap().keys();
        assert_eq!(fields.collect::<Vec<_>>(), ["statuses"]);
    }
}

// SPEC A9
#[tokio::test]
async fn a_backend_is_told_the_platforms_of_who_is_online_and_when_the_others_left() {
    let rollcall = Rollcall::start().await;
    let app = rollcall.app().await;
    let mut alice = app.session("alice", "d").await;
    alice.subscribe(&["bob"]).await.ok();
    let bob = app.session("bob", "d").await;
    let here = alice.expect("bob", online).await;

    let answer = ask(&rollcall, &app, &["nobody", "bob"], "").await;
    let detail = |user: &str, platforms: &[Platform], last_online_at| OnlineDetail {
        user_id: user.to_owned(),
        platforms: platforms.iter().map(|platform| *platform as i32).collect(),
        last_online_at,
    };
    assert_eq!(answer.details, [detail("nobody", &[], 0), detail("bob", &[Platform::Linux], 0)]);

    bob.lose().await;
    let left = alice.expect("bob", offline).await;
    let [gone] = ask(&rollcall, &app, &["bob"], "").await.details.try_into().unwrap();
    assert_eq!(gone, detail("bob", &[], gone.last_online_at));
    // Versions are times of the same clock; that of leaving was given right after it was decided.
    assert!((here.version..=left.version).contains(&gone.last_online_at), "{here:?} {gone:?} {left:?}");

    let told = ask(&rollcall, &app, &["bob", "alice"], "alice").await;
    assert_eq!(told.statuses.len(), 2);
    assert_eq!(told.details, [detail("alice", &[Platform::Linux], 0)], "a caller is told nothing of others");
}

// SPEC A9
#[tokio::test]
async fn the_sdk_and_the_command_line_tell_a_user_where_they_are() {
    let rollcall = Rollcall::start().await;
    let app = rollcall.app().await;
    let (bob, _recorder) = app.sdk("bob", "desk").await;

    let own = bob.get_user_status(&["bob"]).await.unwrap().own.unwrap();
    assert_eq!((own.platforms.len(), own.last_online_at), (1, None));
    assert_eq!(bob.get_user_status(&["bob", "alice"]).await.unwrap().own, None);

    let (app_id, token, url) = (app.id.to_string(), app.token("bob"), rollcall.url());
    let who = ["--url", &url, "--app-id", &app_id, "--user-id", "bob", "--token", &token];
    let command = ["status", "get", "bob", "--platform", "WEB", "--output", "json"];
    let mut ctl = rollcall.ctl("own", &[&command[..], &who].concat());
    eventually("the command to end", async || ctl.ended().is_some()).await;
    assert!(ctl.ended().unwrap().success(), "{}", ctl.errors());
    let line: serde_json::Value = serde_json::from_str(ctl.output().trim()).unwrap();
    assert!(line["platforms"].as_array().unwrap().contains(&json!("WEB")), "{line}");
}
