//! What was published, kept for those who read it later: the newest [`KEPT_MAX`] messages. Pure.

use std::collections::{BTreeMap, VecDeque};

use rollcall_domain::time::Timestamp;

use crate::{
    port::{Kept, Message, Start},
    subject::Subject,
};

/// The greatest number of messages that are kept: of some 200 bytes each, a few MiB.
pub const KEPT_MAX: usize = 16_384;

/// The messages that are kept, and where they stand.
#[derive(Debug, Default)]
pub(super) struct Log {
    /// The position of the last message, also when it is kept no more.
    last: u64,
    entries: VecDeque<(Timestamp, Message)>,
    /// The position of the last message on each subject.
    last_on: BTreeMap<Subject, u64>,
}

/// Where a replay begins; see [`Replay`](crate::port::Replay).
#[derive(Debug)]
pub(super) struct Beginning {
    pub(super) after: u64,
    pub(super) is_cut: bool,
    pub(super) before: Vec<Kept>,
}

impl Log {
    /// Keeps a message, and lets the oldest go where there are too many. A clock that jumps back stands still.
    pub(super) fn push(&mut self, message: Message, now: Timestamp) {
        let at = self.entries.back().map_or(now, |(last, _)| now.max(*last));
        self.last += 1;
        self.last_on.insert(message.subject, self.last);
        self.entries.push_back((at, message));
        if self.entries.len() > KEPT_MAX {
            self.entries.pop_front();
        }
    }

    /// Returns the position of the last message.
    pub(super) fn last(&self) -> u64 {
        self.last
    }

    /// Finds where a replay begins.
    pub(super) fn begin(&self, start: Start) -> Beginning {
        let gone = self.gone();
        let (after, is_cut) = match start {
            Start::Now => (self.last, false),
            Start::Since(time) => {
                let earlier = self.entries.partition_point(|(at, _)| *at < time);
                // What is gone may have come since then too.
                (gone + earlier as u64, gone > 0 && earlier == 0)
            }
            Start::After(position) if position > self.last => (gone, true),
            Start::After(position) => (position.max(gone), position < gone),
        };
        let lasts = self.last_on.values().filter(|position| **position <= after);
        Beginning { after, is_cut, before: lasts.filter_map(|position| self.at(*position)).collect() }
    }

    /// Lists messages after a position, at most `limit`; `None` if the first of them is kept no more.
    pub(super) fn read(&self, after: u64, limit: usize) -> Option<Vec<Kept>> {
        let end = self.last.min(after.saturating_add(limit as u64));
        (after >= self.gone()).then(|| (after + 1..=end).filter_map(|position| self.at(position)).collect())
    }

    /// Counts the messages that are kept no more.
    fn gone(&self) -> u64 {
        self.last - self.entries.len() as u64
    }

    fn at(&self, position: u64) -> Option<Kept> {
        let place = usize::try_from(position.checked_sub(self.gone() + 1)?).ok()?;
        let (at, message) = self.entries.get(place)?;
        Some(Kept { position, at: *at, behind: self.last - position, message: message.clone() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::contract::status;

    /// Keeps so many messages, each at the second of its position.
    fn log(count: u64) -> Log {
        let mut log = Log::default();
        for n in 1..=count {
            log.push(status(0, n.to_string()), Timestamp::from_seconds(n));
        }
        log
    }

    #[test]
    fn the_oldest_of_too_many_go_and_who_asks_for_them_is_told() {
        let max = KEPT_MAX as u64;
        let log = log(max + 10);
        let begin = |start| {
            let beginning = log.begin(start);
            (beginning.after, beginning.is_cut)
        };
        assert_eq!(begin(Start::After(0)), (10, true));
        assert_eq!(begin(Start::After(9)), (10, true));
        assert_eq!(begin(Start::After(10)), (10, false));
        assert_eq!(begin(Start::Since(Timestamp::from_seconds(11))), (10, true));
        assert_eq!(begin(Start::Since(Timestamp::from_seconds(12))), (11, false));
        assert_eq!(begin(Start::Since(Timestamp(u64::MAX))), (max + 10, false));

        assert!(log.read(9, 1).is_none());
        let first = &log.read(10, 5).unwrap()[0];
        assert_eq!((first.position, first.behind), (11, max - 1));
        assert_eq!(log.read(max + 10, 5).unwrap(), []);
    }

    #[test]
    fn a_clock_that_jumps_back_leaves_the_order_of_times() {
        let mut log = log(5);
        log.push(status(0, "6"), Timestamp::from_seconds(1));
        assert_eq!(log.read(5, 1).unwrap()[0].at, Timestamp::from_seconds(5));
        assert_eq!(log.begin(Start::Since(Timestamp::from_seconds(5))).after, 4);
    }
}
