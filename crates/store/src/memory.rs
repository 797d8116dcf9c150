//! The store in this process's memory: the embedded default, and the oracle that other adapters are compared
//! with. What it holds lives as long as the process.
//!
//! Each partition is a `State` (pure, see there for the rules) behind its own lock, and so are the leases. No lock
//! is held across an await, and no call holds two.

mod leases;
mod outbox;
mod state;
mod timers;
mod windows;

#[cfg(test)]
mod tests;

use std::{
    hash::{BuildHasher as _, RandomState},
    sync::Arc,
    time::Duration,
};

use async_trait::async_trait;
use parking_lot::{Mutex, MutexGuard};
use rollcall_domain::{epoch::Epoch, id::BootId, time::Timestamp};

use self::{leases::Leases, state::State};
use crate::{
    partition::{Partition, Partitions},
    port::{
        Admission, Commit, Entry, Error, Heads, Key, Lease, Nonce, Opening, Outcome, Record, Renewal, Store,
        Timer, TimerId, TimerSet, TokenHash, Window,
    },
};

/// Tells the time. It is called with a lock held, and must neither block nor call the store.
pub type Clock = Arc<dyn Fn() -> Timestamp + Send + Sync>;

/// A store in memory.
pub struct MemoryStore {
    partitions: Partitions,
    states: Box<[Mutex<State>]>,
    leases: Mutex<Leases>,
    clock: Clock,
    /// What it holds lives and ends with it, and so does its epoch.
    epoch: Epoch,
}

impl MemoryStore {
    /// Makes an empty store whose time is the clock's. The clock may stand still or jump back: versions
    /// increase all the same.
    pub fn new(partitions: Partitions, clock: Clock) -> Self {
        let states = partitions.all().map(|partition| Mutex::new(State::new(partition))).collect();
        Self { partitions, states, leases: Mutex::default(), clock, epoch: drawn() }
    }

    /// Counts the outbox entries that went unpublished because their outbox was full.
    pub fn dropped_entries(&self) -> u64 {
        self.states.iter().map(|state| state.lock().dropped_entries()).sum()
    }

    /// Locks a partition; `None` for one that the store does not have.
    fn lock(&self, partition: Partition) -> Option<MutexGuard<'_, State>> {
        self.states.get(usize::from(partition.0)).map(Mutex::lock)
    }
}

/// Draws an epoch, from what the maps of this process draw their keys from.
fn drawn() -> Epoch {
    Epoch::of(&[&RandomState::new().hash_one(()).to_string()])
}

#[async_trait]
impl Store for MemoryStore {
    fn partitions(&self) -> Partitions {
        self.partitions
    }

    async fn now(&self) -> Result<Timestamp, Error> {
        Ok((self.clock)())
    }

    async fn get(&self, keys: &[Key]) -> Result<Vec<Option<Record>>, Error> {
        // In the order of partitions, so that each is locked once however many of its keys are asked for.
        let mut places: Vec<(Partition, usize)> =
            keys.iter().enumerate().map(|(place, key)| (key.partition(self.partitions), place)).collect();
        places.sort_unstable();
        let mut records = vec![None; keys.len()];
        for group in places.chunk_by(|a, b| a.0 == b.0) {
            let Some(state) = self.lock(group[0].0) else { continue };
            for &(_, place) in group {
                records[place] = state.get(&keys[place]).cloned();
            }
        }
        Ok(records)
    }

    async fn commit(&self, commit: Commit) -> Result<Outcome, Error> {
        let partition = commit.key.partition(self.partitions);
        let mut state = self.states[usize::from(partition.0)].lock();
        // Read under the lock, so that entries stand in the order of their times, and no commit that waited for
        // the lock is applied after its time.
        let now = (self.clock)();
        Ok(state.commit(commit, now))
    }

    async fn touch(&self, partition: Partition, timers: &[Timer]) -> Result<Vec<TimerId>, Error> {
        match self.lock(partition) {
            Some(mut state) => Ok(state.touch(timers)),
            None => Ok(timers.iter().map(|timer| timer.id).collect()),
        }
    }

    async fn due(
        &self,
        partition: Partition,
        set: TimerSet,
        until: Timestamp,
        after: Option<Timer>,
        limit: usize,
    ) -> Result<Vec<Timer>, Error> {
        Ok(self.lock(partition).map(|state| state.due(set, until, after, limit)).unwrap_or_default())
    }

    async fn unpublished(&self, partition: Partition, limit: usize) -> Result<Vec<Entry>, Error> {
        Ok(self.lock(partition).map(|state| state.unpublished(limit)).unwrap_or_default())
    }

    async fn published(&self, partition: Partition, sequences: &[u64]) -> Result<(), Error> {
        if let Some(mut state) = self.lock(partition) {
            state.published(sequences);
        }
        Ok(())
    }

    async fn heads(&self) -> Result<Heads, Error> {
        let sequences = self.states.iter().map(|state| state.lock().head()).collect();
        Ok(Heads { epoch: self.epoch, sequences })
    }

    fn epoch(&self) -> Epoch {
        self.epoch
    }

    async fn open_lease(&self, boot: BootId, token: TokenHash) -> Result<Opening, Error> {
        Ok(self.leases.lock().open(boot, token))
    }

    async fn renew_lease(&self, boot: BootId, token: TokenHash, nonce: Nonce) -> Result<Renewal, Error> {
        Ok(self.leases.lock().renew(boot, token, nonce))
    }

    async fn retire_lease(&self, boot: BootId, token: TokenHash) -> Result<bool, Error> {
        let mut leases = self.leases.lock();
        Ok(leases.retire(boot, token, (self.clock)()))
    }

    async fn leases(&self) -> Result<Vec<Lease>, Error> {
        Ok(self.leases.lock().all())
    }

    async fn kill_lease(&self, boot: BootId, nonce: Nonce) -> Result<bool, Error> {
        let mut leases = self.leases.lock();
        Ok(leases.kill(boot, nonce, (self.clock)()))
    }

    async fn forget_lease(&self, boot: BootId) -> Result<bool, Error> {
        Ok(self.leases.lock().forget(boot))
    }

    async fn window(&self, window: &Window, limit: u32, span: Duration) -> Result<Admission, Error> {
        let partition = self.partitions.of(window.app, Some(&window.user));
        let mut state = self.states[usize::from(partition.0)].lock();
        let now = (self.clock)();
        Ok(state.windows.take(*window, limit, span, now))
    }
}
