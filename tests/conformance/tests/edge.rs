//! Who may connect, and how a connection comes to a login.

use std::time::{Duration, Instant};

use rollcall_conformance::unlogined;
use rollcall_harness::{
    Dial, Rollcall,
    tungstenite::{
        Message,
        protocol::frame::{
            Frame,
            coding::{Data, OpCode},
        },
    },
};
use serde_json::json;

#[tokio::test]
async fn who_does_not_log_in_within_5_seconds_is_closed_whatever_else_they_send() {
    let limit = Duration::from_secs(5);
    let rollcall = Rollcall::start().await;
    let start = Instant::now();
    let mut silent = rollcall.connect().await;
    let mut pinging = rollcall.connect().await;
    let mut dripping = rollcall.connect().await;
    pinging.keep_alive();
    let first = Frame::message("{".to_owned(), OpCode::Data(Data::Text), false);
    dripping.send_message(Message::Frame(first)).await;
    tokio::time::sleep(limit / 2).await;
    let next = Frame::message(" ".to_owned(), OpCode::Data(Data::Continue), false);
    dripping.send_message(Message::Frame(next)).await;

    for raw in [&mut silent, &mut pinging, &mut dripping] {
        assert_eq!(raw.closed().await, Some(3001));
        assert!(start.elapsed() >= limit, "closed after {:?}", start.elapsed());
    }
}

#[tokio::test]
async fn the_time_to_log_in_is_configuration() {
    let rollcall = Rollcall::builder().config("[gateway]\nlogin_timeout = \"100ms\"\n").start().await;
    let start = Instant::now();
    let mut raw = rollcall.connect().await;

    assert_eq!(raw.closed().await, Some(3001));

    assert!(start.elapsed() >= Duration::from_millis(100));
}

// ATTACK X5
#[tokio::test]
async fn a_foreign_origin_is_refused_and_the_own_host_is_not() {
    let rollcall =
        Rollcall::builder().config("[gateway]\nallowed_origins = [\"https://app.example\"]\n").start().await;
    let own = rollcall.addresses().client();
    for foreign in [
        "https://evil.example",
        "null",
        "",
        "https://app.example.evil.example",
        "http://app.example",
        "https://app.example:8443",
        &format!("http://evil.{own}"),
    ] {
        Dial::new(own).origin(foreign).refused(403).await;
    }
    for allowed in ["https://app.example", &format!("http://{own}")] {
        Dial::new(own).origin(allowed).open().await.call(json!({ "ping": {} })).await.refused(6014);
    }
}

#[tokio::test]
async fn a_missing_or_unknown_subprotocol_is_refused() {
    let rollcall = Rollcall::start().await;
    for unknown in [None, Some("json"), Some("rollcall.v2.json"), Some("rollcall.v1.json.gz")] {
        rollcall.dial().subprotocol(unknown).refused(400).await;
    }
    // Of several the server takes one that it knows, and JSON before protobuf.
    for offered in ["soap, rollcall.v1.json", "rollcall.v1.protobuf, rollcall.v1.json"] {
        let mut raw = rollcall.dial().subprotocol(Some(offered)).open().await;
        raw.call(json!({ "ping": {} })).await.refused(6014);
    }
}

#[tokio::test]
async fn a_second_login_on_a_session_is_refused_and_the_session_stays() {
    let rollcall = Rollcall::start().await;
    let app = rollcall.app().await;
    let mut bob = app.session("bob", "d").await;

    bob.login(&app, "bob", "d").await.refused(6017);
    bob.login(&app, "carol", "other").await.refused(6017);

    let set = bob.set("still bob").await.ok().status();
    assert_eq!(set.user_id.as_str(), "bob");
    assert!(unlogined(&bob.status_of("carol").await));
}

#[tokio::test]
async fn a_malformed_login_is_refused_and_closes() {
    let rollcall = Rollcall::start().await;
    let app = rollcall.app().await;
    let (long_user, long_device) = ("u".repeat(33), "d".repeat(65));
    let login = |app: u32, user: &str, platform: i32, device: &str, token: &str| {
        json!({ "login": {
            "appId": app, "userId": user, "token": token, "platform": platform, "deviceId": device,
        } })
    };
    let mut logins = vec![
        (login(0, "bob", 1, "d", &app.token("bob")), 6017),
        (login(app.id, "bob", 0, "d", &app.token("bob")), 6017),
        (json!({ "login": {} }), 6017),
    ];
    for user in ["", "b\nb", "b\0b", "bøb", "\u{7f}", &long_user] {
        logins.push((login(app.id, user, 1, "d", &app.token(user)), 7003));
    }
    for device in ["", "d d", "d\n", "\u{7f}", "dé", &long_device] {
        logins.push((login(app.id, "bob", 1, device, &app.token("bob")), 6017));
    }
    for (login, code) in logins {
        for dial in [rollcall.dial(), rollcall.dial().protobuf()] {
            let mut raw = dial.open().await;
            raw.call(login.clone()).await.refused(code);
            assert_eq!(raw.closed().await, Some(3503), "{login}");
        }
    }
    assert!(unlogined(&app.session("reader", "d").await.status_of("bob").await));
}
