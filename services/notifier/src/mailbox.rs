//! What waits for one gateway, and the wake-up of the one task that sends it.

use std::{collections::BTreeMap, sync::Arc};

use parking_lot::Mutex;
use rollcall_domain::partition::Partition;
use rollcall_proto::{
    event::v1::Change,
    missed::Missed,
    notifier::v1::{AttachResponse, Position, Told},
};
use tokio::sync::Notify;

use crate::{
    error::StreamEnd,
    event::Event,
    interest::User,
    slots::{Place, Slots},
};

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
    /// What the gateway is to read again.
    missed: Missed,
    /// The positions that the gateway was told, or is about to be.
    told: BTreeMap<Partition, u64>,
    /// What it is told next, once all that waited when they were reached is sent.
    telling: Option<(Place, Told)>,
    end: Option<StreamEnd>,
}

impl Mailbox {
    /// Makes an empty one.
    pub(crate) fn new() -> Self {
        let content = Content {
            slots: Slots::new(),
            acknowledged: 0,
            missed: Missed::default(),
            told: BTreeMap::new(),
            telling: None,
            end: None,
        };
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

    /// Tells the gateway to read again what it may have missed.
    pub(crate) fn resync(&self, missed: Missed) {
        self.content.lock().missed.add(missed);
        self.filled.notify_one();
    }

    /// Tells the gateway up to where everything was heard that was put until now, unless it still waits to be told
    /// of before.
    pub(crate) fn tell(&self, whole: &[(Partition, u64)]) {
        let mut content = self.content.lock();
        if content.telling.is_some() {
            return;
        }
        let mut told = Told::default();
        for (partition, sequence) in whole {
            if content.told.insert(*partition, *sequence) != Some(*sequence) {
                told.positions.push(Position { partition: u32::from(partition.0), sequence: *sequence });
            }
        }
        content.telling = Some((content.slots.mark(), told));
        drop(content);
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
        let (mut response, changes) = {
            let mut guard = self.content.lock();
            let content = &mut *guard;
            if let Some(end) = &content.end {
                return Some(Err(end.clone()));
            }
            let changes = content.slots.drain(CHANGES_PER_MESSAGE);
            let slots = &content.slots;
            let told = content.telling.take_if(|(mark, _)| slots.passed(*mark)).map(|(_, told)| told);
            let missed = std::mem::take(&mut content.missed);
            let response = AttachResponse {
                acknowledged: std::mem::take(&mut content.acknowledged),
                changes: Vec::new(),
                told,
                resync: (!missed.is_nothing()).then(|| missed.to_wire()),
            };
            (response, changes)
        };
        response.changes = changes.into_iter().map(Arc::unwrap_or_clone).collect();
        (response != AttachResponse::default()).then_some(Ok(response))
    }
}
