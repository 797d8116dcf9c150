//! Commits and reads of records.

use bytes::Bytes;
use redis::{Cmd, Pipeline};
use rollcall_domain::{
    status::{RecordVersion, StatusVersion},
    time::Timestamp,
};

use super::{Shared, connection::read, keys, script::Script};
use crate::{
    partition::Partition,
    port::{Commit, Committed, Entry, EntryHead, Error, Key, Outcome, Record, TimerChange, TimerSet, Write},
};

/// The length of the two versions before a record's value.
const HEAD: usize = 16;

/// Versions that were lost in a failover are within this many of the last one that survived.
const LOST_VERSIONS: u64 = 1_000;

impl Shared {
    /// Reads records with one command.
    pub(super) async fn get(&self, keys: &[Key]) -> Result<Vec<Option<Record>>, Error> {
        if keys.is_empty() {
            return Ok(Vec::new());
        }
        let mut command = redis::cmd("MGET");
        for key in keys {
            command.arg(keys::record(key.partition(self.options.partitions), key));
        }
        let stored: Vec<Option<Bytes>> = self.connection.ask(&command).await?;
        stored.into_iter().map(|stored| stored.as_ref().map(record).transpose()).collect()
    }

    /// Reads the versions of records, each by a command, sent at once: a value is up to 100 KiB, and a version 8 bytes.
    pub(super) async fn versions(&self, keys: &[Key]) -> Result<Vec<RecordVersion>, Error> {
        if keys.is_empty() {
            return Ok(Vec::new());
        }
        let mut commands = Pipeline::with_capacity(keys.len());
        for key in keys {
            let name = keys::record(key.partition(self.options.partitions), key);
            commands.cmd("GETRANGE").arg(name).arg(0).arg(size_of::<RecordVersion>() - 1);
        }
        let replies = self.connection.ask_all(&commands).await?.into_iter();
        replies.map(|reply| version(&read(reply)?)).collect()
    }

    /// Runs the script of a commit.
    pub(super) async fn commit(&self, commit: Commit) -> Result<Outcome, Error> {
        let partition = commit.key.partition(self.options.partitions);
        let sets = sets(&commit);
        let step = (self.options.random)() % LOST_VERSIONS;
        let fill = |command: &mut Cmd| {
            append_keys(command, partition, &commit, &sets);
            append_arguments(command, &commit, &sets, self.options.outbox_max, step);
        };
        let reply: Vec<u64> = self.connection.run(Script::Commit, fill).await?;
        match reply[..] {
            [0] => Ok(Outcome::Conflict),
            [1] => Ok(Outcome::Guarded),
            [3] => Ok(Outcome::Late),
            [2, record, status, previous_status, sequence, at, lost] => {
                self.count_lost(partition, lost);
                let head = EntryHead {
                    sequence,
                    record: RecordVersion(record),
                    status: StatusVersion(status),
                    previous_status: StatusVersion(previous_status),
                };
                let entry = commit.entry.map(|body| Entry {
                    partition,
                    sequence,
                    at: Timestamp(at),
                    bytes: Bytes::from([&head.encode()[..], &body].concat()),
                });
                Ok(Outcome::Committed(Committed { record: head.record, status: head.status, entry }))
            }
            _ => Err(Error::Unavailable(format!("unexpected reply to a commit: {reply:?}"))),
        }
    }
}

/// Lists the sets of the timers that the commit names, each once.
fn sets(commit: &Commit) -> Vec<TimerSet> {
    let changed = commit.timers.iter().map(|change| match change {
        TimerChange::Set(timer) => timer.id.set(),
        TimerChange::Remove(id) => id.set(),
    });
    let mut sets: Vec<_> = commit.guards.iter().map(|guard| guard.id.set()).chain(changed).collect();
    sets.sort_unstable();
    sets.dedup();
    sets
}

/// Appends the number of keys and the keys, as `commit.lua` numbers them.
fn append_keys(command: &mut Cmd, partition: Partition, commit: &Commit, sets: &[TimerSet]) {
    command
        .arg(FIXED_KEYS + sets.len())
        .arg(keys::record(partition, &commit.key))
        .arg(keys::floor(partition))
        .arg(keys::sequence(partition))
        .arg(keys::outbox(partition));
    for set in sets {
        command.arg(keys::timers(partition, *set));
    }
}

/// The keys before those of timers.
const FIXED_KEYS: usize = 4;

/// Appends the arguments, as `commit.lua` numbers them.
fn append_arguments(command: &mut Cmd, commit: &Commit, sets: &[TimerSet], outbox_max: usize, step: u64) {
    // Lua counts from 1.
    let key = |set| FIXED_KEYS + 1 + sets.iter().position(|known| *known == set).unwrap_or_default();

    match commit.expected {
        Some(version) => command.arg(&version.0.to_le_bytes()),
        None => command.arg(""),
    };
    match &commit.write {
        Write::Put(value) => command.arg(1).arg(&value[..]),
        Write::Delete => command.arg(0).arg(""),
    };
    command
        .arg(u8::from(commit.new_status))
        .arg(u8::from(commit.entry.is_some()))
        .arg(commit.entry.as_deref().unwrap_or_default())
        .arg(outbox_max)
        .arg(step);
    match commit.not_after {
        Some(last) => command.arg(keys::score(last)),
        None => command.arg(""),
    };
    command.arg(commit.floor.0).arg(commit.guards.len());
    for guard in &commit.guards {
        command.arg(key(guard.id.set())).arg(keys::member(&guard.id)).arg(keys::score(guard.deadline));
    }
    for change in &commit.timers {
        match change {
            TimerChange::Set(timer) => {
                command.arg(key(timer.id.set())).arg(keys::member(&timer.id)).arg(keys::score(timer.deadline))
            }
            TimerChange::Remove(id) => command.arg(key(id.set())).arg(keys::member(id)).arg(""),
        };
    }
}

/// Reads a stored record.
fn record(stored: &Bytes) -> Result<Record, Error> {
    let Some((version, rest)) = stored.split_first_chunk::<8>() else { return Err(short(stored)) };
    let Some((status, _)) = rest.split_first_chunk::<8>() else { return Err(short(stored)) };
    Ok(Record {
        version: RecordVersion(u64::from_le_bytes(*version)),
        status: StatusVersion(u64::from_le_bytes(*status)),
        value: stored.slice(HEAD..),
    })
}

/// Reads the version at the begin of a record; nothing is read of one that does not exist.
fn version(stored: &Bytes) -> Result<RecordVersion, Error> {
    match (stored.first_chunk::<8>(), stored.is_empty()) {
        (Some(version), _) => Ok(RecordVersion(u64::from_le_bytes(*version))),
        (None, true) => Ok(RecordVersion::default()),
        (None, false) => Err(short(stored)),
    }
}

fn short(stored: &Bytes) -> Error {
    Error::Unavailable(format!("a record has {} bytes, at least {HEAD} were expected", stored.len()))
}
