//! Tells the bus what commits had to tell, at once and off the caller's path.
//!
//! The outbox is the truth: an entry that is not published from here (the queue was full, the bus failed, the
//! process ended) stays in it, and the [`Relay`](crate::Relay) of any process publishes it.

use std::{collections::BTreeMap, sync::Arc};

use futures_util::future::join_all;
use rollcall_bus::{Bus, Message, Subject};
use rollcall_proto::trace::TraceParent;
use rollcall_store::{Partition, Store, port::Entry};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tracing::warn;

use crate::counts::OutboxCounts;

/// Entries that wait to be published: about a quarter of a second of the commits that one store takes, and some
/// megabytes. Beyond it entries are left to the relay.
const QUEUE: usize = 8_192;
/// Entries published in one round: the store forgets those of a partition in one call.
const BATCH: usize = 256;

/// Takes entries to publish. Clones are cheap and share the queue.
#[derive(Debug, Clone)]
pub struct Publisher {
    queue: mpsc::Sender<Pending>,
    counts: Arc<OutboxCounts>,
}

/// The part of a publisher that does the work.
pub struct Publishing {
    queue: mpsc::Receiver<Pending>,
    counts: Arc<OutboxCounts>,
    outlet: Outlet,
}

/// An entry with the trace of the call that caused it.
#[derive(Debug)]
pub(crate) struct Pending {
    pub(crate) entry: Entry,
    pub(crate) trace: TraceParent,
}

/// Where entries come from and where they go.
#[derive(Clone)]
pub(crate) struct Outlet {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) bus: Arc<dyn Bus>,
}

/// Says why an entry stays in the outbox.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    #[error(transparent)]
    Bus(#[from] rollcall_bus::Error),
    #[error(transparent)]
    Store(#[from] rollcall_store::Error),
}

impl Publisher {
    /// Makes a publisher and its work, which must be run.
    pub fn new(store: Arc<dyn Store>, bus: Arc<dyn Bus>) -> (Self, Publishing) {
        let (sender, receiver) = mpsc::channel(QUEUE);
        let counts = Arc::new(OutboxCounts::default());
        let outlet = Outlet { store, bus };
        (Self { queue: sender, counts: Arc::clone(&counts) }, Publishing { queue: receiver, counts, outlet })
    }

    /// Returns what became of the entries, for as long as the process runs.
    pub fn counts(&self) -> Arc<OutboxCounts> {
        Arc::clone(&self.counts)
    }

    /// Queues an entry, or leaves it to the relay if the queue is full. Never waits.
    pub(crate) fn offer(&self, entry: Entry, trace: TraceParent) {
        if self.queue.try_send(Pending { entry, trace }).is_err() {
            self.counts.add_left(1);
        }
    }
}

impl Publishing {
    /// Publishes what is offered until `shutdown`, and then what waits already.
    pub async fn run(mut self, shutdown: CancellationToken) {
        let mut batch = Vec::with_capacity(BATCH);
        let mut open = true;
        let mut told = 0;
        loop {
            tokio::select! {
                biased;
                () = shutdown.cancelled(), if open => {
                    open = false;
                    self.queue.close();
                    continue;
                }
                received = self.queue.recv_many(&mut batch, BATCH) => if received == 0 { return },
            }
            self.publish(batch.drain(..)).await;
            let left = self.counts.left();
            if left > told {
                warn!(left = left - told, "left outbox entries to the relay");
                told = left;
            }
        }
    }

    /// Publishes a batch: partitions side by side, each in the order of its sequence.
    async fn publish(&self, batch: impl Iterator<Item = Pending> + Send) {
        let mut partitions: BTreeMap<Partition, Vec<Pending>> = BTreeMap::new();
        for pending in batch {
            partitions.entry(pending.entry.partition).or_default().push(pending);
        }
        let rounds = partitions.into_iter().map(|(partition, mut entries)| async move {
            // Calls that committed one after the other may have been offered in another order.
            entries.sort_unstable_by_key(|pending| pending.entry.sequence);
            let (published, failure) = self.outlet.publish(partition, &entries).await;
            self.counts.add_published(published);
            if let Some(error) = failure {
                self.counts.add_left(entries.len() - published);
                warn!(partition = partition.0, %error, "could not publish");
            }
        });
        join_all(rounds).await;
    }
}

impl Outlet {
    /// Publishes entries of one partition, all at once and in their order, and lets the store forget those that
    /// the bus answers for. Returns how many those are. One that fails keeps no other waiting.
    pub(crate) async fn publish(
        &self,
        partition: Partition,
        entries: &[Pending],
    ) -> (usize, Option<Failure>) {
        let publishes = entries.iter().map(|Pending { entry, trace }| {
            let subject = Subject::Status(partition.0);
            self.bus.publish(Message { subject, trace: trace.clone(), payload: entry.bytes.clone() })
        });
        let mut sequences = Vec::with_capacity(entries.len());
        let mut failure = None;
        for (Pending { entry, .. }, result) in entries.iter().zip(join_all(publishes).await) {
            match result {
                Ok(()) => sequences.push(entry.sequence),
                Err(error) => _ = failure.get_or_insert(error.into()),
            }
        }
        let published = sequences.len();
        if published > 0
            && let Err(error) = self.store.published(partition, &sequences).await
        {
            failure.get_or_insert(error.into());
        }
        (published, failure)
    }
}

#[cfg(test)]
mod tests;
