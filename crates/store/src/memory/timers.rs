//! The timers of one partition, in a queue for each set.

use std::{
    collections::{BTreeSet, HashMap},
    ops::Bound,
};

use rollcall_domain::time::Timestamp;

use crate::port::{Timer, TimerId, TimerSet};

/// Timers by set. A set without timers is not held.
#[derive(Default)]
pub(super) struct Timers {
    sets: HashMap<TimerSet, Queue>,
}

/// The timers of one set; both fields hold the same.
#[derive(Default)]
struct Queue {
    deadlines: HashMap<TimerId, Timestamp>,
    queue: BTreeSet<Timer>,
}

impl Timers {
    /// Creates the timer, or moves it.
    pub(super) fn set(&mut self, timer: Timer) {
        let set = self.sets.entry(timer.id.set()).or_default();
        if let Some(deadline) = set.deadlines.insert(timer.id, timer.deadline) {
            set.queue.remove(&Timer { deadline, ..timer });
        }
        set.queue.insert(timer);
    }

    /// Removes the timer if there is one.
    pub(super) fn remove(&mut self, id: &TimerId) {
        let Some(set) = self.sets.get_mut(&id.set()) else { return };
        let Some(deadline) = set.deadlines.remove(id) else { return };
        set.queue.remove(&Timer { deadline, id: *id });
        if set.queue.is_empty() {
            self.sets.remove(&id.set());
        }
    }

    /// Moves the timer to this deadline unless that is earlier; false if there is no such timer.
    pub(super) fn extend(&mut self, timer: &Timer) -> bool {
        let Some(set) = self.sets.get_mut(&timer.id.set()) else { return false };
        let Some(deadline) = set.deadlines.get_mut(&timer.id) else { return false };
        if *deadline < timer.deadline {
            set.queue.remove(&Timer { deadline: *deadline, ..*timer });
            set.queue.insert(*timer);
            *deadline = timer.deadline;
        }
        true
    }

    /// Says whether the timer of that id is due later than that deadline; one that is missing is not.
    pub(super) fn is_later_than(&self, timer: &Timer) -> bool {
        let set = self.sets.get(&timer.id.set());
        set.and_then(|set| set.deadlines.get(&timer.id)).is_some_and(|deadline| *deadline > timer.deadline)
    }

    /// Lists timers of a set up to and with `until`, in order, from behind `after`, at most `limit`.
    pub(super) fn due(
        &self,
        set: TimerSet,
        until: Timestamp,
        after: Option<Timer>,
        limit: usize,
    ) -> Vec<Timer> {
        let Some(set) = self.sets.get(&set) else { return Vec::new() };
        let from = after.map_or(Bound::Unbounded, Bound::Excluded);
        let timers = set.queue.range((from, Bound::Unbounded));
        timers.take_while(|timer| timer.deadline <= until).take(limit).copied().collect()
    }
}

#[cfg(test)]
mod tests {
    use rollcall_domain::id::{AppId, BootId, SessionId};

    use super::*;

    const ONE: TimerSet = TimerSet::Sessions(BootId(1));

    fn timer(boot: u64, counter: u64, deadline: u64) -> Timer {
        let session = SessionId { boot: BootId(boot), counter };
        let id = TimerId::of_session(AppId::new(1).unwrap(), "user".parse().unwrap(), session);
        Timer { deadline: Timestamp(deadline), id }
    }

    #[test]
    fn a_set_whose_last_timer_went_is_not_held() {
        let mut timers = Timers::default();
        timers.set(timer(1, 1, 10));
        timers.set(timer(1, 2, 10));
        timers.set(timer(2, 1, 10));

        timers.remove(&timer(1, 1, 0).id);
        assert_eq!(timers.sets.len(), 2);

        timers.remove(&timer(1, 2, 0).id);
        assert_eq!(timers.sets.len(), 1);
    }

    #[test]
    fn a_set_is_not_held_because_it_was_asked_for() {
        let mut timers = Timers::default();

        timers.remove(&timer(1, 1, 0).id);
        assert!(!timers.extend(&timer(1, 1, 10)));
        assert!(!timers.is_later_than(&timer(1, 1, 0)));
        assert_eq!(timers.due(ONE, Timestamp(u64::MAX), None, 10), []);

        assert!(timers.sets.is_empty());
    }

    #[test]
    fn a_moved_timer_is_queued_once() {
        let mut timers = Timers::default();
        timers.set(timer(1, 1, 10));
        timers.set(timer(1, 1, 5));
        timers.extend(&timer(1, 1, 20));
        timers.extend(&timer(1, 1, 15));

        assert_eq!(timers.due(ONE, Timestamp(u64::MAX), None, 10), [timer(1, 1, 20)]);
        assert_eq!(timers.sets[&ONE].deadlines.len(), 1);
    }
}
