//! A store under test, and the steps in which claims are told. A step panics where the store fails.

use std::{ops::Deref, sync::Arc};

use rollcall_domain::id::UserId;

use super::given;
use crate::{
    partition::Partition,
    port::{Commit, Committed, Entry, Key, Outcome, Record, Store, Timer, TimerSet},
};

/// A store under test. Clones are the same store.
#[derive(Clone)]
pub struct Tested(Arc<dyn Store>);

/// All that a commit of a key may change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct State {
    /// The record.
    pub record: Option<Record>,
    /// The timers of [`given::SETS`] in the key's partition.
    pub timers: Vec<Timer>,
    /// The entries of the partition's outbox.
    pub entries: Vec<Entry>,
    /// The last sequence of every partition.
    pub heads: Vec<u64>,
}

impl Deref for Tested {
    type Target = dyn Store;

    fn deref(&self) -> &Self::Target {
        &*self.0
    }
}

impl Tested {
    /// Takes a store, which must be empty and have two partitions at least.
    pub fn new(store: impl Store) -> Self {
        Self(Arc::new(store))
    }

    /// Finds the partition of a key.
    pub fn partition_of(&self, key: Key) -> Partition {
        key.partition(self.partitions())
    }

    /// Names users of the app that are all in the partition of the first.
    pub fn neighbours<const N: usize>(&self) -> [UserId; N] {
        let home = self.partition_of(given::key("neighbour 0"));
        let mut names = (0..).map(|n| format!("neighbour {n}"));
        let mut next = || names.find(|name| self.partition_of(given::key(name)) == home);
        std::array::from_fn(|_| given::user(&next().expect("names have no end")))
    }

    /// Names a user of the app that is in another partition than those of [`neighbours`](Self::neighbours).
    pub fn stranger(&self) -> UserId {
        let home = self.partition_of(given::key("neighbour 0"));
        let mut names = (0..1_000_000).map(|n| format!("stranger {n}"));
        let name = names.find(|name| self.partition_of(given::key(name)) != home);
        given::user(&name.expect("there are two partitions at least"))
    }

    /// Commits.
    pub async fn outcome(&self, commit: Commit) -> Outcome {
        self.commit(commit).await.expect("the store commits")
    }

    /// Commits what must be applied.
    pub async fn committed(&self, commit: Commit) -> Committed {
        match self.outcome(commit).await {
            Outcome::Committed(committed) => committed,
            refused => panic!("expected a commit, found {refused:?}"),
        }
    }

    /// Reads one record.
    pub async fn record(&self, key: Key) -> Option<Record> {
        let mut records = self.get(&[key]).await.expect("the store reads");
        assert_eq!(records.len(), 1, "records of one key");
        records.remove(0)
    }

    /// Reads the value of a record as text.
    pub async fn value(&self, key: Key) -> Option<String> {
        let record = self.record(key).await?;
        Some(String::from_utf8(record.value.to_vec()).expect("the value is text"))
    }

    /// Lists all timers of a set in a partition.
    pub async fn timers(&self, partition: Partition, set: TimerSet) -> Vec<Timer> {
        self.due(partition, set, given::FAR, None, usize::from(u16::MAX))
            .await
            .expect("the store lists timers")
    }

    /// Lists the deadlines of the timers of [`given::BOOT`] in the partition of a key, as offsets for
    /// [`given::at`].
    pub async fn deadlines(&self, key: Key) -> Vec<u64> {
        let timers = self.timers(self.partition_of(key), given::SESSIONS).await;
        timers.iter().map(|timer| given::offset(timer.deadline)).collect()
    }

    /// Lists all unpublished entries of a partition.
    pub async fn entries(&self, partition: Partition) -> Vec<Entry> {
        self.unpublished(partition, usize::from(u16::MAX)).await.expect("the store lists entries")
    }

    /// Lists the sequences of all unpublished entries of a partition.
    pub async fn sequences(&self, partition: Partition) -> Vec<u64> {
        self.entries(partition).await.iter().map(|entry| entry.sequence).collect()
    }

    /// Returns the last sequence of a partition.
    pub async fn head(&self, partition: Partition) -> u64 {
        let heads = self.heads().await.expect("the store tells heads").sequences;
        assert_eq!(heads.len(), self.partitions().all().count(), "one head a partition");
        heads[usize::from(partition.0)]
    }

    /// Reads all that a commit of a key may change.
    pub async fn state(&self, key: Key) -> State {
        let partition = self.partition_of(key);
        let mut timers = Vec::new();
        for set in given::SETS {
            timers.extend(self.timers(partition, set).await);
        }
        State {
            record: self.record(key).await,
            timers,
            entries: self.entries(partition).await,
            heads: self.heads().await.expect("the store tells heads").sequences,
        }
    }
}
