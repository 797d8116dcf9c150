//! The outbox of one partition: what was committed and not yet published.

use std::collections::BTreeMap;

use bytes::Bytes;
use rollcall_domain::{
    status::{RecordVersion, StatusVersion},
    time::Timestamp,
};

use crate::{
    partition::Partition,
    port::{Entry, EntryHead, OUTBOX_MAX},
};

/// The versions that a commit was given, for the head of its entry.
pub(super) struct Versions {
    pub(super) record: RecordVersion,
    pub(super) status: StatusVersion,
    pub(super) previous_status: StatusVersion,
}

/// The outbox. At most [`OUTBOX_MAX`] entries are held; beyond it the oldest go.
pub(super) struct Outbox {
    partition: Partition,
    /// The sequence of the last entry, also when it is published and gone.
    last: u64,
    entries: BTreeMap<u64, Entry>,
    dropped: u64,
}

impl Outbox {
    /// Makes an empty outbox.
    pub(super) fn new(partition: Partition) -> Self {
        Self { partition, last: 0, entries: BTreeMap::new(), dropped: 0 }
    }

    /// Appends an entry with the next sequence number.
    pub(super) fn append(&mut self, versions: &Versions, at: Timestamp, body: &[u8]) -> Entry {
        self.last += 1;
        let &Versions { record, status, previous_status } = versions;
        let head = EntryHead { sequence: self.last, record, status, previous_status };
        let bytes = Bytes::from([&head.encode()[..], body].concat());
        let entry = Entry { partition: self.partition, sequence: self.last, at, bytes };
        self.entries.insert(entry.sequence, entry.clone());
        if self.entries.len() > OUTBOX_MAX {
            self.entries.pop_first();
            self.dropped += 1;
        }
        entry
    }

    /// Lists entries in order, at most `limit`.
    pub(super) fn unpublished(&self, limit: usize) -> Vec<Entry> {
        self.entries.values().take(limit).cloned().collect()
    }

    /// Forgets entries; unknown ones are no error.
    pub(super) fn published(&mut self, sequences: &[u64]) {
        for sequence in sequences {
            self.entries.remove(sequence);
        }
    }

    /// Returns the sequence of the last entry, 0 for none.
    pub(super) fn head(&self) -> u64 {
        self.last
    }

    /// Counts the entries that went because the outbox was full.
    pub(super) fn dropped(&self) -> u64 {
        self.dropped
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn append(outbox: &mut Outbox) -> u64 {
        let versions = Versions {
            record: RecordVersion(1),
            status: StatusVersion(1),
            previous_status: StatusVersion(0),
        };
        outbox.append(&versions, Timestamp(1), b"body").sequence
    }

    #[test]
    fn the_oldest_entries_of_a_full_outbox_go_and_are_counted() {
        let mut outbox = Outbox::new(Partition(0));
        for _ in 0..OUTBOX_MAX {
            append(&mut outbox);
        }
        assert_eq!((outbox.unpublished(1)[0].sequence, outbox.dropped()), (1, 0));

        append(&mut outbox);
        append(&mut outbox);

        assert_eq!((outbox.unpublished(1)[0].sequence, outbox.dropped()), (3, 2));
        assert_eq!(outbox.unpublished(usize::MAX).len(), OUTBOX_MAX);
        assert_eq!(outbox.head(), OUTBOX_MAX as u64 + 2);
    }

    #[test]
    fn an_outbox_that_is_published_in_time_loses_nothing() {
        let mut outbox = Outbox::new(Partition(0));
        for _ in 0..OUTBOX_MAX + 10 {
            let sequence = append(&mut outbox);
            outbox.published(&[sequence]);
        }

        assert_eq!((outbox.dropped(), outbox.unpublished(1)), (0, vec![]));
        assert_eq!(append(&mut outbox), OUTBOX_MAX as u64 + 11);
    }
}
