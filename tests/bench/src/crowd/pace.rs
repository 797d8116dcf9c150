//! When each change is meant to be sent. An open loop: a slow server moves no intended time, it only makes the
//! times measured from there longer.

use std::{
    sync::OnceLock,
    time::{Duration, Instant},
};

/// The intended times of the changes of a run.
#[derive(Debug)]
pub(super) struct Pace {
    start: OnceLock<Instant>,
    per_second: u32,
    changes: u64,
}

impl Pace {
    /// Plans `per_second` changes a second for `length`; at least one.
    pub(super) fn new(per_second: u32, length: Duration) -> Self {
        let changes = u64::from(per_second) * u64::try_from(length.as_millis()).unwrap_or(u64::MAX) / 1000;
        Self { start: OnceLock::new(), per_second, changes: changes.max(1) }
    }

    /// Returns how many changes are planned; they are numbered from 1.
    pub(super) fn changes(&self) -> u64 {
        self.changes
    }

    /// Says that the first change is due now.
    pub(super) fn start(&self) {
        self.start.get_or_init(Instant::now);
    }

    /// Returns when a change is meant to be sent; now, if the pace has not started.
    pub(super) fn intended(&self, sequence: u64) -> Instant {
        let start = self.start.get().copied().unwrap_or_else(Instant::now);
        start + Duration::from_nanos((sequence - 1) * 1_000_000_000 / u64::from(self.per_second))
    }

    /// Returns the time since a change was meant to be sent, in microseconds.
    pub(super) fn since_intended(&self, sequence: u64) -> u32 {
        self.passed(sequence, Instant::now())
    }

    fn passed(&self, sequence: u64, now: Instant) -> u32 {
        let passed = now.saturating_duration_since(self.intended(sequence));
        u32::try_from(passed.as_micros()).unwrap_or(u32::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn changes_are_evenly_spread_and_a_late_one_is_measured_from_its_intended_time() {
        let pace = Pace::new(200, Duration::from_millis(2500));
        assert_eq!(pace.changes(), 500);
        pace.start();
        let start = pace.intended(1);
        assert_eq!(pace.intended(201) - start, Duration::from_secs(1));
        let now = start + Duration::from_secs(1);
        assert_eq!(pace.passed(201, now), 0);
        assert_eq!(pace.passed(200, now), 5_000);
        assert_eq!(pace.passed(202, now), 0);
    }
}
