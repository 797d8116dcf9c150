//! The rules of one partition: records, timers and outbox, without locks and without a clock.
//!
//! Versions never repeat, though a deleted record is forgotten: the floor of the partition is the greatest
//! version that any of its deleted records had, and a new record begins above it. One number is enough for
//! all of them, as versions are times and a record made later has a greater one anyhow.

use std::collections::{HashMap, hash_map::Entry as Slot};

use rollcall_domain::{
    status::{RecordVersion, StatusVersion},
    time::Timestamp,
};

use super::{
    outbox::{Outbox, Versions},
    timers::Timers,
    windows::Windows,
};
use crate::{
    partition::Partition,
    port::{Commit, Committed, Entry, Key, Outcome, Record, Timer, TimerChange, TimerId, TimerSet, Write},
};

/// One partition.
pub(super) struct State {
    /// Hashed with a random key, since clients choose user ids.
    records: HashMap<Key, Record>,
    floor: RecordVersion,
    timers: Timers,
    outbox: Outbox,
    /// Calls are counted apart from all else.
    pub(super) windows: Windows,
}

impl State {
    /// Makes an empty partition.
    pub(super) fn new(partition: Partition) -> Self {
        Self {
            records: HashMap::new(),
            floor: RecordVersion::default(),
            timers: Timers::default(),
            outbox: Outbox::new(partition),
            windows: Windows::default(),
        }
    }

    /// Finds a record.
    pub(super) fn get(&self, key: &Key) -> Option<&Record> {
        self.records.get(key)
    }

    /// Applies a commit. Every check comes before the first write.
    pub(super) fn commit(&mut self, commit: Commit, now: Timestamp) -> Outcome {
        if commit.not_after.is_some_and(|last| now > last) {
            return Outcome::Late;
        }
        let slot = self.records.entry(commit.key);
        let held = match &slot {
            Slot::Occupied(held) => Some((held.get().version, held.get().status)),
            Slot::Vacant(_) => None,
        };
        if held.map(|(version, _)| version) != commit.expected {
            return Outcome::Conflict;
        }
        if commit.guards.iter().any(|guard| self.timers.is_later_than(guard)) {
            return Outcome::Guarded;
        }

        let (previous, previous_status) = held.unwrap_or((self.floor, StatusVersion::default()));
        let record = RecordVersion(now.0.max(previous.max(commit.floor).0 + 1));
        let status = if commit.new_status { StatusVersion(record.0) } else { previous_status };
        match (commit.write, slot) {
            (Write::Put(value), slot) => {
                slot.insert_entry(Record { version: record, status, value });
            }
            (Write::Delete, slot) => {
                if let Slot::Occupied(held) = slot {
                    held.remove();
                }
                self.floor = self.floor.max(record);
            }
        }
        for change in commit.timers {
            match change {
                TimerChange::Set(timer) => self.timers.set(timer),
                TimerChange::Remove(id) => self.timers.remove(&id),
            }
        }
        let versions = Versions { record, status, previous_status };
        let entry = commit.entry.map(|body| self.outbox.append(&versions, now, &body));
        Outcome::Committed(Committed { record, status, entry })
    }

    /// Moves timers later; returns those that do not exist.
    pub(super) fn touch(&mut self, timers: &[Timer]) -> Vec<TimerId> {
        timers.iter().filter(|timer| !self.timers.extend(timer)).map(|timer| timer.id).collect()
    }

    /// Lists due timers of a set.
    pub(super) fn due(
        &self,
        set: TimerSet,
        until: Timestamp,
        after: Option<Timer>,
        limit: usize,
    ) -> Vec<Timer> {
        self.timers.due(set, until, after, limit)
    }

    /// Lists unpublished entries.
    pub(super) fn unpublished(&self, limit: usize) -> Vec<Entry> {
        self.outbox.unpublished(limit)
    }

    /// Forgets published entries.
    pub(super) fn published(&mut self, sequences: &[u64]) {
        self.outbox.published(sequences);
    }

    /// Returns the sequence of the last entry, 0 for none.
    pub(super) fn head(&self) -> u64 {
        self.outbox.head()
    }

    /// Counts the entries that a full outbox lost.
    pub(super) fn dropped_entries(&self) -> u64 {
        self.outbox.dropped()
    }
}
