//! What became of outbox entries, for whoever shows it to an operator.

use std::sync::atomic::{AtomicU64, Ordering};

/// Counts outbox entries by who published them, since the start of the process.
#[derive(Debug, Default)]
pub struct OutboxCounts {
    published: AtomicU64,
    left: AtomicU64,
    relayed: AtomicU64,
}

impl OutboxCounts {
    /// Returns how many were published by the process that committed them.
    pub fn published(&self) -> u64 {
        self.published.load(Ordering::Relaxed)
    }

    /// Returns how many that process left to the relay.
    pub fn left(&self) -> u64 {
        self.left.load(Ordering::Relaxed)
    }

    /// Returns how many the relay has published.
    pub fn relayed(&self) -> u64 {
        self.relayed.load(Ordering::Relaxed)
    }

    pub(crate) fn add_published(&self, entries: usize) {
        self.published.fetch_add(entries as u64, Ordering::Relaxed);
    }

    pub(crate) fn add_left(&self, entries: usize) {
        self.left.fetch_add(entries as u64, Ordering::Relaxed);
    }

    pub(crate) fn add_relayed(&self, entries: usize) {
        self.relayed.fetch_add(entries as u64, Ordering::Relaxed);
    }
}
