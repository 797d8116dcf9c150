//! SPEC H4: which logins of one user exclude each other, and who comes back by itself.

use std::time::Duration;

use rollcall_conformance::{GRACE, offline, online, says, unlogined};
use rollcall_harness::{App, Heard, Proxy, Raw, Rollcall, Setup, stream_url_of, url_of};
use rollcall_proto::{
    common::v1::{Edition, GeneralStatus, LoginPolicy},
    presence::v1::GetUserStatusRequest,
};
use serde_json::json;

/// Within this time a change of an app's configuration takes effect everywhere (SPEC G1).
const IN_EFFECT: Duration = Duration::from_secs(5);

fn setup(login_policy: LoginPolicy, edition: Edition) -> Setup {
    Setup { login_policy, edition, ..Setup::default() }
}

/// Checks that the session was told of its kick.
async fn is_kicked(mut session: Raw) {
    assert_eq!(session.closed().await, Some(3504));
    assert_eq!(session.kicked(), Some(6208));
}

/// Checks that sessions serve calls.
async fn serve(sessions: impl IntoIterator<Item = &mut Raw>) {
    for session in sessions {
        session.call(json!({ "ping": {} })).await.ok();
        assert_eq!(session.kicked(), None);
    }
}

/// Logs bob in on each of these platforms, one after the other and on one gateway after the other, each on a device of
/// its own. Each login kicks the one of the given number, from 0, if there is one, and no other. Nobody sees any of it.
async fn plays(setup: Setup, logins: &[(&str, Option<usize>)]) {
    let rollcall = Rollcall::start().await;
    let app = rollcall.app_with(setup).await;
    let mut alice = app.session("alice", "d").await;
    if setup.edition == Edition::Premium {
        alice.subscribe(&["bob"]).await.ok();
    }
    let mut sessions: Vec<Option<Raw>> = Vec::new();
    let mut version = 0;
    for (number, (platform, kicks)) in logins.iter().enumerate() {
        let platform = format!("PLATFORM_{platform}");
        sessions.push(Some(app.session_on(&platform, "bob", &format!("device{number}")).await));
        if let Some(kicked) = kicks {
            is_kicked(sessions[*kicked].take().unwrap()).await;
        }
        if number == 0 && setup.edition == Edition::Premium {
            alice.expect("bob", online).await;
        }
        let request =
            GetUserStatusRequest { app_id: app.id, user_ids: vec!["bob".to_owned()], ..Default::default() };
        let read = rollcall.presence().get_user_status(request).await.unwrap().into_inner();
        let status = &read.statuses[0];
        assert_eq!(status.general(), GeneralStatus::Online);
        if number == 0 {
            version = status.version;
        }
        assert_eq!(status.version, version, "a login beside others, or in their place, makes no new version");
    }
    assert_eq!(alice.pushed_during(GRACE).await, [], "nobody sees a flicker");
    serve(sessions.iter_mut().flatten()).await;
}

// SPEC H4
#[tokio::test]
async fn with_single_each_login_kicks_the_one_before() {
    let logins =
        [("ANDROID", None), ("WEB", Some(0)), ("MAC", Some(1)), ("MAC", Some(2)), ("IPHONE", Some(3))];
    plays(setup(LoginPolicy::Single, Edition::Premium), &logins).await;
    plays(setup(LoginPolicy::Single, Edition::Standard), &logins).await;
}

// SPEC H4
#[tokio::test]
async fn with_dual_there_is_one_native_session_and_one_on_the_web() {
    let logins = [("ANDROID", None), ("WEB", None), ("MAC", Some(0)), ("WEB", Some(1)), ("IPAD", Some(2))];
    plays(setup(LoginPolicy::Dual, Edition::Premium), &logins).await;
    plays(setup(LoginPolicy::Dual, Edition::Standard), &logins).await;
}

// SPEC H4
#[tokio::test]
async fn with_triple_there_is_one_mobile_session_one_on_the_desktop_and_one_on_the_web() {
    let logins = [
        ("IPHONE", None),
        ("LINUX", None),
        ("WEB", None),
        ("IPAD", Some(0)),
        ("WINDOWS", Some(1)),
        ("WEB", Some(2)),
        ("ANDROID", Some(3)),
        ("MAC", Some(4)),
    ];
    plays(setup(LoginPolicy::Triple, Edition::Premium), &logins).await;
    plays(setup(LoginPolicy::Triple, Edition::Standard), &logins).await;
}

// SPEC H4
#[tokio::test]
async fn with_multi_there_is_one_session_on_each_platform() {
    let all = ["ANDROID", "IPHONE", "IPAD", "WINDOWS", "MAC", "LINUX", "WEB"];
    let first = all.map(|platform| (platform, None));
    let second = [("MAC", Some(4)), ("WEB", Some(6)), ("MAC", Some(7))];
    plays(setup(LoginPolicy::Multi, Edition::Standard), &[&first[..], &second[..]].concat()).await;
}

// SPEC H4
#[tokio::test]
async fn with_multi_and_premium_there_are_three_on_a_native_platform_and_ten_on_the_web() {
    let mut logins = vec![("LINUX", None); 3];
    logins.extend([("WEB", None); 10]);
    logins.extend([
        ("LINUX", Some(0)),
        ("WEB", Some(3)),
        ("MAC", None),
        ("LINUX", Some(1)),
        ("WEB", Some(4)),
    ]);
    plays(setup(LoginPolicy::Multi, Edition::Premium), &logins).await;
}

// SPEC H4
#[tokio::test]
async fn of_50_logins_of_one_user_the_28_that_any_policy_allows_are_left() {
    let rollcall = Rollcall::start().await;
    let app = rollcall.app_with(setup(LoginPolicy::Multi, Edition::Premium)).await;
    let native = ["ANDROID", "IPHONE", "IPAD", "WINDOWS", "MAC", "LINUX"].map(|platform| (platform, 6, 3));
    let mut left = Vec::new();
    for (platform, logins, most) in native.into_iter().chain([("WEB", 14, 10)]) {
        let mut sessions = Vec::new();
        for number in 0..logins {
            let platform = format!("PLATFORM_{platform}");
            sessions.push(app.session_on(&platform, "bob", &format!("device{number}")).await);
        }
        left.extend(sessions.split_off(logins - most));
        for session in sessions {
            is_kicked(session).await;
        }
    }
    assert_eq!(left.len(), 28);
    serve(&mut left).await;
}

// SPEC H4, G1
#[tokio::test]
async fn a_new_policy_kicks_nobody_until_the_user_logs_in_again() {
    let rollcall = Rollcall::start().await;
    let app = rollcall.app().await;
    let mut sessions = Vec::new();
    for platform in ["PLATFORM_WEB", "PLATFORM_MAC", "PLATFORM_IPAD"] {
        sessions.push(app.session_on(platform, "bob", "d").await);
    }

    app.set(setup(LoginPolicy::Dual, Edition::Premium)).await;
    tokio::time::sleep(IN_EFFECT).await;

    serve(&mut sessions).await;
    let mut newest = app.session_on("PLATFORM_ANDROID", "bob", "d").await;
    is_kicked(sessions.pop().unwrap()).await;
    is_kicked(sessions.pop().unwrap()).await;
    serve([&mut newest, &mut sessions[0]]).await;
}

// SPEC H4, A3
#[tokio::test]
async fn a_login_removes_the_mark_of_whom_it_would_have_kicked() {
    let rollcall = Rollcall::start().await;
    for (policy, is_left) in [(LoginPolicy::Single, false), (LoginPolicy::Triple, true)] {
        let app = rollcall.app_with(setup(policy, Edition::Premium)).await;
        let mut alice = app.session("alice", "d").await;
        alice.subscribe(&["bob"]).await.ok();
        app.session_on("PLATFORM_IPHONE", "bob", "phone").await.lose().await;
        alice.expect("bob", offline).await;

        let mut desk = app.session_on("PLATFORM_MAC", "bob", "desk").await;
        alice.expect("bob", online).await;
        desk.logout().await.ok();

        let left = alice.expect_next("bob").await;
        assert!(if is_left { offline(&left) } else { unlogined(&left) }, "{policy:?}: {left:?}");
    }
}

/// Logs bob in and returns the session with its place among his logins.
async fn placed(rollcall: &Rollcall, app: &App, platform: &str, device: &str) -> (Raw, u64) {
    let mut raw = rollcall.connect().await;
    let order = raw.login_on(app, platform, "bob", device).await.ok().login_order();
    (raw, order)
}

// SPEC H4, FAULT 26
#[tokio::test]
async fn a_client_that_comes_back_never_kicks_a_newer_login_and_its_user_does() {
    let rollcall = Rollcall::start().await;
    let app = rollcall.app_with(setup(LoginPolicy::Single, Edition::Premium)).await;
    let (phone, order) = placed(&rollcall, &app, "PLATFORM_IPHONE", "phone").await;
    phone.lose().await;
    let (mut desk, newer) = placed(&rollcall, &app, "PLATFORM_MAC", "desk").await;
    assert!(newer > order);
    desk.set("mine").await.ok();

    let mut phone = rollcall.connect().await;
    phone.come_back(&app, "PLATFORM_IPHONE", "bob", "phone", order).await.refused(6208);
    assert_eq!(phone.closed().await, Some(3503));
    tokio::time::sleep(GRACE).await;
    serve([&mut desk]).await;
    assert!(says("mine")(&desk.status_of("bob").await), "he never left ONLINE");

    let _phone = placed(&rollcall, &app, "PLATFORM_IPHONE", "phone").await;
    is_kicked(desk).await;
}

// SPEC H4, FAULT 26
#[tokio::test]
async fn a_client_that_was_kicked_is_told_so_when_it_comes_back_though_the_newer_has_logged_out() {
    let rollcall = Rollcall::start().await;
    let app = rollcall.app_with(setup(LoginPolicy::Single, Edition::Premium)).await;
    let mut alice = app.session("alice", "d").await;
    let (phone, order) = placed(&rollcall, &app, "PLATFORM_IPHONE", "phone").await;
    let (mut desk, _) = placed(&rollcall, &app, "PLATFORM_MAC", "desk").await;
    is_kicked(phone).await;
    desk.logout().await.ok();

    let mut phone = rollcall.connect().await;
    phone.come_back(&app, "PLATFORM_IPHONE", "bob", "phone", order).await.refused(6208);
    assert!(unlogined(&alice.status_of("bob").await));
}

// SPEC H4
#[tokio::test]
async fn a_client_that_comes_back_keeps_its_place_however_often_it_does() {
    let rollcall = Rollcall::start().await;
    let app = rollcall.app_with(setup(LoginPolicy::Single, Edition::Premium)).await;
    let (mut before, order) = placed(&rollcall, &app, "PLATFORM_MAC", "desk").await;
    for round in 0..4 {
        let mut again = rollcall.connect().await;
        let reply = again.come_back(&app, "PLATFORM_MAC", "bob", "desk", order).await.ok();
        assert_eq!(reply.login_order(), order);
        if round % 2 == 0 {
            assert_eq!(before.closed().await, Some(3505), "its own older connection goes silently");
            before = again;
        } else {
            // Lost before the client read the reply: it comes back as if there had been none.
            again.lose().await;
            before = rollcall.connect().await;
            before.come_back(&app, "PLATFORM_MAC", "bob", "desk", order).await.ok();
        }
    }
    serve([&mut before]).await;
}

// SPEC H5, FAULT 26
#[tokio::test]
async fn a_client_whose_device_has_logged_in_elsewhere_does_not_take_it_back_by_itself() {
    let rollcall = Rollcall::start().await;
    let app = rollcall.app().await;
    let (older, order) = placed(&rollcall, &app, "PLATFORM_MAC", "desk").await;
    older.lose().await;
    let (mut newer, place) = placed(&rollcall, &app, "PLATFORM_MAC", "desk").await;

    let mut older = rollcall.connect().await;
    older.come_back(&app, "PLATFORM_MAC", "bob", "desk", order).await.refused(6208);
    serve([&mut newer]).await;
    newer.lose().await;
    let mut newer = rollcall.connect().await;
    newer.come_back(&app, "PLATFORM_MAC", "bob", "desk", place).await.ok();
}

// SPEC H4
#[tokio::test]
async fn an_sdk_that_was_overtaken_while_it_was_cut_off_is_told_and_stays_away() {
    let rollcall = Rollcall::start().await;
    let app = rollcall.app_with(setup(LoginPolicy::Single, Edition::Premium)).await;
    let proxy = Proxy::over(&rollcall.addresses().clients);
    for url in [url_of(proxy.address()), stream_url_of(proxy.address())] {
        let (phone, heard) = app.sdk_at(&url, "bob", "phone").await;
        proxy.down();
        heard.wait_for("the loss", |heard| heard.last() == Some(&Heard::Connecting)).await;
        let mut desk = app.session_on("PLATFORM_MAC", "bob", "desk").await;

        proxy.up();

        heard.wait_for("the kick", |heard| heard.last() == Some(&Heard::Kicked)).await;
        assert_eq!(phone.get_login_user(), None);
        tokio::time::sleep(GRACE).await;
        assert_eq!(heard.heard().last(), Some(&Heard::Kicked), "it does not come back by itself");
        serve([&mut desk]).await;
        desk.logout().await.ok();
    }
}
