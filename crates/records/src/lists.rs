//! The records of subscription lists.

mod idle;

use std::{sync::Arc, time::Duration};

use rollcall_domain::{
    code::Refusal,
    id::{AppId, UserId},
    status::RecordVersion,
    subscription::SubscriptionList,
};
use rollcall_store::{Key, Record, Store};

use crate::{
    call::Call,
    codec,
    commit::{self, Done, Plan},
    error::Error,
    event,
    publisher::Publisher,
};

/// Reads and changes subscription lists. Clones are cheap and the same.
#[derive(Clone)]
pub struct Lists {
    store: Arc<dyn Store>,
    publisher: Publisher,
    idle_after: Duration,
}

/// A list as it is stored.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct HeldList {
    /// The list; empty for a user who never had one.
    pub list: SubscriptionList,
    /// Its version; 0 for one that was never written.
    pub version: RecordVersion,
}

/// How a list was changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Revised<T> {
    /// What the change returned.
    pub value: T,
    /// The version of the list now; equal to the one before when nothing has changed.
    pub version: RecordVersion,
    /// The version of the list before; 0 for one that was never written.
    pub previous_version: RecordVersion,
}

impl Lists {
    /// Makes it of a store and of the publisher of what commits have to tell. A list may go `idle_after` its user was
    /// ONLINE last (SPEC D5).
    pub fn new(store: Arc<dyn Store>, publisher: Publisher, idle_after: Duration) -> Self {
        Self { store, publisher, idle_after }
    }

    /// Reads a user's list.
    pub async fn read(&self, app: AppId, user: &UserId) -> Result<HeldList, Error> {
        let records = self.store.get(&[Key::Subscriptions(app, *user)]).await?;
        decode(records.into_iter().next().flatten())
    }

    /// Reads the versions of users' lists, in their order; 0 for one that was never written.
    pub async fn versions(&self, app: AppId, users: &[UserId]) -> Result<Vec<RecordVersion>, Error> {
        let keys: Vec<Key> = users.iter().map(|user| Key::Subscriptions(app, *user)).collect();
        let records = self.store.get(&keys).await?.into_iter();
        Ok(records.map(|record| record.map(|record| record.version).unwrap_or_default()).collect())
    }

    /// Lets `revise` change a user's list, and commits it if it did, with the timer of a list that is not empty. `revise` is called again, on the list as
    /// it is then, when another commit came between. An emptied list stays as a record, so that its versions
    /// go on.
    pub async fn revise<'a, T>(
        &self,
        app: AppId,
        user: &UserId,
        call: impl Into<Call<'a>>,
        mut revise: impl FnMut(&mut SubscriptionList) -> Result<T, Refusal> + Send,
    ) -> Result<Revised<T>, Error> {
        let call = call.into();
        let trace = call.trace;
        let key = Key::Subscriptions(app, *user);
        let (value, seen, done) = commit::commit(&*self.store, key, call, |record, now| {
            let before = decode(record)?.list;
            let mut after = before.clone();
            let value = revise(&mut after)?;
            let plan = (after != before).then(|| Plan {
                timers: vec![self.timer(app, user, &after, now)],
                entry: Some(event::of_list(app, user, trace)),
                ..Plan::put(codec::list::encode(&after))
            });
            Ok((value, plan))
        })
        .await?;
        let version = match done {
            Done::Kept | Done::Guarded => seen.record,
            Done::Committed(committed) => {
                if let Some(entry) = committed.entry {
                    self.publisher.offer(entry, trace.clone());
                }
                committed.record
            }
        };
        Ok(Revised { value, version, previous_version: seen.record })
    }
}

fn decode(record: Option<Record>) -> Result<HeldList, Error> {
    let Some(record) = record else { return Ok(HeldList::default()) };
    let list = codec::list::decode(record.value).map_err(Error::unreadable("subscription list"))?;
    Ok(HeldList { list, version: record.version })
}

#[cfg(test)]
mod tests;
