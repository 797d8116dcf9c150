//! Frames that clients should not send: the code that SPEC names, nothing changed, and the connection's fate as
//! docs/protocol.md tells it.

use rollcall_conformance::{alice_watching_bob, offline, says};
use rollcall_harness::{
    Raw, Rollcall,
    tungstenite::{
        Message,
        protocol::frame::{
            Frame,
            coding::{Data, OpCode},
        },
    },
};
use serde_json::json;

/// Texts that are no frames.
fn malformed() -> Vec<String> {
    let texts = [
        "",
        " ",
        "hello",
        "{",
        "[]",
        "7",
        "null",
        "\"ping\"",
        "\u{feff}{\"id\":1,\"ping\":{}}",
        r#"{"id":1,"ping":{}} and more"#,
        r#"{"id":1,"ping":{}}{"id":2,"ping":{}}"#,
        r#"{"id":1,"ping":{},}"#,
        r"{'id':1,'ping':{}}",
        r#"{"id":"one","ping":{}}"#,
        r#"{"id":-1,"ping":{}}"#,
        r#"{"id":4294967296,"ping":{}}"#,
        r#"{"id":1.5,"ping":{}}"#,
        r#"{"id":[1],"ping":{}}"#,
        r#"{"id":NaN,"ping":{}}"#,
        r#"{"id":1,"traceparent":7,"ping":{}}"#,
        r#"{"id":1,"ping":7}"#,
        r#"{"id":1,"ping":[]}"#,
        r#"{"id":1,"setSelfStatus":"busy"}"#,
        r#"{"id":1,"setSelfStatus":{"custom":5}}"#,
        r#"{"id":1,"setSelfStatus":{"custom":["busy"]}}"#,
        r#"{"id":1,"setSelfStatus":{"custom":"\ud800"}}"#,
        r#"{"id":1,"setSelfStatus":{"custom":"busy","clearAfterSeconds":-1}}"#,
        r#"{"id":1,"setSelfStatus":{"custom":"busy","clearAfterSeconds":1.5}}"#,
        r#"{"id":1,"setSelfStatus":{"custom":"busy","clearAfterSeconds":"30m"}}"#,
        r#"{"id":1,"getUserStatus":{"userIds":"bob"}}"#,
        r#"{"id":1,"getUserStatus":{"userIds":[1]}}"#,
        r#"{"id":1,"subscribe":{"userIds":{"0":"bob"}}}"#,
        r#"{"id":1,"unsubscribe":{"userIds":[[]]}}"#,
        r#"{"id":1,"ping":{},"logout":{}}"#,
        r#"{"id":1,"login":{"appId":"one"}}"#,
        r#"{"id":1,"login":{"platform":"PLATFORM_TOASTER"}}"#,
    ];
    let deep = format!(r#"{{"id":1,"ping":{}{}}}"#, "[".repeat(1500), "]".repeat(1500));
    texts.into_iter().map(str::to_owned).chain([deep]).collect()
}

/// Checks that a connection answers what it could not read and closes.
async fn closes_as_malformed(mut raw: Raw, what: &str) {
    // Shown if the test fails below.
    println!("sent {what}");
    let reply = raw.reply(0).await.refused(6017);
    assert!(!reply.message.is_empty());
    assert_eq!(raw.closed().await, Some(3501), "{what}");
}

#[tokio::test]
async fn a_malformed_frame_is_answered_with_id_0_and_closes_before_login() {
    let rollcall = Rollcall::start().await;
    for text in malformed() {
        let mut raw = rollcall.connect().await;
        raw.send_text(&text).await;
        closes_as_malformed(raw, &text).await;
    }
}

#[tokio::test]
async fn a_malformed_frame_is_answered_with_id_0_and_closes_after_login() {
    let rollcall = Rollcall::start().await;
    for text in malformed() {
        let app = rollcall.app().await;
        let (mut alice, mut bob) = alice_watching_bob(&app).await;
        bob.send_text(&text).await;
        closes_as_malformed(bob, &text).await;
        let next = alice.expect_next("bob").await;
        assert!(
            offline(&next) && says("")(&next),
            "the connection ended, and nothing else happened: {next:?}"
        );
    }
}

#[tokio::test]
async fn text_that_is_not_utf8_closes_and_takes_no_effect() {
    let rollcall = Rollcall::start().await;
    let app = rollcall.app().await;
    for bytes in [&b"\xff"[..], b"{\"id\":1,\"setSelfStatus\":{\"custom\":\"\xc3\"}}", b"\xed\xa0\x80"] {
        for mut raw in [rollcall.connect().await, app.session("bob", "d").await] {
            let frame = Frame::message(bytes.to_vec(), OpCode::Data(Data::Text), true);
            raw.send_message(Message::Frame(frame)).await;
            // Who breaks the WebSocket protocol itself gets no reply.
            assert_eq!(raw.closed().await, Some(3501), "{bytes:x?}");
        }
    }
    assert!(says("")(&app.session("bob", "d").await.status_of("bob").await));
}

#[tokio::test]
async fn a_message_of_the_other_kind_is_answered_with_id_0_and_closes() {
    let rollcall = Rollcall::start().await;
    let app = rollcall.app().await;
    let protobuf_ping = vec![0x08, 0x01, 0x62, 0x00];
    for mut raw in [rollcall.connect().await, app.session("bob", "d").await] {
        raw.send_message(Message::binary(protobuf_ping.clone())).await;
        closes_as_malformed(raw, "binary among JSON").await;
    }
    let dial = || rollcall.dial().protobuf();
    for mut raw in [dial().open().await, app.session_by(dial(), "PLATFORM_WEB", "bob", "d").await] {
        raw.send_text(r#"{"id":1,"ping":{}}"#).await;
        closes_as_malformed(raw, "text among protobuf").await;
    }
}

#[tokio::test]
async fn malformed_protobuf_is_answered_with_id_0_and_closes() {
    let rollcall = Rollcall::start().await;
    let app = rollcall.app().await;
    for bytes in [
        // A cut varint, a length beyond the end, a wrong wire type of `id`, text that is not UTF-8.
        vec![0xff; 11],
        vec![0x08],
        vec![0x62, 0x7f],
        vec![0x0a, 0x01, 0x41],
        vec![0x08, 0x01, 0x6a, 0x03, 0x0a, 0x01, 0xff],
    ] {
        for login in [false, true] {
            let mut raw = rollcall.dial().protobuf().open().await;
            if login {
                raw.login(&app, "bob", "d").await.ok();
            }
            raw.send_message(Message::binary(bytes.clone())).await;
            closes_as_malformed(raw, &format!("{bytes:x?}")).await;
        }
    }
}

#[tokio::test]
async fn a_frame_without_a_known_call_is_refused_by_its_id_and_the_connection_stays() {
    let rollcall = Rollcall::start().await;
    let app = rollcall.app().await;
    for mut raw in [rollcall.connect().await, app.session("bob", "d").await] {
        for (id, text) in [
            (0, "{}"),
            (900, r#"{"id":900}"#),
            (901, r#"{"id":901,"fly":{"to":"the moon"}}"#),
            (902, r#"{"id":902,"Ping":{},"set_general_status":2}"#),
        ] {
            raw.send_text(text).await;
            raw.reply(id).await.refused(6017);
        }
        raw.login(&app, "carol", "d").await;
        raw.call(json!({ "ping": {} })).await.ok();
    }
    let mut protobuf = rollcall.dial().protobuf().open().await;
    // Field 99, and a field beside a known call.
    protobuf.send_message(Message::binary(vec![0x08, 0x09, 0x9a, 0x06, 0x00])).await;
    protobuf.reply(9).await.refused(6017);
    protobuf.login(&app, "dave", "d").await.ok();
    protobuf.send_message(Message::binary(vec![0x08, 0x0a, 0x62, 0x00, 0x9a, 0x06, 0x00])).await;
    protobuf.reply(10).await.ok();
}

#[tokio::test]
async fn unknown_fields_are_ignored_at_every_depth() {
    let rollcall = Rollcall::start().await;
    let app = rollcall.app().await;
    let mut bob = rollcall.connect().await;
    let login = json!({
        "appId": app.id, "userId": "bob", "token": app.token("bob"), "platform": "PLATFORM_WEB",
        "deviceId": "d", "mood": ["sunny", { "degrees": 25.5 }], "": null,
    });
    bob.call(json!({ "login": login, "later": true })).await.ok();

    let set = json!({ "setSelfStatus": { "custom": "x", "colour": "red" }, "priority": 1e300 });
    assert!(says("x")(&bob.call(set).await.ok().status()));
    let query = json!({ "getUserStatus": { "userIds": ["bob"], "fields": { "all": true } } });
    assert_eq!(bob.call(query).await.ok().statuses().len(), 1);
    bob.call(json!({ "ping": { "payload": "y" } })).await.ok();
    // However deep.
    let (open, close) = ("[".repeat(10_000), "]".repeat(10_000));
    bob.send_text(&format!(r#"{{"id":900,"ping":{{}},"more":{open}{close}}}"#)).await;
    bob.reply(900).await.ok();
}
