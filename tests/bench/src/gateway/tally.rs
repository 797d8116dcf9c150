//! What the clients of a generator have heard, written by them and read by whoever waits.

use std::{
    sync::{
        OnceLock,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
    time::{SystemTime, UNIX_EPOCH},
};

/// Shared by the clients that a generator has at one server.
#[derive(Debug, Default)]
pub(super) struct Tally {
    /// First statuses.
    shown: AtomicUsize,
    /// The star's newest change that somebody heard of.
    change: AtomicU64,
    /// How many heard of it.
    hearers: AtomicUsize,
    /// When the last one did, in microseconds since the Unix epoch.
    last_us: AtomicU64,
    failure: OnceLock<String>,
}

impl Tally {
    /// Counts a first status of somebody.
    pub(super) fn show(&self) {
        self.shown.fetch_add(1, Ordering::Relaxed);
    }

    /// Counts the first statuses.
    pub(super) fn shown(&self) -> usize {
        self.shown.load(Ordering::Relaxed)
    }

    /// Counts a client that heard of a change of the star just now. One of an older change does not count.
    pub(super) fn hear(&self, change: u64) {
        if change > self.change.fetch_max(change, Ordering::Relaxed) {
            self.hearers.store(0, Ordering::Relaxed);
        }
        if change == self.change.load(Ordering::Relaxed) {
            self.hearers.fetch_add(1, Ordering::Relaxed);
            self.last_us.store(now_us(), Ordering::Relaxed);
        }
    }

    /// Counts the clients that heard of a change.
    pub(super) fn hearers(&self, change: u64) -> usize {
        if self.change.load(Ordering::Relaxed) == change { self.hearers.load(Ordering::Relaxed) } else { 0 }
    }

    /// Returns when the last client was counted, in microseconds since the Unix epoch.
    pub(super) fn last_us(&self) -> u64 {
        self.last_us.load(Ordering::Relaxed)
    }

    /// Notes that a client failed; the first failure counts.
    pub(super) fn fail(&self, failure: String) {
        // A later failure is most likely a consequence.
        let _ = self.failure.set(failure);
    }

    /// Fails if a client has failed.
    pub(super) fn check(&self) -> anyhow::Result<()> {
        self.failure.get().map_or(Ok(()), |failure| Err(anyhow::anyhow!("{failure}")))
    }
}

/// Returns the time, in microseconds since the Unix epoch. It is the same for all processes of a machine.
pub(super) fn now_us() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(now.as_micros()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hearers_are_counted_anew_for_each_change_and_those_of_an_older_one_do_not_count() {
        let tally = Tally::default();
        tally.hear(1);
        tally.hear(1);
        assert_eq!((tally.hearers(1), tally.hearers(2)), (2, 0));
        tally.hear(2);
        tally.hear(1);
        assert_eq!((tally.hearers(1), tally.hearers(2)), (0, 1));
        assert!(tally.last_us() > 0);
    }

    #[test]
    fn the_first_failure_is_told() {
        let tally = Tally::default();
        tally.check().unwrap();
        tally.fail("one".to_owned());
        tally.fail("two".to_owned());
        assert_eq!(tally.check().unwrap_err().to_string(), "one");
    }
}
