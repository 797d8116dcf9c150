//! What waits for one gateway, and the wake-up of the one task that sends it.

use std::sync::Arc;

use parking_lot::Mutex;
use rollcall_proto::{event::v1::Change, notifier::v1::AttachResponse};
use tokio::sync::Notify;

use crate::{error::StreamEnd, event::Event, interest::User, slots::Slots};

/// The greatest number of changes in one message: at about 2 KiB for the largest, well below gRPC's 4 MiB.
const CHANGES_PER_MESSAGE: usize = 256;

/// What waits for one gateway. Filling it never waits; the lock is held for a few map operations.
#[derive(Debug)]
pub(crate) struct Mailbox {
    content: Mutex<Content>,
    filled: Notify,
}

#[derive(Debug)]
struct Content {
    slots: Slots<Arc<Change>>,
    acknowledged: u64,
    end: Option<StreamEnd>,
}

impl Mailbox {
    /// Makes an empty one.
    pub(crate) fn new() -> Self {
        let content = Content { slots: Slots::new(), acknowledged: 0, end: None };
        Self { content: Mutex::new(content), filled: Notify::new() }
    }

    /// Puts a change into its slot.
    pub(crate) fn put(&self, event: &Event) {
        self.content.lock().slots.put(event.user, event.kind, event.version, Arc::clone(&event.change));
        self.filled.notify_one();
    }

    /// Counts the changes that wait.
    pub(crate) fn waiting(&self) -> usize {
        self.content.lock().slots.len()
    }

    /// Empties the slots of users.
    pub(crate) fn remove(&self, users: &[User]) {
        let mut content = self.content.lock();
        for user in users {
            content.slots.remove(*user);
        }
    }

    /// Tells the gateway that a batch of interest is in force.
    pub(crate) fn acknowledge(&self, batch: u64) {
        self.content.lock().acknowledged = batch;
        self.filled.notify_one();
    }

    /// Ends the stream, now: what waits is not sent any more. The first reason counts.
    pub(crate) fn end(&self, reason: StreamEnd) {
        self.content.lock().end.get_or_insert(reason);
        self.filled.notify_one();
    }

    /// Waits for the next message to the gateway, or the end of the stream. One task at a time.
    pub(crate) async fn next(&self) -> Result<AttachResponse, StreamEnd> {
        loop {
            if let Some(next) = self.take() {
                return next;
            }
            // Whatever was put since then has left a permit: the wake-up is not missed.
            self.filled.notified().await;
        }
    }

    fn take(&self) -> Option<Result<AttachResponse, StreamEnd>> {
        let (acknowledged, changes) = {
            let mut content = self.content.lock();
            if let Some(end) = &content.end {
                return Some(Err(end.clone()));
            }
            if content.acknowledged == 0 && content.slots.is_empty() {
                return None;
            }
            (std::mem::take(&mut content.acknowledged), content.slots.drain(CHANGES_PER_MESSAGE))
        };
        let changes = changes.into_iter().map(Arc::unwrap_or_clone).collect();
        Some(Ok(AttachResponse { acknowledged, changes }))
    }
}
