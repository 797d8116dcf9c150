//! Subscriptions to changes.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use async_nats::Subscriber;
use futures_util::StreamExt as _;
use tokio::sync::mpsc::{self, error::TrySendError};
use tracing::{debug, warn};

use super::{
    link::{Life, Link},
    wire,
};
use crate::{
    port::{Error, Message, Subscription},
    subject::ALL_STATUS,
};

/// Subscribes to the changes of every partition; waits until that is in force.
pub(super) async fn subscribe(
    link: &Link,
    capacity: usize,
    dropped: Arc<AtomicU64>,
) -> Result<Subscription, Error> {
    // Before the subscription, so that no end of it is missed.
    let life = link.life(ALL_STATUS.to_owned());
    let subscriber = link.client.subscribe(ALL_STATUS).await;
    let subscriber = subscriber.map_err(|error| Error::Unavailable(error.to_string()))?;
    link.echo().await?;
    life.granted()?;
    let (sender, messages) = mpsc::channel(capacity.max(1));
    tokio::spawn(pass_on(subscriber, life, sender, dropped));
    Ok(Subscription { messages })
}

/// Gives messages on, until the subscriber goes or does not read, or the link ends. It never waits for the
/// subscriber: the queue of the client behind this one drops messages and says so only in passing.
async fn pass_on(
    mut subscriber: Subscriber,
    mut life: Life,
    sender: mpsc::Sender<Message>,
    dropped: Arc<AtomicU64>,
) {
    loop {
        let message = tokio::select! {
            biased;
            () = life.end() => return,
            () = sender.closed() => return,
            message = subscriber.next() => message,
        };
        let Some(message) = message else { return };
        let Some(message) = wire::read(&message) else {
            debug!("skipped a message whose subject names no partition");
            continue;
        };
        match sender.try_send(message) {
            Ok(()) => {}
            Err(TrySendError::Closed(_)) => return,
            Err(TrySendError::Full(message)) => {
                dropped.fetch_add(1, Ordering::Relaxed);
                let queued = sender.max_capacity();
                warn!(subject = %message.subject, queued, "dropped a subscriber that does not read");
                return;
            }
        }
    }
}
