//! What the services need of a bus.
//!
//! Messages of one publisher on one subject arrive in the order they were published. A subscriber hears what
//! is published after [`Bus::subscribe_status`] returned. What was published is kept for a while too: who was away,
//! or wants every change and not only the last, has it brought by [`Bus::replay`].

use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use rollcall_domain::time::Timestamp;
use rollcall_proto::trace::TraceParent;
use tokio::sync::{mpsc, oneshot};

use crate::subject::Subject;

/// Says why the bus did not do it.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Nobody serves the subject.
    #[error("nobody serves {0}")]
    NobodyServes(Subject),
    /// No answer came in time; whether the request was served is not known.
    #[error("no answer on {subject} within {waited:?}")]
    Timeout {
        /// Where the request went.
        subject: Subject,
        /// How long it was waited for.
        waited: Duration,
    },
    /// The bus cannot be reached.
    #[error("bus is unavailable: {0}")]
    Unavailable(String),
}

/// A message, with the trace context in its header.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// Where it goes, or came from.
    pub subject: Subject,
    /// The trace context of the call that caused it.
    pub trace: TraceParent,
    /// What it says.
    pub payload: Bytes,
}

/// Messages to one subscriber.
///
/// Ends when the bus goes, when its connection is lost, and when the subscriber does not read: something may have been
/// missed, and who still wants to hear subscribes again and reads anew what it shows.
#[derive(Debug)]
pub struct Subscription {
    /// The bounded queue that the adapter fills.
    pub messages: mpsc::Receiver<Message>,
}

/// Where a replay begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Start {
    /// With what is published from now on.
    Now,
    /// With the first message that the bus took at this time or later, by its own clock.
    Since(Timestamp),
    /// With the first message after this position; 0 for the first that is kept.
    After(u64),
}

/// A change as the bus keeps it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Kept {
    /// Its place among all that the bus has kept, from 1: strictly increasing, but not without holes.
    pub position: u64,
    /// When the bus took it, by its own clock.
    pub at: Timestamp,
    /// How many were kept after it when it was brought; 0 for the newest.
    pub behind: u64,
    /// The message.
    pub message: Message,
}

/// What is kept, from a start on, and then what is published, in one order for all readers.
///
/// Waits for a reader that is slow. Ends when the bus goes, when its connection is lost, and when a reader is so slow
/// that what it was to be brought is kept no more; who still wants to read begins again after the last position
/// that it has read.
#[derive(Debug)]
pub struct Replay {
    /// The position after which it begins.
    pub after: u64,
    /// Whether messages between the start that was asked for and the first that is brought may be kept no more.
    pub is_cut: bool,
    /// The last message of each partition that had none from the start on when the replay began, in no order; possibly
    /// not of all such partitions.
    pub before: Vec<Kept>,
    /// The bounded queue that the adapter fills.
    pub messages: mpsc::Receiver<Kept>,
}

/// A request, to be answered once. Dropping it leaves the asker to its time-out.
#[derive(Debug)]
pub struct Request {
    /// The message.
    pub message: Message,
    /// Takes the answer.
    pub reply: oneshot::Sender<Bytes>,
}

/// Requests to one of those who serve a subject. Ends when the bus goes and when its connection is lost; who still wants
/// to serve asks again.
#[derive(Debug)]
pub struct Requests {
    /// The bounded queue that the adapter fills.
    pub requests: mpsc::Receiver<Request>,
}

/// Carries changes to all notifiers, and reports to one of presence.
#[async_trait]
pub trait Bus: Send + Sync + 'static {
    /// Publishes to every subscriber, and returns once the bus is answerable for it and keeps it.
    async fn publish(&self, message: Message) -> Result<(), Error>;

    /// Subscribes to the changes of every partition.
    async fn subscribe_status(&self) -> Result<Subscription, Error>;

    /// Brings what is kept of every partition from a start on, and goes on with what is published. A position that the
    /// bus has not reached is one of another bus: the replay begins with the first message that is kept, and is cut.
    async fn replay(&self, start: Start) -> Result<Replay, Error>;

    /// Sends a request to one of those who serve its subject, and waits for the answer. A request that has timed out
    /// is not given to anyone much later.
    async fn request(&self, message: Message, timeout: Duration) -> Result<Bytes, Error>;

    /// Serves a subject together with all others who do: each request goes to one of them.
    async fn serve(&self, subject: Subject) -> Result<Requests, Error>;
}
