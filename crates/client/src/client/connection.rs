//! One WebSocket: frames out, frames in, and why it ended. It is owned by the driver's task alone.
//!
//! Invariant: it is always being read. A frame is written without waiting, and what the system doesn't take at
//! once is flushed while reading, so that two ends with full buffers can't wait for each other, and so that a kick
//! is read also when writing has failed already.

use std::{
    collections::VecDeque,
    future::poll_fn,
    task::{Context, Poll, ready},
};

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

/// Longest backlog of writes: two of the longest frames, since a frame is sent only when the last is written.
const MAX_UNWRITTEN_BYTES: usize = 128 * 1024;

/// Size of the read buffer, which is allocated at once: a usual frame is below 1 KiB.
const READ_BUFFER_BYTES: usize = 4 * 1024;

/// Longest wait for the server to take a frame; one that does not is as good as dead.
const WRITE_LIMIT: Duration = Duration::from_secs(10);

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

/// What has happened on a connection.
pub(super) enum Progress {
    /// A frame came.
    Received(Event),
    /// All is written, so that another frame may be sent.
    Written,
}

/// A connection with a user logged in.
pub(super) struct Online {
    pub(super) connection: Connection,
    pub(super) heartbeat: Heartbeat,
    pub(super) info: LoginInfo,
    /// The place of the login among the user's.
    pub(super) order: u64,
}

/// Connects and logs in: one attempt.
pub(super) async fn log_in(config: &Config, login: wire::Login) -> Result<Online, Failure> {
    let limit = config.connect_timeout.min(config.call_timeout);
    let open = timeout(limit, Connection::open(config)).await;
    let mut connection = open.unwrap_or_else(|_| Err(network(format!("not connected within {limit:?}"))))?;
    let reply = timeout(config.call_timeout, connection.log_in(login)).await;
    let result = reply.unwrap_or_else(|_| Err(Failure::Network(Error::timeout(config.call_timeout))))?;
    let order = result.login_order;
    let (info, heartbeat) = read_result(result).map_err(Failure::Refused)?;
    Ok(Online { connection, heartbeat, info, order })
}

pub(super) struct Connection {
    socket: WebSocketStream<MaybeTlsStream<TcpStream>>,
    early: VecDeque<Event>,
    /// Since when something waits to be written.
    unwritten: Option<Instant>,
    /// Writing has failed; what came before may still be read.
    is_broken: bool,
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
            unwritten: None,
            is_broken: false,
            last_sent: now,
            last_heard: now,
        })
    }

    async fn log_in(&mut self, login: wire::Login) -> Result<wire::LoginResult, Failure> {
        let frame = calls::encode(LOGIN_ID, Request::Login(login), FrameLimit::BeforeLogin);
        self.send(frame.map_err(Failure::Refused)?);
        loop {
            match self.read_frame().await {
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

    /// Returns when the connection counts as lost, if something waits to be written; none if a frame may be sent.
    pub(super) fn write_deadline(&self) -> Option<Instant> {
        self.unwritten.map(|since| since + WRITE_LIMIT)
    }

    /// Begins to write a frame; [`next`](Self::next) goes on with it. For use while nothing waits to be written.
    pub(super) fn send(&mut self, frame: Vec<u8>) {
        let now = clock::now();
        self.last_sent = now;
        self.unwritten = Some(now);
        self.is_broken |= self.socket.start_send_unpin(Message::binary(frame)).is_err();
    }

    /// Waits for what happens next. Nothing is lost when the wait is given up.
    pub(super) async fn next(&mut self) -> Result<Progress, Closed> {
        match self.early.pop_front() {
            Some(event) => Ok(Progress::Received(event)),
            None => self.progress().await,
        }
    }

    /// Waits for the next frame, whatever is written meanwhile.
    pub(super) async fn next_frame(&mut self) -> Result<Event, Closed> {
        match self.early.pop_front() {
            Some(event) => Ok(event),
            None => self.read_frame().await,
        }
    }

    /// Says goodbye, and drops the connection.
    pub(super) async fn close(mut self) {
        let _ = timeout(GOODBYE, self.socket.close(None)).await;
    }

    async fn read_frame(&mut self) -> Result<Event, Closed> {
        loop {
            if let Progress::Received(event) = self.progress().await? {
                return Ok(event);
            }
        }
    }

    async fn progress(&mut self) -> Result<Progress, Closed> {
        loop {
            match poll_fn(|cx| self.poll_socket(cx)).await? {
                None => return Ok(Progress::Written),
                Some(message) => {
                    self.last_heard = clock::now();
                    if let Some(event) = read(message)? {
                        return Ok(Progress::Received(event));
                    }
                }
            }
        }
    }

    /// Writes and reads; none says that all is written.
    fn poll_socket(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<Message>, Closed>> {
        if self.unwritten.is_some() && !self.is_broken {
            match self.socket.poll_flush_unpin(cx) {
                Poll::Ready(Ok(())) => {
                    self.unwritten = None;
                    return Poll::Ready(Ok(None));
                }
                Poll::Ready(Err(_)) => self.is_broken = true,
                Poll::Pending => {}
            }
        }
        Poll::Ready(match ready!(self.socket.poll_next_unpin(cx)) {
            Some(Ok(message)) => Ok(Some(message)),
            Some(Err(error)) => Err(lost(format!("the connection broke: {error}"))),
            None => Err(lost("the server closed the connection")),
        })
    }
}

/// Reads a message; none if it says nothing to this version.
fn read(message: Message) -> Result<Option<Event>, Closed> {
    match message {
        Message::Binary(bytes) => match wire::ServerFrame::decode(bytes) {
            Ok(frame) => Ok(frame.event),
            Err(error) => Err(lost(format!("the server sent a malformed frame: {error}"))),
        },
        Message::Text(_) => Err(lost("the server sent text, expected protobuf")),
        Message::Close(frame) => Err(closed(frame.as_ref())),
        Message::Ping(_) | Message::Pong(_) | Message::Frame(_) => Ok(None),
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
