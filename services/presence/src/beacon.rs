//! Tells on the bus up to where the outboxes go, so that whoever hears changes learns that the last one did not come.

use std::{sync::Arc, time::Duration};

use prost::Message as _;
use rollcall_bus::{Bus, Message, Subject};
use rollcall_proto::{event::v1::Heads, trace::TraceParent};
use rollcall_runtime::{grpc::Seldom, shutdown::CancellationToken};
use rollcall_store::{Store, port};
use tokio::time::{MissedTickBehavior, interval};
use tracing::warn;

/// The time between two beacons.
const EVERY: Duration = Duration::from_secs(1);

/// Publishes heads. Any number of processes may run one over the same store.
pub(crate) struct Beacon {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) bus: Arc<dyn Bus>,
}

/// Says why heads were not told.
#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error(transparent)]
    Bus(#[from] rollcall_bus::Error),
    #[error(transparent)]
    Store(#[from] rollcall_store::Error),
}

impl Beacon {
    /// Publishes heads about once a second until `shutdown`. One that fails is left out: the next tells more.
    pub(crate) async fn run(self, shutdown: CancellationToken) {
        let mut every = interval(EVERY);
        every.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let failures = Seldom::default();
        loop {
            let published = tokio::select! {
                () = shutdown.cancelled() => return,
                published = async {
                    every.tick().await;
                    self.publish().await
                } => published,
            };
            if let Err(error) = published
                && let Some(others) = failures.pass()
            {
                warn!(%error, others, "could not tell up to where the outboxes go");
            }
        }
    }

    async fn publish(&self) -> Result<(), Failure> {
        let port::Heads { epoch, sequences } = self.store.heads().await?;
        let payload = Heads { sequences, store_epoch: epoch.get() }.encode_to_vec().into();
        let trace = TraceParent::default();
        Ok(self.bus.publish(Message { subject: Subject::Head, trace, payload }).await?)
    }
}

#[cfg(test)]
mod tests {
    use rollcall_bus::{MemoryBus, Subscription};
    use rollcall_domain::id::Platform;
    use rollcall_runtime::Clock;

    use super::*;
    use crate::fixture::Fixture;

    async fn heard(listener: &mut Subscription) -> Heads {
        let message = listener.messages.recv().await.unwrap();
        assert_eq!(message.subject, Subject::Head);
        Heads::decode(message.payload).unwrap()
    }

    #[tokio::test]
    async fn the_heads_of_all_partitions_are_told_again_and_again() {
        let fixture = Fixture::new().await;
        let bus = MemoryBus::new(Clock::store_clock());
        let mut listener = bus.subscribe_status().await.unwrap();
        let stop = CancellationToken::new();
        let beacon = Beacon { store: fixture.store.clone(), bus: Arc::new(bus) };
        let running = tokio::spawn(beacon.run(stop.clone()));

        let before = heard(&mut listener).await.sequences;
        fixture.log_in("alice", 1, Platform::Web).await;
        let Heads { sequences: after, store_epoch } = heard(&mut listener).await;

        assert_eq!(after.len(), usize::from(fixture.store.partitions().count()));
        assert_eq!(after.iter().sum::<u64>(), before.iter().sum::<u64>() + 1);
        assert_eq!(after, fixture.store.heads().await.unwrap().sequences);
        assert_eq!(store_epoch, fixture.store.epoch().get());
        stop.cancel();
        running.await.unwrap();
    }
}
