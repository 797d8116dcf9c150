//! When to look for passed deadlines: where none can have passed, the store is not asked.
//!
//! Rests on this: a commit never sets a timer to less than [`Looks::soonest`] from its own time, and all else moves
//! timers later. So until that has gone by, the earliest deadline that was seen stays the earliest.

use std::{collections::BTreeMap, time::Duration};

use parking_lot::Mutex;
use rollcall_domain::{id::BootId, time::Timestamp};
use rollcall_store::{
    Partition,
    port::{Lease, Timer},
};

/// The time between two looks at what is left of a gateway that is dead or has left.
pub(super) const OVER_EVERY: Duration = Duration::from_secs(1);

/// When the timers of each boot in each partition have to be looked at.
#[derive(Debug)]
pub(crate) struct Looks {
    /// The least time from a commit to a deadline that it sets.
    soonest: Duration,
    next: Mutex<BTreeMap<(BootId, Partition), Next>>,
}

#[derive(Debug, Clone, Copy)]
struct Next {
    at: Timestamp,
    live: bool,
    seen: Option<Seen>,
}

/// The timers of a live boot that are due, and that need no second look.
#[derive(Debug, Clone, Copy)]
struct Seen {
    last: Timer,
    /// When the first of them was looked at.
    since: Timestamp,
}

impl Looks {
    pub(crate) fn new(soonest: Duration) -> Self {
        Self { soonest, next: Mutex::default() }
    }

    /// Says whether a deadline may have passed.
    pub(super) fn is_due(&self, partition: Partition, boot: BootId, now: Timestamp) -> bool {
        self.next.lock().get(&(boot, partition)).is_none_or(|next| next.at <= now)
    }

    /// Returns the last timer of a live boot that was due and is left to what its gateway says; `None` where the look
    /// begins with the first. It does so now and then, should the store have forgotten how late some timers were.
    pub(super) fn seen(&self, partition: Partition, boot: BootId, now: Timestamp) -> Option<Timer> {
        let next = self.next.lock();
        self.in_force(next.get(&(boot, partition))?, now).map(|seen| seen.last)
    }

    fn in_force(&self, next: &Next, now: Timestamp) -> Option<Seen> {
        next.seen.filter(|seen| seen.since.plus(self.soonest) > now)
    }

    /// Notes that all that was due at `now` is settled but for those up to `seen`, and which timer is the earliest
    /// of the rest.
    pub(super) fn looked(
        &self,
        partition: Partition,
        lease: &Lease,
        seen: Option<Timer>,
        earliest: Option<&Timer>,
        now: Timestamp,
    ) {
        let live = lease.is_live();
        let latest = now.plus(if live { self.soonest } else { OVER_EVERY });
        let at = earliest.map_or(latest, |timer| timer.deadline.min(latest));
        let mut next = self.next.lock();
        let key = (lease.boot, partition);
        let before = next.get(&key).and_then(|next| self.in_force(next, now));
        let seen = seen.map(|last| Seen { last, since: before.map_or(now, |before| before.since) });
        next.insert(key, Next { at, live, seen });
    }

    /// Forgets boots that have no lease any more. Who died or left since is looked at at once.
    pub(super) fn keep(&self, leases: &[Lease]) {
        let fates: BTreeMap<BootId, bool> =
            leases.iter().map(|lease| (lease.boot, lease.is_live())).collect();
        self.next.lock().retain(|(boot, _), next| fates.get(boot) == Some(&next.live));
    }
}

#[cfg(test)]
mod tests {
    use rollcall_domain::id::{AppId, SessionId, UserId};
    use rollcall_store::port::{Nonce, Standing, TimerId};

    use super::*;

    const P: Partition = Partition(1);
    const BOOT: BootId = BootId(1);

    fn at(seconds: u64) -> Timestamp {
        Timestamp(seconds * 1_000_000)
    }

    fn live() -> Lease {
        Lease { boot: BOOT, nonce: Nonce(1), standing: Standing::Live }
    }

    fn timer(deadline: Timestamp) -> Timer {
        let session = SessionId { boot: BOOT, counter: 1 };
        let (app, user) = (AppId::new(1).unwrap(), UserId::new("a").unwrap());
        Timer { deadline, id: TimerId::of_session(app, user, session) }
    }

    #[test]
    fn the_next_look_is_at_the_earliest_deadline_or_when_a_new_one_may_pass() {
        let looks = Looks::new(Duration::from_secs(30));
        assert!(looks.is_due(P, BOOT, at(100)), "never looked at");
        for (earliest, next) in [(None, 130), (Some(at(400)), 130), (Some(at(110)), 110), (Some(at(90)), 90)]
        {
            looks.looked(P, &live(), None, earliest.map(timer).as_ref(), at(100));
            assert!(!looks.is_due(P, BOOT, at(next - 1)));
            assert!(looks.is_due(P, BOOT, at(next)));
        }
    }

    #[test]
    fn what_was_seen_is_passed_over_and_now_and_then_looked_at_again() {
        let looks = Looks::new(Duration::from_secs(30));
        assert_eq!(looks.seen(P, BOOT, at(100)), None);
        looks.looked(P, &live(), Some(timer(at(90))), None, at(100));
        assert_eq!(looks.seen(P, BOOT, at(120)), Some(timer(at(90))));
        looks.looked(P, &live(), Some(timer(at(110))), None, at(120));
        assert_eq!(looks.seen(P, BOOT, at(129)), Some(timer(at(110))));
        assert_eq!(looks.seen(P, BOOT, at(130)), None, "30 s after the first");
        looks.looked(P, &live(), Some(timer(at(110))), None, at(130));
        assert_eq!(looks.seen(P, BOOT, at(159)), Some(timer(at(110))));
        looks.looked(P, &live(), None, None, at(140));
        assert_eq!(looks.seen(P, BOOT, at(140)), None);
    }

    #[test]
    fn who_has_died_is_looked_at_at_once() {
        let looks = Looks::new(Duration::from_secs(30));
        looks.looked(P, &live(), None, None, at(100));
        looks.keep(&[live()]);
        assert!(!looks.is_due(P, BOOT, at(100)));
        looks.keep(&[Lease { standing: Standing::Dead(at(100)), ..live() }]);
        assert!(looks.is_due(P, BOOT, at(100)));
    }
}
