//! One timing wheel for all connections: a ring of slots, each a list of what is to be looked at then. Pure.
//!
//! It never fires early. A heartbeat does not touch the wheel: when an entry comes up, its owner looks at
//! when the client was last heard and puts it back. So a heartbeat costs one store, and an idle connection
//! one look in each expiry.

use std::time::Duration;

use rollcall_runtime::clock::Monotonic;

/// How many slots the ring has; what lies beyond one turn is looked at early and put back.
const SLOTS: u64 = 512;

/// The wheel.
#[derive(Debug)]
pub(crate) struct Wheel<T> {
    tick_ms: u64,
    /// The next tick to fire.
    next: u64,
    slots: Vec<Vec<T>>,
}

impl<T> Wheel<T> {
    /// Makes a wheel that starts at `now` and fires at most one `tick` late.
    pub(crate) fn new(tick: Duration, now: Monotonic) -> Self {
        let tick_ms = u64::try_from(tick.as_millis()).unwrap_or(u64::MAX).max(1);
        Self { tick_ms, next: now.0 / tick_ms, slots: (0..SLOTS).map(|_| Vec::new()).collect() }
    }

    /// Adds an entry to look at when `at` has passed, or earlier if that is more than a turn away.
    pub(crate) fn insert(&mut self, at: Monotonic, entry: T) {
        let tick = (at.0 / self.tick_ms + 1).clamp(self.next, self.next + SLOTS - 1);
        self.slots[usize::try_from(tick % SLOTS).unwrap_or_default()].push(entry);
    }

    /// Returns the entries whose time has come by `now`.
    pub(crate) fn advance(&mut self, now: Monotonic) -> Vec<T> {
        let current = now.0 / self.tick_ms;
        let mut due = Vec::new();
        // After a long pause one turn empties every slot.
        let last = current.min(self.next.saturating_add(SLOTS - 1));
        while self.next <= last {
            due.append(&mut self.slots[usize::try_from(self.next % SLOTS).unwrap_or_default()]);
            self.next += 1;
        }
        self.next = self.next.max(current + 1);
        due
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn an_entry_within_a_turn_fires_never_early_and_at_most_a_tick_late(
            tick in 1u64..50, start in 0u64..10_000, delays in prop::collection::vec(0u64..20_000, 1..50)
        ) {
            let mut wheel = Wheel::new(Duration::from_millis(tick), Monotonic(start));
            let turn = tick * (SLOTS - 2);
            for delay in &delays { wheel.insert(Monotonic(start + delay), start + delay) }
            let mut fired = 0;
            for now in (start..=start + 20_000 + 2 * tick + 7).step_by(7) {
                for at in wheel.advance(Monotonic(now)) {
                    if at - start <= turn {
                        prop_assert!(now >= at, "early: {now} before {at}");
                        prop_assert!(now <= at + 2 * tick + 7, "late: {now} after {at}");
                        fired += 1;
                    } else if now < at {
                        wheel.insert(Monotonic(at), at);
                    } else {
                        fired += 1;
                    }
                }
            }
            prop_assert_eq!(fired, delays.len());
        }
    }

    #[test]
    fn a_long_pause_loses_nothing() {
        let mut wheel = Wheel::new(Duration::from_millis(10), Monotonic(0));
        for n in 0..100 {
            wheel.insert(Monotonic(n * 40), n);
        }
        assert_eq!(wheel.advance(Monotonic(10_000_000)).len(), 100);
        wheel.insert(Monotonic(10_000_001), 7);
        assert_eq!(wheel.advance(Monotonic(10_000_100)), [7]);
    }
}
