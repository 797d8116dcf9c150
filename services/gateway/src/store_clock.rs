//! What the store's clock shows, as far as this gateway can tell: the last moments of its calls are told by that clock
//! (DESIGN section 3).
//!
//! Invariant: the estimate is never later than the store's clock, unless that was set back since the newest reply.
//! So what is waited for here, once an estimate has come to a last moment, has passed in the store too. And the bound
//! is never earlier, unless that was set forward: what is not to come too early is counted from it.

use std::time::Duration;

use rollcall_domain::{
    code::{Code, Refusal},
    time::Timestamp,
};
use rollcall_proto::trace::TraceParent;
use rollcall_runtime::clock::Monotonic;

use crate::{Gateway, backend::Change, hub::UserKey};

/// Monotonic time is told in whole milliseconds, so a span of it may be too long by less than one.
const ROUNDING: Duration = Duration::from_millis(1);

/// The store's time as the newest reply told it.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct StoreClock(Option<Told>);

#[derive(Debug, Clone, Copy)]
struct Told {
    time: Timestamp,
    /// When the call was made. The time was read after it, and before the reply arrived.
    asked: Monotonic,
    arrived: Monotonic,
}

impl StoreClock {
    /// Notes the time, µs since the epoch, that a reply told which arrived at `now` to a call made at `asked`. 0 tells
    /// nothing.
    fn hear(&mut self, micros: u64, asked: Monotonic, now: Monotonic) {
        if micros != 0 {
            self.0 = Some(Told { time: Timestamp(micros), asked, arrived: now });
        }
    }

    /// Returns what the store's clock has come to at least; `None` before a reply told it.
    fn estimate(&self, now: Monotonic) -> Option<Timestamp> {
        let Told { time, arrived, .. } = self.0?;
        Some(time.plus(now.since(arrived).saturating_sub(ROUNDING)))
    }

    /// Returns what the store's clock has come to at most; `None` before a reply told it.
    fn bound(&self, now: Monotonic) -> Option<Timestamp> {
        let Told { time, asked, .. } = self.0?;
        Some(time.plus(now.since(asked) + ROUNDING))
    }
}

impl Gateway {
    /// Notes the store's time, µs since the epoch, in a reply that has just arrived to a call made at `asked`.
    pub(crate) fn hear_store(&self, micros: u64, asked: Monotonic) {
        self.store_clock.lock().hear(micros, asked, self.clock.monotonic());
    }

    /// Returns the moment by the store's clock that is `duration` from now: never before, and later by less than a call
    /// took. Refused with 70169 while the store's clock is not known.
    pub(crate) fn moment_in(&self, duration: Duration) -> Result<Timestamp, Refusal> {
        let bound = self.store_clock.lock().bound(self.clock.monotonic());
        let unknown = || Refusal::new(Code::ServerTimeout, "the store's clock is not known yet, try again");
        bound.map(|now| now.plus(duration)).ok_or_else(unknown)
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

    fn bound(clock: StoreClock, now: u64) -> Option<u64> {
        clock.bound(Monotonic(now)).map(|bound| bound.0)
    }

    #[test]
    fn nothing_is_known_before_a_reply_told_the_time() {
        let mut clock = StoreClock::default();
        assert_eq!(estimate(clock, 5), None);
        clock.hear(0, Monotonic(4), Monotonic(5));
        assert_eq!((estimate(clock, 6), bound(clock, 6)), (None, None));
    }

    #[test]
    fn time_goes_on_from_the_arrival_of_the_newest_reply() {
        let mut clock = StoreClock::default();
        clock.hear(1_000_000, Monotonic(90), Monotonic(100));
        assert_eq!(estimate(clock, 100), Some(1_000_000));
        assert_eq!(estimate(clock, 600), Some(1_499_000));
        assert_eq!(bound(clock, 600), Some(1_511_000));
        clock.hear(3_000_000, Monotonic(650), Monotonic(700));
        clock.hear(0, Monotonic(850), Monotonic(900));
        assert_eq!(estimate(clock, 1_700), Some(3_999_000));
        clock.hear(2_000_000, Monotonic(1_700), Monotonic(1_700));
        assert_eq!(estimate(clock, 1_701), Some(2_000_000), "a clock that was set back is followed");
    }

    #[test]
    fn an_estimate_is_never_later_and_a_bound_never_earlier_than_the_clock_however_slow_the_replies() {
        // Both clocks in µs since the start; the store's is ahead by a day.
        let ahead = 86_400_000_000;
        let millis = |micros: u64| Monotonic(micros / 1_000);
        for delay in [0, 1, 999, 1_000, 1_001, 900_000] {
            for made in [0_u64, 500, 999, 1_000, 123_456] {
                let mut clock = StoreClock::default();
                // The time is read in the midst of the call.
                let asked = made.saturating_sub(delay);
                clock.hear(ahead + made, millis(asked), millis(made + delay));
                for later in [0, 1, 500, 999, 1_000, 1_999, 2_000_000] {
                    let now = made + delay + later;
                    let estimate = estimate(clock, millis(now).0).unwrap();
                    assert!(estimate <= ahead + now, "{estimate} made {made} delay {delay} later {later}");
                    assert!(ahead + now - estimate <= delay + 2_000);
                    let bound = bound(clock, millis(now).0).unwrap();
                    assert!(bound >= ahead + now, "{bound} made {made} delay {delay} later {later}");
                    assert!(bound - ahead - now <= delay + 2_000);
                }
            }
        }
    }
}
