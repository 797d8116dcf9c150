//! Opening a WebSocket or a gRPC stream in every way that a test needs.

use std::time::Duration;

use rollcall_proto::convert::{SUBPROTOCOL_JSON, SUBPROTOCOL_PROTOBUF};
use tokio::net::{TcpSocket, TcpStream};
use tokio_tungstenite::{
    client_async,
    tungstenite::{
        self,
        client::IntoClientRequest as _,
        http::{HeaderMap, HeaderValue, Request},
    },
};

use super::{Codec, Raw, wire};
use crate::{rollcall::url_of, wait::within};

/// A connection that is not open yet.
#[derive(Debug, Clone)]
pub struct Dial {
    address: String,
    subprotocol: Option<String>,
    codec: Codec,
    grpc: bool,
    headers: HeaderMap,
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
            grpc: false,
            headers: HeaderMap::new(),
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

    /// Opens a gRPC stream instead of a WebSocket.
    #[must_use]
    pub fn grpc(mut self) -> Self {
        self.grpc = true;
        self
    }

    /// Sends a header with the request of a gRPC stream; it replaces one of the same name.
    #[must_use]
    pub fn header(mut self, name: &'static str, value: &str) -> Self {
        self.headers.insert(name, value.parse().expect("a header value"));
        self
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

    /// Has the kernel, and the window of a gRPC stream, hold only so many received bytes, so that a client that does not
    /// read is soon felt.
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
        if self.grpc {
            return self
                .stream()
                .await
                .unwrap_or_else(|refusal| panic!("the stream was refused: {refusal:?}"));
        }
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

    /// Opens a gRPC stream, and checks that it is refused with an HTTP status, and with a gRPC status if that is 200.
    pub async fn stream_refused(self, http: u16, grpc: Option<i32>) {
        let refusal = self.stream().await.expect_err("the stream is refused");
        assert_eq!(refusal, (http, grpc));
    }

    async fn connect(&self) -> std::io::Result<TcpStream> {
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
        Ok(stream)
    }

    async fn attempt(self) -> Result<Raw, tungstenite::Error> {
        let stream = self.connect().await?;
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
        Ok(Raw::new(wire::web_socket(socket, self.codec)))
    }

    /// Opens a stream; if it is refused, returns the HTTP status and the gRPC status.
    async fn stream(self) -> Result<Raw, (u16, Option<i32>)> {
        let stream = self.connect().await.expect("a TCP connection");
        let mut builder = h2::client::Builder::new();
        // However many small frames a test leaves unread, the window is the limit.
        builder.data_frame_budget(usize::MAX);
        if let Some(bytes) = self.receive_buffer {
            builder.initial_window_size(bytes);
        }
        let handshake = within("the handshake", builder.handshake(stream)).await;
        let (mut requests, connection) = handshake.expect("the server speaks HTTP/2");
        let connection = tokio::spawn(async move { drop(connection.await) });
        let mut request = Request::builder()
            .method("POST")
            .uri(format!("http://{}/rollcall.client.v1.ClientService/OpenSession", self.address))
            .header("te", "trailers")
            .header("content-type", "application/grpc")
            .body(())
            .expect("a request");
        request.headers_mut().extend(self.headers);
        if let Some(origin) = &self.origin {
            request.headers_mut().insert("origin", origin.parse().expect("a header value"));
        }
        let (response, send) =
            requests.send_request(request, false).expect("a new connection takes a stream");
        let response = within("the answer's headers", response).await.expect("an answer");
        let grpc = response.headers().get("grpc-status").map(|status| status.to_str().expect("a text"));
        let grpc = grpc.map(|status| status.parse().expect("a number"));
        if response.status() != 200 || grpc.is_some() {
            return Err((response.status().as_u16(), grpc));
        }
        Ok(Raw::new(wire::stream(send, response.into_body(), connection)))
    }
}
