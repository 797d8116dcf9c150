//! gRPC streams: the same sessions as over a WebSocket, and what is their own.

use std::time::{Duration, Instant};

use rollcall_conformance::{EXPIRY, GRACE, borrowed, ids, offline, online, says, unlogined};
use rollcall_harness::{
    App, Deployment, Dial, LoginPolicy, Proxy, Raw, Rollcall, Setup, token, tungstenite::Message,
};
use rollcall_proto::client::v1::{
    ClientFrame, ClientFrame as Frame, Login, Ping, client_frame::Call,
    client_service_client::ClientServiceClient, server_frame::Event,
};
use serde_json::json;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;

/// Statuses of gRPC.
const OK: i32 = 0;
const INVALID_ARGUMENT: i32 = 3;
const PERMISSION_DENIED: i32 = 7;
const RESOURCE_EXHAUSTED: i32 = 8;
const ABORTED: i32 = 10;
const UNIMPLEMENTED: i32 = 12;
const UNAVAILABLE: i32 = 14;
const UNAUTHENTICATED: i32 = 16;

/// Waits for the end of a stream, and checks its close code and its status.
async fn ends(raw: &mut Raw, code: u16, status: i32) {
    assert_eq!(raw.closed().await, Some(code));
    assert_eq!(raw.grpc_status(), Some(status), "close code {code}");
}

/// Logs a user in over a stream.
async fn session(rollcall: &Rollcall, app: &App, user: &str, device: &str) -> Raw {
    app.session_by(rollcall.dial().grpc(), "PLATFORM_LINUX", user, device).await
}

/// Logs alice in over a WebSocket, watching bob.
async fn alice(app: &App) -> Raw {
    let mut alice = app.session("alice", "d").await;
    alice.subscribe(&["bob"]).await.ok();
    alice
}

// SPEC A4, B5, C5, D6, E2, F2, H6
#[tokio::test]
async fn a_session_over_a_stream_can_do_all_that_one_over_a_web_socket_can() {
    let rollcall = Rollcall::start().await;
    let app = rollcall.app().await;
    let mut alice = session(&rollcall, &app, "alice", "d").await;
    let mut bob = session(&rollcall, &app, "bob", "d").await;

    alice.subscribe(&["bob", "carol"]).await.ok();
    alice.expect("bob", online).await;
    let set = bob.set("over a stream").await.ok().status();
    assert_eq!(alice.expect("bob", says("over a stream")).await, set);
    bob.set(&"x".repeat(101)).await.refused(6017);
    assert_eq!(alice.status_of("bob").await, set);
    assert_eq!(alice.query(&["carol", "\n"]).await.ok().failures(), [("\n".to_owned(), 7003)]);
    assert_eq!(alice.subscriptions().await, ["bob", "carol"]);
    alice.unsubscribe(&["carol"]).await.ok();
    bob.call(json!({ "ping": {} })).await.ok();
    bob.logout().await.ok();
    ends(&mut bob, 3500, OK).await;
    assert!(unlogined(&alice.expect("bob", |status| !online(status)).await));
}

// SPEC F2, F4
#[tokio::test]
async fn watchers_over_streams_and_web_sockets_hear_the_same_versions() {
    let rollcall = Rollcall::start().await;
    let app = rollcall.app().await;
    let mut watchers = Vec::new();
    for (number, dial) in
        [rollcall.dial(), rollcall.dial().protobuf(), rollcall.dial().grpc(), rollcall.dial().grpc()]
            .into_iter()
            .enumerate()
    {
        let mut watcher = app.session_by(dial, "PLATFORM_WEB", &format!("watcher{number}"), "d").await;
        watcher.subscribe(&["bob"]).await.ok();
        watchers.push(watcher);
    }
    let mut bob = session(&rollcall, &app, "bob", "d").await;
    for number in 0..20 {
        let status = bob.set(&number.to_string()).await.ok().status();
        for watcher in &mut watchers {
            assert_eq!(watcher.expect("bob", says(&status.custom)).await, status);
        }
    }
}

#[tokio::test]
async fn a_client_that_a_generator_made_is_served() {
    let rollcall = Rollcall::start().await;
    let app = rollcall.app().await;
    let url = format!("http://{}", rollcall.addresses().client());
    let mut client = ClientServiceClient::connect(url).await.unwrap();
    let (frames, requests) = mpsc::channel(8);
    let mut replies = client.open_session(ReceiverStream::new(requests)).await.unwrap().into_inner();
    let token = app.token("bob");
    let login = Login { app_id: app.id, user_id: "bob".to_owned(), token, platform: 1, ..Login::default() };
    let login = Login { device_id: "d".to_owned(), ..login };
    let frame = |id, call| Frame { id, call: Some(call), ..ClientFrame::default() };
    frames.send(frame(1, Call::Login(login))).await.unwrap();
    frames.send(frame(2, Call::Ping(Ping {}))).await.unwrap();

    let mut answered = Vec::new();
    while answered.len() < 2 {
        if let Some(Event::Reply(reply)) = replies.message().await.unwrap().unwrap().event {
            assert_eq!((reply.code, reply.message.as_str()), (0, ""));
            answered.push(reply.id);
        }
    }
    assert_eq!(answered, [1, 2]);
    assert!(online(&app.session("alice", "d").await.status_of("bob").await));
    drop(frames);
    while replies.message().await.unwrap().is_some() {}
}

// SPEC A6, B3
#[tokio::test]
async fn a_stream_that_ends_or_is_reset_or_loses_its_connection_is_offline_at_once() {
    // With an expiry of 400 s it can only be the end that is seen.
    let rollcall = Rollcall::builder().profile("default").start().await;
    let app = rollcall.app().await;
    let mut alice = alice(&app).await;
    for end in ["reset", "end", "FIN", "RST"] {
        let dial = rollcall.dial().grpc();
        let dial = if end == "RST" { dial.resets() } else { dial };
        let mut bob = app.session_by(dial, "PLATFORM_LINUX", "bob", "d").await;
        bob.set(end).await.ok();
        alice.expect("bob", says(end)).await;

        // What is reset leaves its HTTP/2 connection open.
        let mut open = None;
        match end {
            "reset" => {
                bob.reset().await;
                open = Some(bob);
            }
            "end" => bob.close().await,
            _ => bob.lose().await,
        }

        let next = alice.expect_next("bob").await;
        assert!(offline(&next) && says("")(&next), "{end}: {next:?}");
        drop(open);
    }
}

// SPEC A7
#[tokio::test]
async fn a_stream_that_falls_silent_or_vanishes_is_offline_never_before_the_expiry() {
    let rollcall = Rollcall::start().await;
    let app = rollcall.app().await;
    let mut alice = alice(&app).await;

    let mut silent = session(&rollcall, &app, "bob", "d").await;
    alice.expect("bob", online).await;
    silent.fall_silent().await;
    let since = Instant::now();
    silent.call(json!({ "ping": {} })).await.ok();
    ends(&mut silent, 3002, UNAVAILABLE).await;
    assert!(since.elapsed() >= EXPIRY, "closed after {:?}", since.elapsed());
    alice.expect("bob", offline).await;

    let proxy = Proxy::start(rollcall.addresses().client());
    let _vanished = app.session_by(Dial::new(proxy.address()).grpc(), "PLATFORM_LINUX", "bob", "d").await;
    alice.expect("bob", online).await;
    let since = proxy.last_said();
    proxy.vanish();
    alice.expect("bob", offline).await;
    assert!(since.elapsed() >= EXPIRY, "OFFLINE after {:?}", since.elapsed());
}

// SPEC H4, H5, H7
#[tokio::test]
async fn a_kick_is_told_before_the_stream_ends_and_a_replacement_is_not() {
    let rollcall = Rollcall::start().await;
    let app = rollcall.app_with(Setup { login_policy: LoginPolicy::Single, ..Setup::default() }).await;
    let mut first = session(&rollcall, &app, "bob", "first").await;
    let mut second = session(&rollcall, &app, "bob", "second").await;
    ends(&mut first, 3504, ABORTED).await;
    assert_eq!(first.kicked(), Some(6208));

    let mut again = session(&rollcall, &app, "bob", "second").await;
    ends(&mut second, 3505, ABORTED).await;
    assert_eq!(second.kicked(), None);

    app.kick("bob").await;
    ends(&mut again, 3504, ABORTED).await;
    assert_eq!(again.kicked(), Some(6208));
}

// SPEC H3
#[tokio::test]
async fn a_token_that_runs_out_over_a_stream_is_told_refused_and_closed() {
    let rollcall = Rollcall::start().await;
    let app = rollcall.app().await;
    let exp = token::now() + 2;
    let mut bob = rollcall.dial().grpc().open().await;
    let short = app.token_with("bob", |claims| claims["exp"] = json!(exp));
    bob.login_with(app.id, "bob", &short, "PLATFORM_LINUX", "d").await.ok();

    bob.token_expired().await;

    assert!(token::now() >= exp, "never before");
    bob.set("too late").await.refused(6206);
    bob.call(json!({ "ping": {} })).await.ok();
    ends(&mut bob, 3506, UNAUTHENTICATED).await;
}

// SPEC H1, H6
#[tokio::test]
async fn before_login_a_stream_is_for_a_login_and_for_5_seconds() {
    let limit = Duration::from_secs(5);
    let rollcall = Rollcall::start().await;
    let app = rollcall.app().await;
    let start = Instant::now();
    let mut waiting = rollcall.dial().grpc().open().await;
    waiting.call(json!({ "ping": {} })).await.refused(6014);
    waiting.set("nobody").await.refused(6014);
    waiting.keep_alive();
    let mut refused = rollcall.dial().grpc().open().await;
    refused.login_with(app.id, "bob", "no token", "PLATFORM_WEB", "d").await.refused(70003);
    ends(&mut refused, 3503, UNAUTHENTICATED).await;

    ends(&mut waiting, 3001, UNAVAILABLE).await;
    assert!(start.elapsed() >= limit, "closed after {:?}", start.elapsed());
}

/// Makes a ping of exactly so many bytes: `padding` is a field that the server does not know.
fn padded_ping(id: u8, length: usize) -> Message {
    // Field 1 as a varint, field 12 as an empty message, then field 100 with its length in three bytes.
    let head = [0x08, id, 0x62, 0x00, 0xa2, 0x06];
    let padding = length - head.len() - 3;
    let low = |shift: usize| u8::try_from((padding >> shift) & 0x7f).unwrap();
    let length = [low(0) | 0x80, low(7) | 0x80, low(14)];
    Message::binary([&head[..], &length, &vec![b'x'; padding]].concat())
}

// ATTACK X3
#[tokio::test]
async fn a_message_over_a_stream_may_be_4_kib_before_login_and_64_kib_after() {
    let rollcall = Rollcall::start().await;
    let app = rollcall.app().await;
    let mut alice = alice(&app).await;

    let mut early = rollcall.dial().grpc().open().await;
    early.send_message(padded_ping(1, 4 * 1024)).await;
    early.reply(1).await.refused(6014);
    early.send_message(padded_ping(2, 4 * 1024 + 1)).await;
    ends(&mut early, 3502, RESOURCE_EXHAUSTED).await;

    let mut bob = session(&rollcall, &app, "bob", "d").await;
    alice.expect("bob", online).await;
    bob.send_message(padded_ping(101, 64 * 1024)).await;
    bob.reply(101).await.ok();
    bob.send_message(padded_ping(102, 64 * 1024 + 1)).await;
    ends(&mut bob, 3502, RESOURCE_EXHAUSTED).await;
    assert!(offline(&alice.expect_next("bob").await));

    // Its length alone is too much.
    let mut huge = rollcall.dial().grpc().open().await;
    huge.send_data(&[0, 0xff, 0xff, 0xff, 0xff]).await;
    ends(&mut huge, 3502, RESOURCE_EXHAUSTED).await;
}

#[tokio::test]
async fn a_malformed_frame_over_a_stream_is_answered_with_id_0_and_closes() {
    let rollcall = Rollcall::start().await;
    let app = rollcall.app().await;
    for bytes in [vec![0xff; 11], vec![0x08], vec![0x62, 0x7f], vec![0x0a, 0x01, 0x41]] {
        for mut raw in [rollcall.dial().grpc().open().await, session(&rollcall, &app, "bob", "d").await] {
            raw.send_message(Message::binary(bytes.clone())).await;
            raw.reply(0).await.refused(6017);
            ends(&mut raw, 3501, INVALID_ARGUMENT).await;
        }
    }
    // An empty message is a frame that names no call.
    let mut raw = rollcall.dial().grpc().open().await;
    raw.send_message(Message::binary(Vec::new())).await;
    raw.reply(0).await.refused(6017);
    raw.login(&app, "bob", "d").await.ok();
}

// ATTACK X4
#[tokio::test]
async fn compressed_frames_are_refused_unread() {
    let rollcall = Rollcall::start().await;
    rollcall.dial().grpc().header("grpc-encoding", "gzip").stream_refused(200, Some(UNIMPLEMENTED)).await;
    let mut raw = rollcall.dial().grpc().header("grpc-encoding", "identity").open().await;
    raw.send_data(&[1, 0, 0, 0, 4, 0x1f, 0x8b, 8, 0]).await;
    ends(&mut raw, 3501, INVALID_ARGUMENT).await;
}

// ATTACK X5
#[tokio::test]
async fn a_page_of_a_foreign_origin_and_what_is_no_grpc_open_no_stream() {
    let rollcall =
        Rollcall::builder().config("[gateway]\nallowed_origins = [\"https://app.example\"]\n").start().await;
    let own = rollcall.addresses().client();
    let dial = || Dial::new(own).grpc();
    for foreign in ["https://evil.example", "null", &format!("http://evil.{own}")] {
        dial().origin(foreign).stream_refused(200, Some(PERMISSION_DENIED)).await;
    }
    for allowed in ["https://app.example", &format!("http://{own}")] {
        dial().origin(allowed).open().await.call(json!({ "ping": {} })).await.refused(6014);
    }
    for kind in ["application/json", "application/grpc-web", "application/grpc+json", "text/plain", ""] {
        dial().header("content-type", kind).stream_refused(415, None).await;
    }
    for kind in ["application/grpc+proto", "application/grpc; charset=utf-8"] {
        dial().header("content-type", kind).open().await;
    }
}

#[tokio::test]
async fn streams_take_the_places_of_connections() {
    let config = "[gateway]\nconnections = 2\n";
    let rollcall = Rollcall::builder().deployment(Deployment::Embedded).config(config).start().await;
    let socket = rollcall.connect().await;
    let stream = rollcall.dial().grpc().open().await;
    rollcall.dial().grpc().stream_refused(200, Some(UNAVAILABLE)).await;
    rollcall.dial().refused(503).await;
    drop(stream);
    rollcall_harness::eventually("a place", async || {
        rollcall.metrics().await.of("rollcall_gateway_connections") == 1
    })
    .await;
    rollcall.dial().grpc().open().await;
    drop(socket);
}

// SPEC F5
#[tokio::test]
async fn a_stream_that_is_not_read_may_skip_states_but_never_the_last() {
    const CHANGES: usize = 2000;
    // With an expiry of 400 s the client is slow, and not silent.
    let rollcall = Rollcall::builder().profile("default").start().await;
    let app = rollcall.app().await;
    let dial = rollcall.dial().grpc().receive_buffer(4096);
    let mut slow = app.session_by(dial, "PLATFORM_LINUX", "alice", "slow").await;
    let mut healthy = app.session("carol", "d").await;
    for watcher in [&mut slow, &mut healthy] {
        watcher.subscribe(&["bob"]).await.ok();
        watcher.expect_next("bob").await;
    }
    let mut bob = session(&rollcall, &app, "bob", "d").await;
    for number in 0..CHANGES {
        bob.set(&number.to_string()).await.ok();
    }
    let last = bob.set("the last").await.ok().status();
    // Who reads is not held up by who does not.
    assert_eq!(healthy.expect("bob", says("the last")).await, last);

    // Versions are checked by the raw client as they come.
    let mut read = 1;
    while slow.expect_next("bob").await != last {
        read += 1;
    }
    assert!(read < CHANGES, "the client was slow enough to skip states");
    assert_eq!(slow.pushed_during(GRACE).await, []);
}

#[tokio::test]
async fn a_stream_with_64_calls_that_wait_is_not_read_until_replies_are_taken() {
    const CALLS: usize = 700;
    let rollcall = Rollcall::builder().deployment(Deployment::Embedded).profile("default").start().await;
    let app = rollcall.app().await;
    let dial = rollcall.dial().grpc().receive_buffer(4096);
    let mut slow = app.session_by(dial, "PLATFORM_LINUX", "alice", "slow").await;
    let targets: Vec<String> = ids("user", 200).iter().map(|id| format!("{id:0>32}")).collect();
    for part in targets.chunks(100) {
        slow.subscribe(&borrowed(part)).await.ok();
    }
    let mut last = 0;
    for _ in 0..CALLS {
        last = slow.begin(json!({ "listSubscriptions": {} })).await;
    }
    let mut other = app.session("bob", "d").await;
    let listed = async || {
        let metrics = rollcall.metrics().await;
        metrics.of("rollcall_gateway_calls_total{method=\"list_subscriptions\",code=\"0\"}")
    };
    // The 64 that wait, and those whose replies of 7 KiB are on the way: 4 KiB of window, 16 KiB that HTTP/2 holds, and
    // what was written at once.
    rollcall_harness::eventually("64 calls to wait", async || listed().await >= 64).await;
    for _ in 0..200 {
        other.call(json!({ "ping": {} })).await.ok();
    }
    assert!(listed().await < 80, "{} calls were read", listed().await);

    assert_eq!(slow.reply(last).await.ok().listed().len(), 200);
    assert_eq!(listed().await, CALLS as u64);
}
