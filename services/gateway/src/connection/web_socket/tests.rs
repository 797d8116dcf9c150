//! A WebSocket beside what tungstenite itself makes of the same bytes.

use std::{future::poll_fn, time::Duration};

use proptest::prelude::*;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpListener,
    time::timeout,
};
use tungstenite::protocol::frame::{
    Frame,
    coding::{Data, OpCode},
};

use super::*;

/// How long what must come may take.
const LIMIT: Duration = Duration::from_secs(10);

/// A WebSocket, and the client's end of its stream.
async fn pair(begun: &[u8]) -> (WebSocket, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (client, accepted) =
        tokio::join!(TcpStream::connect(listener.local_addr().unwrap()), listener.accept());
    (WebSocket::new(accepted.unwrap().0, &Bytes::copy_from_slice(begun)), client.unwrap())
}

/// A client's frame in bytes.
fn masked(mut frame: Frame) -> Vec<u8> {
    frame.header_mut().mask = Some([7, 11, 13, 17]);
    let mut bytes = Vec::new();
    frame.format(&mut bytes).unwrap();
    bytes
}

fn text(text: &str) -> Vec<u8> {
    masked(Frame::message(Bytes::copy_from_slice(text.as_bytes()), OpCode::Data(Data::Text), true))
}

/// Polls once, and says whether the WebSocket is at rest then, having received nothing.
async fn rests(socket: &mut WebSocket) -> bool {
    let received = poll_fn(|cx| Poll::Ready(socket.poll_receive(cx))).await;
    assert!(received.is_pending());
    socket.protocol.is_none()
}

async fn message(socket: &mut WebSocket) -> Message {
    match timeout(LIMIT, receive(socket)).await.expect("a message") {
        Received::Message(message) => message,
        Received::Broken(code) => panic!("broken: {code:?}"),
        Received::Gone => panic!("gone"),
    }
}

#[tokio::test]
async fn a_connection_at_rest_holds_no_protocol() {
    let (mut socket, mut client) = pair(&[]).await;
    assert!(rests(&mut socket).await);

    client
        .write_all(&[text("one"), masked(Frame::ping(vec![1])), text(&"x".repeat(2_000))].concat())
        .await
        .unwrap();
    assert_eq!(message(&mut socket).await, Message::text("one"));
    assert_eq!(message(&mut socket).await, Message::Ping(Bytes::from_static(&[1])));
    assert_eq!(message(&mut socket).await, Message::text("x".repeat(2_000)));
    assert!(rests(&mut socket).await);
    let mut pong = [0; 3];
    client.read_exact(&mut pong).await.unwrap();
    assert_eq!(pong, [0x8a, 1, 1]);

    send(&mut socket, Message::text("two")).await.unwrap();
    assert!(socket.protocol.is_none());
    let mut two = [0; 5];
    client.read_exact(&mut two).await.unwrap();
    assert_eq!(&two, b"\x81\x03two");
}

#[tokio::test]
async fn what_came_with_the_handshake_is_received_first() {
    let whole = text("first");
    for split in 0..=whole.len() {
        let (mut socket, mut client) = pair(&whole[..split]).await;
        client.write_all(&whole[split..]).await.unwrap();
        assert_eq!(message(&mut socket).await, Message::text("first"), "{split}");
        assert!(rests(&mut socket).await);
    }
}

#[tokio::test]
async fn a_part_of_a_message_is_kept() {
    let (mut socket, mut client) = pair(&[]).await;
    let fragment = |bytes: &'static [u8], code, last| masked(Frame::message(bytes, OpCode::Data(code), last));
    // The first fragment of a message, and then half a frame.
    client.write_all(&fragment(b"ab", Data::Text, false)).await.unwrap();
    socket.stream.readable().await.unwrap();
    assert!(!rests(&mut socket).await);
    send(&mut socket, Message::text("between")).await.unwrap();
    let rest = fragment(b"cd", Data::Continue, true);
    client.write_all(&rest[..3]).await.unwrap();
    assert!(!rests(&mut socket).await);
    client.write_all(&rest[3..]).await.unwrap();
    assert_eq!(message(&mut socket).await, Message::text("abcd"));
}

#[tokio::test]
async fn what_the_client_does_not_take_is_kept() {
    let (mut socket, mut client) = pair(&[]).await;
    let long = Message::text("y".repeat(FRAME_MAX));
    let mut sent = 0;
    // Until the stream is full, and a message is left behind in part.
    loop {
        socket.start_send(long.clone()).unwrap();
        sent += 1;
        let flushed = poll_fn(|cx| Poll::Ready(socket.poll_flush(cx))).await;
        if flushed.is_pending() {
            break;
        }
        assert!(socket.protocol.is_none());
    }
    assert!(!rests(&mut socket).await);
    let frame = 2 + 8 + FRAME_MAX;
    let mut bytes = vec![0; frame * sent];
    let read = client.read_exact(&mut bytes);
    let (flushed, read) = tokio::join!(poll_fn(|cx| socket.poll_flush(cx)), read);
    flushed.unwrap();
    read.unwrap();
    assert!(
        bytes
            .chunks(frame)
            .all(|frame| frame[..2] == [0x81, 127] && frame[10..].iter().all(|byte| *byte == b'y'))
    );
    assert!(socket.protocol.is_none());
}

#[tokio::test]
async fn a_close_is_answered_and_one_of_ours_is_waited_for() {
    let (mut socket, mut client) = pair(&[]).await;
    client.write_all(&masked(Frame::close(None))).await.unwrap();
    assert!(matches!(receive(&mut socket).await, Received::Gone));
    let mut answer = [0; 2];
    client.read_exact(&mut answer).await.unwrap();
    assert_eq!(answer, [0x88, 0]);

    let (socket, mut client) = pair(&[]).await;
    let closing = tokio::spawn(socket.close(Some(Message::text("last")), CloseCode::GoingAway));
    let mut head = [0; 8];
    client.read_exact(&mut head).await.unwrap();
    assert_eq!((&head[..6], head[6]), (&b"\x81\x04last"[..], 0x88));
    assert!(!closing.is_finished());
    client.write_all(&masked(Frame::close(None))).await.unwrap();
    closing.await.unwrap();
    // The rest of our close, and no second one.
    let mut rest = Vec::new();
    client.read_to_end(&mut rest).await.unwrap();
    assert_eq!(rest.len(), usize::from(head[7]));
}

/// Messages with how their bytes are cut: each is whether it is text, its length, and in how many fragments it comes.
fn streams() -> impl Strategy<Value = (Vec<(bool, usize, usize)>, Vec<usize>)> {
    let message = (any::<bool>(), prop_oneof![0..20_usize, 120..130_usize, 900..3_000_usize], 1..4_usize);
    (prop::collection::vec(message, 1..8), prop::collection::vec(1..1_500_usize, 1..8))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    // However the bytes arrive, and whatever is sent between them.
    #[test]
    fn every_message_is_received_once_and_in_order((messages, cuts) in streams()) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let (mut bytes, mut expected) = (Vec::new(), Vec::new());
        for (number, (is_text, length, fragments)) in messages.iter().enumerate() {
            let payload = vec![b"abcdefgh"[number]; *length];
            let each = length / fragments + 1;
            let count = payload.chunks(each).count().max(1);
            for part in 0..count {
                let code = match (part, is_text) {
                    (0, true) => Data::Text,
                    (0, false) => Data::Binary,
                    _ => Data::Continue,
                };
                let chunk = payload.chunks(each).nth(part).unwrap_or_default().to_vec();
                bytes.extend(masked(Frame::message(chunk, OpCode::Data(code), part + 1 == count)));
            }
            expected.push(if *is_text {
                Message::text(String::from_utf8(payload).unwrap())
            } else {
                Message::binary(payload)
            });
        }
        let received = runtime.block_on(async { timeout(LIMIT, async {
            let (mut socket, mut client) = pair(&[]).await;
            let (mut sent, mut cuts) = (0, cuts.iter().cycle());
            let mut received = Vec::new();
            while received.len() < messages.len() {
                if sent < bytes.len() {
                    let end = bytes.len().min(sent + cuts.next().unwrap());
                    client.write_all(&bytes[sent..end]).await.unwrap();
                    sent = end;
                    socket.stream.readable().await.unwrap();
                }
                while let Poll::Ready(Received::Message(message)) =
                    poll_fn(|cx| Poll::Ready(socket.poll_receive(cx))).await
                {
                    received.push(message);
                }
                send(&mut socket, Message::text("between")).await.unwrap();
            }
            received
        }).await });
        let received = received.expect("all messages in time");
        prop_assert_eq!(received, expected);
    }
}
