//! Call windows, without locks and without a clock.

use std::{
    collections::{HashMap, VecDeque},
    time::Duration,
};

use rollcall_domain::time::Timestamp;

use crate::port::{Admission, Window};

/// The windows of one partition. Those that count nothing any more go when there are twice as many as were left the
/// last time, so that they are never more than twice those of one span, save for a few.
#[derive(Default)]
pub(super) struct Windows {
    held: HashMap<Window, Held>,
    /// How many there may be before those that count nothing go.
    ample: usize,
}

struct Held {
    /// When calls were allowed, in order.
    allowed: VecDeque<Timestamp>,
    /// When the last of them counts no more.
    until: Timestamp,
}

/// Windows that are always kept.
const FEW: usize = 64;

impl Windows {
    /// Allows a call and counts it, or says when one would be allowed.
    pub(super) fn take(&mut self, window: Window, limit: u32, span: Duration, now: Timestamp) -> Admission {
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        if limit == 0 {
            return Admission { at: now, retry_after: Some(span) };
        }
        self.sweep(now);
        let until = now.plus(span);
        let held = self.held.entry(window).or_insert_with(|| Held { allowed: VecDeque::new(), until });
        // A clock that is behind must block nothing.
        held.allowed.retain(|at| at.plus(span) > now && *at <= now);
        let retry_after = held
            .allowed
            .len()
            .checked_sub(limit)
            .map(|first| Duration::from_micros(held.allowed[first].plus(span).0 - now.0));
        if retry_after.is_none() {
            held.allowed.push_back(now);
            held.until = until;
        }
        Admission { at: now, retry_after }
    }

    fn sweep(&mut self, now: Timestamp) {
        if self.held.len() >= self.ample.max(FEW) {
            self.held.retain(|_, held| held.until > now);
            self.ample = self.held.len() * 2;
        }
    }
}

#[cfg(test)]
mod tests {
    use rollcall_domain::id::{AppId, UserId};

    use super::*;
    use crate::port::WindowKind;

    const SPAN: Duration = Duration::from_secs(5);

    fn window(name: &str) -> Window {
        let user = UserId::new(name).unwrap();
        Window { app: AppId::new(1).unwrap(), user, kind: WindowKind::Query }
    }

    fn seconds(seconds: u64) -> Timestamp {
        Timestamp(seconds * 1_000_000)
    }

    #[test]
    fn a_clock_that_goes_back_forgets_and_never_blocks() {
        let mut windows = Windows::default();
        assert_eq!(windows.take(window("a"), 1, SPAN, seconds(100)).retry_after, None);
        assert_eq!(windows.take(window("a"), 1, SPAN, seconds(99)).retry_after, None);
        assert_eq!(
            windows.take(window("a"), 1, SPAN, seconds(103)).retry_after,
            Some(Duration::from_secs(1))
        );
    }

    #[test]
    fn windows_that_count_nothing_any_more_are_not_kept() {
        let mut windows = Windows::default();
        for n in 0..10_000 {
            windows.take(window(&format!("user{n}")), 20, SPAN, seconds(n));
            assert!(windows.held.len() <= FEW + 10, "{}", windows.held.len());
        }
    }
}
