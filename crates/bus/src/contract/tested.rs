//! A bus under test, and the steps in which claims are told. A step panics where the bus fails.

use std::{
    ops::Deref,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use rollcall_domain::time::Timestamp;
use rollcall_proto::trace::TraceParent;
use tokio::time;

use crate::{
    memory::Clock,
    port::{Bus, Error, Kept, Message, Replay, Request, Requests, Start, Subscription},
    subject::Subject,
};

/// How long a claim waits for what must happen; a busy machine does not miss it.
pub const LIMIT: Duration = Duration::from_secs(30);

/// A bus under test. Clones are the same bus.
#[derive(Clone)]
pub struct Tested(Arc<dyn Bus>);

/// Makes a clock for a bus in memory, which moves on whenever it is read.
pub fn clock() -> Clock {
    let reads = AtomicU64::new(0);
    Arc::new(move || Timestamp(reads.fetch_add(1, Ordering::Relaxed)))
}

/// Makes a message about a partition.
pub fn status(partition: u16, payload: impl Into<String>) -> Message {
    let subject = Subject::Status(partition);
    Message { subject, trace: TraceParent::default(), payload: Bytes::from(payload.into()) }
}

/// Makes a request.
pub fn heartbeat(payload: impl Into<String>) -> Message {
    Message { subject: Subject::Heartbeat, ..status(0, payload) }
}

/// Makes a trace context; those of different numbers differ.
pub fn trace(n: u64) -> TraceParent {
    TraceParent::parse(&format!("00-4bf92f3577b34da6a3ce929d0e0e4736-{:016x}-01", n + 1))
}

impl Deref for Tested {
    type Target = dyn Bus;

    fn deref(&self) -> &Self::Target {
        &*self.0
    }
}

impl Tested {
    /// Takes a bus on which nobody else speaks or listens.
    pub fn new(bus: impl Bus) -> Self {
        Self(Arc::new(bus))
    }

    /// Publishes a message about a partition.
    pub async fn tell(&self, partition: u16, payload: impl Into<String>) {
        let published = within(self.publish(status(partition, payload))).await;
        published.expect("the bus publishes");
    }

    /// Subscribes.
    pub async fn listener(&self) -> Subscription {
        within(self.subscribe_status()).await.expect("the bus subscribes")
    }

    /// Begins to read what is kept.
    pub async fn reader(&self, start: Start) -> Replay {
        within(self.replay(start)).await.expect("the bus replays")
    }

    /// Serves heartbeats.
    pub async fn server(&self) -> Requests {
        within(self.serve(Subject::Heartbeat)).await.expect("the bus lets serve")
    }

    /// Serves heartbeats in a task that answers each with the name given and the payload; until the task is
    /// aborted.
    pub async fn echo(&self, name: &'static str) -> tokio::task::JoinHandle<()> {
        let mut server = self.server().await;
        tokio::spawn(async move {
            while let Some(Request { message, reply }) = server.requests.recv().await {
                let answer = [name.as_bytes(), b" ", &message.payload].concat();
                // The asker may have gone.
                drop(reply.send(Bytes::from(answer)));
            }
        })
    }

    /// Sends a request, and waits [`LIMIT`] for the answer.
    pub async fn ask(&self, payload: impl Into<String>) -> Result<String, Error> {
        let answer = self.request(heartbeat(payload), LIMIT).await?;
        Ok(String::from_utf8(answer.to_vec()).expect("the answer is text"))
    }

    /// Sends requests until one ends as the condition says.
    pub async fn ask_until(&self, condition: impl Fn(&Result<String, Error>) -> bool) {
        let settled = async {
            loop {
                // Short, as this one may have gone to one who is just leaving.
                let answer = self.request(heartbeat("until"), Duration::from_millis(200)).await;
                let answer = answer.map(|answer| String::from_utf8_lossy(&answer).into_owned());
                if condition(&answer) {
                    return;
                }
                time::sleep(Duration::from_millis(1)).await;
            }
        };
        within(settled).await;
    }
}

/// Waits [`LIMIT`] for something, at most.
pub(super) async fn within<T>(future: impl Future<Output = T>) -> T {
    time::timeout(LIMIT, future).await.expect("it happens within the limit")
}

/// Takes the next message.
pub async fn heard(listener: &mut Subscription) -> Message {
    within(listener.messages.recv()).await.expect("the subscription goes on")
}

/// Takes that many messages, and returns what they say.
pub(super) async fn heard_texts(listener: &mut Subscription, count: usize) -> Vec<String> {
    let mut texts = Vec::with_capacity(count);
    for _ in 0..count {
        let message = heard(listener).await;
        texts.push(String::from_utf8(message.payload.to_vec()).expect("the payload is text"));
    }
    texts
}

/// Takes the next message of a replay.
pub async fn brought(replay: &mut Replay) -> Kept {
    within(replay.messages.recv()).await.expect("the replay goes on")
}

/// Takes that many messages of a replay, and returns what they say.
pub(super) async fn brought_texts(replay: &mut Replay, count: usize) -> Vec<String> {
    let mut texts = Vec::with_capacity(count);
    for _ in 0..count {
        let kept = brought(replay).await;
        texts.push(String::from_utf8(kept.message.payload.to_vec()).expect("the payload is text"));
    }
    texts
}

/// Takes the next request.
pub(super) async fn asked(server: &mut Requests) -> Request {
    within(server.requests.recv()).await.expect("serving goes on")
}
