//! One WebSocket: frames out, frames in, and why it ended. It is owned by the driver's task alone.

use std::collections::VecDeque;

use futures_util::{SinkExt as _, StreamExt as _};
use prost::Message as _;
use rollcall_proto::{
    client::v1::{
        self as wire, client_frame::Call as Request, reply::Result as Returned, server_frame::Event,
    },
    close::CloseCode,
    convert::SUBPROTOCOL_PROTOBUF,
};
use tokio::{
    net::TcpStream,
    time::{Duration, Instant, timeout},
};
use tokio_tungstenite::{
    MaybeTlsStream, WebSocketStream, connect_async_with_config,
    tungstenite::{
        self, Message,
        client::IntoClientRequest as _,
        error::UrlError,
        http::{HeaderValue, header::SEC_WEBSOCKET_PROTOCOL},
        protocol::{CloseFrame, WebSocketConfig},
    },
};

use super::{
    calls::{self, FrameLimit},
    heartbeat::Heartbeat,
};
use crate::{Config, Error, LoginInfo, UserStatus, clock};

/// Longest frame taken from the server: an answer about 500 ids is below 100 KiB.
const MAX_SERVER_FRAME_BYTES: usize = 256 * 1024;

/// Longest backlog of writes: two of the longest frames, since a write waits until it is flushed.
const MAX_UNWRITTEN_BYTES: usize = 128 * 1024;

/// Size of the read buffer, which is allocated at once: a usual frame is below 1 KiB.
const READ_BUFFER_BYTES: usize = 4 * 1024;

/// Most frames kept that come before the reply to the login; a server that sends more is not ours.
const MAX_EARLY_FRAMES: usize = 16;

/// Longest wait for a goodbye to be written: nobody needs it.
const GOODBYE: Duration = Duration::from_millis(500);

/// The id of the login, the first call of every connection.
const LOGIN_ID: u32 = 1;

/// Says why there is no connection.
pub(super) enum Failure {
    /// The server cannot be reached, or went away.
    Network(Error),
    /// The login was refused, or cannot be sent.
    Refused(Error),
}

/// Says why a connection ended.
pub(super) enum Closed {
    /// Connecting again is right.
    Lost(Error),
    /// The server says not to come back, with one of its own codes.
    Final(Option<CloseCode>, Error),
}

/// A connection with a user logged in.
pub(super) struct Online {
    pub(super) connection: Connection,
    pub(super) heartbeat: Heartbeat,
    pub(super) info: LoginInfo,
}

/// Connects and logs in: one attempt.
pub(super) async fn log_in(config: &Config, login: wire::Login) -> Result<Online, Failure> {
    let limit = config.connect_timeout.min(config.call_timeout);
    let open = timeout(limit, Connection::open(config)).await;
    let mut connection = open.unwrap_or_else(|_| Err(network(format!("not connected within {limit:?}"))))?;
    let reply = timeout(config.call_timeout, connection.log_in(login)).await;
    let result = reply.unwrap_or_else(|_| Err(Failure::Network(Error::timeout(config.call_timeout))))?;
    let (info, heartbeat) = read_result(result).map_err(Failure::Refused)?;
    Ok(Online { connection, heartbeat, info })
}

pub(super) struct Connection {
    socket: WebSocketStream<MaybeTlsStream<TcpStream>>,
    early: VecDeque<Event>,
    write_limit: Duration,
    last_sent: Instant,
    last_heard: Instant,
}

impl Connection {
    async fn open(config: &Config) -> Result<Self, Failure> {
        let mut request =
            config.url.as_str().into_client_request().map_err(|error| refused(config, &error))?;
        if request.uri().scheme_str() != Some("ws") {
            return Err(refused(config, &UrlError::UnsupportedUrlScheme.into()));
        }
        let subprotocol = HeaderValue::from_static(SUBPROTOCOL_PROTOBUF);
        request.headers_mut().insert(SEC_WEBSOCKET_PROTOCOL, subprotocol);
        let limits = WebSocketConfig::default()
            .read_buffer_size(READ_BUFFER_BYTES)
            .write_buffer_size(0)
            .max_write_buffer_size(MAX_UNWRITTEN_BYTES)
            .max_message_size(Some(MAX_SERVER_FRAME_BYTES))
            .max_frame_size(Some(MAX_SERVER_FRAME_BYTES));
        let connected = connect_async_with_config(request, Some(limits), true).await;
        let (socket, _) = connected.map_err(|error| refused(config, &error))?;
        let now = clock::now();
        Ok(Self {
            socket,
            early: VecDeque::new(),
            write_limit: config.call_timeout,
            last_sent: now,
            last_heard: now,
        })
    }

    async fn log_in(&mut self, login: wire::Login) -> Result<wire::LoginResult, Failure> {
        let frame = calls::encode(LOGIN_ID, Request::Login(login), FrameLimit::BeforeLogin);
        self.send(frame.map_err(Failure::Refused)?).await.map_err(Failure::Network)?;
        loop {
            match self.read().await {
                Ok(Event::Reply(reply)) if reply.id == LOGIN_ID || reply.id == 0 => {
                    return match calls::outcome(reply).map_err(Failure::Refused)? {
                        Some(Returned::Login(result)) => Ok(result),
                        _ => {
                            Err(Failure::Refused(Error::protocol("the login was answered without a result")))
                        }
                    };
                }
                Ok(Event::Kicked(kicked)) => {
                    return Err(Failure::Refused(Error::from_reply(kicked.code, kicked.message)));
                }
                Ok(event) if self.early.len() < MAX_EARLY_FRAMES => self.early.push_back(event),
                Ok(_) => return Err(network("the server does not answer the login")),
                Err(Closed::Lost(error)) => return Err(Failure::Network(error)),
                Err(Closed::Final(_, error)) => return Err(Failure::Refused(error)),
            }
        }
    }

    /// Returns when a frame was last sent.
    pub(super) fn last_sent(&self) -> Instant {
        self.last_sent
    }

    /// Returns when anything was last received.
    pub(super) fn last_heard(&self) -> Instant {
        self.last_heard
    }

    /// Writes a frame. A server that does not take it within the time of a call is lost.
    pub(super) async fn send(&mut self, frame: Vec<u8>) -> Result<(), Error> {
        let sent = timeout(self.write_limit, self.socket.send(Message::binary(frame))).await;
        self.last_sent = clock::now();
        match sent {
            Ok(Ok(())) => Ok(()),
            Ok(Err(error)) => Err(Error::disconnected(format!("the connection broke: {error}"))),
            Err(_) => Err(Error::disconnected("the server does not take what is sent to it")),
        }
    }

    /// Waits for the next frame. No frame is lost when the wait is given up.
    pub(super) async fn next(&mut self) -> Result<Event, Closed> {
        match self.early.pop_front() {
            Some(event) => Ok(event),
            None => self.read().await,
        }
    }

    /// Says goodbye, and drops the connection.
    pub(super) async fn close(mut self) {
        let _ = timeout(GOODBYE, self.socket.close(None)).await;
    }

    async fn read(&mut self) -> Result<Event, Closed> {
        loop {
            let message = match self.socket.next().await {
                Some(Ok(message)) => message,
                Some(Err(error)) => return Err(lost(format!("the connection broke: {error}"))),
                None => return Err(lost("the server closed the connection")),
            };
            self.last_heard = clock::now();
            match message {
                Message::Binary(bytes) => match wire::ServerFrame::decode(bytes) {
                    Ok(frame) => {
                        // A push that this version does not know is none of its business.
                        if let Some(event) = frame.event {
                            return Ok(event);
                        }
                    }
                    Err(error) => return Err(lost(format!("the server sent a malformed frame: {error}"))),
                },
                Message::Text(_) => return Err(lost("the server sent text, expected protobuf")),
                Message::Close(frame) => return Err(closed(frame.as_ref())),
                Message::Ping(_) | Message::Pong(_) | Message::Frame(_) => {}
            }
        }
    }
}

fn read_result(result: wire::LoginResult) -> Result<(LoginInfo, Heartbeat), Error> {
    let status = result.status.ok_or_else(|| Error::protocol("the login was answered without a status"))?;
    let info = LoginInfo { status: UserStatus::from_wire(status)?, subscriptions: result.subscriptions };
    Ok((info, Heartbeat::new(result.heartbeat_seconds)))
}

fn network(description: impl Into<String>) -> Failure {
    Failure::Network(Error::disconnected(description))
}

fn lost(description: impl Into<String>) -> Closed {
    Closed::Lost(Error::disconnected(description))
}

fn closed(frame: Option<&CloseFrame>) -> Closed {
    let Some(frame) = frame else { return lost("the server closed the connection") };
    let number = u16::from(frame.code);
    let known = CloseCode::from_number(number);
    let reason = match known {
        Some(code) => code.reason(),
        None => frame.reason.as_str(),
    };
    if CloseCode::invites_reconnect(number) {
        lost(format!("the server closed the connection: {reason} (close code {number})"))
    } else {
        Closed::Final(known, Error::disconnected(reason))
    }
}

/// Says why connecting failed: an address that can never work is told from a server that is not there.
fn refused(config: &Config, error: &tungstenite::Error) -> Failure {
    use tungstenite::Error::{Http, HttpFormat, Io, Url};
    let url = &config.url;
    match error {
        Url(UrlError::UnableToConnect(_)) | Io(_) => network(format!("{url} cannot be reached: {error}")),
        Url(_) | HttpFormat(_) => Failure::Refused(Error::invalid(format!(
            "url is {url:?}, expected ws://host:port/v1/connect ({error})"
        ))),
        Http(response) => {
            let status = response.status();
            network(format!("{url} answered HTTP {status}, expected a WebSocket"))
        }
        _ => network(format!("{url} does not speak {SUBPROTOCOL_PROTOBUF}: {error}")),
    }
}
