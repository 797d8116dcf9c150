//! What the store's clock shows, as far as this gateway can tell: the last moments of its calls are told by that clock
//! (DESIGN section 3).
//!
//! Invariant: the estimate is never later than the store's clock, unless that was set back since the newest reply.
//! So what is waited for here, once an estimate has come to a last moment, has passed in the store too.

use std::time::Duration;

use rollcall_domain::time::Timestamp;
use rollcall_proto::trace::TraceParent;
use rollcall_runtime::clock::Monotonic;

use crate::{Gateway, backend::Change, hub::UserKey};

/// Monotonic time is told in whole milliseconds, so a span of it may be too long by less than one.
const ROUNDING: Duration = Duration::from_millis(1);

/// The store's time in the newest reply that told it, and when that arrived.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct StoreClock(Option<(Timestamp, Monotonic)>);

impl StoreClock {
    /// Notes the time, µs since the epoch, that a reply told which arrived at `now`. 0 tells nothing.
    fn hear(&mut self, micros: u64, now: Monotonic) {
        if micros != 0 {
            self.0 = Some((Timestamp(micros), now));
        }
    }

    /// Returns what the store's clock has come to at least; `None` before a reply told it.
    fn estimate(&self, now: Monotonic) -> Option<Timestamp> {
        let (told, arrived) = self.0?;
        Some(told.plus(now.since(arrived).saturating_sub(ROUNDING)))
    }
}

impl Gateway {
    /// Notes the store's time, µs since the epoch, in a reply that has just arrived.
    pub(crate) fn hear_store(&self, micros: u64) {
        self.store_clock.lock().hear(micros, self.clock.monotonic());
    }

    /// Returns the last moment at which a call that begins now may be stored, as on the wire; 0 for none, while the
    /// store's clock is not known.
    pub(crate) fn not_after(&self) -> u64 {
        let estimate = self.store_clock.lock().estimate(self.clock.monotonic());
        estimate.map_or(0, |now| now.plus(self.backend.patience()).0)
    }

    /// Returns when a moment by the store's clock will have come: never before, and later by less than a reply took;
    /// the end of time while the store's clock is not known.
    pub(crate) fn when(&self, at: Timestamp) -> Monotonic {
        let now = self.clock.monotonic();
        match self.store_clock.lock().estimate(now) {
            Some(store) => now.plus(Duration::from_micros(at.0.saturating_sub(store.0)) + ROUNDING),
            None => Monotonic(u64::MAX),
        }
    }

    /// Begins a call that changes something of a user.
    pub(crate) fn change<'a>(&self, trace: &'a TraceParent, key: UserKey) -> Change<'a> {
        Change { trace, key, not_after: self.not_after() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn estimate(clock: StoreClock, now: u64) -> Option<u64> {
        clock.estimate(Monotonic(now)).map(|estimate| estimate.0)
    }

    #[test]
    fn nothing_is_known_before_a_reply_told_the_time() {
        let mut clock = StoreClock::default();
        assert_eq!(estimate(clock, 5), None);
        clock.hear(0, Monotonic(5));
        assert_eq!(estimate(clock, 6), None);
    }

    #[test]
    fn time_goes_on_from_the_arrival_of_the_newest_reply() {
        let mut clock = StoreClock::default();
        clock.hear(1_000_000, Monotonic(100));
        assert_eq!(estimate(clock, 100), Some(1_000_000));
        assert_eq!(estimate(clock, 600), Some(1_499_000));
        clock.hear(3_000_000, Monotonic(700));
        clock.hear(0, Monotonic(900));
        assert_eq!(estimate(clock, 1_700), Some(3_999_000));
        clock.hear(2_000_000, Monotonic(1_700));
        assert_eq!(estimate(clock, 1_701), Some(2_000_000), "a clock that was set back is followed");
    }

    #[test]
    fn an_estimate_is_never_later_than_the_clock_however_slow_the_replies() {
        // Both clocks in µs since the start; the store's is ahead by a day.
        let ahead = 86_400_000_000;
        let millis = |micros: u64| Monotonic(micros / 1_000);
        for delay in [0, 1, 999, 1_000, 1_001, 900_000] {
            for made in [0, 500, 999, 1_000, 123_456] {
                let mut clock = StoreClock::default();
                clock.hear(ahead + made, millis(made + delay));
                for later in [0, 1, 500, 999, 1_000, 1_999, 2_000_000] {
                    let now = made + delay + later;
                    let estimate = estimate(clock, millis(now).0).unwrap();
                    assert!(estimate <= ahead + now, "{estimate} made {made} delay {delay} later {later}");
                    assert!(ahead + now - estimate <= delay + 2_000);
                }
            }
        }
    }
}
