//! The stream to a notifier: interest goes up, changes come down.

use std::{sync::Arc, time::Duration};

use rollcall_proto::notifier::v1::{
    AttachRequest, AttachResponse, User, notifier_service_client::NotifierServiceClient,
};
use rollcall_runtime::{
    grpc::{Endpoints, Traced},
    rng,
};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tokio_util::sync::CancellationToken;
use tonic::{Status, Streaming};
use tracing::{info, warn};

use crate::{Gateway, hub::UserKey, interest::Batch};

/// Messages waiting for the stream: each is a whole batch, so few are enough.
const UPSTREAM: usize = 4;
/// Users in one message: 4,096 of at most 40 bytes are far below the message limit of 4 MiB.
const USERS_PER_MESSAGE: usize = 4096;
/// The longest wait before dialling again.
const REDIAL_MOST: Duration = Duration::from_secs(2);
/// The first wait before dialling again.
const REDIAL_FIRST: Duration = Duration::from_millis(50);

/// Keeps the stream until `shutdown`, dialling again with back-off when it breaks.
pub(crate) async fn run(gateway: Arc<Gateway>, notifiers: Endpoints, shutdown: CancellationToken) {
    let mut wait = REDIAL_FIRST;
    let mut first = true;
    loop {
        let notifier = notifiers.pick();
        let end = tokio::select! {
            end = stream(&gateway, notifier.channel.clone(), first, &mut wait) => end,
            () = shutdown.cancelled() => return,
        };
        if let Err(status) = end {
            warn!(code = ?status.code(), reason = status.message(), ?wait, "lost the notifier, dialling again");
        }
        notifiers.failed(&notifier);
        first = false;
        tokio::select! {
            () = tokio::time::sleep(wait / 2 + rng::jitter(wait / 2)) => {}
            () = shutdown.cancelled() => return,
        }
        wait = (wait * 2).min(REDIAL_MOST);
    }
}

async fn stream(
    gateway: &Arc<Gateway>,
    channel: Traced,
    first: bool,
    wait: &mut Duration,
) -> Result<(), Status> {
    let (sender, receiver) = mpsc::channel(UPSTREAM);
    let mut client = NotifierServiceClient::new(channel);
    let down = client.attach(ReceiverStream::new(receiver)).await?.into_inner();
    *wait = REDIAL_FIRST;
    info!("attached to a notifier");
    tokio::select! {
        end = up(gateway, sender) => end,
        end = changes(gateway, down, first) => end,
    }
}

/// Sends the interest: first all of it, then differences.
async fn up(gateway: &Gateway, sender: mpsc::Sender<AttachRequest>) -> Result<(), Status> {
    let gone = || Status::unavailable("the stream has ended");
    for batch in gateway.hub.restart_interest(USERS_PER_MESSAGE) {
        sender.send(request(&batch)).await.map_err(|_| gone())?;
    }
    loop {
        let batch = gateway.hub.interest.next().await;
        sender.send(request(&batch)).await.map_err(|_| gone())?;
    }
}

/// Receives acknowledgements and changes.
async fn changes(
    gateway: &Arc<Gateway>,
    mut down: Streaming<AttachResponse>,
    first: bool,
) -> Result<(), Status> {
    let mut read_again = !first;
    while let Some(message) = down.message().await? {
        gateway.metrics.changes.inc_by(message.changes.len() as u64);
        for change in &message.changes {
            if let Some(key) = gateway.hub.apply_change(change, gateway.boot()) {
                // Its receiver is for logins that wait.
                drop(gateway.attach(key, true));
            }
        }
        if message.acknowledged > 0
            && gateway.hub.interest.acknowledge(message.acknowledged)
            && std::mem::take(&mut read_again)
        {
            tokio::spawn(catch_up(Arc::clone(gateway)));
        }
    }
    Err(Status::unavailable("the notifier ended the stream"))
}

/// Reads again what a broken stream may have missed, one user after another.
pub(crate) async fn catch_up(gateway: Arc<Gateway>) {
    let users = gateway.hub.unsync_all();
    info!(users = users.len(), "reading again after the notifier was lost");
    for key in users {
        // One list after another, so that presence and subscription are not flooded.
        let _ = gateway.attach(key, true).await;
    }
}

fn request(batch: &Batch) -> AttachRequest {
    let names = |users: &[UserKey]| {
        users
            .iter()
            .map(|(app, user)| User { app_id: app.get(), user_id: user.as_str().to_owned() })
            .collect()
    };
    AttachRequest { batch: batch.number, added: names(&batch.added), removed: names(&batch.removed) }
}
