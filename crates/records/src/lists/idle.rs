//! Lists of users who have left (SPEC D5): each list that is not empty has a timer, which is due when it may go.
//!
//! A timer that comes too early costs a question; none comes too late, save by what its user's connections say: a commit
//! of the list sets it to the whole span from its own time, and all else moves it later.

use rollcall_domain::{
    id::{AppId, UserId},
    subscription::SubscriptionList,
    time::Timestamp,
};
use rollcall_proto::trace::TraceParent;
use rollcall_store::{
    Key, Partition,
    port::{Timer, TimerChange, TimerId, TimerKind, TimerSet},
};

use super::{List, Lists, decode};
use crate::{
    commit::{self, Done, Plan},
    error::Error,
    event,
};

impl Lists<SubscriptionList> {
    /// Reads a user's list as [`Lists::read`] does, for a user who is ONLINE: if it is not empty, its timer is put off
    /// before it is returned, so that it does not go meanwhile.
    pub async fn read_online(
        &self,
        app: AppId,
        user: &UserId,
    ) -> Result<super::HeldList<SubscriptionList>, Error> {
        let held = self.read(app, user).await?;
        if held.list.ids().is_empty() || self.keep(app, user).await? {
            return Ok(held);
        }
        // It has gone, or was emptied, after it was read.
        self.read(app, user).await
    }

    /// Puts the timer of a list off to the whole span from now. Says whether there is one.
    async fn keep(&self, app: AppId, user: &UserId) -> Result<bool, Error> {
        let Some(idle_after) = self.idle_after else { return Ok(true) };
        let deadline = self.store.now().await?.plus(idle_after);
        let partition = self.store.partitions().of(app, Some(user));
        let missing = self.store.touch(partition, &[Timer { deadline, id: id(app, user) }]).await?;
        Ok(missing.is_empty())
    }

    /// Lists timers of a partition that are due at `until` or before, earliest first, from behind `after`, at most
    /// `limit`.
    pub async fn due(
        &self,
        partition: Partition,
        until: Timestamp,
        after: Option<Timer>,
        limit: usize,
    ) -> Result<Vec<Timer>, Error> {
        Ok(self.store.due(partition, TimerSet::Idle, until, after, limit).await?)
    }

    /// Puts timers of a partition off to their deadlines; one that is due later stays.
    pub async fn put_off(&self, partition: Partition, timers: &[Timer]) -> Result<(), Error> {
        self.store.touch(partition, timers).await?;
        Ok(())
    }

    /// Empties a list whose timer is due at `until` or before, and says whether it did: not one that is kept on, for its
    /// user came back, or changed it, after the timer was read. The record stays, so that its versions go on.
    pub async fn let_go(&self, app: AppId, user: &UserId, until: Timestamp) -> Result<bool, Error> {
        let trace = &TraceParent::default();
        let guard = Timer { deadline: until, id: id(app, user) };
        let ((), _, done) =
            commit::commit(&*self.store, Key::Subscriptions(app, *user), trace.into(), |record, now| {
                let empty = SubscriptionList::default();
                let plan = (decode::<SubscriptionList>(record)?.list != empty).then(|| Plan {
                    timers: self.timer(app, user, &empty, now).into_iter().collect(),
                    guards: vec![guard],
                    entry: Some(event::of_list(SubscriptionList::KIND, app, user, trace)),
                    ..Plan::put(empty.encode())
                });
                Ok(((), plan))
            })
            .await?;
        let Done::Committed(committed) = done else { return Ok(false) };
        if let Some(entry) = committed.entry {
            self.publisher.offer(entry, trace.clone());
        }
        Ok(true)
    }
}

impl<L: List> Lists<L> {
    /// Says what becomes of the timer of a list that is committed at `now`; nothing, of one that stays for ever.
    pub(super) fn timer(&self, app: AppId, user: &UserId, list: &L, now: Timestamp) -> Option<TimerChange> {
        let (idle_after, id) = (self.idle_after?, id(app, user));
        let is_empty = *list == L::default();
        let set = || TimerChange::Set(Timer { deadline: now.plus(idle_after), id });
        Some(if is_empty { TimerChange::Remove(id) } else { set() })
    }
}

fn id(app: AppId, user: &UserId) -> TimerId {
    TimerId { app, user: *user, kind: TimerKind::Idle }
}
