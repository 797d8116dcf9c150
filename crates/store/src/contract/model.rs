//! A small sequential model of a store, for property tests: any run of commands leaves a store as it leaves
//! the model.
//!
//! The model does not compute versions and times, which are the store's own; it takes them from the outcome
//! and checks that they increase.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use rollcall_domain::{
    id::{BootId, SessionId, UserId},
    status::{RecordVersion, StatusVersion},
};

use super::{
    Tested,
    given::{self, app},
};
use crate::{
    partition::Partition,
    port::{Commit, Committed, Entry, EntryHead, Key, Outcome, Record, Timer, TimerChange, TimerId, Write},
};

/// How many users commands speak of, from 0; the last one is in another partition than the others.
pub const USERS: usize = 4;

/// How many sessions each user has, from 0; they are of two boots.
pub const SESSIONS: u64 = 4;

/// One call to a store. Deadlines are offsets for [`given::at`].
#[derive(Debug, Clone)]
pub enum Command {
    /// A commit of a user.
    Commit(Change),
    /// A touch in the partition of a user.
    Touch {
        /// Whose timers.
        user: usize,
        /// Sessions and deadlines.
        timers: Vec<(u64, u64)>,
    },
    /// Entries of a user's partition are published, known or not.
    Publish {
        /// Whose partition.
        user: usize,
        /// The entries.
        sequences: Vec<u64>,
    },
}

/// What a commit is to change.
#[derive(Debug, Clone)]
pub struct Change {
    /// Whose record.
    pub user: usize,
    /// The version that is said to be expected.
    pub expected: Expected,
    /// Whether the record is deleted.
    pub delete: bool,
    /// Whether the status is new.
    pub new_status: bool,
    /// Whether there is an outbox entry.
    pub told: bool,
    /// Sessions and their deadlines; `None` removes the timer.
    pub timers: Vec<(u64, Option<u64>)>,
    /// Sessions and the latest deadlines that pass.
    pub guards: Vec<(u64, u64)>,
}

/// The expected version of a commit.
#[derive(Debug, Clone, Copy)]
pub enum Expected {
    /// The version that the record has, or none.
    Held,
    /// A version that it does not have.
    Other,
    /// None.
    Absent,
}

/// Plays the commands to the store and to the model, and compares all that can be read after each.
pub async fn agrees(store: Tested, commands: &[Command]) {
    let mut model = Model::new(&store);
    for (n, command) in commands.iter().enumerate() {
        model.play(&store, command, n).await;
        model.compare(&store).await;
    }
}

struct Model {
    users: Vec<UserId>,
    partitions: Vec<Partition>,
    records: BTreeMap<Key, Record>,
    /// The last version of each key, also of deleted records.
    versions: BTreeMap<Key, RecordVersion>,
    timers: BTreeMap<TimerId, Timer>,
    entries: BTreeMap<Partition, Vec<Entry>>,
    heads: BTreeMap<Partition, u64>,
}

impl Model {
    fn new(store: &Tested) -> Self {
        let mut users = store.neighbours::<{ USERS - 1 }>().to_vec();
        users.push(store.stranger());
        Self {
            partitions: users.iter().map(|user| store.partition_of(key(*user))).collect(),
            users,
            records: BTreeMap::new(),
            versions: BTreeMap::new(),
            timers: BTreeMap::new(),
            entries: BTreeMap::new(),
            heads: BTreeMap::new(),
        }
    }

    async fn play(&mut self, store: &Tested, command: &Command, n: usize) {
        match command {
            Command::Commit(change) => self.commit(store, change, n).await,
            Command::Touch { user, timers } => {
                let timers: Vec<Timer> =
                    timers.iter().map(|(session, at)| self.timer(*user, *session, *at)).collect();
                let found = store.touch(self.partitions[*user], &timers).await.expect("the store touches");
                assert_eq!(found, self.touch(&timers));
            }
            Command::Publish { user, sequences } => {
                let partition = self.partitions[*user];
                store.published(partition, sequences).await.expect("the store forgets entries");
                let entries = self.entries.entry(partition).or_default();
                entries.retain(|entry| !sequences.contains(&entry.sequence));
            }
        }
    }

    async fn commit(&mut self, store: &Tested, change: &Change, n: usize) {
        let commit = self.commit_of(change, n);
        let outcome = store.outcome(commit.clone()).await;
        let held = self.records.get(&commit.key);
        let is_late =
            |guard: &Timer| self.timers.get(&guard.id).is_some_and(|timer| timer.deadline > guard.deadline);
        if held.map(|record| record.version) != commit.expected {
            assert_eq!(outcome, Outcome::Conflict);
        } else if commit.guards.iter().any(is_late) {
            assert_eq!(outcome, Outcome::Guarded);
        } else if let Outcome::Committed(committed) = outcome {
            self.apply(commit, &committed, self.partitions[change.user]);
        } else {
            panic!("expected a commit, found {outcome:?}");
        }
    }

    fn apply(&mut self, commit: Commit, committed: &Committed, partition: Partition) {
        let previous_status = self.records.get(&commit.key).map_or(StatusVersion(0), |record| record.status);
        let &Committed { record, status, .. } = committed;
        let last = self.versions.insert(commit.key, record).unwrap_or_default();
        assert!(record > last, "{record:?} after {last:?}");
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
        let keys: Vec<Key> = self.users.iter().copied().map(key).collect();
        let expected: Vec<_> = keys.iter().map(|key| self.records.get(key).cloned()).collect();
        assert_eq!(store.get(&keys).await.expect("the store reads"), expected);

        for partition in self.partitions.iter().copied().collect::<BTreeSet<_>>() {
            for boot in [boot(0), boot(1)] {
                let found = store.timers(partition, boot).await;
                let is_here = |timer: &&Timer| {
                    timer.id.session.boot == boot && store.partition_of(key(timer.id.user)) == partition
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

    fn commit_of(&self, change: &Change, n: usize) -> Commit {
        let key = key(self.users[change.user]);
        let held = self.records.get(&key).map(|record| record.version);
        let timer = |session, offset| self.timer(change.user, session, offset);
        let timers = change.timers.iter().map(|(session, offset)| match offset {
            Some(offset) => TimerChange::Set(timer(*session, *offset)),
            None => TimerChange::Remove(timer(*session, 0).id),
        });
        Commit {
            key,
            expected: match change.expected {
                Expected::Held => held,
                Expected::Other => Some(RecordVersion(held.map_or(1, |version| version.0 - 1))),
                Expected::Absent => None,
            },
            write: if change.delete { Write::Delete } else { Write::Put(Bytes::from(format!("value {n}"))) },
            new_status: change.new_status,
            timers: timers.collect(),
            guards: change.guards.iter().map(|(session, offset)| timer(*session, *offset)).collect(),
            entry: change.told.then(|| Bytes::from(format!("entry {n}"))),
        }
    }

    fn timer(&self, user: usize, session: u64, offset: u64) -> Timer {
        let session = SessionId { boot: boot(session % 2), counter: 1 + session / 2 };
        Timer { deadline: given::at(offset), id: TimerId { app: app(1), user: self.users[user], session } }
    }
}

fn key(user: UserId) -> Key {
    Key::User(app(1), user)
}

fn boot(n: u64) -> BootId {
    BootId(100 + n)
}

#[cfg(test)]
pub(crate) mod strategy {
    //! Runs of commands, as proptest makes and shrinks them.

    use proptest::{collection::vec, option, prelude::*};

    use super::{Change, Command, Expected, SESSIONS, USERS};

    /// Deadlines lie close together, so that ties and equal guards are common.
    const OFFSETS: u64 = 6;

    /// Makes runs of 1 to 40 commands.
    pub(crate) fn commands() -> impl Strategy<Value = Vec<Command>> {
        vec(command(), 1..=40)
    }

    fn command() -> impl Strategy<Value = Command> {
        let touched = vec((0..SESSIONS, 0..OFFSETS), 0..4);
        let touch = (0..USERS, touched).prop_map(|(user, timers)| Command::Touch { user, timers });
        let publish = (0..USERS, vec(0..12_u64, 0..4))
            .prop_map(|(user, sequences)| Command::Publish { user, sequences });
        prop_oneof![5 => change().prop_map(Command::Commit), 2 => touch, 1 => publish]
    }

    fn change() -> impl Strategy<Value = Change> {
        let expected =
            prop_oneof![6 => Just(Expected::Held), 1 => Just(Expected::Other), 1 => Just(Expected::Absent)];
        let timers = vec((0..SESSIONS, option::of(0..OFFSETS)), 0..4);
        let guards = vec((0..SESSIONS, 0..OFFSETS), 0..2);
        (0..USERS, expected, prop::bool::weighted(0.2), any::<bool>(), any::<bool>(), timers, guards)
            .prop_map(|(user, expected, delete, new_status, told, timers, guards)| Change {
                user,
                expected,
                delete,
                new_status,
                told,
                timers,
                guards,
            })
    }
}
