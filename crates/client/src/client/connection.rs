//! One connection: frames out, frames in, and why it ended. It is owned by the driver's task alone.
//!
//! Invariant: it is always being read. A frame is written without waiting, and what the system doesn't take at
//! once is flushed while reading, so that two ends with full buffers can't wait for each other, and so that a kick
//! is read also when writing has failed already.

use std::{
    collections::VecDeque,
    future::poll_fn,
    task::{Context, Poll},
};

use bytes::Bytes;
use prost::Message as _;
use rollcall_proto::{
    client::v1::{
        self as wire, client_frame::Call as Request, reply::Result as Returned, server_frame::Event,
    },
    close::CloseCode,
};
use tokio::time::{Duration, Instant, timeout};

use super::{
    calls::{self, FrameLimit},
    heartbeat::{Beat, Heartbeat},
    transport::Transport,
};
use crate::{Config, Error, LoginInfo, UserStatus, clock};

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

impl Online {
    /// Returns what to do when nothing else happens before, so that each end knows that the other is there.
    pub(super) fn beat(&self) -> Beat {
        match self.connection.write_deadline() {
            Some(deadline) => Beat::Dead(deadline),
            None => self.heartbeat.next(self.connection.last_sent, self.connection.last_heard),
        }
    }
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
    transport: Transport,
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
        let transport = Transport::open(config).await?;
        let now = clock::now();
        Ok(Self {
            transport,
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

    /// Returns when the connection counts as lost, if something waits to be written; none if a frame may be sent.
    pub(super) fn write_deadline(&self) -> Option<Instant> {
        self.unwritten.map(|since| since + WRITE_LIMIT)
    }

    /// Begins to write a frame; [`next`](Self::next) goes on with it. For use while nothing waits to be written.
    pub(super) fn send(&mut self, frame: Vec<u8>) {
        let now = clock::now();
        self.last_sent = now;
        self.unwritten = Some(now);
        self.is_broken |= self.transport.start_send(frame).is_err();
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
    pub(super) async fn close(self) {
        let _ = timeout(GOODBYE, self.transport.close()).await;
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
            match poll_fn(|cx| self.poll_transport(cx)).await? {
                Step::Written => return Ok(Progress::Written),
                Step::Heard(frame) => {
                    self.last_heard = clock::now();
                    if let Some(event) = read(frame)? {
                        return Ok(Progress::Received(event));
                    }
                }
            }
        }
    }

    fn poll_transport(&mut self, cx: &mut Context<'_>) -> Poll<Result<Step, Closed>> {
        if self.unwritten.is_some() && !self.is_broken {
            match self.transport.poll_flush(cx) {
                Poll::Ready(Ok(())) => {
                    self.unwritten = None;
                    return Poll::Ready(Ok(Step::Written));
                }
                Poll::Ready(Err(_)) => self.is_broken = true,
                Poll::Pending => {}
            }
        }
        self.transport.poll_receive(cx).map_ok(Step::Heard)
    }
}

/// What the transport did.
enum Step {
    /// It wrote all that there was.
    Written,
    /// It received a frame, or what only says that the server is there.
    Heard(Option<Bytes>),
}

/// Reads a frame; none if it says nothing to this version.
fn read(frame: Option<Bytes>) -> Result<Option<Event>, Closed> {
    let Some(frame) = frame else { return Ok(None) };
    match wire::ServerFrame::decode(frame) {
        Ok(frame) => Ok(frame.event),
        Err(error) => {
            Err(Closed::Lost(Error::disconnected(format!("the server sent a malformed frame: {error}"))))
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
