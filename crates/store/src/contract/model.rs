//! A small sequential model of a store, for property tests: any run of commands leaves a store as it leaves
//! the model.
//!
//! The model does not compute versions and times, which are the store's own; it takes them from the outcome
//! and checks that they increase.

use std::collections::{BTreeMap, BTreeSet};

use rollcall_domain::status::{RecordVersion, StatusVersion};

use super::{
    Tested,
    commands::{Cast, Change, Command, SETS, key},
    steps,
};
use crate::{
    partition::Partition,
    port::{Commit, Committed, Entry, EntryHead, Key, Outcome, Record, Timer, TimerChange, TimerId, Write},
};

/// Plays the commands to the store and to the model, and compares all that can be read after each.
pub async fn agrees(store: Tested, commands: &[Command]) {
    let mut model = Model::new(&store);
    for (n, command) in commands.iter().enumerate() {
        model.play(&store, command, n).await;
        model.compare(&store).await;
    }
}

struct Model {
    cast: Cast,
    records: BTreeMap<Key, Record>,
    /// The last version of each key, also of deleted records.
    versions: BTreeMap<Key, RecordVersion>,
    timers: BTreeMap<TimerId, Timer>,
    entries: BTreeMap<Partition, Vec<Entry>>,
    heads: BTreeMap<Partition, u64>,
    leases: steps::Model,
}

impl Model {
    fn new(store: &Tested) -> Self {
        Self {
            cast: Cast::new(store),
            records: BTreeMap::new(),
            versions: BTreeMap::new(),
            timers: BTreeMap::new(),
            entries: BTreeMap::new(),
            heads: BTreeMap::new(),
            leases: steps::Model::default(),
        }
    }

    async fn play(&mut self, store: &Tested, command: &Command, n: usize) {
        match command {
            Command::Commit(change) => self.commit(store, change, n).await,
            Command::Touch { user, timers } => {
                let timers = self.cast.timers(*user, timers);
                let found =
                    store.touch(self.cast.partitions[*user], &timers).await.expect("the store touches");
                assert_eq!(found, self.touch(&timers));
            }
            Command::Publish { user, sequences } => {
                let partition = self.cast.partitions[*user];
                store.published(partition, sequences).await.expect("the store forgets entries");
                let entries = self.entries.entry(partition).or_default();
                entries.retain(|entry| !sequences.contains(&entry.sequence));
            }
            Command::Lease(step) => assert_eq!(step.play(store).await, self.leases.play(*step)),
        }
    }

    async fn commit(&mut self, store: &Tested, change: &Change, n: usize) {
        let held = self.records.get(&key(self.cast.users[change.user])).map(|record| record.version);
        let commit = self.cast.commit(change, held, n);
        let outcome = store.outcome(commit.clone()).await;
        let is_late =
            |guard: &Timer| self.timers.get(&guard.id).is_some_and(|timer| timer.deadline > guard.deadline);
        if change.in_time == Some(false) {
            assert_eq!(outcome, Outcome::Late);
        } else if held != commit.expected {
            assert_eq!(outcome, Outcome::Conflict);
        } else if commit.guards.iter().any(is_late) {
            assert_eq!(outcome, Outcome::Guarded);
        } else if let Outcome::Committed(committed) = outcome {
            self.apply(commit, &committed, self.cast.partitions[change.user]);
        } else {
            panic!("expected a commit, found {outcome:?}");
        }
    }

    fn apply(&mut self, commit: Commit, committed: &Committed, partition: Partition) {
        let previous_status = self.records.get(&commit.key).map_or(StatusVersion(0), |record| record.status);
        let &Committed { record, status, .. } = committed;
        let last = self.versions.insert(commit.key, record).unwrap_or_default();
        assert!(record > last, "{record:?} after {last:?}");
        assert!(record > commit.floor, "{record:?} above {:?}", commit.floor);
        let expected = if commit.new_status { StatusVersion(record.0) } else { previous_status };
        assert_eq!(status, expected);

        match commit.write {
            Write::Put(value) => {
                self.records.insert(commit.key, Record { version: record, status, value });
            }
            Write::Delete => {
                self.records.remove(&commit.key);
            }
        }
        for change in commit.timers {
            match change {
                TimerChange::Set(timer) => self.timers.insert(timer.id, timer),
                TimerChange::Remove(id) => self.timers.remove(&id),
            };
        }
        assert_eq!(committed.entry.is_some(), commit.entry.is_some());
        if let (Some(entry), Some(body)) = (&committed.entry, commit.entry) {
            let sequence = self.heads.entry(partition).or_default();
            *sequence += 1;
            let head = EntryHead { sequence: *sequence, record, status, previous_status };
            assert_eq!((entry.partition, entry.sequence), (partition, *sequence));
            assert_eq!(entry.bytes, [&head.encode()[..], &body].concat());
            self.entries.entry(partition).or_default().push(entry.clone());
        }
    }

    /// Moves timers later; returns those that do not exist.
    fn touch(&mut self, timers: &[Timer]) -> Vec<TimerId> {
        let mut missing = Vec::new();
        for timer in timers {
            match self.timers.get_mut(&timer.id) {
                Some(held) => held.deadline = held.deadline.max(timer.deadline),
                None => missing.push(timer.id),
            }
        }
        missing
    }

    async fn compare(&self, store: &Tested) {
        let keys = self.cast.keys();
        let expected: Vec<_> = keys.iter().map(|key| self.records.get(key).cloned()).collect();
        assert_eq!(store.get(&keys).await.expect("the store reads"), expected);
        assert_eq!(steps::seen(store).await, self.leases.seen());

        for partition in self.cast.partitions.iter().copied().collect::<BTreeSet<_>>() {
            for set in SETS {
                let found = store.timers(partition, set).await;
                let is_here = |timer: &&Timer| {
                    timer.id.set() == set && store.partition_of(key(timer.id.user)) == partition
                };
                let expected: BTreeSet<_> = self.timers.values().filter(is_here).copied().collect();
                assert!(found.is_sorted_by_key(|timer| timer.deadline), "{found:?}");
                assert_eq!(found.len(), expected.len());
                assert_eq!(found.into_iter().collect::<BTreeSet<_>>(), expected);
            }
            let expected = self.entries.get(&partition).cloned().unwrap_or_default();
            assert_eq!(store.entries(partition).await, expected);
            assert_eq!(store.head(partition).await, self.heads.get(&partition).copied().unwrap_or(0));
        }
    }
}
