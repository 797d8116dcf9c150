//! A server that does what the test says, and a listener that writes down what it hears.

use std::{future::Future, time::Duration};

use futures_util::{SinkExt as _, StreamExt as _};
use prost::Message as _;
use rollcall_client::{Client, Code, Config, Error, Listener, LoginInfo, Platform, UserStatus};
use rollcall_proto::{
    client::v1::{
        self as wire, client_frame::Call as Request, reply::Result as Returned, server_frame::Event,
    },
    close::CloseCode,
    common::v1 as common,
    convert::SUBPROTOCOL_PROTOBUF,
};
use tokio::{
    net::{TcpListener, TcpSocket, TcpStream},
    sync::mpsc,
    time::timeout,
};
use tokio_tungstenite::{
    WebSocketStream, accept_hdr_async,
    tungstenite::{
        Message,
        handshake::server::{Request as HttpRequest, Response},
        http::HeaderValue,
        protocol::CloseFrame,
    },
};

/// How long a test waits for what must happen; generous, since the machine may be busy.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// How long a test waits for what must not happen: hundreds of the client's waits.
const NEVER: Duration = Duration::from_millis(300);

pub(crate) struct Server {
    listener: TcpListener,
}

impl Server {
    pub(crate) fn start() -> Self {
        let socket = TcpSocket::new_v4().unwrap();
        // Little fits on the way to the server, so that a test can fill it.
        socket.set_recv_buffer_size(4 * 1024).unwrap();
        socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
        Self { listener: socket.listen(8).unwrap() }
    }

    /// A configuration for this server: patient with calls, quick to reconnect.
    pub(crate) fn config(&self) -> Config {
        let url = format!("ws://{}/v1/connect", self.listener.local_addr().unwrap());
        let mut config = Config::new(url, Platform::Linux, "desk".parse().unwrap());
        config.call_timeout = PATIENCE;
        config.reconnect_base = Duration::from_millis(1);
        config.reconnect_max = Duration::from_millis(2);
        config
    }

    pub(crate) async fn accept(&self) -> Peer {
        let (stream, _) = soon(self.listener.accept()).await.unwrap();
        #[expect(clippy::result_large_err, reason = "the callback's type is the library's")]
        let choose = |request: &HttpRequest, mut response: Response| {
            assert_eq!(request.headers()["sec-websocket-protocol"], SUBPROTOCOL_PROTOBUF);
            let chosen = HeaderValue::from_static(SUBPROTOCOL_PROTOBUF);
            response.headers_mut().insert("sec-websocket-protocol", chosen);
            Ok(response)
        };
        Peer { socket: soon(accept_hdr_async(stream, choose)).await.unwrap() }
    }

    /// Accepts a connection and the login on it, with alice's status at this version.
    pub(crate) async fn accept_login(&self, version: u64) -> Peer {
        let mut peer = self.accept().await;
        peer.expect_login(version).await;
        peer
    }

    /// Asserts that nobody connects.
    pub(crate) async fn stays_alone(&self) {
        let accepted = timeout(NEVER, self.listener.accept()).await;
        assert!(accepted.is_err(), "a connection was made");
    }
}

/// The server's end of one connection.
pub(crate) struct Peer {
    socket: WebSocketStream<TcpStream>,
}

impl Peer {
    /// Waits for the next frame; none at the end of the connection.
    pub(crate) async fn frame(&mut self) -> Option<wire::ClientFrame> {
        loop {
            match soon(self.socket.next()).await {
                Some(Ok(Message::Binary(bytes))) => return Some(wire::ClientFrame::decode(bytes).unwrap()),
                Some(Ok(_)) => {}
                Some(Err(_)) | None => return None,
            }
        }
    }

    /// Waits for the next call.
    pub(crate) async fn call(&mut self) -> (u32, Request) {
        let frame = self.frame().await.expect("the client closed the connection");
        (frame.id, frame.call.unwrap())
    }

    pub(crate) async fn expect_login(&mut self, version: u64) -> wire::Login {
        self.expect_login_at(version, 1).await
    }

    /// Waits for a login and tells it that its place is `login_order`.
    pub(crate) async fn expect_login_at(&mut self, version: u64, login_order: u64) -> wire::Login {
        let (id, call) = self.call().await;
        let Request::Login(login) = call else { panic!("expected a login, got {call:?}") };
        let result = wire::LoginResult {
            heartbeat_seconds: 1,
            status: Some(status("alice", "", version)),
            subscriptions: Some(2),
            login_order,
        };
        self.ok(id, Returned::Login(result)).await;
        login
    }

    pub(crate) async fn ok(&mut self, id: u32, result: impl Into<Option<Returned>>) {
        let result = result.into();
        self.send(Event::Reply(wire::Reply { id, result, ..wire::Reply::default() })).await;
    }

    pub(crate) async fn refuse(&mut self, id: u32, code: Code) {
        let reply =
            wire::Reply { id, code: code.number(), message: "no".to_owned(), ..wire::Reply::default() };
        self.send(Event::Reply(reply)).await;
    }

    pub(crate) async fn push(&mut self, statuses: Vec<common::UserStatus>) {
        self.send(Event::StatusChanged(wire::StatusChanged { statuses })).await;
    }

    pub(crate) async fn drain(&mut self, reconnect_after_ms: u32) {
        self.send(Event::Draining(wire::Draining { reconnect_after_ms })).await;
    }

    pub(crate) async fn kick(&mut self) {
        self.send(Event::Kicked(wire::Kicked { code: 6208, message: "newer login".to_owned() })).await;
    }

    pub(crate) async fn end_token(&mut self) {
        self.send(Event::TokenExpired(wire::TokenExpired { closes_after_ms: 60_000 })).await;
    }

    pub(crate) async fn close(mut self, code: CloseCode) {
        let frame = CloseFrame { code: code.number().into(), reason: code.reason().into() };
        let _ = self.socket.close(Some(frame)).await;
    }

    async fn send(&mut self, event: Event) {
        let frame = wire::ServerFrame { event: Some(event) }.encode_to_vec();
        self.socket.send(Message::binary(frame)).await.unwrap();
    }
}

pub(crate) fn status(user: &str, custom: &str, version: u64) -> common::UserStatus {
    common::UserStatus {
        user_id: user.to_owned(),
        general: common::GeneralStatus::Online as i32,
        custom: custom.to_owned(),
        version,
    }
}

pub(crate) fn set_result(status: common::UserStatus) -> Returned {
    Returned::SetSelfStatus(wire::SetSelfStatusResult { status: Some(status) })
}

/// What a listener heard.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Heard {
    Status(String, String, u64),
    Connecting,
    Connected,
    Disconnected(Code),
    Kicked,
    SigExpired,
}

pub(crate) fn shown(user: &str, custom: &str, version: u64) -> Heard {
    Heard::Status(user.to_owned(), custom.to_owned(), version)
}

struct Recorder(mpsc::Sender<Heard>);

impl Recorder {
    fn note(&self, heard: Heard) {
        self.0.try_send(heard).unwrap();
    }
}

impl Listener for Recorder {
    fn on_user_status_changed(&self, statuses: &[UserStatus]) {
        for status in statuses {
            self.note(shown(status.user_id.as_str(), &status.custom, status.version));
        }
    }

    fn on_connecting(&self) {
        self.note(Heard::Connecting);
    }

    fn on_connected(&self) {
        self.note(Heard::Connected);
    }

    fn on_disconnected(&self, code: Code, description: &str) {
        assert!(!description.is_empty());
        self.note(Heard::Disconnected(code));
    }

    fn on_kicked_offline(&self) {
        self.note(Heard::Kicked);
    }

    fn on_user_sig_expired(&self) {
        self.note(Heard::SigExpired);
    }
}

/// What the client's listener hears, one by one.
pub(crate) struct Ear(mpsc::Receiver<Heard>);

impl Ear {
    pub(crate) fn of(client: &Client) -> Self {
        let (heard_tx, heard_rx) = mpsc::channel(1000);
        client.add_listener(Recorder(heard_tx));
        Self(heard_rx)
    }

    /// Asserts what comes next.
    pub(crate) async fn hears(&mut self, expected: &[Heard]) {
        for expected in expected {
            assert_eq!(soon(self.0.recv()).await.as_ref(), Some(expected));
        }
    }

    /// Waits for this, whatever comes before.
    pub(crate) async fn hears_at_last(&mut self, expected: &Heard) {
        while soon(self.0.recv()).await.as_ref() != Some(expected) {}
    }

    /// Asserts that nothing came; for use after something that comes later was awaited.
    pub(crate) fn heard_nothing(&mut self) {
        assert_eq!(self.0.try_recv().ok(), None);
    }
}

/// Logs alice in with her status at version 1, and hears of it.
pub(crate) async fn alice(server: &Server, config: Config) -> (Client, Peer, Ear) {
    let client = Client::new(config);
    let mut ear = Ear::of(&client);
    let (login, peer) = tokio::join!(log_in(&client), server.accept_login(1));
    assert_eq!(login.unwrap().subscriptions, Some(2));
    ear.hears(&[Heard::Connecting, Heard::Connected, shown("alice", "", 1)]).await;
    (client, peer, ear)
}

pub(crate) async fn log_in(client: &Client) -> Result<LoginInfo, Error> {
    client.login(7, "alice", "token").await
}

/// Waits for what must happen.
pub(crate) async fn soon<T>(future: impl Future<Output = T>) -> T {
    timeout(PATIENCE, future).await.expect("what the test waits for did not happen")
}
