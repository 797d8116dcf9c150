//! The lists of users that belong to one user: subscriptions, and friends. Each is a record of its own.

use std::{marker::PhantomData, sync::Arc};

use bytes::Bytes;
use rollcall_domain::{
    code::Refusal,
    friend::FriendList,
    id::{AppId, UserId},
    status::RecordVersion,
    subscription::SubscriptionList,
};
use rollcall_proto::event::v1::ChangeKind;
use rollcall_store::{Key, Record, Store};

use crate::{
    call::Call,
    codec,
    commit::{self, Done, Plan},
    error::Error,
    event,
    publisher::Publisher,
};

/// A list of users that is kept in a record of its own, and told by its version alone.
pub trait List: Clone + Default + PartialEq + Send {
    /// What it is called where its record cannot be read.
    const NAME: &'static str;
    /// As what the outbox tells of a change.
    const KIND: ChangeKind;

    /// Names the record.
    fn key(app: AppId, owner: UserId) -> Key;
    /// Writes the record.
    fn encode(&self) -> Bytes;
    /// Makes the list of the ids that the record holds.
    fn from_ids(ids: Vec<UserId>) -> Self;
}

impl List for SubscriptionList {
    const NAME: &'static str = "subscription list";
    const KIND: ChangeKind = ChangeKind::List;

    fn key(app: AppId, owner: UserId) -> Key {
        Key::Subscriptions(app, owner)
    }

    fn encode(&self) -> Bytes {
        codec::list::encode(self.ids())
    }

    fn from_ids(ids: Vec<UserId>) -> Self {
        Self::from_ids(ids)
    }
}

impl List for FriendList {
    const NAME: &'static str = "friend list";
    const KIND: ChangeKind = ChangeKind::Friends;

    fn key(app: AppId, owner: UserId) -> Key {
        Key::Friends(app, owner)
    }

    fn encode(&self) -> Bytes {
        codec::list::encode(self.ids())
    }

    fn from_ids(ids: Vec<UserId>) -> Self {
        ids.into_iter().collect()
    }
}

/// Reads and changes the lists of one kind. Clones are cheap and the same.
#[derive(Clone)]
pub struct Lists<L> {
    store: Arc<dyn Store>,
    publisher: Publisher,
    kind: PhantomData<fn() -> L>,
}

/// A list as it is stored.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct HeldList<L> {
    /// The list; empty for a user who never had one.
    pub list: L,
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

impl<L: List> Lists<L> {
    /// Makes it of a store and of the publisher of what commits have to tell.
    pub fn new(store: Arc<dyn Store>, publisher: Publisher) -> Self {
        Self { store, publisher, kind: PhantomData }
    }

    /// Reads a user's list.
    pub async fn read(&self, app: AppId, user: &UserId) -> Result<HeldList<L>, Error> {
        let records = self.store.get(&[L::key(app, *user)]).await?;
        decode(records.into_iter().next().flatten())
    }

    /// Reads the versions of users' lists, in their order; 0 for one that was never written.
    pub async fn versions(&self, app: AppId, users: &[UserId]) -> Result<Vec<RecordVersion>, Error> {
        let keys: Vec<Key> = users.iter().map(|user| L::key(app, *user)).collect();
        Ok(self.store.versions(&keys).await?)
    }

    /// Lets `revise` change a user's list, and commits it if it did. `revise` is called again, on the list as
    /// it is then, when another commit came between. An emptied list stays as a record, so that its versions
    /// go on.
    pub async fn revise<'a, T>(
        &self,
        app: AppId,
        user: &UserId,
        call: impl Into<Call<'a>>,
        mut revise: impl FnMut(&mut L) -> Result<T, Refusal> + Send,
    ) -> Result<Revised<T>, Error> {
        let call = call.into();
        let trace = call.trace;
        let key = L::key(app, *user);
        let (value, seen, done) = commit::commit(&*self.store, key, call, |record, _now| {
            let before: L = decode(record)?.list;
            let mut after = before.clone();
            let value = revise(&mut after)?;
            let plan = (after != before).then(|| Plan {
                entry: Some(event::of_list(L::KIND, app, user, trace)),
                ..Plan::put(after.encode())
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

fn decode<L: List>(record: Option<Record>) -> Result<HeldList<L>, Error> {
    let Some(record) = record else { return Ok(HeldList::default()) };
    let ids = codec::list::decode(record.value).map_err(Error::unreadable(L::NAME))?;
    Ok(HeldList { list: L::from_ids(ids), version: record.version })
}

#[cfg(test)]
mod tests;
