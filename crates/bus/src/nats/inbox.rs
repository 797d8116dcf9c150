//! Where answers come: one subscription of a connection, and who waits for what.
//!
//! An answer to a question, an acknowledgment by the stream and an echo all carry the number of the one who
//! waits at the end of their subject. Who stops waiting is forgotten at once, so that questions without an answer
//! leave nothing behind.

use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use async_nats::{Client, Message, Subscriber};
use bytes::Bytes;
use futures_util::StreamExt as _;
use parking_lot::Mutex;
use tokio::sync::oneshot;

use crate::port::Error;

/// Those who wait for something on one connection.
pub(super) struct Inbox {
    prefix: String,
    next: AtomicU64,
    /// `None` once nothing more can come.
    waiting: Mutex<Option<HashMap<u64, oneshot::Sender<Message>>>>,
}

/// One who waits. Dropping it ends the wait.
pub(super) struct Waiting {
    inbox: Arc<Inbox>,
    number: u64,
    answer: oneshot::Receiver<Message>,
}

impl Inbox {
    /// Makes an inbox whose subjects begin with the prefix.
    pub(super) fn new(prefix: String) -> Arc<Self> {
        Arc::new(Self { prefix, next: AtomicU64::new(0), waiting: Mutex::new(Some(HashMap::new())) })
    }

    /// Returns what all of the inbox's subjects match.
    pub(super) fn pattern(&self) -> String {
        format!("{}.*", self.prefix)
    }

    /// Begins to wait.
    pub(super) fn wait(self: &Arc<Self>) -> Result<Waiting, Error> {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let (sender, answer) = oneshot::channel();
        self.waiting.lock().as_mut().ok_or_else(lost)?.insert(number, sender);
        Ok(Waiting { inbox: Arc::clone(self), number, answer })
    }

    /// Gives what comes to those who wait, until the connection is lost.
    pub(super) async fn run(self: Arc<Self>, client: Client, mut subscriber: Subscriber) {
        while let Some(message) = subscriber.next().await {
            if let Some(confirm) = message.reply.clone() {
                // One who serves wants to know whether the asker still waits; see `serve`.
                if self.is_waiting(&message) {
                    // If this fails, the connection is lost, which the loop hears.
                    drop(client.publish(confirm, Bytes::new()).await);
                }
            } else if let Some(waiting) = self.take(&message) {
                // Who stopped waiting just now does not mind.
                drop(waiting.send(message));
            }
        }
        *self.waiting.lock() = None;
    }

    fn is_waiting(&self, message: &Message) -> bool {
        let waiting = self.waiting.lock();
        let number = self.number(message);
        number.is_some_and(|number| waiting.as_ref().is_some_and(|waiting| waiting.contains_key(&number)))
    }

    fn take(&self, message: &Message) -> Option<oneshot::Sender<Message>> {
        let number = self.number(message)?;
        self.waiting.lock().as_mut()?.remove(&number)
    }

    fn number(&self, message: &Message) -> Option<u64> {
        message.subject.strip_prefix(self.prefix.as_str())?.strip_prefix('.')?.parse().ok()
    }
}

impl Waiting {
    /// Returns the subject on which the answer is awaited.
    pub(super) fn subject(&self) -> String {
        format!("{}.{}", self.inbox.prefix, self.number)
    }

    /// Waits for the answer.
    pub(super) async fn answer(mut self) -> Result<Message, Error> {
        (&mut self.answer).await.map_err(|_| lost())
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        if let Some(waiting) = self.inbox.waiting.lock().as_mut() {
            waiting.remove(&self.number);
        }
    }
}

/// Nothing can come.
fn lost() -> Error {
    Error::Unavailable("the connection was lost".to_owned())
}
