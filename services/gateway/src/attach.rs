//! Brings what the hub shows of a user, and of those it watches, up to date (DESIGN section 5, attach).
//!
//! Interest before every read: a change that comes after the read is heard, and one that came before is read.

use std::{sync::Arc, time::Duration};

use rollcall_domain::{
    code::{Code, Refusal},
    id::UserId,
};
use rollcall_proto::{convert::READ_IDS, trace::TraceParent};
use rollcall_runtime::backoff::Backoff;
use tracing::warn;

use crate::{Gateway, hub::UserKey};

/// The first wait after a failure; doubled each time.
pub(crate) const RETRY_FIRST: Duration = Duration::from_millis(100);
/// The longest wait between two attempts.
pub(crate) const RETRY_MOST: Duration = Duration::from_secs(5);
/// How long the notifier may take to acknowledge before the attempt counts as failed.
const SETTLE_LIMIT: Duration = Duration::from_secs(2);

impl Gateway {
    /// Reads a user's subscription list, once the interest in the user is in force, and watches who is on it.
    pub(crate) async fn load_list(&self, key: UserKey) -> Result<(), Refusal> {
        self.interest_settled().await?;
        let (version, ids) = self.backend.list(&TraceParent::default(), key, true).await?;
        let ids: Vec<UserId> = ids.iter().filter_map(|id| id.parse().ok()).collect();
        if self.hub.apply_list(&key, version, &ids) {
            return Ok(());
        }
        Err(Refusal::new(Code::ServerTimeout, "the list changed while it was read, try again"))
    }

    /// Reads the statuses of a user, and of those it watches, that were not read since interest in them began.
    pub(crate) async fn load_statuses(&self, key: UserKey) -> Result<(), Refusal> {
        let (unsynced, era) = self.hub.unsynced(&key);
        if unsynced.is_empty() {
            return Ok(());
        }
        self.interest_settled().await?;
        for users in unsynced.chunks(READ_IDS) {
            let statuses = self.backend.read_statuses(key.0, users).await?;
            self.hub.merge(key.0, statuses, Some(era));
        }
        Ok(())
    }

    /// Waits until what was asked of the notifier is in force.
    pub(crate) async fn interest_settled(&self) -> Result<(), Refusal> {
        if self.hub.interest.settled(SETTLE_LIMIT).await {
            return Ok(());
        }
        Err(Refusal::new(
            rollcall_domain::code::Code::ServerTimeout,
            "the notifier cannot be reached, try again",
        ))
    }

    /// Brings a user up to date in the background, trying again with back-off while the user is here.
    ///
    /// `list` says to read the subscription list too. The receiver rings once the list was read.
    pub(crate) fn attach(self: &Arc<Self>, key: UserKey, list: bool) -> tokio::sync::oneshot::Receiver<()> {
        let (listed, receiver) = tokio::sync::oneshot::channel();
        let gateway = Arc::clone(self);
        tokio::spawn(async move {
            if list {
                retry(&gateway, key, || gateway.load_list(key)).await;
            }
            // The login may have given up waiting.
            let _ = listed.send(());
            if gateway.hub.friends_due(&key) {
                gateway.friend_loads.ask_first([key]);
            }
            retry(&gateway, key, || gateway.load_statuses(key)).await;
        });
        receiver
    }
}

/// Calls until it succeeds, or the user has left.
pub(crate) async fn retry<F: Future<Output = Result<(), Refusal>>>(
    gateway: &Gateway,
    key: UserKey,
    call: impl Fn() -> F,
) {
    let mut backoff = Backoff::new(RETRY_FIRST, RETRY_MOST);
    while let Err(refusal) = call().await {
        if !gateway.hub.is_here(&key) {
            return;
        }
        let (code, wait) = (refusal.code, backoff.wait());
        warn!(%code, reason = %refusal.message, ?wait, "could not read for a user, trying again");
        backoff.pause().await;
    }
}
