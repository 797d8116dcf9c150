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
}

impl Looks {
    pub(crate) fn new(soonest: Duration) -> Self {
        Self { soonest, next: Mutex::default() }
    }

    /// Says whether a deadline may have passed.
    pub(super) fn is_due(&self, partition: Partition, boot: BootId, now: Timestamp) -> bool {
        self.next.lock().get(&(boot, partition)).is_none_or(|next| next.at <= now)
    }

    /// Notes that all that was due at `now` is settled, and which timer is the earliest of the rest.
    pub(super) fn looked(
        &self,
        partition: Partition,
        lease: &Lease,
        earliest: Option<&Timer>,
        now: Timestamp,
    ) {
        let live = lease.is_live();
        let latest = now.plus(if live { self.soonest } else { OVER_EVERY });
        let at = earliest.map_or(latest, |timer| timer.deadline.min(latest));
        self.next.lock().insert((lease.boot, partition), Next { at, live });
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
            looks.looked(P, &live(), earliest.map(timer).as_ref(), at(100));
            assert!(!looks.is_due(P, BOOT, at(next - 1)));
            assert!(looks.is_due(P, BOOT, at(next)));
        }
    }

    #[test]
    fn who_has_died_is_looked_at_at_once() {
        let looks = Looks::new(Duration::from_secs(30));
        looks.looked(P, &live(), None, at(100));
        looks.keep(&[live()]);
        assert!(!looks.is_due(P, BOOT, at(100)));
        looks.keep(&[Lease { standing: Standing::Dead(at(100)), ..live() }]);
        assert!(looks.is_due(P, BOOT, at(100)));
    }
}
