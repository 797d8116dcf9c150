//! Loads the friends of users who are here, a few at a time (SPEC F2, G1, I2).
//!
//! Who has to be read waits in one of two lines: news of friends, which take effect within 2 s, go before first reads,
//! of which there is one for each user here when an app begins to hear of friends. A user is in a line once, so both are
//! bounded by the users here.

use std::{
    collections::{HashSet, VecDeque},
    sync::Arc,
};

use parking_lot::Mutex;
use rollcall_domain::{
    app::Settings,
    code::{Code, Refusal},
    id::{AppId, UserId},
};
use rollcall_proto::trace::TraceParent;
use tokio::{sync::Notify, task::JoinSet};
use tokio_util::sync::CancellationToken;

use crate::{Gateway, attach::retry, hub::UserKey};

/// Loads on their way at once. Each is a few calls of at most 3,000 ids, so this many keep a gateway busy, and those of
/// all gateways are a small part of what the other services can do. One that fails keeps its place while it waits, so
/// that a service in trouble is asked no more than that either.
pub(crate) const LOADS_AT_ONCE: usize = 8;

/// The users whose friends are to be read.
#[derive(Debug, Default)]
pub(crate) struct FriendLoads {
    lines: Mutex<Lines>,
    asked: Notify,
}

#[derive(Debug, Default)]
struct Lines {
    news: Line,
    first: Line,
}

/// Users in the order in which they came, each once.
#[derive(Debug, Default)]
struct Line {
    order: VecDeque<UserKey>,
    waiting: HashSet<UserKey>,
}

impl Line {
    fn push(&mut self, key: UserKey) {
        if self.waiting.insert(key) {
            self.order.push_back(key);
        }
    }

    fn pop(&mut self) -> Option<UserKey> {
        let key = self.order.pop_front()?;
        self.waiting.remove(&key);
        Some(key)
    }
}

impl FriendLoads {
    /// Asks for friends that are to be read for the first time. Never waits.
    pub(crate) fn ask_first(&self, keys: impl IntoIterator<Item = UserKey>) {
        let mut lines = self.lines.lock();
        for key in keys {
            lines.first.push(key);
        }
        self.asked.notify_one();
    }

    /// Asks for friends that have changed. Never waits.
    pub(crate) fn ask_news(&self, key: UserKey) {
        self.lines.lock().news.push(key);
        self.asked.notify_one();
    }

    /// Counts the users who wait.
    pub(crate) fn waiting(&self) -> usize {
        let lines = self.lines.lock();
        lines.news.order.len() + lines.first.order.len()
    }

    async fn next(&self) -> UserKey {
        loop {
            let next = {
                let mut lines = self.lines.lock();
                lines.news.pop().or_else(|| lines.first.pop())
            };
            if let Some(key) = next {
                return key;
            }
            self.asked.notified().await;
        }
    }
}

/// Loads what is asked for, until `shutdown`.
pub(crate) async fn run(gateway: Arc<Gateway>, shutdown: CancellationToken) {
    let loads = async {
        let mut loads = JoinSet::new();
        loop {
            if loads.len() >= LOADS_AT_ONCE {
                loads.join_next().await;
            }
            let key = gateway.friend_loads.next().await;
            loads.spawn(load(Arc::clone(&gateway), key));
            while loads.try_join_next().is_some() {}
        }
    };
    shutdown.run_until_cancelled(loads).await;
}

/// Reads a user's friends, and then their statuses, until that succeeds or is not needed any more.
async fn load(gateway: Arc<Gateway>, key: UserKey) {
    if gateway.hub.friends_due(&key) {
        retry(&gateway, key, || gateway.load_friends(key)).await;
        retry(&gateway, key, || gateway.load_statuses(key)).await;
        gateway.metrics.friend_loads.inc();
    }
}

impl Gateway {
    /// Takes the settings of an app, if they are newer than those held.
    pub(crate) fn set_settings(&self, app: AppId, settings: Settings, version: u64) {
        let due = self.hub.set_settings(app, settings, version);
        if !due.is_empty() {
            self.friend_loads.ask_first(due);
        }
    }

    /// Reads a user's friends, if they are to be read, once the interest in the user is in force, and watches them.
    async fn load_friends(&self, key: UserKey) -> Result<(), Refusal> {
        if !self.hub.friends_due(&key) {
            return Ok(());
        }
        self.interest_settled().await?;
        let (version, ids) = self.backend.friends(&TraceParent::default(), key).await?;
        let ids: Vec<UserId> = ids.iter().filter_map(|id| id.parse().ok()).collect();
        if self.hub.apply_friends(&key, version, &ids) {
            return Ok(());
        }
        Err(Refusal::new(Code::ServerTimeout, "the friends changed while they were read, try again"))
    }
}

#[cfg(test)]
mod tests;
