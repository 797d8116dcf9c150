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
}

impl Default for Interest {
    fn default() -> Self {
        Self {
            pending: Mutex::new(Pending { number: 1, differences: HashMap::new() }),
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

    /// Drops the pending differences: a new stream begins with all users.
    pub(crate) fn restart(&self) {
        self.pending.lock().differences.clear();
    }

    /// Takes a number for a batch of a new stream's first users.
    pub(crate) fn take_number(&self) -> u64 {
        let mut pending = self.pending.lock();
        pending.number += 1;
        pending.number - 1
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

    /// Notes that all batches up to `number` are in force.
    pub(crate) fn acknowledge(&self, number: u64) {
        self.acknowledged.send_if_modified(|held| {
            let newer = number > *held;
            *held = number.max(*held);
            newer
        });
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
