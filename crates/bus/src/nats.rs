//! The bus on NATS (servers of version 2.10 or later, with JetStream).
//!
//! **Changes** are published once, to `rollcall.status.<partition>`: subscribers hear that publish at once as any
//! message of NATS, and the stream of [`STREAM`] captures it and acknowledges it to the publisher. So no
//! subscriber waits for JetStream, and a publish that is `Ok` is kept. While the stream is away subscribers hear
//! what is published, and publishers are told that it failed; what they publish again is heard twice.
//!
//! **Replays** read that stream, each by a consumer of its own; see `replay`.
//!
//! **Requests** go to one of the queue group that serves their subject; see `serve` for why none is served long
//! after it timed out.
//!
//! **A lost connection** ends every subscription, as something may have been missed: the subscriber subscribes
//! again and reads anew. Nothing that waits to be sent outlives the connection; see `link`, and start there.
//! A subscriber that does not read is dropped: it reads what is queued, then its stream ends. Subscribing has
//! taken effect on the server that is connected to; the other servers of a cluster learn of it a moment later.
//!
//! What the user of each service must be granted is in `deploy/nats/users.conf`.

mod connection;
mod error;
mod inbox;
mod link;
mod options;
mod replay;
mod serve;
mod stream;
mod subscribe;
mod wire;

#[cfg(test)]
mod tests;

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use async_nats::{
    StatusCode,
    jetstream::{publish::PublishAck, response::Response},
};
use async_trait::async_trait;
use bytes::Bytes;
use tokio::{
    sync::{Mutex, Semaphore, SemaphorePermit},
    task::coop::unconstrained,
    time,
};
use tracing::warn;

use self::{connection::Connection, inbox::Waiting};
pub use self::{
    error::ConnectError,
    options::{Identity, Login, Options, Random, Tls},
    stream::{Limits, STREAM, StreamError},
};
use crate::{
    port::{Bus, Error, Message, Replay, Requests, Start, Subscription},
    subject::Subject,
};

/// How long a publish waits for a place in the window. Where the stream does its work one gets free every few
/// microseconds; it does none while a leader is elected, which takes seconds.
const STALL: Duration = Duration::from_millis(100);

/// A bus on NATS. It goes when it is dropped.
pub struct NatsBus {
    connection: Connection,
    options: Options,
    /// Held by a publish until it is sent.
    turn: Mutex<()>,
    /// The publishes that may wait for the stream.
    window: Semaphore,
    /// Set when no place got free in [`STALL`], until something is acknowledged again.
    stalled: AtomicBool,
    dropped: Arc<AtomicU64>,
}

impl NatsBus {
    /// Connects to one of the servers in the URL (several have commas between), and makes or checks the stream.
    /// Fails when the first attempt does; a connection that is lost later is built anew.
    pub async fn connect(url: &str, options: Options) -> Result<Self, ConnectError> {
        let dropped = Arc::new(AtomicU64::new(0));
        let connection = Connection::open(url, options.clone(), Arc::clone(&dropped)).await?;
        let window = Semaphore::new(options.publish_window.clamp(1, Semaphore::MAX_PERMITS));
        Ok(Self {
            connection,
            options,
            turn: Mutex::default(),
            window,
            stalled: AtomicBool::new(false),
            dropped,
        })
    }

    /// Counts the messages that found a subscriber's queue full. There may have been more: those that came until
    /// the subscriber was dropped are not seen.
    pub fn dropped_messages(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed)
    }

    /// Publishes a change and waits until the stream has it.
    async fn publish_change(&self, message: Message) -> Result<(), Error> {
        // Without the runtime's budget: where it ends, a publish would lose its place to one that was begun later.
        let (_place, waiting) = unconstrained(self.send_in_turn(message)).await?;
        let kept = judge(&waiting.answer().await?);
        self.stalled.store(false, Ordering::Relaxed);
        kept
    }

    /// Sends a change once there is a place for it. Those who wait send in the order in which they began. A change
    /// for which there is no place, because the stream acknowledges none, is sent all the same, so that it is
    /// heard, and has to be published again, so that it is surely kept.
    async fn send_in_turn(&self, message: Message) -> Result<(SemaphorePermit<'_>, Waiting), Error> {
        let _turn = self.turn.lock().await;
        let place = if self.stalled.load(Ordering::Relaxed) {
            self.window.try_acquire().ok()
        } else {
            time::timeout(STALL, self.window.acquire()).await.ok().and_then(Result::ok)
        };
        let link = self.connection.link().await?;
        if let Some(place) = place {
            return Ok((place, link.send(message).await?));
        }
        if !self.stalled.swap(true, Ordering::Relaxed) {
            warn!(stream = STREAM, "the stream acknowledges nothing, changes are sent without");
        }
        link.send_without_answer(message).await?;
        Err(Error::Unavailable(format!(
            "{} publishes wait for the stream already",
            self.options.publish_window
        )))
    }
}

#[async_trait]
impl Bus for NatsBus {
    async fn publish(&self, message: Message) -> Result<(), Error> {
        let subject = message.subject;
        if !matches!(subject, Subject::Status(_)) {
            return Ok(()); // Nobody subscribes to anything else.
        }
        let waited = self.options.publish_timeout;
        let timed_out = Err(Error::Timeout { subject, waited });
        let published = time::timeout(waited, self.publish_change(message)).await.unwrap_or(timed_out);
        if published.is_err() {
            self.connection.doubt_stream();
        }
        published
    }

    async fn subscribe_status(&self) -> Result<Subscription, Error> {
        let subscribed = async {
            let link = self.connection.link().await?;
            subscribe::subscribe(&link, self.options.subscriber_capacity, Arc::clone(&self.dropped)).await
        };
        self.in_force(subscribed).await
    }

    async fn replay(&self, start: Start) -> Result<Replay, Error> {
        let begun = async { replay::replay(&*self.connection.link().await?, start, &self.options).await };
        self.in_force(begun).await
    }

    async fn request(&self, message: Message, timeout: Duration) -> Result<Bytes, Error> {
        let subject = message.subject;
        if matches!(subject, Subject::Status(_)) {
            return Err(Error::NobodyServes(subject)); // The stream would keep it, and answer.
        }
        let answered = async {
            let link = self.connection.link().await?;
            link.send(message).await?.answer().await
        };
        let timed_out = Err(Error::Timeout { subject, waited: timeout });
        let answer = time::timeout(timeout, answered).await.unwrap_or(timed_out)?;
        match answer.status {
            Some(StatusCode::NO_RESPONDERS) => Err(Error::NobodyServes(subject)),
            _ => Ok(answer.payload),
        }
    }

    async fn serve(&self, subject: Subject) -> Result<Requests, Error> {
        let served = async { serve::serve(&*self.connection.link().await?, subject).await };
        self.in_force(served).await
    }
}

impl NatsBus {
    /// Waits for a subscription or a replay to be in force, no longer than is granted.
    async fn in_force<T>(&self, subscribed: impl Future<Output = Result<T, Error>>) -> Result<T, Error> {
        let limit = self.options.connect_timeout;
        let timed_out = Error::Unavailable(format!("it is not in force within {limit:?}"));
        time::timeout(limit, subscribed).await.unwrap_or(Err(timed_out))
    }
}

/// Says whether an answer to a publish means that the stream has it.
fn judge(answer: &async_nats::Message) -> Result<(), Error> {
    if answer.status == Some(StatusCode::NO_RESPONDERS) {
        return Err(Error::Unavailable(format!("no stream captures changes, expected {STREAM}")));
    }
    match serde_json::from_slice::<Response<PublishAck>>(&answer.payload) {
        Ok(Response::Ok(_)) => Ok(()),
        Ok(Response::Err { error }) => Err(Error::Unavailable(format!("the stream refuses it: {error}"))),
        Err(error) => Err(Error::Unavailable(format!("unexpected acknowledgment: {error}"))),
    }
}
