//! The session timers of one partition, in a queue for each boot.

use std::{
    collections::{BTreeSet, HashMap},
    ops::Bound,
};

use rollcall_domain::{id::BootId, time::Timestamp};

use crate::port::{Timer, TimerId};

/// Timers by boot. A boot without timers is not held.
#[derive(Default)]
pub(super) struct Timers {
    boots: HashMap<BootId, Boot>,
}

/// The timers of one boot's sessions; both fields hold the same.
#[derive(Default)]
struct Boot {
    deadlines: HashMap<TimerId, Timestamp>,
    queue: BTreeSet<Timer>,
}

impl Timers {
    /// Creates the timer, or moves it.
    pub(super) fn set(&mut self, timer: Timer) {
        let boot = self.boots.entry(timer.id.session.boot).or_default();
        if let Some(deadline) = boot.deadlines.insert(timer.id, timer.deadline) {
            boot.queue.remove(&Timer { deadline, ..timer });
        }
        boot.queue.insert(timer);
    }

    /// Removes the timer if there is one.
    pub(super) fn remove(&mut self, id: &TimerId) {
        let Some(boot) = self.boots.get_mut(&id.session.boot) else { return };
        let Some(deadline) = boot.deadlines.remove(id) else { return };
        boot.queue.remove(&Timer { deadline, id: *id });
        if boot.queue.is_empty() {
            self.boots.remove(&id.session.boot);
        }
    }

    /// Moves the timer to this deadline unless that is earlier; false if there is no such timer.
    pub(super) fn extend(&mut self, timer: &Timer) -> bool {
        let Some(boot) = self.boots.get_mut(&timer.id.session.boot) else { return false };
        let Some(deadline) = boot.deadlines.get_mut(&timer.id) else { return false };
        if *deadline < timer.deadline {
            boot.queue.remove(&Timer { deadline: *deadline, ..*timer });
            boot.queue.insert(*timer);
            *deadline = timer.deadline;
        }
        true
    }

    /// Says whether the timer of that id is due later than that deadline; one that is missing is not.
    pub(super) fn is_later_than(&self, timer: &Timer) -> bool {
        let boot = self.boots.get(&timer.id.session.boot);
        boot.and_then(|boot| boot.deadlines.get(&timer.id)).is_some_and(|deadline| *deadline > timer.deadline)
    }

    /// Lists timers of a boot up to and with `until`, in order, from behind `after`, at most `limit`.
    pub(super) fn due(
        &self,
        boot: BootId,
        until: Timestamp,
        after: Option<Timer>,
        limit: usize,
    ) -> Vec<Timer> {
        let Some(boot) = self.boots.get(&boot) else { return Vec::new() };
        let from = after.map_or(Bound::Unbounded, Bound::Excluded);
        let timers = boot.queue.range((from, Bound::Unbounded));
        timers.take_while(|timer| timer.deadline <= until).take(limit).copied().collect()
    }
}

#[cfg(test)]
mod tests {
    use rollcall_domain::id::{AppId, SessionId};

    use super::*;

    fn timer(boot: u64, counter: u64, deadline: u64) -> Timer {
        let id = TimerId {
            app: AppId::new(1).unwrap(),
            user: "user".parse().unwrap(),
            session: SessionId { boot: BootId(boot), counter },
        };
        Timer { deadline: Timestamp(deadline), id }
    }

    #[test]
    fn a_boot_whose_last_timer_went_is_not_held() {
        let mut timers = Timers::default();
        timers.set(timer(1, 1, 10));
        timers.set(timer(1, 2, 10));
        timers.set(timer(2, 1, 10));

        timers.remove(&timer(1, 1, 0).id);
        assert_eq!(timers.boots.len(), 2);

        timers.remove(&timer(1, 2, 0).id);
        assert_eq!(timers.boots.len(), 1);
    }

    #[test]
    fn a_boot_is_not_held_because_it_was_asked_for() {
        let mut timers = Timers::default();

        timers.remove(&timer(1, 1, 0).id);
        assert!(!timers.extend(&timer(1, 1, 10)));
        assert!(!timers.is_later_than(&timer(1, 1, 0)));
        assert_eq!(timers.due(BootId(1), Timestamp(u64::MAX), None, 10), []);

        assert!(timers.boots.is_empty());
    }

    #[test]
    fn a_moved_timer_is_queued_once() {
        let mut timers = Timers::default();
        timers.set(timer(1, 1, 10));
        timers.set(timer(1, 1, 5));
        timers.extend(&timer(1, 1, 20));
        timers.extend(&timer(1, 1, 15));

        assert_eq!(timers.due(BootId(1), Timestamp(u64::MAX), None, 10), [timer(1, 1, 20)]);
        assert_eq!(timers.boots[&BootId(1)].deadlines.len(), 1);
    }
}
