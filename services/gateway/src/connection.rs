//! One client's connection as one state machine in one task: no writer task, no channel, no timer of its own.
//!
//! Invariants: replies go out in the order their calls ended, and a frame is taken from the hub only when the
//! transport has taken all that was written before; at most [`REPLIES_WAITING`] calls wait for their reply, then
//! the client is not read. A connection at rest holds no buffer.
//!
//! `connection/login.rs` is the first part of its life, `connection/calls.rs` what a client can ask for,
//! `connection/transport.rs` what carries it: a WebSocket (`connection/web_socket.rs`) or a gRPC stream
//! (`connection/stream.rs`).

mod calls;
mod login;
mod stream;
mod transport;
mod web_socket;

use std::{
    collections::VecDeque,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use futures_util::{StreamExt as _, stream::FuturesUnordered};
use rollcall_domain::{
    code::{Code, Refusal},
    id::Op,
    user::EndReason,
};
use rollcall_proto::{
    client::v1::{
        Draining, Kicked, Reply, ServerFrame, TokenExpired, reply, server_frame::Event as ServerEvent,
    },
    close::CloseCode,
};
use tungstenite::Message;

use self::{
    calls::{Command, Done},
    login::Begun,
    transport::{Gone, Received, Transport},
};
pub(crate) use self::{stream::Stream, web_socket::WebSocket};
use crate::{Gateway, codec::Codec, hub::SessionHandle, metrics::Sent};

/// The greatest length of a frame before login, in bytes.
const FRAME_MAX_BEFORE_LOGIN: usize = 4 * 1024;
/// The greatest length of a frame after login, in bytes.
pub(crate) const FRAME_MAX: usize = 64 * 1024;
/// Calls that may wait for their reply; beyond it the client is not read.
const REPLIES_WAITING: usize = 64;
/// Bytes to write before the transport must have taken them.
const WRITE_AT_ONCE: usize = 16 * 1024;
/// How long a closing connection may take.
const CLOSE_LIMIT: Duration = Duration::from_secs(1);

type Call = Pin<Box<dyn Future<Output = Done> + Send>>;

/// A connection that is logged in.
struct Connection<T> {
    gateway: Arc<Gateway>,
    transport: T,
    codec: Codec,
    handle: Arc<SessionHandle>,
    /// Calls on their way to other services; absent while there are none.
    calls: Option<FuturesUnordered<Call>>,
    /// Calls that change something, waiting for the one before: they run in order.
    commands: VecDeque<Command>,
    /// The number of the last set that came: it only grows, whatever boot the session is under.
    last_op: Op,
    /// What kind of command is on its way.
    running: Running,
    /// Encoded replies, not yet written.
    replies: VecDeque<Message>,
    /// Calls received and not yet answered.
    unanswered: usize,
    /// Whether the hub may have something for us.
    owed: bool,
    /// Whether the transport has not taken all that was written.
    flushing: bool,
    /// Set when the connection is to close once all replies are written.
    leaving: Option<CloseCode>,
}

/// What kind of command is on its way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Running {
    /// None.
    Nothing,
    /// A set or logout: the own status is held back, so that it follows the reply.
    Own,
    /// A subscribe or unsubscribe: all is held back, so that what follows from it follows the reply.
    List,
}

/// What happens to a connection.
enum Event {
    /// A message came.
    Message(Message),
    /// A call has ended.
    Done(Done),
    /// The connection is to close.
    Close(CloseCode),
    /// The client has gone.
    Gone,
}

/// Serves one client until its connection ends.
pub(crate) async fn serve<T: Transport>(gateway: Arc<Gateway>, mut transport: T, codec: Codec) {
    // Boxed, as what ends a connection is: a task keeps room for all that it ever awaits and for every place where a value
    // stood, and there is one for each connection.
    let (handle, reply) = match Box::pin(login::begin(&gateway, &mut transport, codec)).await {
        Begun::LoggedIn(handle, reply) => (handle, reply),
        Begun::Gone => return,
        Begun::Close(reply, code) => return Box::pin(close(transport, reply, code)).await,
    };
    let connection = Box::new(Connection {
        gateway,
        transport,
        codec,
        handle,
        calls: None,
        commands: VecDeque::new(),
        last_op: Op::NONE,
        running: Running::Nothing,
        replies: VecDeque::from([reply]),
        unanswered: 1,
        owed: true,
        flushing: false,
        leaving: None,
    });
    connection.run().await;
}

impl<T: Transport> Connection<T> {
    async fn run(mut self: Box<Self>) {
        let code = loop {
            match std::future::poll_fn(|cx| self.poll_event(cx)).await {
                Event::Message(message) => self.on_message(&message),
                Event::Done(done) => self.on_done(done),
                Event::Close(code) => break Some(code),
                Event::Gone => break None,
            }
        };
        let reason = match code {
            Some(CloseCode::LoggedOut) => EndReason::Logout,
            // Of our doing: the client is expected back.
            Some(CloseCode::GoingAway | CloseCode::SessionLost) => EndReason::Moved,
            None if self.handle.is_moving(self.gateway.clock.monotonic()) => EndReason::Moved,
            _ => EndReason::Closed,
        };
        self.gateway.hub.remove_session(&self.handle, reason);
        if let Some(code) = code {
            let last = (code == CloseCode::Kicked).then(|| {
                let message =
                    "a newer login or the app ended this session, log in again to take over".to_owned();
                let kicked = Kicked { code: Code::Kicked.number(), message };
                self.codec.encode(&ServerFrame { event: Some(ServerEvent::Kicked(kicked)) })
            });
            Box::pin(close(self.transport, last, code)).await;
        }
    }

    fn poll_event(&mut self, cx: &mut Context<'_>) -> Poll<Event> {
        self.owed |= self.handle.poll_output(cx.waker());
        if let Some(code) = self.handle.closing() {
            return Poll::Ready(Event::Close(code));
        }
        if self.poll_write(cx).is_err() {
            return Poll::Ready(Event::Gone);
        }
        if let Some(code) = self.leaving
            && !self.flushing
            && self.replies.is_empty()
        {
            return Poll::Ready(Event::Close(code));
        }
        if let Some(calls) = &mut self.calls {
            match calls.poll_next_unpin(cx) {
                Poll::Ready(Some(done)) => return Poll::Ready(Event::Done(done)),
                Poll::Ready(None) => self.calls = None,
                Poll::Pending => {}
            }
        }
        if self.unanswered >= REPLIES_WAITING || self.leaving.is_some() {
            return Poll::Pending;
        }
        self.transport.poll_receive(cx).map(|received| match received {
            Received::Message(message) => Event::Message(message),
            Received::Broken(code) => Event::Close(code),
            Received::Gone => Event::Gone,
        })
    }

    /// Writes replies and then what the hub has, as far as the transport takes it.
    fn poll_write(&mut self, cx: &mut Context<'_>) -> Result<(), Gone> {
        loop {
            if self.flushing {
                match self.transport.poll_flush(cx) {
                    Poll::Pending => return Ok(()),
                    Poll::Ready(result) => result?,
                }
                self.flushing = false;
            }
            let mut written = 0;
            while written < WRITE_AT_ONCE {
                let Some(message) = self.next_message() else { break };
                written += message.len();
                self.transport.start_send(message)?;
            }
            if written == 0 {
                return Ok(());
            }
            self.flushing = true;
        }
    }

    fn next_message(&mut self) -> Option<Message> {
        if let Some(reply) = self.replies.pop_front() {
            if self.replies.is_empty() {
                self.replies = VecDeque::new();
            }
            self.unanswered = self.unanswered.saturating_sub(1);
            self.gateway.metrics.sent(Sent::Reply);
            return Some(reply);
        }
        if !self.owed || self.running == Running::List {
            return None;
        }
        if let Some(reconnect_after_ms) = self.handle.take_draining() {
            let event = ServerEvent::Draining(Draining { reconnect_after_ms });
            return Some(self.codec.encode(&ServerFrame { event: Some(event) }));
        }
        if self.handle.take_token_end() {
            let grace = self.gateway.config.token_grace.as_millis();
            let closes_after_ms = u32::try_from(grace).unwrap_or(u32::MAX);
            let event = ServerEvent::TokenExpired(TokenExpired { closes_after_ms });
            return Some(self.codec.encode(&ServerFrame { event: Some(event) }));
        }
        let hold_own = self.running == Running::Own;
        let message = self.gateway.hub.take_output(&self.handle, hold_own);
        self.owed = message.is_some();
        if self.owed {
            self.gateway.metrics.sent(Sent::Push);
        }
        message
    }

    fn on_message(&mut self, message: &Message) {
        let Gateway { hub, clock, config, .. } = &*self.gateway;
        hub.heard(&self.handle, config.upload_left, clock.monotonic());
        match self.codec.decode(message) {
            Ok(None) => {}
            Ok(Some(frame)) => {
                self.gateway.metrics.frames_received.inc();
                self.unanswered += 1;
                self.on_frame(frame);
            }
            Err(error) => {
                self.reply(refused(0, &Refusal::invalid(&error)));
                self.leaving = Some(CloseCode::MalformedFrame);
            }
        }
    }

    fn on_done(&mut self, done: Done) {
        for reply in done.replies {
            self.reply(reply);
        }
        if done.command {
            self.running = Running::Nothing;
            self.owed = true;
            self.run_next_command();
        }
        if let Some(code) = done.leave {
            self.leaving = Some(code);
        }
    }

    fn reply(&mut self, reply: Reply) {
        self.replies.push_back(self.codec.encode(&ServerFrame { event: Some(ServerEvent::Reply(reply)) }));
    }
}

/// Makes the reply to a call that succeeded.
fn succeeded(id: u32, result: Option<reply::Result>) -> Reply {
    Reply { id, code: Code::Ok.number(), result, ..Reply::default() }
}

/// Makes the reply to a call that was refused.
fn refused(id: u32, refusal: &Refusal) -> Reply {
    let wait = refusal.retry_after.map_or(0, |wait| wait.as_micros().div_ceil(1_000));
    Reply {
        id,
        code: refusal.code.number(),
        message: refusal.message.to_string(),
        retry_after_ms: u32::try_from(wait).unwrap_or(u32::MAX),
        result: None,
    }
}

/// Closes a connection: the client has a bounded time to take it.
async fn close(transport: impl Transport, last: Option<Message>, code: CloseCode) {
    // The client may be gone, or not read: then there is nobody to tell.
    let _ = tokio::time::timeout(CLOSE_LIMIT, transport.close(last, code)).await;
}
