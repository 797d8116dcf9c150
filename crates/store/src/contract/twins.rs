//! Two stores given the same commands, for property tests: every reply of one is the reply of the other.
//!
//! Versions are times and differ. Each is compared by the number of the command that it was given in, which
//! must be the same in both stores; times are not compared.

use std::collections::{BTreeMap, BTreeSet};

use rollcall_domain::status::RecordVersion;

use super::{
    Tested,
    commands::{Cast, Command, SETS, key},
    given::FAR,
    steps,
};
use crate::port::{Entry, EntryHead, Key, Outcome, Timer, TimerId};

/// Plays the commands to both stores, and compares what they reply, and all that can be read after each.
pub async fn agree(one: Tested, other: Tested, commands: &[Command]) {
    let (mut one, mut other) = (Twin::new(one), Twin::new(other));
    assert_eq!(one.cast.partitions, other.cast.partitions, "the stores have as many partitions");
    for (n, command) in commands.iter().enumerate() {
        assert_eq!(one.play(command, n).await, other.play(command, n).await, "command {n}: {command:?}");
        assert_eq!(one.read().await, other.read().await, "after command {n}: {command:?}");
    }
}

struct Twin {
    store: Tested,
    cast: Cast,
    held: BTreeMap<Key, RecordVersion>,
    /// The command that each version of a user was given in.
    origins: BTreeMap<(usize, u64), usize>,
    /// The user of each command that told something.
    told: BTreeMap<usize, usize>,
}

/// The command that a version was given in; `None` for version 0.
type Origin = Option<usize>;

#[derive(Debug, PartialEq, Eq)]
enum Reply {
    Committed { record: Origin, status: Origin, entry: Option<Told> },
    Late,
    Conflict,
    Guarded,
    Missing(Vec<TimerId>),
    Published,
    Lease(steps::Reply),
}

/// An outbox entry.
#[derive(Debug, PartialEq, Eq)]
struct Told {
    sequence: u64,
    sequence_in_head: u64,
    record: Origin,
    status: Origin,
    previous_status: Origin,
    body: Vec<u8>,
}

/// All that can be read.
#[derive(Debug, PartialEq, Eq)]
struct Read {
    records: Vec<Option<(Origin, Origin, Vec<u8>)>>,
    timers: Vec<BTreeSet<Timer>>,
    entries: Vec<Vec<Told>>,
    heads: Vec<u64>,
    leases: Vec<steps::Seen>,
}

impl Twin {
    fn new(store: Tested) -> Self {
        Self {
            cast: Cast::new(&store),
            store,
            held: BTreeMap::new(),
            origins: BTreeMap::new(),
            told: BTreeMap::new(),
        }
    }

    async fn play(&mut self, command: &Command, n: usize) -> Reply {
        match command {
            Command::Commit(change) => {
                let key = key(self.cast.users[change.user]);
                let commit = self.cast.commit(change, self.held.get(&key).copied(), n);
                match self.store.outcome(commit).await {
                    Outcome::Late => Reply::Late,
                    Outcome::Conflict => Reply::Conflict,
                    Outcome::Guarded => Reply::Guarded,
                    Outcome::Committed(committed) => {
                        self.origins.insert((change.user, committed.record.0), n);
                        self.told.insert(n, change.user);
                        if change.delete {
                            self.held.remove(&key);
                        } else {
                            self.held.insert(key, committed.record);
                        }
                        Reply::Committed {
                            record: self.origin(change.user, committed.record.0),
                            status: self.origin(change.user, committed.status.0),
                            entry: committed.entry.as_ref().map(|entry| self.told(entry)),
                        }
                    }
                }
            }
            Command::Touch { user, timers } => {
                let timers = self.cast.timers(*user, timers);
                let missing = self.store.touch(self.cast.partitions[*user], &timers).await;
                Reply::Missing(missing.expect("the store touches"))
            }
            Command::Publish { user, sequences } => {
                let published = self.store.published(self.cast.partitions[*user], sequences).await;
                published.expect("the store forgets entries");
                Reply::Published
            }
            Command::Lease(step) => Reply::Lease(step.play(&self.store).await),
        }
    }

    async fn read(&self) -> Read {
        let records = self.store.get(&self.cast.keys()).await.expect("the store reads");
        let records = records.into_iter().enumerate().map(|(user, record)| {
            record.map(|record| {
                let (version, status) = (record.version.0, record.status.0);
                (self.origin(user, version), self.origin(user, status), record.value.to_vec())
            })
        });
        let mut read = Read {
            records: records.collect(),
            timers: Vec::new(),
            entries: Vec::new(),
            heads: self.store.heads().await.expect("the store tells heads").sequences,
            leases: steps::seen(&self.store).await,
        };
        for partition in self.cast.partitions.iter().copied().collect::<BTreeSet<_>>() {
            for set in SETS {
                let timers = self.store.due(partition, set, FAR, None, usize::MAX).await;
                let timers = timers.expect("the store lists timers");
                assert!(timers.is_sorted_by_key(|timer| timer.deadline), "{timers:?}");
                read.timers.push(timers.into_iter().collect());
            }
            let entries = self.store.unpublished(partition, usize::MAX).await;
            let entries = entries.expect("the store lists entries");
            read.entries.push(entries.iter().map(|entry| self.told(entry)).collect());
        }
        read
    }

    fn told(&self, entry: &Entry) -> Told {
        let (head, body) = entry.bytes.split_at(EntryHead::LENGTH);
        let field = |n: usize| {
            let bytes = head[9 * n + 1..9 * n + 9].try_into().expect("a field has eight bytes");
            u64::from_le_bytes(bytes)
        };
        // The body names the command.
        let number = std::str::from_utf8(body).ok().and_then(|body| body.strip_prefix("entry "));
        let command: usize = number.and_then(|n| n.parse().ok()).expect("the body is that of a command");
        let user = self.told[&command];
        Told {
            sequence: entry.sequence,
            sequence_in_head: field(0),
            record: self.origin(user, field(1)),
            status: self.origin(user, field(2)),
            previous_status: self.origin(user, field(3)),
            body: body.to_vec(),
        }
    }

    fn origin(&self, user: usize, version: u64) -> Origin {
        let origin = self.origins.get(&(user, version)).copied();
        assert_eq!(origin.is_some(), version != 0, "version {version} was never given");
        origin
    }
}
