//! The store on a Redis server (7.0 or later, or Valkey).
//!
//! What a commit does is one script, `commit.lua`; start there, and with `keys` for what lies where. All keys of
//! a user are in one slot of a Redis Cluster; today one server is spoken to. The rights that the adapter needs
//! are in `deploy/redis/users.acl`; the operator adds a password and switches the user on. The default user there is
//! switched off but keeps its rights: with those Redis 7.0 replays its log, and drops what they do not cover. The
//! server must keep every key (`maxmemory-policy noeviction`), and how much an acknowledged commit survives is its
//! `appendfsync`.

mod commit;
mod connection;
mod epoch;
mod error;
mod keys;
mod leases;
mod options;
mod outbox;
mod script;
mod timers;
mod windows;

#[cfg(test)]
mod tests;

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use async_trait::async_trait;
use rollcall_domain::{epoch::Epoch, id::BootId, status::RecordVersion, time::Timestamp};
use tracing::warn;

use self::connection::Connection;
pub use self::{
    error::ConnectError,
    options::{Options, Random},
};
use crate::{
    partition::{Partition, Partitions},
    port::{
        Admission, Commit, Entry, Error, Heads, Key, Lease, Nonce, Opening, Outcome, Record, Renewal, Store,
        Timer, TimerId, TimerSet, TokenHash, Window,
    },
};

/// A store on a Redis server.
pub struct RedisStore(Shared);

/// What the parts of the adapter share; each adds its calls to it.
struct Shared {
    connection: Connection,
    options: Options,
    dropped_entries: AtomicU64,
}

impl RedisStore {
    /// Connects to a store, and makes an empty one of the configured number of partitions where there is none.
    /// Fails when the store has another number. A connection that is lost later is built anew.
    pub async fn connect(url: &str, options: Options) -> Result<Self, ConnectError> {
        let connection = Connection::open(url, options.clone()).await?;
        Ok(Self(Shared { connection, options, dropped_entries: AtomicU64::new(0) }))
    }

    /// Counts the outbox entries that went unpublished in commits of this process because their outbox was full.
    pub fn dropped_entries(&self) -> u64 {
        self.0.dropped_entries.load(Ordering::Relaxed)
    }
}

impl Shared {
    async fn now(&self) -> Result<Timestamp, Error> {
        let (seconds, micros): (u64, u64) = self.connection.ask(&redis::cmd("TIME")).await?;
        Ok(Timestamp(seconds * 1_000_000 + micros))
    }

    /// Counts entries that a full outbox has lost.
    fn count_lost(&self, partition: Partition, lost: u64) {
        if lost > 0 && self.dropped_entries.fetch_add(lost, Ordering::Relaxed) == 0 {
            warn!(partition = partition.0, "an outbox is full, its oldest entries go; said once");
        }
    }
}

#[async_trait]
impl Store for RedisStore {
    fn partitions(&self) -> Partitions {
        self.0.options.partitions
    }

    async fn now(&self) -> Result<Timestamp, Error> {
        self.0.now().await
    }

    async fn get(&self, keys: &[Key]) -> Result<Vec<Option<Record>>, Error> {
        self.0.get(keys).await
    }

    async fn versions(&self, keys: &[Key]) -> Result<Vec<RecordVersion>, Error> {
        self.0.versions(keys).await
    }

    async fn commit(&self, commit: Commit) -> Result<Outcome, Error> {
        self.0.commit(commit).await
    }

    async fn touch(&self, partition: Partition, timers: &[Timer]) -> Result<Vec<TimerId>, Error> {
        self.0.touch(partition, timers).await
    }

    async fn due(
        &self,
        partition: Partition,
        set: TimerSet,
        until: Timestamp,
        after: Option<Timer>,
        limit: usize,
    ) -> Result<Vec<Timer>, Error> {
        self.0.due(partition, set, until, after, limit).await
    }

    async fn unpublished(&self, partition: Partition, limit: usize) -> Result<Vec<Entry>, Error> {
        self.0.unpublished(partition, limit).await
    }

    async fn published(&self, partition: Partition, sequences: &[u64]) -> Result<(), Error> {
        self.0.published(partition, sequences).await
    }

    async fn heads(&self) -> Result<Heads, Error> {
        self.0.heads().await
    }

    fn epoch(&self) -> Epoch {
        self.0.connection.epoch()
    }

    async fn open_lease(&self, boot: BootId, token: TokenHash) -> Result<Opening, Error> {
        self.0.open_lease(boot, token).await
    }

    async fn renew_lease(&self, boot: BootId, token: TokenHash, nonce: Nonce) -> Result<Renewal, Error> {
        self.0.renew_lease(boot, token, nonce).await
    }

    async fn retire_lease(&self, boot: BootId, token: TokenHash) -> Result<bool, Error> {
        self.0.retire_lease(boot, token).await
    }

    async fn leases(&self) -> Result<Vec<Lease>, Error> {
        self.0.leases().await
    }

    async fn kill_lease(&self, boot: BootId, nonce: Nonce) -> Result<bool, Error> {
        self.0.kill_lease(boot, nonce).await
    }

    async fn forget_lease(&self, boot: BootId) -> Result<bool, Error> {
        self.0.forget_lease(boot).await
    }

    async fn window(&self, window: &Window, limit: u32, span: Duration) -> Result<Admission, Error> {
        self.0.window(window, limit, span).await
    }
}
