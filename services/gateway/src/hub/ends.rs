//! How sessions ended here, remembered for a while: presence may ask (DESIGN section 4). Pure.

use std::{
    collections::{HashMap, VecDeque},
    time::Duration,
};

use rollcall_domain::user::EndReason;
use rollcall_runtime::clock::Monotonic;

use super::UserKey;

/// The greatest number of ends that are remembered: as many as a gateway has connections unless told otherwise, about
/// 9 MB. Beyond it the oldest goes, and is answered as not known, which ends a session too.
pub(crate) const ENDS_MAX: usize = 100_000;

/// How sessions ended, by the counters of their logins.
#[derive(Debug)]
pub(super) struct Ends {
    kept: Duration,
    now: Monotonic,
    /// Oldest first.
    order: VecDeque<(Monotonic, u64, UserKey)>,
    reasons: HashMap<u64, EndReason>,
}

impl Ends {
    /// Makes it empty; ends will be remembered for `kept`.
    pub(super) fn new(kept: Duration, now: Monotonic) -> Self {
        Self { kept, now, order: VecDeque::new(), reasons: HashMap::new() }
    }

    /// Takes what time it is, and forgets ends that are too old.
    pub(super) fn turn(&mut self, now: Monotonic) {
        self.now = now;
        while self.order.front().is_some_and(|(at, ..)| now.since(*at) >= self.kept) {
            self.forget_oldest();
        }
    }

    /// Remembers how a session ended, as of the last turn. What came first counts.
    pub(super) fn remember(&mut self, key: UserKey, counter: u64, reason: EndReason) {
        if self.reasons.contains_key(&counter) {
            return;
        }
        if self.order.len() >= ENDS_MAX {
            self.forget_oldest();
        }
        self.order.push_back((self.now, counter, key));
        self.reasons.insert(counter, reason);
    }

    /// Returns how a session ended; `None` for one that did not end here, or too long ago.
    pub(super) fn of(&self, counter: u64) -> Option<EndReason> {
        self.reasons.get(&counter).copied()
    }

    /// Lists how sessions ended, the oldest first.
    pub(super) fn all(&self) -> impl Iterator<Item = (&UserKey, u64, EndReason)> {
        self.order.iter().filter_map(|(_, counter, key)| Some((key, *counter, self.of(*counter)?)))
    }

    /// Returns how many ends are remembered.
    pub(super) fn count(&self) -> usize {
        self.order.len()
    }

    fn forget_oldest(&mut self) {
        if let Some((_, counter, _)) = self.order.pop_front() {
            self.reasons.remove(&counter);
        }
    }
}

#[cfg(test)]
mod tests {
    use rollcall_domain::id::{AppId, UserId};

    use super::*;

    fn key() -> UserKey {
        (AppId::new(1).unwrap(), UserId::new("alice").unwrap())
    }

    fn seconds(seconds: u64) -> Monotonic {
        Monotonic(seconds * 1000)
    }

    #[test]
    fn an_end_is_remembered_for_a_while_and_the_first_reason_counts() {
        let mut ends = Ends::new(Duration::from_secs(60), seconds(0));
        ends.turn(seconds(100));
        ends.remember(key(), 1, EndReason::Timeout);
        ends.remember(key(), 1, EndReason::Closed);
        ends.turn(seconds(159));
        ends.remember(key(), 2, EndReason::Moved);
        assert_eq!(
            [1, 2, 3].map(|counter| ends.of(counter)),
            [Some(EndReason::Timeout), Some(EndReason::Moved), None]
        );
        let all: Vec<_> = ends.all().map(|(_, counter, reason)| (counter, reason)).collect();
        assert_eq!(all, [(1, EndReason::Timeout), (2, EndReason::Moved)]);
        ends.turn(seconds(160));
        assert_eq!([1, 2].map(|counter| ends.of(counter)), [None, Some(EndReason::Moved)]);
        ends.turn(seconds(1_000));
        assert_eq!((ends.count(), ends.of(2)), (0, None));
    }

    #[test]
    fn of_too_many_ends_the_oldest_goes() {
        let mut ends = Ends::new(Duration::from_secs(60), seconds(0));
        for counter in 0..=ENDS_MAX as u64 {
            ends.remember(key(), counter, EndReason::Closed);
        }
        assert_eq!(ends.count(), ENDS_MAX);
        assert_eq!((ends.of(0), ends.of(1)), (None, Some(EndReason::Closed)));
    }
}
