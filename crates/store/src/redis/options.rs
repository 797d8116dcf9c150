//! How the adapter treats its server.

use std::{fmt, sync::Arc, time::Duration};

use crate::{partition::Partitions, port::OUTBOX_MAX};

/// Draws 64 random bits. They need not be secret.
pub type Random = Arc<dyn Fn() -> u64 + Send + Sync>;

/// How the adapter treats its server.
#[derive(Clone)]
pub struct Options {
    /// How many partitions the store has; fixed when it is first used. 256 by default.
    pub partitions: Partitions,
    /// How long a call may wait for a connection, and then for its reply. 1 s by default.
    pub response_timeout: Duration,
    /// How long it may take to connect, log in and load the scripts. 2 s by default.
    pub connect_timeout: Duration,
    /// After how many calls in a row without a reply the connection is built anew. 3 by default; 0 is as 1.
    pub timeouts_before_rebuild: u32,
    /// The longest pause before the second attempt to connect; it doubles with each. 50 ms by default.
    pub backoff_min: Duration,
    /// The longest pause between attempts to connect. 2 s by default.
    pub backoff_max: Duration,
    /// The greatest number of unpublished entries in a partition's outbox. [`OUTBOX_MAX`] by default.
    pub outbox_max: usize,
    /// Draws the jitter of pauses, and what is added to a version while the server's clock is behind.
    pub random: Random,
}

impl Options {
    /// Makes the default options.
    pub fn new(random: Random) -> Self {
        Self {
            partitions: Partitions::REDIS,
            response_timeout: Duration::from_secs(1),
            connect_timeout: Duration::from_secs(2),
            timeouts_before_rebuild: 3,
            backoff_min: Duration::from_millis(50),
            backoff_max: Duration::from_secs(2),
            outbox_max: OUTBOX_MAX,
            random,
        }
    }

    /// Draws the pause after so many failed attempts, 1 or more: any up to a limit that doubles each time.
    pub(super) fn pause(&self, failures: u32) -> Duration {
        let doubled = self.backoff_min.saturating_mul(1 << failures.saturating_sub(1).min(20));
        let limit = doubled.min(self.backoff_max).as_nanos();
        Duration::from_nanos(u64::try_from(u128::from((self.random)()) % (limit + 1)).unwrap_or(u64::MAX))
    }
}

impl fmt::Debug for Options {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Options")
            .field("partitions", &self.partitions)
            .field("response_timeout", &self.response_timeout)
            .field("connect_timeout", &self.connect_timeout)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pause_doubles_up_to_its_limit() {
        let options = Options::new(Arc::new(|| 10_000_000_000_000));
        let exact = |bits: u64| Options { random: Arc::new(move || bits), ..options.clone() };

        for (failures, limit) in [(1, 50), (2, 100), (3, 200), (6, 1_600), (7, 2_000), (u32::MAX, 2_000)] {
            let limit = Duration::from_millis(limit);
            let nanos = u64::try_from(limit.as_nanos()).unwrap();
            assert_eq!(exact(nanos).pause(failures), limit);
            assert_eq!(exact(nanos + 1).pause(failures), Duration::ZERO);
        }
    }
}
