//! A store on a server of its own.

use std::{
    ops::Deref,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use rollcall_domain::{epoch::Epoch, id::BootId, status::RecordVersion, time::Timestamp};
use rollcall_testkit::RedisServer;

use crate::{
    partition::{Partition, Partitions},
    port::{
        Admission, Commit, Entry, Error, Heads, Key, Lease, Nonce, Opening, Outcome, Record, Renewal, Store,
        Timer, TimerId, TimerSet, TokenHash, Window,
    },
    redis::{Options, RedisStore},
};

/// A store with its server, which ends with it.
pub(super) struct Served {
    store: RedisStore,
    pub(super) server: RedisServer,
}

impl Served {
    /// Starts a server and makes a store on it.
    pub(super) async fn start() -> Self {
        Self::on(RedisServer::start(), options()).await
    }

    /// Makes a store on a server.
    pub(super) async fn on(server: RedisServer, options: Options) -> Self {
        let store = RedisStore::connect(&server.url(), options).await.expect("the store can be opened");
        Self { store, server }
    }
}

/// The default options, with few partitions, patience for a busy machine, and chance that is none.
pub(super) fn options() -> Options {
    let draws = AtomicU64::new(0);
    let random = Arc::new(move || draws.fetch_add(7_919, Ordering::Relaxed));
    let patient = std::time::Duration::from_secs(20);
    Options {
        partitions: Partitions::EMBEDDED,
        response_timeout: patient,
        connect_timeout: patient,
        ..Options::new(random)
    }
}

impl Deref for Served {
    type Target = RedisStore;

    fn deref(&self) -> &RedisStore {
        &self.store
    }
}

#[async_trait]
impl Store for Served {
    fn partitions(&self) -> Partitions {
        self.store.partitions()
    }

    async fn now(&self) -> Result<Timestamp, Error> {
        self.store.now().await
    }

    async fn get(&self, keys: &[Key]) -> Result<Vec<Option<Record>>, Error> {
        self.store.get(keys).await
    }

    async fn versions(&self, keys: &[Key]) -> Result<Vec<RecordVersion>, Error> {
        self.store.versions(keys).await
    }

    async fn commit(&self, commit: Commit) -> Result<Outcome, Error> {
        self.store.commit(commit).await
    }

    async fn touch(&self, partition: Partition, timers: &[Timer]) -> Result<Vec<TimerId>, Error> {
        self.store.touch(partition, timers).await
    }

    async fn due(
        &self,
        partition: Partition,
        set: TimerSet,
        until: Timestamp,
        after: Option<Timer>,
        limit: usize,
    ) -> Result<Vec<Timer>, Error> {
        self.store.due(partition, set, until, after, limit).await
    }

    async fn unpublished(&self, partition: Partition, limit: usize) -> Result<Vec<Entry>, Error> {
        self.store.unpublished(partition, limit).await
    }

    async fn published(&self, partition: Partition, sequences: &[u64]) -> Result<(), Error> {
        self.store.published(partition, sequences).await
    }

    async fn heads(&self) -> Result<Heads, Error> {
        self.store.heads().await
    }

    fn epoch(&self) -> Epoch {
        self.store.epoch()
    }

    async fn open_lease(&self, boot: BootId, token: TokenHash) -> Result<Opening, Error> {
        self.store.open_lease(boot, token).await
    }

    async fn renew_lease(&self, boot: BootId, token: TokenHash, nonce: Nonce) -> Result<Renewal, Error> {
        self.store.renew_lease(boot, token, nonce).await
    }

    async fn retire_lease(&self, boot: BootId, token: TokenHash) -> Result<bool, Error> {
        self.store.retire_lease(boot, token).await
    }

    async fn leases(&self) -> Result<Vec<Lease>, Error> {
        self.store.leases().await
    }

    async fn kill_lease(&self, boot: BootId, nonce: Nonce) -> Result<bool, Error> {
        self.store.kill_lease(boot, nonce).await
    }

    async fn forget_lease(&self, boot: BootId) -> Result<bool, Error> {
        self.store.forget_lease(boot).await
    }

    async fn window(&self, window: &Window, limit: u32, span: Duration) -> Result<Admission, Error> {
        self.store.window(window, limit, span).await
    }
}
