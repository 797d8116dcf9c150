//! One connection of a client, as light as it can be: protobuf frames over one TCP stream, small buffers, no SDK.

use std::time::Duration;

use anyhow::{Context as _, bail};
use futures_util::{SinkExt as _, StreamExt as _};
use prost::Message as _;
use rollcall_proto::{
    client::v1::{ClientFrame, Reply, ServerFrame, client_frame::Call, server_frame::Event},
    convert::SUBPROTOCOL_PROTOBUF,
};
use tokio::{net::TcpStream, time::timeout};
use tokio_tungstenite::{
    WebSocketStream, client_async_with_config,
    tungstenite::{ClientRequestBuilder, Message, http::Uri, protocol::WebSocketConfig},
};

/// The default of 128 KiB would be most of the generator's memory.
const BUFFER_BYTES: usize = 1024;
/// A connection and its handshake are given up after this.
const CONNECT_LIMIT: Duration = Duration::from_secs(30);

/// A connection.
#[derive(Debug)]
pub struct Socket {
    stream: WebSocketStream<TcpStream>,
}

impl Socket {
    /// Connects to `url` and shakes hands.
    pub async fn connect(url: &str) -> anyhow::Result<Self> {
        Ok(Self { stream: connect(url, SUBPROTOCOL_PROTOBUF).await? })
    }

    /// Sends a call.
    pub async fn send(&mut self, id: u32, call: Call) -> anyhow::Result<()> {
        let frame = ClientFrame { id, traceparent: String::new(), call: Some(call) };
        Ok(self.stream.send(Message::binary(frame.encode_to_vec())).await?)
    }

    /// Receives the next reply or push. The end of the connection is an error: nothing here asks for it.
    pub async fn next(&mut self) -> anyhow::Result<Event> {
        loop {
            match self.stream.next().await.context("the server closed the connection")?? {
                Message::Binary(bytes) => {
                    return ServerFrame::decode(bytes)?
                        .event
                        .context("a frame without an event was received");
                }
                Message::Ping(_) | Message::Pong(_) => {}
                Message::Close(Some(close)) => bail!("the server closed: {} {}", close.code, close.reason),
                other => bail!("received {other:?}, expected a binary message"),
            }
        }
    }

    /// Sends a call and waits for its reply; pushes before it are dropped.
    pub async fn call(&mut self, id: u32, call: Call) -> anyhow::Result<Reply> {
        self.send(id, call).await?;
        loop {
            if let Event::Reply(reply) = self.next().await?
                && reply.id == id
            {
                return ok(reply);
            }
        }
    }

    /// Closes the connection without waiting for the other side.
    pub async fn close(mut self) {
        // It is gone either way.
        let _ = self.stream.close(None).await;
    }
}

/// Connects to any server over a WebSocket, and shakes hands for a subprotocol.
pub(crate) async fn connect(url: &str, subprotocol: &str) -> anyhow::Result<WebSocketStream<TcpStream>> {
    let uri: Uri = url.parse().with_context(|| format!("{url:?} is no URL"))?;
    let host = uri.host().with_context(|| format!("{url:?} names no host"))?.to_owned();
    let port = uri.port_u16().unwrap_or(80);
    let config = WebSocketConfig::default().read_buffer_size(BUFFER_BYTES).write_buffer_size(0);
    let request = ClientRequestBuilder::new(uri).with_sub_protocol(subprotocol);
    let connected = timeout(CONNECT_LIMIT, async {
        let stream = TcpStream::connect((host, port)).await?;
        stream.set_nodelay(true)?;
        anyhow::Ok(client_async_with_config(request, stream, Some(config)).await?.0)
    });
    connected.await.context("the server did not shake hands in time")?
}

/// Refuses a reply that is not ok.
pub fn ok(reply: Reply) -> anyhow::Result<Reply> {
    anyhow::ensure!(reply.code == 0, "a call was refused: {} ({})", reply.message, reply.code);
    Ok(reply)
}
