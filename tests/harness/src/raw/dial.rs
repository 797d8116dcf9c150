//! Opening a WebSocket in every way that a test needs.

use std::time::Duration;

use rollcall_proto::convert::{SUBPROTOCOL_JSON, SUBPROTOCOL_PROTOBUF};
use tokio::net::TcpSocket;
use tokio_tungstenite::{
    client_async,
    tungstenite::{self, client::IntoClientRequest as _, http::HeaderValue},
};

use super::{Codec, Raw};
use crate::{rollcall::url_of, wait::within};

/// A connection that is not open yet.
#[derive(Debug, Clone)]
pub struct Dial {
    address: String,
    subprotocol: Option<String>,
    codec: Codec,
    origin: Option<String>,
    receive_buffer: Option<u32>,
    resets: bool,
}

impl Dial {
    /// Prepares a connection to a gateway's `host:port`, with JSON frames.
    pub fn new(address: &str) -> Self {
        Self {
            address: address.to_owned(),
            subprotocol: Some(SUBPROTOCOL_JSON.to_owned()),
            codec: Codec::Json,
            origin: None,
            receive_buffer: None,
            resets: false,
        }
    }

    /// Speaks protobuf frames.
    #[must_use]
    pub fn protobuf(mut self) -> Self {
        self.codec = Codec::Protobuf;
        self.subprotocol(Some(SUBPROTOCOL_PROTOBUF))
    }

    /// Asks for any subprotocol, or for none.
    #[must_use]
    pub fn subprotocol(mut self, subprotocol: Option<&str>) -> Self {
        self.subprotocol = subprotocol.map(str::to_owned);
        self
    }

    /// Sends an `Origin`, as a browser does.
    #[must_use]
    pub fn origin(mut self, origin: &str) -> Self {
        self.origin = Some(origin.to_owned());
        self
    }

    /// Has the kernel hold only so many received bytes, so that a client that does not read is soon felt.
    #[must_use]
    pub fn receive_buffer(mut self, bytes: u32) -> Self {
        self.receive_buffer = Some(bytes);
        self
    }

    /// Has the end of the connection be a TCP reset instead of a FIN.
    #[must_use]
    pub fn resets(mut self) -> Self {
        self.resets = true;
        self
    }

    /// Opens the connection.
    pub async fn open(self) -> Raw {
        self.attempt().await.unwrap_or_else(|error| panic!("the handshake failed: {error}"))
    }

    /// Opens the connection, and checks that the handshake is refused with an HTTP status.
    pub async fn refused(self, status: u16) {
        match self.attempt().await {
            Err(tungstenite::Error::Http(response)) => assert_eq!(response.status().as_u16(), status),
            Err(error) => panic!("expected HTTP {status}, but the handshake failed with: {error}"),
            Ok(_) => panic!("expected HTTP {status}, but the connection opened"),
        }
    }

    async fn attempt(self) -> Result<Raw, tungstenite::Error> {
        let socket = TcpSocket::new_v4()?;
        if let Some(bytes) = self.receive_buffer {
            socket.set_recv_buffer_size(bytes)?;
        }
        if self.resets {
            socket.set_zero_linger()?;
        }
        let address = self.address.parse().expect("an address is host and port");
        let stream = within("a TCP connection", socket.connect(address)).await?;
        stream.set_nodelay(true)?;

        let mut request = url_of(&self.address).into_client_request()?;
        for (name, value) in [("sec-websocket-protocol", &self.subprotocol), ("origin", &self.origin)] {
            if let Some(value) = value {
                request.headers_mut().insert(name, HeaderValue::from_str(value).expect("a header value"));
            }
        }
        let handshake = client_async(request, stream);
        let (socket, _) = tokio::time::timeout(Duration::from_secs(30), handshake)
            .await
            .expect("the handshake is answered in time")?;
        Ok(Raw::new(socket, self.codec))
    }
}
