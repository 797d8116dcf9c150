//! Publishes what was left in the outbox: by a full queue, a bus that was away, a process that ended.
//!
//! Any number of processes may run one over the same store. An entry may so be published more than once;
//! readers know it by its sequence.

use std::{sync::Arc, time::Duration};

use rollcall_bus::Bus;
use rollcall_domain::time::Timestamp;
use rollcall_store::{
    Partition, Store,
    port::{Entry, OUTBOX_MAX},
};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::{
    counts::OutboxCounts,
    event,
    publisher::{Failure, Outlet, Pending},
};

/// Entries read from an outbox at a time.
const PAGE: usize = 256;
/// Pages of one outbox in one pass: all that an outbox can hold.
const PAGES: usize = OUTBOX_MAX.div_ceil(PAGE);
/// The longest pause after failures.
const PAUSE_MAX: Duration = Duration::from_secs(10);

/// Publishes outbox entries that have grown old.
pub struct Relay {
    outlet: Outlet,
    after: Duration,
    every: Duration,
    counts: Arc<OutboxCounts>,
}

impl Relay {
    /// Makes a relay of entries that are older than `after`; younger ones are still their publisher's. It looks for
    /// them `every` so often. What it publishes is counted in `counts`.
    pub fn new(
        store: Arc<dyn Store>,
        bus: Arc<dyn Bus>,
        after: Duration,
        every: Duration,
        counts: Arc<OutboxCounts>,
    ) -> Self {
        Self { outlet: Outlet { store, bus }, after, every, counts }
    }

    /// Looks at every outbox, again and again until `shutdown`. After a failure it pauses twice as long each time.
    pub async fn run(self, shutdown: CancellationToken) {
        let mut pause = self.every;
        loop {
            tokio::select! {
                () = shutdown.cancelled() => return,
                () = tokio::time::sleep(pause) => {}
            }
            let (published, failure) = tokio::select! {
                () = shutdown.cancelled() => return,
                passed = self.pass() => passed,
            };
            self.counts.add_relayed(published);
            if published > 0 {
                info!(published, "published what was left in the outbox");
            }
            pause = match failure {
                None => self.every,
                Some(error) => {
                    let longer = (pause * 2).min(PAUSE_MAX.max(self.every));
                    warn!(%error, pause_ms = u64::try_from(longer.as_millis()).unwrap_or(u64::MAX), "could not relay");
                    longer
                }
            };
        }
    }

    /// Publishes every entry that is old now, up to the first failure.
    async fn pass(&self) -> (usize, Option<Failure>) {
        let mut published = 0;
        let until = match self.outlet.store.now().await {
            Ok(now) => now.minus(self.after),
            Err(error) => return (0, Some(error.into())),
        };
        for partition in self.outlet.store.partitions().all() {
            for _ in 0..PAGES {
                let (count, more) = match self.page(partition, until).await {
                    Ok(page) => page,
                    Err((count, failure)) => return (published + count, Some(failure)),
                };
                published += count;
                if !more {
                    break;
                }
            }
        }
        (published, None)
    }

    /// Publishes the oldest entries of a partition, and says whether there may be more.
    async fn page(&self, partition: Partition, until: Timestamp) -> Result<(usize, bool), (usize, Failure)> {
        let entries =
            self.outlet.store.unpublished(partition, PAGE).await.map_err(|error| (0, error.into()))?;
        let read = entries.len();
        let old: Vec<Pending> =
            entries.into_iter().take_while(|entry| entry.at <= until).map(with_trace).collect();
        match self.outlet.publish(partition, &old).await {
            (published, None) => Ok((published, read == PAGE && published == PAGE)),
            (published, Some(failure)) => Err((published, failure)),
        }
    }
}

fn with_trace(entry: Entry) -> Pending {
    let trace = event::trace_of(&entry.bytes);
    Pending { entry, trace }
}

#[cfg(test)]
mod tests;
