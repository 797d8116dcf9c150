//! How long to wait before connecting again: full jitter, so that the clients of a lost gateway spread out.
//!
//! Source: "Exponential Backoff And Jitter", AWS Architecture Blog, 2015: `random(0, min(cap, base * 2^attempt))`.

use std::time::Duration;

pub(super) struct Backoff {
    base: Duration,
    max: Duration,
    attempt: u32,
}

impl Backoff {
    pub(super) fn new(base: Duration, max: Duration) -> Self {
        Self { base, max, attempt: 0 }
    }

    /// Draws the next wait, evenly from zero to the range; `random` is 64 random bits.
    pub(super) fn next(&mut self, random: u64) -> Duration {
        let range = self.range();
        self.attempt = self.attempt.saturating_add(1);
        // 53 bits fill a float's mantissa, so that the fraction is below 1.
        #[expect(clippy::cast_precision_loss, reason = "both numbers are at most 2^53")]
        let fraction = (random >> 11) as f64 / (1_u64 << 53) as f64;
        range.mul_f64(fraction)
    }

    /// Notes how long a connection lived. One that outlived the range starts the waits anew; one that did not
    /// leaves them as they are, so that a server that takes logins and drops them is not hammered.
    pub(super) fn on_lived(&mut self, lived: Duration) {
        if lived >= self.range() {
            self.attempt = 0;
        }
    }

    fn range(&self) -> Duration {
        let factor = 2_u32.checked_pow(self.attempt).unwrap_or(u32::MAX);
        self.base.saturating_mul(factor).min(self.max)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BASE: Duration = Duration::from_millis(500);
    const MAX: Duration = Duration::from_secs(30);

    #[test]
    fn a_wait_is_drawn_from_zero_to_a_range_that_doubles_up_to_the_cap() {
        let mut least = Backoff::new(BASE, MAX);
        let mut middle = Backoff::new(BASE, MAX);
        let mut most = Backoff::new(BASE, MAX);
        for range in [0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 30.0, 30.0].map(Duration::from_secs_f64) {
            assert_eq!(least.next(0), Duration::ZERO);
            assert_eq!(middle.next(1 << 63), range / 2);
            let wait = most.next(u64::MAX);
            assert!(wait <= range && wait > range.mul_f64(0.999), "{wait:?} of {range:?}");
        }
    }

    #[test]
    fn the_range_stays_at_the_cap_however_many_attempts_fail() {
        let mut backoff = Backoff::new(BASE, MAX);
        for _ in 0..100 {
            assert!(backoff.next(u64::MAX) <= MAX);
        }
        assert_eq!(backoff.range(), MAX);
    }

    #[test]
    fn a_connection_that_outlived_the_range_starts_anew_and_one_that_did_not_does_not() {
        let mut backoff = Backoff::new(BASE, MAX);
        backoff.next(0);
        backoff.next(0);
        backoff.on_lived(Duration::from_millis(1999));
        assert_eq!(backoff.range(), Duration::from_secs(2));
        backoff.on_lived(Duration::from_secs(2));
        assert_eq!(backoff.range(), BASE);
    }
}
