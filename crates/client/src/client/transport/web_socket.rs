//! Protobuf frames over a WebSocket.

use std::task::{Context, Poll, ready};

use bytes::Bytes;
use futures_util::{SinkExt as _, StreamExt as _};
use rollcall_proto::convert::SUBPROTOCOL_PROTOBUF;
use tokio::net::TcpStream;
use tokio_tungstenite::{
    MaybeTlsStream, WebSocketStream, connect_async_with_config,
    tungstenite::{
        self, Message,
        client::IntoClientRequest as _,
        error::UrlError,
        http::{HeaderValue, header::SEC_WEBSOCKET_PROTOCOL},
        protocol::WebSocketConfig,
    },
};

use super::{Broken, MAX_SERVER_FRAME_BYTES, closed, lost, network, never};
use crate::{
    Config,
    client::connection::{Closed, Failure},
};

/// Longest backlog of writes: two of the longest frames, since a frame is sent only when the last is written.
const MAX_UNWRITTEN_BYTES: usize = 128 * 1024;

/// Size of the read buffer, which is allocated at once: a usual frame is below 1 KiB.
const READ_BUFFER_BYTES: usize = 4 * 1024;

pub(in crate::client) struct WebSocket(WebSocketStream<MaybeTlsStream<TcpStream>>);

impl WebSocket {
    pub(super) async fn open(config: &Config) -> Result<Self, Failure> {
        let mut request =
            config.url.as_str().into_client_request().map_err(|error| refused(config, &error))?;
        let subprotocol = HeaderValue::from_static(SUBPROTOCOL_PROTOBUF);
        request.headers_mut().insert(SEC_WEBSOCKET_PROTOCOL, subprotocol);
        let limits = WebSocketConfig::default()
            .read_buffer_size(READ_BUFFER_BYTES)
            .write_buffer_size(0)
            .max_write_buffer_size(MAX_UNWRITTEN_BYTES)
            .max_message_size(Some(MAX_SERVER_FRAME_BYTES))
            .max_frame_size(Some(MAX_SERVER_FRAME_BYTES));
        let connected = connect_async_with_config(request, Some(limits), true).await;
        Ok(Self(connected.map_err(|error| refused(config, &error))?.0))
    }

    pub(super) fn start_send(&mut self, frame: Vec<u8>) -> Result<(), Broken> {
        self.0.start_send_unpin(Message::binary(frame)).map_err(|_| Broken)
    }

    pub(super) fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Broken>> {
        self.0.poll_flush_unpin(cx).map_err(|_| Broken)
    }

    pub(super) fn poll_receive(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<Bytes>, Closed>> {
        Poll::Ready(match ready!(self.0.poll_next_unpin(cx)) {
            Some(Ok(Message::Binary(frame))) => Ok(Some(frame)),
            Some(Ok(Message::Text(_))) => Err(lost("the server sent text, expected protobuf")),
            Some(Ok(Message::Close(Some(frame)))) => Err(closed(frame.code.into(), &frame.reason)),
            Some(Ok(Message::Close(None))) | None => Err(lost("the server closed the connection")),
            Some(Ok(Message::Ping(_) | Message::Pong(_) | Message::Frame(_))) => Ok(None),
            Some(Err(error)) => Err(lost(format!("the connection broke: {error}"))),
        })
    }

    pub(super) async fn close(mut self) {
        // It is gone either way.
        let _ = self.0.close(None).await;
    }
}

/// Says why connecting failed: an address that can never work is told from a server that is not there.
fn refused(config: &Config, error: &tungstenite::Error) -> Failure {
    use tungstenite::Error::{Http, HttpFormat, Io, Url};
    let url = &config.url;
    match error {
        Url(UrlError::UnableToConnect(_)) | Io(_) => network(format!("{url} cannot be reached: {error}")),
        Url(_) | HttpFormat(_) => never(config, error),
        Http(response) => {
            let status = response.status();
            network(format!("{url} answered HTTP {status}, expected a WebSocket"))
        }
        _ => network(format!("{url} does not speak {SUBPROTOCOL_PROTOBUF}: {error}")),
    }
}
