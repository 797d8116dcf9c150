//! Frames over a gRPC stream, on an HTTP/2 connection of its own.
//!
//! The connection is part of the transport and moves on whenever that is polled: there is no task to outlive it.

use std::{
    fmt::Display,
    future::{Future as _, poll_fn},
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use h2::client::{Builder, Connection};
use rollcall_proto::{
    close::CLOSE_CODE,
    messages::{CONTENT_TYPE, Messages, OPEN_SESSION},
};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::http::{
    self, HeaderMap, Method, Request, StatusCode, Uri, header, uri::Authority,
};

use super::{Broken, MAX_SERVER_FRAME_BYTES, closed, lost, network, never};
use crate::{
    Config,
    client::connection::{Closed, Failure},
};

/// The port of an address that names none, as of HTTP.
const PORT: u16 = 80;

/// Bytes that the server may send before they are read, of the stream and of its connection: a usual frame is below
/// 1 KiB, and a long answer comes in parts.
const WINDOW_BYTES: u32 = 64 * 1024 - 1;

/// What h2 may spend on small frames that are not read, 256 bytes each, before it closes the connection: a window full of
/// them. A client that stood still finds that many at once, and is to go on where it was.
const SMALL_FRAMES_BYTES: usize = WINDOW_BYTES as usize * 256;

/// Bytes that wait for the socket; more wait here, up to the longest frame.
const MAX_UNWRITTEN_BYTES: usize = 64 * 1024;

/// Greatest size of the headers and trailers of the server's answer.
const MAX_HEADERS_BYTES: u32 = 8 * 1024;

pub(in crate::client) struct Stream {
    connection: Link,
    messages: Messages,
}

/// The connection, until it has ended.
struct Link(Option<Connection<TcpStream>>);

impl Stream {
    pub(super) async fn open(config: &Config, uri: &Uri) -> Result<Self, Failure> {
        let url = &config.url;
        let unreachable = |error: &dyn Display| network(format!("{url} cannot be reached: {error}"));
        let authority = uri.authority().filter(|authority| !authority.host().is_empty());
        let authority = authority.ok_or_else(|| never(config, "it names no host"))?;
        if !matches!(uri.path(), "" | "/") {
            return Err(never(config, "a path is not expected"));
        }
        let host = authority.host().trim_start_matches('[').trim_end_matches(']');
        let port = authority.port_u16().unwrap_or(PORT);
        let socket = TcpStream::connect((host, port)).await.map_err(|error| unreachable(&error))?;
        socket.set_nodelay(true).map_err(|error| unreachable(&error))?;

        let broke = |error: h2::Error| network(format!("{url} does not speak gRPC: {error}"));
        let (mut requests, connection) = builder().handshake(socket).await.map_err(broke)?;
        let request = request(authority).map_err(|error| never(config, error))?;
        let (mut response, send) = requests.send_request(request, false).map_err(broke)?;
        let mut connection = Link(Some(connection));
        let response = poll_fn(|cx| {
            connection.advance(cx);
            Pin::new(&mut response).poll(cx)
        });
        let (head, receive) = response.await.map_err(broke)?.into_parts();
        // A call that is refused has its status in the headers.
        if head.status != StatusCode::OK || head.headers.contains_key("grpc-status") {
            let what = head.headers.get("grpc-message").and_then(|message| message.to_str().ok());
            let (status, what) = (head.status, what.unwrap_or("no reason"));
            return Err(network(format!("{url} refused the call with HTTP {status}: {what}")));
        }
        Ok(Self { connection, messages: Messages::new(send, receive, MAX_SERVER_FRAME_BYTES) })
    }

    pub(super) fn start_send(&mut self, frame: &[u8]) {
        self.messages.start_send(frame);
    }

    pub(super) fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Broken>> {
        let flushed = self.messages.poll_flush(cx).map_err(|_| Broken);
        self.connection.advance(cx);
        flushed
    }

    pub(super) fn poll_receive(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<Bytes>, Closed>> {
        self.connection.advance(cx);
        let error = match ready!(self.messages.poll_next(cx)) {
            Ok(Some(frame)) => return Poll::Ready(Ok(Some(frame))),
            Ok(None) => match ready!(self.messages.poll_trailers(cx)) {
                Ok(trailers) => return Poll::Ready(Err(ended(trailers.as_ref()))),
                Err(error) => error,
            },
            Err(error) => error,
        };
        Poll::Ready(Err(lost(format!("the connection broke: {error}"))))
    }

    /// Ends this side, and waits for the server to end its own.
    pub(super) async fn close(mut self) {
        let ended = poll_fn(|cx| self.poll_flush(cx)).await.is_ok() && self.messages.end().is_ok();
        while ended && poll_fn(|cx| self.poll_receive(cx)).await.is_ok() {}
    }
}

impl Link {
    /// Reads and writes as far as the socket goes. Its end shows in the stream.
    fn advance(&mut self, cx: &mut Context<'_>) {
        if let Some(connection) = &mut self.0
            && Pin::new(connection).poll(cx).is_ready()
        {
            self.0 = None;
        }
    }
}

fn builder() -> Builder {
    let mut builder = Builder::new();
    builder
        .enable_push(false)
        .initial_window_size(WINDOW_BYTES)
        .initial_connection_window_size(WINDOW_BYTES)
        .data_frame_budget(SMALL_FRAMES_BYTES)
        .max_send_buffer_size(MAX_UNWRITTEN_BYTES)
        .max_header_list_size(MAX_HEADERS_BYTES);
    builder
}

fn request(authority: &Authority) -> http::Result<Request<()>> {
    let uri =
        Uri::builder().scheme("http").authority(authority.as_str()).path_and_query(OPEN_SESSION).build()?;
    Request::builder()
        .method(Method::POST)
        .uri(uri)
        .header(header::TE, "trailers")
        .header(header::CONTENT_TYPE, CONTENT_TYPE)
        .body(())
}

/// Reads the trailers of a stream that the server has ended.
fn ended(trailers: Option<&HeaderMap>) -> Closed {
    let text = |name| trailers.and_then(|trailers| trailers.get(name)?.to_str().ok());
    let reason = text("grpc-message").unwrap_or("no reason");
    match text(CLOSE_CODE).and_then(|number| number.parse().ok()) {
        Some(number) => closed(number, reason),
        None => lost("the server closed the connection"),
    }
}
