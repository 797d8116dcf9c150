//! Brings changes to the gateways that have interest in them.
//!
//! Invariants: a change that is routed after a batch was acknowledged reaches the stream or is overtaken there by
//! a later one of its kind; nothing waits of a user who is not in the interest; a position that a stream is told
//! has no change before it that was not put into the stream's slots, or was missed and said so. They hold because
//! interest, slots and positions are changed under one lock, the index's, which is never held for more than
//! [`USERS_PER_LOCK`] users.

use std::{collections::HashMap, sync::Arc, time::Duration};

use parking_lot::Mutex;
use rollcall_domain::{
    epoch::{Epoch, Epochs, Heard as EpochHeard},
    partition::Partition,
};
use rollcall_proto::missed::Missed;
use rollcall_runtime::Clock;

use crate::{
    error::StreamEnd,
    event::Event,
    interest::{Interest, StreamId, User},
    mailbox::Mailbox,
    positions::{Heard, Positions},
};

/// The greatest number of users in the interest of one stream. One gateway serves some 100,000 connections with
/// 200 targets at most, of which many are shared; four million users take about 1 GiB here.
pub(crate) const INTEREST_LIMIT: usize = 4_000_000;

/// How many users of a batch are changed while routing waits: less than a millisecond.
const USERS_PER_LOCK: usize = 1_024;

/// The streams of all gateways.
#[derive(Debug)]
pub(crate) struct Router {
    index: Mutex<Index>,
    limit: usize,
    clock: Clock,
}

/// A stream that has begun.
#[derive(Debug)]
pub(crate) struct Attached {
    pub(crate) stream: StreamId,
    pub(crate) mailbox: Arc<Mailbox>,
    /// How long every change was heard when it began.
    pub(crate) listening: Duration,
}

/// What heads told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Compared {
    /// In so many partitions changes were missed.
    Missed(usize),
    /// The store is in another epoch than before: all gateways read everything again.
    NewEpoch,
}

/// What a router holds.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Load {
    /// Streams of gateways.
    pub(crate) streams: usize,
    /// Users in the interest of at least one.
    pub(crate) users: usize,
    /// Pairs of a stream and a user in its interest.
    pub(crate) interest: usize,
}

#[derive(Debug)]
struct Index {
    interest: Interest,
    mailboxes: HashMap<StreamId, Arc<Mailbox>>,
    last: u64,
    positions: Positions,
    /// The epochs of the store that heads told of.
    epochs: Epochs,
    /// Why no stream may attach; `None` while changes are heard.
    closed: Option<StreamEnd>,
}

impl Router {
    /// Makes a router whose streams may have `limit` users each. Nobody can attach before [`Router::open`].
    pub(crate) fn new(limit: usize, clock: Clock) -> Self {
        let index = Index {
            interest: Interest::new(limit),
            mailboxes: HashMap::new(),
            last: 0,
            positions: Positions::default(),
            epochs: Epochs::default(),
            closed: Some(StreamEnd::BusLost),
        };
        Self { index: Mutex::new(index), limit, clock }
    }

    /// Lets gateways attach: from now on every change is heard. `published` are entries that were published before.
    pub(crate) fn open(&self, published: impl IntoIterator<Item = (Partition, u64)>) {
        let mut index = self.index.lock();
        index.positions = Positions::begin(self.clock.monotonic(), published);
        index.closed = None;
    }

    /// Ends all streams, and lets none attach: changes may be missed from now on.
    pub(crate) fn close(&self, reason: StreamEnd) {
        let mut index = self.index.lock();
        for mailbox in index.mailboxes.values() {
            mailbox.end(reason.clone());
        }
        index.closed = Some(reason);
    }

    /// Begins a stream without interest.
    pub(crate) fn attach(&self) -> Result<Attached, StreamEnd> {
        let mut index = self.index.lock();
        if let Some(reason) = &index.closed {
            return Err(reason.clone());
        }
        index.last += 1;
        let (stream, mailbox) = (StreamId(index.last), Arc::new(Mailbox::new()));
        index.mailboxes.insert(stream, Arc::clone(&mailbox));
        let listening = index.positions.age(self.clock.monotonic());
        Ok(Attached { stream, mailbox, listening })
    }

    /// Finds what a gateway may have missed between another stream and the interest that is in force in this one.
    pub(crate) fn missed_since(&self, heard: &Heard, listening: Duration) -> Missed {
        self.index.lock().positions.missed_since(heard, listening)
    }

    /// Adds to a stream's interest, and takes from it first: who is in both lists is in the interest.
    pub(crate) async fn update(
        &self,
        stream: StreamId,
        added: &[User],
        removed: &[User],
    ) -> Result<(), StreamEnd> {
        for users in removed.chunks(USERS_PER_LOCK) {
            self.remove(stream, users);
            tokio::task::yield_now().await;
        }
        for users in added.chunks(USERS_PER_LOCK) {
            let limit = self.limit;
            let added = self.index.lock().interest.add(stream, users);
            added.map_err(|_| StreamEnd::TooManyUsers { limit })?;
            tokio::task::yield_now().await;
        }
        Ok(())
    }

    /// Forgets a stream that ended.
    pub(crate) async fn detach(&self, stream: StreamId) {
        let interest = {
            let mut index = self.index.lock();
            index.mailboxes.remove(&stream);
            index.interest.take(stream)
        };
        let mut users = interest.into_iter();
        loop {
            let some: Vec<User> = users.by_ref().take(USERS_PER_LOCK).collect();
            if some.is_empty() {
                return;
            }
            self.index.lock().interest.unlink(stream, &some);
            tokio::task::yield_now().await;
        }
    }

    /// Puts a change into the slots of every stream that has interest in its user; returns how many those are.
    pub(crate) fn route(&self, event: &Event) -> usize {
        let mut index = self.index.lock();
        index.positions.hear(event.partition, event.change.sequence, self.clock.monotonic());
        let index = &*index;
        let streams = index.interest.of(&event.user).iter();
        streams.filter_map(|stream| index.mailboxes.get(stream)).map(|mailbox| mailbox.put(event)).count()
    }

    /// Passes over an entry that nobody can have interest in.
    pub(crate) fn skip(&self, partition: Partition, sequence: u64) {
        self.index.lock().positions.hear(partition, sequence, self.clock.monotonic());
    }

    /// Has all gateways read again what heads say was missed: everything once the store is in another epoch than before,
    /// for it may have lost what it had told. Heads of an epoch that was left, told late, say nothing.
    pub(crate) fn compare(&self, heads: &[u64], epoch: Option<Epoch>) -> Compared {
        let (missed, mailboxes) = {
            let mut guard = self.index.lock();
            let index = &mut *guard;
            let heard = epoch.map_or(EpochHeard::Known, |epoch| index.epochs.hear(epoch));
            let missed = if heard == EpochHeard::New {
                index.positions.restart(heads);
                Missed::Everything
            } else if epoch.is_some() && epoch != index.epochs.newest() {
                return Compared::Missed(0);
            } else {
                Missed::Of(index.positions.compare(heads, self.clock.monotonic()))
            };
            if missed.is_nothing() {
                return Compared::Missed(0);
            }
            (missed, index.mailboxes.values().cloned().collect::<Vec<_>>())
        };
        for mailbox in mailboxes {
            mailbox.resync(missed.clone());
        }
        match missed {
            Missed::Everything => Compared::NewEpoch,
            Missed::Of(partitions) => Compared::Missed(partitions.len()),
        }
    }

    /// Tells all gateways up to where everything was heard, and to read again where that was not so. Returns in how
    /// many partitions it was not.
    pub(crate) fn tell(&self) -> usize {
        let (missed, whole, mailboxes) = {
            let mut index = self.index.lock();
            let missed = index.positions.give_up(self.clock.monotonic());
            let whole: Vec<_> = index.positions.whole().collect();
            let mailboxes: Vec<_> = index.mailboxes.values().cloned().collect();
            (missed, whole, mailboxes)
        };
        for mailbox in mailboxes {
            mailbox.resync(Missed::Of(missed.clone()));
            mailbox.tell(&whole);
        }
        missed.len()
    }

    /// Returns what the router holds.
    pub(crate) fn load(&self) -> Load {
        let index = self.index.lock();
        let (users, interest) = index.interest.size();
        Load { streams: index.mailboxes.len(), users, interest }
    }

    /// Counts the changes that wait for gateways.
    pub(crate) fn waiting(&self) -> usize {
        self.index.lock().mailboxes.values().map(|mailbox| mailbox.waiting()).sum()
    }

    fn remove(&self, stream: StreamId, users: &[User]) {
        let mut index = self.index.lock();
        index.interest.remove(stream, users);
        if let Some(mailbox) = index.mailboxes.get(&stream) {
            mailbox.remove(users);
        }
    }
}

#[cfg(test)]
mod tests;
