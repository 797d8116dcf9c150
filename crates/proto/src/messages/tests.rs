//! Both ends of a stream in memory: the client's half is written by hand, the server's is under test.

use std::future::poll_fn;

use h2::{client, server};
use tonic::codegen::http::{Request, Response};

use super::*;

/// The longest message that the server takes.
const LIMIT: usize = 100;
/// How much the client takes before it says that it takes more.
const WINDOW: u32 = 1000;

/// A stream: the client's two halves, and the server's end.
async fn stream() -> (SendStream<Bytes>, RecvStream, Messages) {
    let (near, far) = tokio::io::duplex(64 * 1024);
    let serving = tokio::spawn(async move {
        let mut connection = server::handshake(far).await.unwrap();
        let (request, mut respond) = connection.accept().await.unwrap().unwrap();
        tokio::spawn(async move { while connection.accept().await.is_some() {} });
        let send = respond.send_response(Response::new(()), false).unwrap();
        Messages::new(send, request.into_body(), LIMIT)
    });
    let mut builder = client::Builder::new();
    let (mut requests, connection) = builder.initial_window_size(WINDOW).handshake(near).await.unwrap();
    tokio::spawn(connection);
    let (response, send) = requests.send_request(Request::new(()), false).unwrap();
    let receive = response.await.unwrap().into_body();
    (send, receive, serving.await.unwrap())
}

fn framed(message: &[u8]) -> Vec<u8> {
    let length = u32::try_from(message.len()).unwrap().to_be_bytes();
    [&[0], &length[..], message].concat()
}

async fn next(messages: &mut Messages) -> Result<Option<Bytes>, Error> {
    poll_fn(|cx| messages.poll_next(cx)).await
}

/// Polls a flush once.
async fn flush(messages: &mut Messages) -> Poll<Result<(), Error>> {
    poll_fn(|cx| Poll::Ready(messages.poll_flush(cx))).await
}

#[tokio::test]
async fn messages_arrive_whole_however_they_are_cut() {
    let sent: [&[u8]; 4] = [b"one", b"", &[7; LIMIT], b"four"];
    let bytes: Vec<u8> = sent.iter().flat_map(|message| framed(message)).collect();
    for piece in [1, 2, 5, 6, 50, bytes.len()] {
        let (mut send, _receive, mut messages) = stream().await;
        for chunk in bytes.chunks(piece) {
            send.send_data(Bytes::copy_from_slice(chunk), false).unwrap();
        }
        send.send_data(Bytes::new(), true).unwrap();
        for message in sent {
            assert_eq!(next(&mut messages).await.unwrap().as_deref(), Some(message), "in pieces of {piece}");
        }
        assert_eq!(next(&mut messages).await.unwrap(), None);
    }
}

#[tokio::test]
async fn a_message_too_long_is_refused_by_its_length_alone() {
    let (mut send, _receive, mut messages) = stream().await;
    send.send_data(Bytes::from_static(&[0, 0xff, 0xff, 0xff, 0xff]), false).unwrap();
    let refused = next(&mut messages).await.unwrap_err();
    assert!(matches!(refused, Error::TooLong { length: 0xffff_ffff, limit: LIMIT }), "{refused}");
}

// ATTACK X4
#[tokio::test]
async fn a_compressed_message_is_refused() {
    let (mut send, _receive, mut messages) = stream().await;
    send.send_data(Bytes::from_static(&[1, 0, 0, 0, 1, 0]), false).unwrap();
    assert!(matches!(next(&mut messages).await, Err(Error::Compressed)));
}

#[tokio::test]
async fn a_stream_that_ends_within_a_message_or_is_reset_is_an_error() {
    for bytes in [&framed(b"cut")[..3], &framed(b"cut")[..7]] {
        let (mut send, _receive, mut messages) = stream().await;
        send.send_data(Bytes::copy_from_slice(bytes), true).unwrap();
        assert!(matches!(next(&mut messages).await, Err(Error::Cut)));
    }
    let (mut send, _receive, mut messages) = stream().await;
    send.send_reset(h2::Reason::CANCEL);
    assert!(matches!(next(&mut messages).await, Err(Error::Gone(_))));
}

// SPEC F5
#[tokio::test]
async fn a_peer_that_takes_nothing_is_handed_no_more_than_its_window() {
    let (_send, mut receive, mut messages) = stream().await;
    let message = [9; 400];
    for _ in 0..5 {
        messages.start_send(&message);
    }
    while flush(&mut messages).await.is_pending() && messages.unsent.len() > 5 * 405 - WINDOW as usize {
        tokio::task::yield_now().await;
    }
    assert!(flush(&mut messages).await.is_pending());
    assert_eq!(messages.unsent.len(), 5 * 405 - WINDOW as usize);

    let taking = tokio::spawn(async move {
        let mut all = Vec::new();
        while all.len() < 5 * 405 {
            let data = receive.data().await.unwrap().unwrap();
            receive.flow_control().release_capacity(data.len()).unwrap();
            all.extend_from_slice(&data);
        }
        all
    });
    poll_fn(|cx| messages.poll_flush(cx)).await.unwrap();
    assert_eq!(taking.await.unwrap(), framed(&message).repeat(5));
    assert_eq!(messages.unsent.capacity(), 0, "an idle stream holds no buffer");
}

#[tokio::test]
async fn a_server_ends_its_side_with_trailers_after_what_it_sent() {
    let (mut send, mut receive, mut messages) = stream().await;
    messages.start_send(b"last");
    poll_fn(|cx| messages.poll_flush(cx)).await.unwrap();
    let mut trailers = HeaderMap::new();
    trailers.insert("grpc-status", "0".parse().unwrap());
    messages.finish(trailers.clone()).unwrap();
    drop(messages);

    assert_eq!(receive.data().await.unwrap().unwrap(), framed(b"last"));
    assert!(receive.data().await.is_none());
    assert_eq!(receive.trailers().await.unwrap(), Some(trailers));
    // The server reads no more, and says so.
    poll_fn(|cx| send.poll_reset(cx)).await.unwrap();
}
