//! What carries frames to a server: a WebSocket or a gRPC stream, as the scheme of its address says.

mod stream;
mod web_socket;

use std::task::{Context, Poll};

use bytes::Bytes;
use rollcall_proto::close::CloseCode;
use tokio_tungstenite::tungstenite::http::Uri;

use self::{stream::Stream, web_socket::WebSocket};
use super::connection::{Closed, Failure};
use crate::{Config, Error};

/// Longest frame taken from the server: an answer about 500 ids is below 100 KiB.
const MAX_SERVER_FRAME_BYTES: usize = 256 * 1024;

/// Writing has failed; what came before may still be read.
pub(super) struct Broken;

/// A transport that is open. Boxed, since it is much larger than what else a connection holds.
pub(super) enum Transport {
    WebSocket(Box<WebSocket>),
    Stream(Box<Stream>),
}

impl Transport {
    /// Connects as the address says.
    pub(super) async fn open(config: &Config) -> Result<Self, Failure> {
        let uri: Uri = config.url.parse().map_err(|error| never(config, error))?;
        match uri.scheme_str() {
            Some("ws") => Ok(Self::WebSocket(Box::new(WebSocket::open(config).await?))),
            Some("grpc" | "http") => Ok(Self::Stream(Box::new(Stream::open(config, &uri).await?))),
            _ => Err(never(config, "its scheme is not supported")),
        }
    }

    /// Begins to write a frame; [`poll_flush`](Self::poll_flush) goes on with it.
    pub(super) fn start_send(&mut self, frame: Vec<u8>) -> Result<(), Broken> {
        match self {
            Self::WebSocket(socket) => socket.start_send(frame),
            Self::Stream(stream) => {
                stream.start_send(&frame);
                Ok(())
            }
        }
    }

    /// Writes; ready once all is written.
    pub(super) fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Broken>> {
        match self {
            Self::WebSocket(socket) => socket.poll_flush(cx),
            Self::Stream(stream) => stream.poll_flush(cx),
        }
    }

    /// Receives; none is a message that is no frame, and says only that the server is there.
    pub(super) fn poll_receive(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<Bytes>, Closed>> {
        match self {
            Self::WebSocket(socket) => socket.poll_receive(cx),
            Self::Stream(stream) => stream.poll_receive(cx),
        }
    }

    /// Says goodbye; the caller sets the limit.
    pub(super) async fn close(self) {
        match self {
            Self::WebSocket(socket) => socket.close().await,
            Self::Stream(stream) => stream.close().await,
        }
    }
}

/// Says that an address can never work.
fn never(config: &Config, reason: impl std::fmt::Display) -> Failure {
    let url = &config.url;
    Failure::Refused(Error::invalid(format!(
        "url is {url:?}, expected ws://host:port/v1/connect or grpc://host:port ({reason})"
    )))
}

fn network(description: impl Into<String>) -> Failure {
    Failure::Network(Error::disconnected(description))
}

fn lost(description: impl Into<String>) -> Closed {
    Closed::Lost(Error::disconnected(description))
}

/// Reads why the server closed the connection; `otherwise` is its text for a number that is not known here.
fn closed(number: u16, otherwise: &str) -> Closed {
    let known = CloseCode::from_number(number);
    let reason = known.map_or_else(|| otherwise.to_owned(), |code| code.reason().to_owned());
    if CloseCode::invites_reconnect(number) {
        lost(format!("the server closed the connection: {reason} (close code {number})"))
    } else {
        Closed::Final(known, Error::disconnected(reason))
    }
}
