//! How long a frame may be: 4 KiB before login, 64 KiB after it.

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

/// The greatest length of a frame before login and after it, in bytes.
const FRAME_BEFORE_LOGIN: usize = 4 * 1024;
const FRAME_AFTER_LOGIN: usize = 64 * 1024;

/// Makes a frame of exactly so many bytes.
fn padded(frame: &str, length: usize) -> String {
    let (start, end) = (r#"{"padding":""#, format!(r#"",{}"#, &frame[1..]));
    let padding = "x".repeat(length - start.len() - end.len());
    format!("{start}{padding}{end}")
}

#[tokio::test]
async fn a_frame_may_be_4_kib_before_login_and_no_longer() {
    let rollcall = Rollcall::start().await;
    let ping = r#"{"id":7,"ping":{}}"#;

    let mut raw = rollcall.connect().await;
    raw.send_text(&padded(ping, FRAME_BEFORE_LOGIN)).await;
    raw.reply(7).await.refused(6014);
    raw.send_text(&padded(ping, FRAME_BEFORE_LOGIN + 1)).await;
    assert_eq!(raw.closed().await, Some(3502));
}

#[tokio::test]
async fn a_frame_may_be_64_kib_after_login_and_a_longer_one_takes_no_effect() {
    let rollcall = Rollcall::start().await;
    let app = rollcall.app().await;
    let (mut alice, mut bob) = alice_watching_bob(&app).await;
    let set = |text: &str| format!(r#"{{"id":900,"setSelfStatus":{{"custom":"{text}"}}}}"#);

    bob.send_text(&padded(&set("long enough"), FRAME_AFTER_LOGIN)).await;
    bob.reply(900).await.ok();
    alice.expect("bob", says("long enough")).await;
    bob.send_text(&padded(&set("too long"), FRAME_AFTER_LOGIN + 1)).await;

    assert_eq!(bob.closed().await, Some(3502));
    assert!(offline(&alice.expect_next("bob").await), "nobody saw the text of the frame that was too long");
}

// ATTACK X3
#[tokio::test]
async fn a_frame_of_1_mib_ends_the_connection_and_nothing_else() {
    let rollcall = Rollcall::start().await;
    let app = rollcall.app().await;
    let (mut alice, mut bob) = alice_watching_bob(&app).await;
    let mut stranger = rollcall.connect().await;
    let huge = padded(r#"{"id":1,"setSelfStatus":{"custom":"huge"}}"#, 1024 * 1024);

    for raw in [&mut stranger, &mut bob] {
        raw.send_text(&huge).await;
        // Bytes that were not read when the server closes reset the connection, and its close frame with it.
        let code = raw.closed().await;
        assert!(matches!(code, Some(3502) | None), "{code:?}");
    }

    assert!(offline(&alice.expect_next("bob").await));
    assert!(says("")(&app.session("bob", "d").await.status_of("bob").await));
}

/// Sends one message in fragments, each a frame of its own.
async fn send_fragments(raw: &mut Raw, fragments: &[String]) {
    for (index, fragment) in fragments.iter().enumerate() {
        let kind = if index == 0 { Data::Text } else { Data::Continue };
        let frame = Frame::message(fragment.clone(), OpCode::Data(kind), index + 1 == fragments.len());
        raw.send_message(Message::Frame(frame)).await;
    }
}

// ATTACK X3
#[tokio::test]
async fn fragments_count_as_the_frame_that_they_make() {
    let rollcall = Rollcall::start().await;
    let app = rollcall.app().await;
    let mut bob = app.session("bob", "d").await;
    bob.fall_silent().await;
    let frame = padded(r#"{"id":900,"ping":{}}"#, 3000);
    let pieces = |text: &str| -> Vec<String> {
        text.as_bytes().chunks(100).map(|piece| String::from_utf8_lossy(piece).into_owned()).collect()
    };

    send_fragments(&mut bob, &pieces(&frame)).await;
    bob.reply(900).await.ok();
    let endless = padded(r#"{"id":901,"ping":{}}"#, FRAME_AFTER_LOGIN + 1000);
    send_fragments(&mut bob, &pieces(&endless)).await;
    let code = bob.closed().await;

    assert!(matches!(code, Some(3502) | None), "{code:?}");
}
