//! What became of a commit to which the store did not reply.
//!
//! It may still be under way, until its last moment has passed or the record has another version than it expects.
//! Then the record tells. Where it is as before, the commit was not applied, and never will be. Where it holds
//! the value that was sent, and did not before, the commit was applied; should another one have written the same
//! upon the same, nobody could see a difference. Where it holds something else, somebody else's commit was applied,
//! and ours may have been before: that is all that can be said without a mark of the call in the record. Where there is one,
//! the decision is made anew, and finds it.

use std::time::Duration;

use bytes::Bytes;
use rollcall_domain::time::Timestamp;
use rollcall_store::{Committed, Error as StoreError, Key, Record, Store};
use tokio::time::{sleep, timeout};

/// The longest wait for the last moment of a commit: longer than a call may take. What a later one became of is
/// looked for no longer than this.
const WAIT_MAX: Duration = Duration::from_secs(10);

/// How long the store may then take to show the record.
const GRACE: Duration = Duration::from_secs(2);

/// The pause before a read that failed is tried again.
const PAUSE: Duration = Duration::from_millis(100);

/// A commit as it was sent.
pub(crate) struct Sent {
    pub(crate) key: Key,
    /// The record that it was decided upon.
    pub(crate) before: Option<Record>,
    /// The value that it writes.
    pub(crate) value: Bytes,
    /// When that record was read.
    pub(crate) at: Timestamp,
}

/// What became of a commit.
pub(crate) enum Fate {
    /// It was applied.
    Applied(Committed),
    /// It was not applied, and will not be.
    Refused,
    /// It is over, and another commit is in the record.
    Overtaken,
    /// It may still be applied for this long; or, where the store did not tell, for longer than was waited.
    UnderWay(Duration),
}

impl Sent {
    /// Finds out what became of the commit, which must not be applied after `last`. The entry of one that was
    /// applied is left to the relay.
    pub(crate) async fn settle(&self, store: &dyn Store, last: Timestamp) -> Fate {
        let looking = async {
            loop {
                match self.look(store, last).await {
                    Ok(Fate::UnderWay(remaining)) => sleep(remaining).await,
                    Ok(fate) => return fate,
                    Err(_) => sleep(PAUSE).await,
                }
            }
        };
        let limit = until(self.at, last).min(WAIT_MAX) + GRACE;
        timeout(limit, looking).await.unwrap_or(Fate::UnderWay(limit))
    }

    async fn look(&self, store: &dyn Store, last: Timestamp) -> Result<Fate, StoreError> {
        // The clock first: what is not in the record that was read after the last moment never will be.
        let now = store.now().await?;
        let record = store.get(&[self.key]).await?.into_iter().next().flatten();
        let version = |record: &Option<Record>| record.as_ref().map(|record| record.version);
        let is_value = |record: &Record| record.value == self.value;
        // Records are not deleted here, so one that is absent was never written.
        Ok(if version(&record) == version(&self.before) {
            if now > last { Fate::Refused } else { Fate::UnderWay(until(now, last)) }
        } else {
            let changed = !self.before.as_ref().is_some_and(is_value);
            record.filter(|record| changed && is_value(record)).map_or(Fate::Overtaken, |record| {
                Fate::Applied(Committed { record: record.version, status: record.status, entry: None })
            })
        })
    }
}

/// Returns how long it is from `now` until `last` has passed.
fn until(now: Timestamp, last: Timestamp) -> Duration {
    Duration::from_micros(last.0.saturating_sub(now.0).saturating_add(1))
}

#[cfg(test)]
mod tests;
