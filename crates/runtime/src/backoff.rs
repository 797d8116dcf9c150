//! Pauses between attempts: each up to twice as long as the one before, and none as long as anybody else's.

use std::time::Duration;

use crate::rng;

/// The pauses between attempts at one thing.
#[derive(Debug)]
pub struct Backoff {
    first: Duration,
    most: Duration,
    wait: Duration,
}

impl Backoff {
    /// Begins with a pause of `first` at most; later ones grow up to `most`.
    pub fn new(first: Duration, most: Duration) -> Self {
        Self { first, most, wait: first }
    }

    /// Returns how long the next pause is at most; it is half as long at least.
    pub fn wait(&self) -> Duration {
        self.wait
    }

    /// Pauses.
    pub async fn pause(&mut self) {
        let wait = self.wait;
        self.wait = (wait * 2).min(self.most);
        tokio::time::sleep(wait / 2 + rng::jitter(wait / 2)).await;
    }

    /// Begins anew, after an attempt that succeeded.
    pub fn reset(&mut self) {
        self.wait = self.first;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Clock;

    #[tokio::test]
    async fn a_pause_takes_half_of_its_longest_at_least_and_the_next_is_longer_up_to_a_limit() {
        let ms = Duration::from_millis;
        let mut backoff = Backoff::new(ms(20), ms(50));
        for expected in [20, 40, 50, 50] {
            assert_eq!(backoff.wait(), ms(expected));
            let (clock, before) = (Clock::new(), Clock::new().monotonic());
            backoff.pause().await;
            // Both readings are in whole milliseconds.
            assert!(clock.monotonic().since(before) + ms(1) >= ms(expected / 2));
        }
        backoff.reset();
        assert_eq!(backoff.wait(), ms(20));
    }
}
