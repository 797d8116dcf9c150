//! The users that the notifier is asked for, as batches of differences with numbers.
//!
//! Invariant: what was added before [`Interest::settled`] is called is in force when it returns. That is what
//! makes "interest before every read" true (DESIGN section 5).

use std::{collections::HashMap, time::Duration};

use parking_lot::Mutex;
use tokio::sync::{Notify, watch};

use crate::hub::UserKey;

/// A batch of differences.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Batch {
    /// Its number.
    pub(crate) number: u64,
    /// The users asked for from now on.
    pub(crate) added: Vec<UserKey>,
    /// The users asked for no more.
    pub(crate) removed: Vec<UserKey>,
}

/// See the module's description.
#[derive(Debug)]
pub(crate) struct Interest {
    pending: Mutex<Pending>,
    changed: Notify,
    acknowledged: watch::Sender<u64>,
}

#[derive(Debug)]
struct Pending {
    /// The number that the pending differences will have.
    number: u64,
    /// For each user whether it was last added (or else removed).
    differences: HashMap<UserKey, bool>,
    /// The last batch of the stream's first users: before it, what is in force is not whole.
    whole: u64,
}

impl Default for Interest {
    fn default() -> Self {
        Self {
            pending: Mutex::new(Pending { number: 1, differences: HashMap::new(), whole: 0 }),
            changed: Notify::new(),
            acknowledged: watch::Sender::new(0),
        }
    }
}

impl Interest {
    /// Asks for a user.
    pub(crate) fn add(&self, user: UserKey) {
        self.change(user, true);
    }

    /// Asks for a user no more.
    pub(crate) fn remove(&self, user: UserKey) {
        self.change(user, false);
    }

    fn change(&self, user: UserKey, added: bool) {
        self.pending.lock().differences.insert(user, added);
        self.changed.notify_one();
    }

    /// Begins anew for a new stream: drops the pending differences, and returns batches of at most `size` with
    /// all users, at least one.
    pub(crate) fn restart(&self, users: Vec<UserKey>, size: usize) -> Vec<Batch> {
        let mut pending = self.pending.lock();
        pending.differences.clear();
        let mut users = users.into_iter().peekable();
        let mut batches = Vec::new();
        while batches.is_empty() || users.peek().is_some() {
            let added = users.by_ref().take(size).collect();
            batches.push(Batch { number: pending.number, added, removed: Vec::new() });
            pending.number += 1;
        }
        pending.whole = pending.number - 1;
        batches
    }

    /// Waits for differences and takes them.
    pub(crate) async fn next(&self) -> Batch {
        loop {
            let changed = self.changed.notified();
            {
                let mut pending = self.pending.lock();
                if !pending.differences.is_empty() {
                    let mut batch = Batch { number: pending.number, ..Batch::default() };
                    pending.number += 1;
                    for (user, added) in pending.differences.drain() {
                        if added { batch.added.push(user) } else { batch.removed.push(user) }
                    }
                    return batch;
                }
            }
            changed.await;
        }
    }

    /// Notes that the stream's batches up to `number` are in force. Nothing counts as settled before all of its
    /// first users are among them.
    pub(crate) fn acknowledge(&self, number: u64) {
        if number >= self.pending.lock().whole {
            self.acknowledged.send_if_modified(|held| {
                let newer = number > *held;
                *held = number.max(*held);
                newer
            });
        }
    }

    /// Waits until all that was asked for so far is in force, or `limit` has passed. Says which.
    pub(crate) async fn settled(&self, limit: Duration) -> bool {
        let number = {
            let pending = self.pending.lock();
            if pending.differences.is_empty() { pending.number - 1 } else { pending.number }
        };
        let mut acknowledged = self.acknowledged.subscribe();
        let settled = acknowledged.wait_for(|held| *held >= number);
        tokio::time::timeout(limit, settled).await.is_ok_and(|result| result.is_ok())
    }
}

#[cfg(test)]
mod tests {
    use rollcall_domain::id::{AppId, UserId};

    use super::*;

    fn user(name: &str) -> UserKey {
        (AppId::new(1).unwrap(), UserId::new(name).unwrap())
    }

    #[tokio::test(start_paused = true)]
    async fn what_was_added_is_settled_only_by_the_acknowledgement_of_its_batch() {
        let interest = Interest::default();
        let limit = Duration::from_secs(1);
        assert!(interest.settled(limit).await, "nothing was asked for");
        interest.add(user("a"));
        assert!(!interest.settled(limit).await);
        let batch = interest.next().await;
        assert!(!interest.settled(limit).await, "sent is not in force");
        interest.add(user("b"));
        interest.acknowledge(batch.number);
        assert!(!interest.settled(limit).await, "b is in the next batch");
        let batch = interest.next().await;
        interest.acknowledge(batch.number);
        assert!(interest.settled(limit).await);
    }

    #[tokio::test(start_paused = true)]
    async fn a_new_stream_settles_nothing_before_all_its_first_users_are_in_force() {
        let interest = Interest::default();
        let limit = Duration::from_secs(1);
        interest.add(user("c"));
        let lost = interest.next().await;
        let users = ["a", "b", "c"].map(user).to_vec();
        let batches = interest.restart(users, 2);
        assert_eq!(batches.iter().map(|batch| batch.added.len()).collect::<Vec<_>>(), [2, 1]);
        assert!(batches[0].number > lost.number);
        interest.acknowledge(batches[0].number);
        assert!(!interest.settled(limit).await, "c is in the second batch");
        interest.acknowledge(batches[1].number);
        assert!(interest.settled(limit).await);
        assert_eq!(interest.restart(Vec::new(), 2).len(), 1, "an empty stream is acknowledged too");
    }

    #[tokio::test(start_paused = true)]
    async fn of_several_changes_of_one_user_the_last_counts() {
        let interest = Interest::default();
        interest.add(user("a"));
        interest.remove(user("a"));
        interest.remove(user("b"));
        interest.add(user("b"));
        let batch = interest.next().await;
        assert_eq!((batch.added, batch.removed), (vec![user("b")], vec![user("a")]));
    }
}
