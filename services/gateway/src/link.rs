//! The stream to a notifier: interest goes up, changes come down.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use rollcall_proto::{
    missed::Missed,
    notifier::v1::{
        AttachRequest, AttachResponse, Position, Resume, Told, User,
        notifier_service_client::NotifierServiceClient,
    },
};
use rollcall_runtime::{
    backoff::Backoff,
    clock::Monotonic,
    grpc::{Endpoints, Traced},
};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tokio_util::sync::CancellationToken;
use tonic::{Status, Streaming};
use tracing::{info, warn};

use crate::{
    Gateway,
    hub::{ToRead, UserKey},
    interest::Batch,
};

/// Messages waiting for the stream: each is a whole batch, so few are enough.
const UPSTREAM: usize = 4;
/// Users in one message: 4,096 of at most 40 bytes are far below the message limit of 4 MiB.
const USERS_PER_MESSAGE: usize = 4096;
/// The longest wait before dialling again.
const REDIAL_MOST: Duration = Duration::from_secs(2);
/// The first wait before dialling again.
const REDIAL_FIRST: Duration = Duration::from_millis(50);
/// How long a notifier may say nothing, which tells positions every second.
const SILENCE_LIMIT: Duration = Duration::from_secs(5);

/// Up to where everything was heard, over all streams.
#[derive(Debug, Default)]
struct Heard {
    positions: BTreeMap<u32, u64>,
    told_at: Option<Monotonic>,
}

impl Heard {
    fn tell(&mut self, told: &Told, now: Monotonic) {
        self.positions.extend(told.positions.iter().map(|position| (position.partition, position.sequence)));
        self.told_at = Some(now);
    }

    fn resume(&self, now: Monotonic) -> Resume {
        let positions = self.positions.iter();
        let ago = |told_at| u64::try_from(now.since(told_at).as_millis()).unwrap_or(u64::MAX);
        Resume {
            positions: positions
                .map(|(partition, sequence)| Position { partition: *partition, sequence: *sequence })
                .collect(),
            told_ms_ago: self.told_at.map(ago),
        }
    }
}

/// Keeps the stream until `shutdown`, dialling again with back-off when it breaks.
pub(crate) async fn run(gateway: Arc<Gateway>, notifiers: Endpoints, shutdown: CancellationToken) {
    let mut backoff = Backoff::new(REDIAL_FIRST, REDIAL_MOST);
    // Nothing was read before the first stream.
    let mut heard = None;
    loop {
        let notifier = notifiers.pick();
        let end = tokio::select! {
            end = stream(&gateway, notifier.channel.clone(), &mut heard, &mut backoff) => end,
            () = shutdown.cancelled() => return,
        };
        if let Err(status) = end {
            let (code, wait) = (status.code(), backoff.wait());
            warn!(?code, reason = status.message(), ?wait, "lost the notifier, dialling again");
        }
        notifiers.failed(&notifier);
        tokio::select! {
            () = backoff.pause() => {}
            () = shutdown.cancelled() => return,
        }
    }
}

async fn stream(
    gateway: &Arc<Gateway>,
    channel: Traced,
    heard: &mut Option<Heard>,
    backoff: &mut Backoff,
) -> Result<(), Status> {
    let (sender, receiver) = mpsc::channel(UPSTREAM);
    let mut client = NotifierServiceClient::new(channel);
    let down = client.attach(ReceiverStream::new(receiver)).await?.into_inner();
    backoff.reset();
    info!("attached to a notifier");
    // Reckoned now, when the notifier has begun to count how long it has been listening.
    let resume = heard.as_ref().map(|heard| heard.resume(gateway.clock.monotonic()));
    let heard = heard.get_or_insert_default();
    tokio::select! {
        end = up(gateway, sender, resume) => end,
        end = changes(gateway, down, heard) => end,
    }
}

/// Sends the interest: first all of it, with what was heard before, then differences.
async fn up(
    gateway: &Gateway,
    sender: mpsc::Sender<AttachRequest>,
    mut resume: Option<Resume>,
) -> Result<(), Status> {
    let gone = || Status::unavailable("the stream has ended");
    let mut first = gateway.hub.restart_interest(USERS_PER_MESSAGE).into_iter().peekable();
    while let Some(batch) = first.next() {
        let resume = if first.peek().is_none() { resume.take() } else { None };
        sender.send(AttachRequest { resume, ..request(&batch) }).await.map_err(|_| gone())?;
    }
    loop {
        let batch = gateway.hub.interest.next().await;
        sender.send(request(&batch)).await.map_err(|_| gone())?;
    }
}

/// Receives acknowledgements, changes and positions.
async fn changes(
    gateway: &Arc<Gateway>,
    mut down: Streaming<AttachResponse>,
    heard: &mut Heard,
) -> Result<(), Status> {
    while let Some(message) = next(&mut down).await? {
        gateway.metrics.changes.inc_by(message.changes.len() as u64);
        for change in &message.changes {
            match gateway.hub.apply_change(change, gateway.boot()) {
                // Its receiver is for logins that wait.
                Some(ToRead::List(key)) => drop(gateway.attach(key, true)),
                Some(ToRead::Friends(key)) => gateway.friend_loads.ask_news(key),
                None => {}
            }
        }
        if let Some(resync) = &message.resync {
            gateway.resync.ask(Missed::from_wire(resync));
        }
        if let Some(told) = &message.told {
            heard.tell(told, gateway.clock.monotonic());
        }
        if message.acknowledged > 0 {
            gateway.hub.interest.acknowledge(message.acknowledged);
        }
    }
    Err(Status::unavailable("the notifier ended the stream"))
}

async fn next(down: &mut Streaming<AttachResponse>) -> Result<Option<AttachResponse>, Status> {
    let silent = |_| Status::deadline_exceeded(format!("the notifier said nothing for {SILENCE_LIMIT:?}"));
    tokio::time::timeout(SILENCE_LIMIT, down.message()).await.map_err(silent)?
}

fn request(batch: &Batch) -> AttachRequest {
    let names = |users: &[UserKey]| {
        users
            .iter()
            .map(|(app, user)| User { app_id: app.get(), user_id: user.as_str().to_owned() })
            .collect()
    };
    let (added, removed) = (names(&batch.added), names(&batch.removed));
    AttachRequest { batch: batch.number, added, removed, resume: None }
}

#[cfg(test)]
mod tests;
