//! Lets one of many messages through in a while, so that whoever causes them cannot fill the log.

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use crate::clock::{Clock, Monotonic};

/// The time from one message to the next.
const BETWEEN: Duration = Duration::from_secs(10);

/// Lets one message through in 10 s.
#[derive(Debug, Default)]
pub struct Seldom {
    clock: Clock,
    /// When the next may pass, as [`Monotonic`].
    next: AtomicU64,
    kept_back: AtomicU64,
}

impl Seldom {
    /// Says whether a message may pass; if so, with how many were kept back since the last.
    pub fn pass(&self) -> Option<u64> {
        let now = self.clock.monotonic();
        let take = |next| (Monotonic(next) <= now).then(|| now.plus(BETWEEN).0);
        if self.next.fetch_update(Ordering::Relaxed, Ordering::Relaxed, take).is_err() {
            self.kept_back.fetch_add(1, Ordering::Relaxed);
            return None;
        }
        Some(self.kept_back.swap(0, Ordering::Relaxed))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_of_many_passes_and_the_next_tells_how_many_did_not() {
        let seldom = Seldom::default();
        assert_eq!(seldom.pass(), Some(0));
        assert_eq!([seldom.pass(), seldom.pass()], [None, None]);
        seldom.next.store(0, Ordering::Relaxed);
        assert_eq!(seldom.pass(), Some(2));
    }
}
