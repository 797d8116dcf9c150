//! The only reader of time.
//!
//! Wall time is compared over processes and restarts, monotonic time only within the process; what measures a
//! duration takes monotonic time, which no adjustment of the system's clock can move.

use std::{
    sync::{Arc, LazyLock},
    time::{Duration, Instant, SystemTime},
};

use rollcall_domain::time::Timestamp;

#[expect(clippy::disallowed_methods, reason = "this is the clock adapter")]
static START: LazyLock<Instant> = LazyLock::new(Instant::now);

/// Tells the time of this machine.
#[derive(Debug, Clone)]
pub struct Clock {
    start: Instant,
}

impl Clock {
    /// Makes a clock; all clocks of a process agree.
    pub fn new() -> Self {
        Self { start: *START }
    }

    /// Reads the wall clock.
    pub fn wall(&self) -> Timestamp {
        wall()
    }

    /// Reads the time since the start of the process.
    #[expect(clippy::disallowed_methods, reason = "this is the clock adapter")]
    pub fn monotonic(&self) -> Monotonic {
        Monotonic(millis(self.start.elapsed()))
    }

    /// Returns the clock of an embedded store.
    pub fn store_clock() -> Arc<dyn Fn() -> Timestamp + Send + Sync> {
        Arc::new(wall)
    }
}

impl Default for Clock {
    fn default() -> Self {
        Self::new()
    }
}

/// Measures how long something takes, more finely than [`Monotonic`] does.
#[derive(Debug, Clone, Copy)]
pub struct Stopwatch(Instant);

impl Stopwatch {
    /// Begins to measure.
    #[expect(clippy::disallowed_methods, reason = "this is the clock adapter")]
    pub fn start() -> Self {
        Self(Instant::now())
    }

    /// Returns the time since the start.
    #[expect(clippy::disallowed_methods, reason = "this is the clock adapter")]
    pub fn elapsed(&self) -> Duration {
        self.0.elapsed()
    }
}

/// Milliseconds since an arbitrary start, which is the same for the whole process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Monotonic(pub u64);

impl Monotonic {
    /// Returns the point `duration` later, in whole milliseconds.
    #[must_use]
    pub fn plus(self, duration: Duration) -> Self {
        Self(self.0.saturating_add(millis(duration)))
    }

    /// Returns the time that has passed since `earlier`; zero if it has not come yet.
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(self.0.saturating_sub(earlier.0))
    }
}

#[expect(clippy::disallowed_methods, reason = "this is the clock adapter")]
fn wall() -> Timestamp {
    // A machine set to a time before 1970 reads as 1970.
    Timestamp::default().plus(SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default())
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clocks_of_a_process_agree_and_never_go_back() {
        let (a, b) = (Clock::new(), Clock::new());
        let (first, second) = (a.monotonic(), b.monotonic());
        assert!(first <= second);
        assert!(a.wall() <= Clock::store_clock()());
    }

    #[test]
    fn time_since_a_later_point_is_zero() {
        let early = Monotonic(5);
        let late = early.plus(Duration::from_millis(7));
        assert_eq!(late.since(early), Duration::from_millis(7));
        assert_eq!(early.since(late), Duration::ZERO);
        assert_eq!(Monotonic(u64::MAX).plus(Duration::from_secs(1)), Monotonic(u64::MAX));
    }
}
