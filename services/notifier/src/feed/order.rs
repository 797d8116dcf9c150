//! Puts the changes of each partition into the order of their commits. Pure.
//!
//! The entries of a partition are numbered without holes, but more than one process publishes them, and one that fails
//! to be published is published again: they come in no certain order, and some more than once. An entry that comes
//! before its turn is held until those before it came, for [`HOLD`] at most. Time is the bus' while older entries are
//! read, however fast that goes, and this process's once there are none.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap, VecDeque},
    time::Duration,
};

use rollcall_domain::{partition::Partition, status::RecordVersion, time::Timestamp};
use rollcall_runtime::clock::Monotonic;

/// How long an entry is held for one that is to come before it. What its publisher left in the outbox is published again
/// after some 6 s, and after 11 s where the bus was away; later ones are published at once.
pub(super) const HOLD: Duration = Duration::from_secs(15);
/// The greatest number of entries that are held, some MiB; beyond it all holes are given up.
const HELD_MAX: usize = 16_384;
/// How many entries of a partition are remembered, so that one that comes again is not brought again.
const REMEMBERED: usize = 256;
/// An entry farther behind the others of its partition is the first of a new count: an outbox holds no more entries than
/// these, which may be published late.
const NEW_COUNT: u64 = 100_000;

/// An entry in its place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Entry<T> {
    /// Its place on the bus.
    pub(super) position: u64,
    /// When the bus took it.
    pub(super) at: Timestamp,
    pub(super) partition: Partition,
    /// Its number in its partition, from 1.
    pub(super) sequence: u64,
    /// The version that it tells of; with the sequence it says which entry this is.
    pub(super) version: RecordVersion,
    pub(super) what: T,
}

/// What is told, in this order.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Told<T> {
    /// An entry, in its turn or late.
    Entry(Entry<T>),
    /// These entries of a partition, first and last, did not come.
    NotHeard(Partition, u64, u64),
    /// The partition counts anew.
    NewCount(Partition),
}

/// The entries of all partitions.
#[derive(Debug)]
pub(super) struct Order<T> {
    lines: HashMap<Partition, Line<T>>,
    /// The positions of those that are held.
    held: BTreeSet<u64>,
    /// The position of the last entry that came.
    position: u64,
    /// When the bus took the latest.
    latest: Timestamp,
    /// Whether that was the newest there was.
    is_caught_up: bool,
    told: VecDeque<Told<T>>,
    /// The position when there was nothing to be told.
    told_up_to: u64,
}

/// The entries of one partition.
#[derive(Debug)]
struct Line<T> {
    /// The sequence whose turn it is; `None` before the first entry.
    next: Option<u64>,
    /// Those that came before their turn.
    held: BTreeMap<u64, Entry<T>>,
    /// Since when the next is missing while others are held, by this process and by the bus.
    since: (Monotonic, Timestamp),
    /// Entries that were told, the latest last.
    recent: VecDeque<(u64, RecordVersion)>,
}

impl<T> Order<T> {
    /// Begins after a position.
    pub(super) fn after(position: u64) -> Self {
        Self {
            lines: HashMap::new(),
            held: BTreeSet::new(),
            position,
            latest: Timestamp(0),
            is_caught_up: false,
            told: VecDeque::new(),
            told_up_to: position,
        }
    }

    /// Notes an entry that came before the start, so that the next of its partition has its turn.
    pub(super) fn came_before(&mut self, partition: Partition, sequence: u64, version: RecordVersion) {
        let line = self.lines.entry(partition).or_default();
        line.next = line.next.max(Some(sequence.saturating_add(1)));
        line.remember(sequence, version);
    }

    /// Returns the position up to which nothing is left to be told.
    pub(super) fn position(&self) -> u64 {
        if !self.told.is_empty() {
            return self.told_up_to;
        }
        self.held.first().map_or(self.position, |first| self.position.min(first - 1))
    }

    /// Takes what is told next.
    pub(super) fn next(&mut self) -> Option<Told<T>> {
        let next = self.told.pop_front()?;
        self.told_up_to = self.position();
        Some(next)
    }

    /// Passes over what is no entry.
    pub(super) fn skip(&mut self, position: u64) {
        self.position = self.position.max(position);
    }

    /// Takes the entry that comes next from the bus, behind which there are more or, if it `is_newest`, none.
    pub(super) fn take(&mut self, entry: Entry<T>, is_newest: bool, now: Monotonic) {
        self.skip(entry.position);
        self.latest = self.latest.max(entry.at);
        self.is_caught_up = is_newest;
        let time = (now, self.latest);
        let line = self.lines.entry(entry.partition).or_default();
        if line.next.is_none() && entry.sequence == 1 {
            line.next = Some(1);
        }
        match line.next {
            Some(next) if entry.sequence < next => {
                if line.recent.contains(&(entry.sequence, entry.version)) {
                    return;
                }
                if next - entry.sequence > NEW_COUNT {
                    let partition = entry.partition;
                    line.flush(&mut self.held, &mut self.told);
                    line.next = Some(entry.sequence + 1);
                    self.told.push_back(Told::NewCount(partition));
                }
                line.tell(entry, &mut self.told);
            }
            _ => {
                if line.held.is_empty() {
                    line.since = time;
                }
                self.held.insert(entry.position);
                if let Some(twice) = line.held.insert(entry.sequence, entry) {
                    self.held.remove(&twice.position);
                }
                line.drain(time, &mut self.held, &mut self.told);
            }
        }
        if self.held.len() > HELD_MAX {
            self.give_up(|_| true, now);
        } else {
            self.look(now);
        }
    }

    /// Gives up what is missing for too long.
    pub(super) fn look(&mut self, now: Monotonic) {
        let (latest, is_caught_up) = (self.latest, self.is_caught_up);
        self.give_up(
            |(since, since_bus)| (is_caught_up && now.since(since) >= HOLD) || latest >= since_bus.plus(HOLD),
            now,
        );
    }

    fn give_up(&mut self, is_overdue: impl Fn((Monotonic, Timestamp)) -> bool, now: Monotonic) {
        if self.held.is_empty() {
            return;
        }
        let time = (now, self.latest);
        for (partition, line) in &mut self.lines {
            let Some(first) = line.held.keys().next().copied().filter(|_| is_overdue(line.since)) else {
                continue;
            };
            // Of what came before the first that we heard of at all, nothing is known to be missing.
            if let Some(next) = line.next {
                self.told.push_back(Told::NotHeard(*partition, next, first - 1));
            }
            line.next = Some(first);
            line.drain(time, &mut self.held, &mut self.told);
        }
    }
}

impl<T> Default for Line<T> {
    fn default() -> Self {
        let since = (Monotonic::default(), Timestamp(0));
        Self { next: None, held: BTreeMap::new(), since, recent: VecDeque::new() }
    }
}

impl<T> Line<T> {
    /// Tells those whose turn it is.
    fn drain(
        &mut self,
        time: (Monotonic, Timestamp),
        held: &mut BTreeSet<u64>,
        told: &mut VecDeque<Told<T>>,
    ) {
        while let Some(next) = self.next
            && let Some(entry) = self.held.remove(&next)
        {
            held.remove(&entry.position);
            self.next = Some(next.saturating_add(1));
            self.since = time;
            self.tell(entry, told);
        }
    }

    /// Tells all that are held.
    fn flush(&mut self, held: &mut BTreeSet<u64>, told: &mut VecDeque<Told<T>>) {
        for entry in std::mem::take(&mut self.held).into_values() {
            held.remove(&entry.position);
            self.tell(entry, told);
        }
    }

    fn tell(&mut self, entry: Entry<T>, told: &mut VecDeque<Told<T>>) {
        self.remember(entry.sequence, entry.version);
        told.push_back(Told::Entry(entry));
    }

    fn remember(&mut self, sequence: u64, version: RecordVersion) {
        if self.recent.len() == REMEMBERED {
            self.recent.pop_front();
        }
        self.recent.push_back((sequence, version));
    }
}

#[cfg(test)]
mod tests;
