//! HTTP/2 below the streams: what clients do to connections, and what they do not do to others.

use bytes::Bytes;
use h2::{
    Reason,
    client::{Builder, Connection, SendRequest},
};
use rollcall_harness::{PATIENCE, Rollcall, tungstenite::http::Request, within};
use serde_json::json;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    task::JoinHandle,
};

const OPEN_SESSION: &str = "/rollcall.client.v1.ClientService/OpenSession";
/// How HTTP/2 begins, with settings that say nothing.
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";

type Ended = JoinHandle<Result<(), h2::Error>>;

/// Opens a connection without any stream.
async fn connect(rollcall: &Rollcall) -> (SendRequest<Bytes>, Ended) {
    let stream = TcpStream::connect(rollcall.addresses().client()).await.unwrap();
    let opened = Builder::new().initial_max_send_streams(1000).handshake(stream).await;
    let (requests, connection): (_, Connection<TcpStream>) = opened.unwrap();
    (requests, tokio::spawn(connection))
}

fn request(rollcall: &Rollcall, path: &str) -> Request<()> {
    Request::builder()
        .method("POST")
        .uri(format!("http://{}{path}", rollcall.addresses().client()))
        .header("content-type", "application/grpc")
        .body(())
        .unwrap()
}

/// Waits for the end of a connection, and returns why.
async fn ended(connection: Ended) -> Result<(), Option<Reason>> {
    let ended = within("the end of the connection", connection).await.unwrap();
    ended.map_err(|error| error.reason())
}

/// Opens streams and resets them, at once or when they have been answered, until the connection ends. Returns how many.
async fn reset_rapidly(rollcall: &Rollcall, answered: bool) -> usize {
    let (mut requests, connection) = connect(rollcall).await;
    let mut opened = 0;
    'open: loop {
        let mut batch = Vec::new();
        for _ in 0..50 {
            let sent = requests.send_request(request(rollcall, OPEN_SESSION), false);
            let Ok((response, mut send)) = sent else { break 'open };
            opened += 1;
            if !answered {
                send.send_reset(Reason::CANCEL);
            }
            batch.push((response, send));
        }
        for (response, mut send) in batch {
            // Those that were reset end at once; the connection's end shows in those that follow.
            let _ = within("an answer", response).await;
            send.send_reset(Reason::CANCEL);
        }
        tokio::task::yield_now().await;
    }
    // Bytes that were not read when the server closes reset the connection, and its reason with it.
    let reason = ended(connection).await.unwrap_err();
    assert!(matches!(reason, Some(Reason::ENHANCE_YOUR_CALM) | None), "{reason:?}");
    opened
}

// ATTACK X14
#[tokio::test]
async fn a_connection_that_opens_and_resets_streams_rapidly_is_closed_and_others_are_served() {
    let rollcall = Rollcall::start().await;
    let app = rollcall.app().await;
    let mut before = app.session_by(rollcall.dial().grpc(), "PLATFORM_WEB", "before", "d").await;
    for answered in [false, true, true, false] {
        let opened = within("the end", reset_rapidly(&rollcall, answered)).await;
        // What a proxy's clients may do is served.
        assert!(opened > if answered { 256 } else { 20 }, "closed after {opened}");

        before.call(json!({ "ping": {} })).await.ok();
        app.session_by(rollcall.dial().grpc(), "PLATFORM_WEB", "after", "d").await.logout().await.ok();
        app.session("after", "d").await.logout().await.ok();
    }
}

#[tokio::test]
async fn a_connection_has_so_many_streams_at_once_and_no_more() {
    let rollcall = Rollcall::start().await;
    let (mut requests, _connection) = connect(&rollcall).await;
    // Until the server's settings have come the client may try as many as it likes.
    let mut streams = Vec::new();
    for _ in 0..200 {
        streams.push(requests.send_request(request(&rollcall, OPEN_SESSION), false).unwrap());
    }
    let (mut served, mut refused) = (Vec::new(), 0);
    for (response, send) in streams {
        match within("an answer", response).await {
            Ok(response) => served.push((response, send)),
            Err(error) => {
                assert_eq!(error.reason(), Some(Reason::REFUSED_STREAM));
                refused += 1;
            }
        }
    }
    assert_eq!((served.len(), refused), (128, 72));
}

#[tokio::test]
async fn a_connection_without_a_session_is_closed() {
    let rollcall = Rollcall::start().await;
    let (_requests, connection) = connect(&rollcall).await;
    // Another path is no session.
    let (mut requests, other) = connect(&rollcall).await;
    let (response, _) =
        requests.send_request(request(&rollcall, "/rollcall.admin.v1.AdminService/GetApp"), true).unwrap();
    let response = within("an answer", response).await.unwrap();
    assert_eq!(response.headers()["grpc-status"], "12");

    assert_eq!(ended(connection).await, Ok(()));
    assert_eq!(ended(other).await, Ok(()));
}

#[tokio::test]
async fn a_connection_that_answers_nothing_is_cut_once_it_has_no_session() {
    let rollcall = Rollcall::start().await;
    for begun in [&b"P"[..], b"PR", b"PRI * HT", PREFACE] {
        let mut stream = TcpStream::connect(rollcall.addresses().client()).await.unwrap();
        stream.write_all(begun).await.unwrap();
        // It hears that the connection is to close, and does not close it.
        let mut answer = Vec::new();
        within("the end", stream.read_to_end(&mut answer)).await.unwrap();
    }
}

// ATTACK X14
#[tokio::test]
async fn endless_headers_end_the_connection_and_nothing_else() {
    let rollcall = Rollcall::start().await;
    let app = rollcall.app().await;
    let mut before = app.session_by(rollcall.dial().grpc(), "PLATFORM_WEB", "before", "d").await;
    let mut stream = TcpStream::connect(rollcall.addresses().client()).await.unwrap();
    stream.write_all(PREFACE).await.unwrap();
    // HEADERS of stream 1 that do not end, and then CONTINUATION without end: each one header that is not indexed.
    let field = [&[0x00, 0x01, b'x', 0x7f, 0x81, 0x07][..], &[b'y'; 1024]].concat();
    let frame = |kind: u8| {
        let length = u32::try_from(field.len()).unwrap().to_be_bytes();
        [&length[1..], &[kind, 0, 0, 0, 0, 1], &field].concat()
    };
    let flood = async {
        let mut next = frame(1);
        while stream.write_all(&next).await.is_ok() {
            next = frame(9);
        }
    };
    tokio::time::timeout(PATIENCE, flood).await.expect("the connection ends");

    before.call(json!({ "ping": {} })).await.ok();
}

#[tokio::test]
async fn a_stream_that_is_not_read_is_closed_all_the_same_and_holds_up_no_other() {
    let rollcall = Rollcall::builder().config("[gateway]\nlogin_timeout = \"500ms\"\n").start().await;
    let stream = TcpStream::connect(rollcall.addresses().client()).await.unwrap();
    let opened = Builder::new().initial_window_size(0).handshake::<_, Bytes>(stream).await;
    let (mut requests, connection) = opened.unwrap();
    let _connection = tokio::spawn(connection);
    let (response, mut send) = requests.send_request(request(&rollcall, OPEN_SESSION), false).unwrap();
    let mut body = within("an answer", response).await.unwrap().into_body();
    // A ping before login, whose reply has nowhere to go.
    send.send_data(Bytes::from_static(&[0, 0, 0, 0, 4, 0x08, 1, 0x62, 0]), false).unwrap();

    let error = within("the end of the stream", body.data()).await.unwrap().unwrap_err();

    assert_eq!(error.reason(), Some(Reason::CANCEL));
    let (response, _send) = requests.send_request(request(&rollcall, OPEN_SESSION), false).unwrap();
    assert_eq!(within("an answer", response).await.unwrap().status(), 200);
}
