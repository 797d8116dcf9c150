//! Subscriptions to changes and heads.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use async_nats::Subscriber;
use futures_util::{StreamExt as _, stream};
use tokio::sync::mpsc::{self, error::TrySendError};
use tracing::{debug, warn};

use super::{
    link::{Life, Link},
    wire,
};
use crate::{
    port::{Error, Message, Subscription},
    subject::{ALL_STATUS, HEAD},
};

/// Subscribes to the changes of every partition and to heads; waits until that is in force.
pub(super) async fn subscribe(
    link: &Link,
    capacity: usize,
    dropped: Arc<AtomicU64>,
) -> Result<Subscription, Error> {
    // Before the subscriptions, so that no end of one is missed.
    let lives = [ALL_STATUS, HEAD].map(|subject| link.life(subject.to_owned()));
    let mut subscribers = Vec::with_capacity(lives.len());
    for subject in [ALL_STATUS, HEAD] {
        let subscriber = link.client.subscribe(subject).await;
        subscribers.push(subscriber.map_err(|error| Error::Unavailable(error.to_string()))?);
    }
    link.echo().await?;
    lives.iter().try_for_each(Life::granted)?;
    let (sender, messages) = mpsc::channel(capacity.max(1));
    tokio::spawn(pass_on(stream::select_all(subscribers), lives, sender, dropped));
    Ok(Subscription { messages })
}

/// Gives messages on, until the subscriber goes or does not read, or the link ends. It never waits for the
/// subscriber: the queue of the client behind this one drops messages and says so only in passing.
async fn pass_on(
    mut subscribers: stream::SelectAll<Subscriber>,
    [mut of_changes, mut of_heads]: [Life; 2],
    sender: mpsc::Sender<Message>,
    dropped: Arc<AtomicU64>,
) {
    loop {
        let message = tokio::select! {
            biased;
            () = of_changes.end() => return,
            () = of_heads.end() => return,
            () = sender.closed() => return,
            message = subscribers.next() => message,
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
