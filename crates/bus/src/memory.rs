//! The bus in this process's memory: the embedded default. Clones are the same bus.
//!
//! **Changes.** Publishers take turns, and each gives its message to every subscriber before the next has its
//! turn: all subscribers hear all messages in one order, which also keeps the order of each publisher.
//! Nothing is lost while a subscriber reads: where a queue is full, the publisher waits for room, and with it
//! all others. One that takes nothing from a full queue for [`PATIENCE`] is dropped with a warning: it still
//! reads what is queued, then its stream ends, and it must subscribe again and read anew what it shows. So a
//! subscriber that hangs holds the others up once, for that long at most. A publish that is given up by its
//! caller while it waits may have reached some subscribers only; it counts as not published.
//!
//! The newest [`KEPT_MAX`] changes are kept for those who read them later. A reader that falls behind those is dropped
//! with a warning.
//!
//! **Requests.** Those who serve a subject are asked in turn, past those whose queues are full; if all are,
//! the request waits for room, its time-out permitting. One who is gone is forgotten.

mod log;
mod servers;

#[cfg(test)]
mod tests;

use std::{
    collections::HashMap,
    future,
    sync::{Arc, Weak},
    time::Duration,
};

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::future::join_all;
use parking_lot::Mutex;
use rollcall_domain::time::Timestamp;
use tokio::{
    sync::{
        self,
        mpsc::{
            self,
            error::{SendError, SendTimeoutError, TrySendError},
        },
        oneshot, watch,
    },
    time,
};
use tracing::warn;

pub use self::log::KEPT_MAX;
use self::{
    log::{Beginning, Log},
    servers::{Handed, Servers},
};
use crate::{
    port::{Bus, Error, Kept, Message, Replay, Request, Requests, Start, Subscription},
    subject::Subject,
};

/// The greatest number of messages that wait for one subscriber: some seconds of a busy node's changes, and at
/// most a few MiB.
pub const SUBSCRIBER_CAPACITY: usize = 4096;

/// The greatest number of requests that wait for one who serves: a report of each of as many gateways.
pub const SERVER_CAPACITY: usize = 256;

/// How long a publisher waits for room in the full queue of a subscriber before that is dropped.
pub const PATIENCE: Duration = Duration::from_secs(5);

/// The greatest number of messages that wait for one reader of what is kept; further ones wait in the log.
const READER_CAPACITY: usize = 256;

/// Tells the time. It is called with a lock held, and must neither block nor call the bus.
pub type Clock = Arc<dyn Fn() -> Timestamp + Send + Sync>;

/// A bus in memory. It goes with its last clone.
#[derive(Clone)]
pub struct MemoryBus(Arc<Inner>);

struct Inner {
    /// Held by a publisher for its turn, also while it waits for room.
    subscribers: sync::Mutex<Vec<mpsc::Sender<Message>>>,
    log: Mutex<Log>,
    /// The position of the last message in the log.
    last: watch::Sender<u64>,
    servers: Mutex<HashMap<Subject, Servers>>,
    clock: Clock,
}

impl MemoryBus {
    /// Makes a bus without subscribers and without anyone who serves. What is published is kept with the clock's time.
    pub fn new(clock: Clock) -> Self {
        Self(Arc::new(Inner {
            subscribers: sync::Mutex::default(),
            log: Mutex::default(),
            last: watch::Sender::new(0),
            servers: Mutex::default(),
            clock,
        }))
    }

    /// Gives the request to one who serves its subject, waiting for room where all queues are full.
    async fn hand_over(&self, mut request: Request) -> Result<(), Error> {
        let subject = request.message.subject;
        loop {
            let handed = match self.0.servers.lock().get_mut(&subject) {
                Some(servers) => servers.hand_over(request),
                None => Handed::Nobody,
            };
            match handed {
                Handed::Over => return Ok(()),
                Handed::Nobody => return Err(Error::NobodyServes(subject)),
                Handed::AllBusy { first, request: waiting } => match first.send(waiting).await {
                    Ok(()) => return Ok(()),
                    Err(SendError(unserved)) => request = unserved,
                },
            }
        }
    }
}

#[async_trait]
impl Bus for MemoryBus {
    async fn publish(&self, message: Message) -> Result<(), Error> {
        if !matches!(message.subject, Subject::Status(_)) {
            return Ok(()); // Nobody subscribes to anything else.
        }
        let mut subscribers = self.0.subscribers.lock().await;
        self.0.keep(message.clone());
        let mut full = Vec::new();
        subscribers.retain(|subscriber| match subscriber.try_send(message.clone()) {
            Ok(()) => true,
            Err(TrySendError::Closed(_)) => false,
            Err(TrySendError::Full(_)) => {
                full.push(subscriber.clone());
                true
            }
        });
        if full.is_empty() {
            return Ok(());
        }
        let lost = wait_for_room(full, &message).await;
        subscribers.retain(|subscriber| !lost.iter().any(|lost| lost.same_channel(subscriber)));
        Ok(())
    }

    async fn subscribe_status(&self) -> Result<Subscription, Error> {
        let (sender, messages) = mpsc::channel(SUBSCRIBER_CAPACITY);
        let mut subscribers = self.0.subscribers.lock().await;
        subscribers.retain(|subscriber| !subscriber.is_closed());
        subscribers.push(sender);
        Ok(Subscription { messages })
    }

    async fn replay(&self, start: Start) -> Result<Replay, Error> {
        let last = self.0.last.subscribe();
        let Beginning { after, is_cut, before } = self.0.log.lock().begin(start);
        let (sender, messages) = mpsc::channel(READER_CAPACITY);
        tokio::spawn(bring(Arc::downgrade(&self.0), after, last, sender));
        Ok(Replay { after, is_cut, before, messages })
    }

    async fn request(&self, message: Message, timeout: Duration) -> Result<Bytes, Error> {
        let subject = message.subject;
        let (reply, answer) = oneshot::channel();
        let answered = async {
            self.hand_over(Request { message, reply }).await?;
            match answer.await {
                Ok(answer) => Ok(answer),
                // Dropped unanswered: left to the time-out, as the port says.
                Err(_) => future::pending().await,
            }
        };
        let timed_out = Err(Error::Timeout { subject, waited: timeout });
        time::timeout(timeout, answered).await.unwrap_or(timed_out)
    }

    async fn serve(&self, subject: Subject) -> Result<Requests, Error> {
        let (sender, requests) = mpsc::channel(SERVER_CAPACITY);
        self.0.servers.lock().entry(subject).or_default().add(sender);
        Ok(Requests { requests })
    }
}

impl Inner {
    fn keep(&self, message: Message) {
        let mut log = self.log.lock();
        log.push(message, (self.clock)());
        self.last.send_replace(log.last());
    }
}

/// Brings a reader what is kept after a position, and what is published, until the reader or the bus goes.
async fn bring(bus: Weak<Inner>, mut after: u64, mut last: watch::Receiver<u64>, reader: mpsc::Sender<Kept>) {
    loop {
        // Before the log is read: what comes later is news.
        last.borrow_and_update();
        let Some(read) = bus.upgrade().map(|bus| bus.log.lock().read(after, READER_CAPACITY)) else { return };
        let Some(read) = read else {
            warn!(after, kept = KEPT_MAX, "dropped a reader that fell behind what is kept");
            return;
        };
        if read.is_empty() {
            tokio::select! {
                changed = last.changed() => if changed.is_err() { return },
                () = reader.closed() => return,
            }
        }
        for kept in read {
            after = kept.position;
            if reader.send(kept).await.is_err() {
                return;
            }
        }
    }
}

/// Sends the message to subscribers whose queues are full, as soon as each has room. Returns those that had
/// none for [`PATIENCE`], and those that are gone.
async fn wait_for_room(full: Vec<mpsc::Sender<Message>>, message: &Message) -> Vec<mpsc::Sender<Message>> {
    let sends = full.into_iter().map(async |subscriber| {
        let sent = subscriber.send_timeout(message.clone(), PATIENCE).await;
        (subscriber, sent)
    });
    let mut lost = Vec::new();
    for (subscriber, sent) in join_all(sends).await {
        if let Err(SendTimeoutError::Timeout(_)) = sent {
            let (queued, waited_ms) = (SUBSCRIBER_CAPACITY, PATIENCE.as_millis());
            warn!(subject = %message.subject, queued, waited_ms, "dropped a subscriber that does not read");
        }
        if sent.is_err() {
            lost.push(subscriber);
        }
    }
    lost
}
